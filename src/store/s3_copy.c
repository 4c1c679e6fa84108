/* CopyObject and UploadPartCopy. That an error can come in an answer of status 200 is known to s3_send. */
#include "store/s3_copy.h"

#include <string.h>

#include "net/uri.h"
#include "store/s3_xml.h"

/* AWS copies up to 5 GB in one request. Servers that say nothing while they copy would run into our time limit, so
 * smaller steps are taken. */
#define LARGEST_COPY_BYTES (1ull << 30)
#define PART_BYTES (512ull << 20)

/* The headers that name the object which is copied. Added to list. */
static void add_source(GPtrArray *list, struct s3 *s, const struct s3_object *from)
{
    g_autofree char *key = uri_escape(from->key, TRUE);
    g_ptr_array_add(list, g_strdup_printf("x-amz-copy-source: /%s/%s", s3_bucket(s), key));
    if (from->etag)
        g_ptr_array_add(list, g_strdup_printf("x-amz-copy-source-if-match: %s", from->etag));
}

static void add_props(GPtrArray *list, const struct s3_props *props)
{
    g_auto(GStrv) headers = s3_props_headers(props);
    for (char **h = headers; *h; h++)
        g_ptr_array_add(list, g_strdup(*h));
}

static gboolean copy_whole(struct s3 *s, const struct s3_object *from, const char *to, const struct s3_props *props,
                           GError **error)
{
    struct http_response r = {0};
    g_autoptr(GPtrArray) headers = g_ptr_array_new_with_free_func(g_free);
    add_source(headers, s, from);
    add_props(headers, props);
    g_ptr_array_add(headers, g_strdup("x-amz-metadata-directive: REPLACE"));
    g_ptr_array_add(headers, g_strdup("x-amz-tagging-directive: REPLACE"));
    g_ptr_array_add(headers, NULL);
    struct s3_request request = {
        .method = "PUT",
        .key = to,
        .headers = (const char *const *)headers->pdata,
        .max_answer_bytes = 1u << 20,
    };
    gboolean ok = s3_send(s, &request, &r, NULL, error);
    http_response_clear(&r);
    return ok;
}

/* ---- in parts ---- */

static char *begin(struct s3 *s, const char *to, const struct s3_props *props, GError **error)
{
    struct http_response r = {0};
    g_auto(GStrv) headers = s3_props_headers(props);
    struct s3_request request = {
        .method = "POST",
        .key = to,
        .query = (char *[]){(char *)"uploads", (char *)"", NULL},
        .headers = (const char *const *)headers,
        .max_answer_bytes = 1u << 20,
    };
    if (!s3_send(s, &request, &r, NULL, error))
        return NULL;
    xmlDoc *doc = s3_xml_read(r.body->data, r.body->len, "InitiateMultipartUploadResult", error);
    http_response_clear(&r);
    char *id = doc ? s3_xml_text(xmlDocGetRootElement(doc), "UploadId") : NULL;
    if (doc && !id)
        ot_fail(error, OT_S3, "the server began an upload without an UploadId");
    xmlFreeDoc(doc);
    return id;
}

struct part {
    const char *to, *upload_id;
    guint number;
    guint64 first, last; /* bytes, both included */
};

/* Adds the part's line of the final request to xml. */
static gboolean copy_part(struct s3 *s, const struct s3_object *from, const struct part *p, GString *xml,
                          GError **error)
{
    struct http_response r = {0};
    g_autoptr(GPtrArray) headers = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *number = g_strdup_printf("%u", p->number);
    add_source(headers, s, from);
    g_ptr_array_add(headers, g_strdup_printf("x-amz-copy-source-range: bytes=%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT,
                                             p->first, p->last));
    g_ptr_array_add(headers, NULL);
    struct s3_request request = {
        .method = "PUT",
        .key = p->to,
        .query = (char *[]){(char *)"partNumber", number, (char *)"uploadId", (char *)p->upload_id, NULL},
        .headers = (const char *const *)headers->pdata,
        .max_answer_bytes = 1u << 20,
    };
    if (!s3_send(s, &request, &r, NULL, error))
        return FALSE;
    xmlDoc *doc = s3_xml_read(r.body->data, r.body->len, "CopyPartResult", error);
    http_response_clear(&r);
    g_autofree char *etag = doc ? s3_xml_text(xmlDocGetRootElement(doc), "ETag") : NULL;
    gboolean ok = etag || (doc && ot_fail(error, OT_S3, "the server copied part %u without an ETag", p->number));
    xmlFreeDoc(doc);
    if (!ok)
        return FALSE;
    g_autofree char *escaped = g_markup_escape_text(etag, -1);
    g_string_append_printf(xml, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", p->number, escaped);
    return TRUE;
}

static gboolean complete(struct s3 *s, const char *to, const char *upload_id, const GString *xml, GError **error)
{
    struct http_response r = {0};
    struct s3_request request = {
        .method = "POST",
        .key = to,
        .query = (char *[]){(char *)"uploadId", (char *)upload_id, NULL},
        .headers = (const char *[]){"Content-Type: application/xml", NULL},
        .body = xml->str,
        .body_length = xml->len,
        .max_answer_bytes = 1u << 20,
    };
    gboolean ok = s3_send(s, &request, &r, NULL, error);
    http_response_clear(&r);
    return ok;
}

gboolean s3_copy_in_parts(struct s3 *s, const struct s3_object *from, const char *to, const struct s3_props *props,
                          guint64 part_bytes, GError **error)
{
    g_autofree char *id = begin(s, to, props, error);
    g_autoptr(GString) xml = g_string_new("<CompleteMultipartUpload>");
    gboolean ok = id != NULL;
    struct part p = {.to = to, .upload_id = id, .number = 1};
    for (; ok && p.first < from->size_bytes; p.first += part_bytes, p.number++) {
        p.last = MIN(p.first + part_bytes, from->size_bytes) - 1;
        ok = copy_part(s, from, &p, xml, error);
    }
    g_string_append(xml, "</CompleteMultipartUpload>");
    ok = ok && complete(s, to, id, xml, error);
    if (!ok && id)
        s3_abort(s, to, id, NULL); /* what stays of it, the lifecycle rule for unfinished uploads clears */
    return ok;
}

/* ---- the whole ---- */

static gboolean check(const struct s3_object *from, const struct s3_object *copy, GError **error)
{
    if (copy->size_bytes != from->size_bytes)
        return ot_fail(error, OT_S3, "the copy %s has %" G_GUINT64_FORMAT " bytes, its source %" G_GUINT64_FORMAT,
                       copy->key, copy->size_bytes, from->size_bytes);
    return TRUE;
}

/* Some servers forget the lock of a copy. */
static gboolean mend_lock(struct s3 *s, const struct s3_object *copy, const struct s3_props *props, GError **error)
{
    if (!props->lock_mode || copy->lock_until >= props->lock_until)
        return TRUE;
    g_autoptr(GDateTime) until = g_date_time_new_from_unix_utc(props->lock_until);
    g_autofree char *text = g_date_time_format(until, "%Y-%m-%dT%H:%M:%SZ");
    g_autofree char *xml = g_markup_printf_escaped(
        "<Retention><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>", props->lock_mode, text);
    struct http_response r = {0};
    struct s3_request request = {
        .method = "PUT",
        .key = copy->key,
        .query = (char *[]){(char *)"retention", (char *)"", NULL},
        .body = xml,
        .body_length = strlen(xml),
        .checksum = TRUE,
    };
    gboolean ok = s3_send(s, &request, &r, NULL, error);
    http_response_clear(&r);
    return ok;
}

/* As the server has it once all was mended. */
static struct s3_object *look_again(struct s3 *s, const struct s3_object *copy, const struct s3_props *props,
                                    GError **error)
{
    g_autoptr(s3_object) now = s3_head(s, copy->key, error);
    if (now && props->lock_mode && now->lock_until < props->lock_until) {
        ot_fail(error, OT_S3, "the copy %s is not locked as long as it should be", copy->key);
        return NULL;
    }
    return g_steal_pointer(&now);
}

gboolean s3_copy(struct s3 *s, const struct s3_object *from, const char *to, const struct s3_props *props,
                 struct s3_object **ret_object, GError **error)
{
    gboolean whole = from->size_bytes <= LARGEST_COPY_BYTES;
    if (!(whole ? copy_whole(s, from, to, props, error) : s3_copy_in_parts(s, from, to, props, PART_BYTES, error)))
        return FALSE;
    g_autoptr(s3_object) copy = s3_head(s, to, error);
    int tags = props->tags ? (int)g_strv_length(props->tags) / 2 : 0;
    if (!copy || !check(from, copy, error) ||
        (copy->tag_count != tags && tags > 0 && !s3_put_tags(s, to, props->tags, error)) ||
        !mend_lock(s, copy, props, error))
        return FALSE;
    g_autoptr(s3_object) now = look_again(s, copy, props, error);
    gboolean ok = now != NULL;
    if (ret_object)
        *ret_object = g_steal_pointer(&now);
    return ok;
}
