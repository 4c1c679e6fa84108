/* Operations on objects, each a request and what its answer says. */
#include "store/s3_objects.h"

#include <string.h>

#include "base/text.h"
#include "net/uri.h"
#include "store/s3_optional.h"
#include "store/s3_xml.h"

#define MAX_LIST_BYTES (16u << 20)
#define ABORT_RETRY_S 10 /* what cannot be ended now, the next run ends */

/* ---- how an object is stored ---- */

static char *tags_query(char **tags)
{
    GString *text = g_string_new(NULL);
    for (; tags && *tags; tags += 2) {
        g_autofree char *name = uri_escape(tags[0], FALSE);
        g_autofree char *value = uri_escape(tags[1], FALSE);
        g_string_append_printf(text, "%s%s=%s", text->len ? "&" : "", name, value);
    }
    return g_string_free(text, FALSE);
}

static void add_header(GPtrArray *list, const char *name, const char *value)
{
    if (value && *value)
        g_ptr_array_add(list, g_strdup_printf("%s: %s", name, value));
}

static void add_lock(GPtrArray *list, const struct s3_props *p)
{
    if (!p->lock_mode)
        return;
    g_autoptr(GDateTime) until = g_date_time_new_from_unix_utc(p->lock_until);
    g_autofree char *text = g_date_time_format(until, "%Y-%m-%dT%H:%M:%SZ");
    add_header(list, "x-amz-object-lock-mode", p->lock_mode);
    add_header(list, "x-amz-object-lock-retain-until-date", text);
}

char **s3_props_headers(const struct s3_props *p)
{
    GPtrArray *list = g_ptr_array_new();
    g_autofree char *tags = tags_query(p->tags);
    gboolean kms = g_strcmp0(p->sse, "aws:kms") == 0;
    add_header(list, "Content-Type", p->content_type ? p->content_type : "application/octet-stream");
    add_header(list, "x-amz-storage-class", p->storage_class);
    add_header(list, "x-amz-server-side-encryption", p->sse);
    add_header(list, "x-amz-server-side-encryption-aws-kms-key-id", kms ? p->kms_key_id : NULL);
    add_header(list, "x-amz-tagging", tags);
    add_lock(list, p);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

/* ---- head ---- */

void s3_object_free(struct s3_object *o)
{
    if (!o)
        return;
    g_free(o->key);
    g_free(o->etag);
    g_free(o->storage_class);
    g_free(o->encryption);
    g_free(o->kms_key_id);
    g_free(o->restore);
    g_free(o->lock_mode);
    g_free(o->version_id);
    g_free(o);
}

gboolean s3_object_is_archived(const struct s3_object *o)
{
    gboolean cold = g_str_equal(o->storage_class, "GLACIER") || g_str_equal(o->storage_class, "DEEP_ARCHIVE");
    return cold && !(o->restore && strstr(o->restore, "ongoing-request=\"false\""));
}

static struct s3_object *object_from_headers(const char *key, const struct http_response *r)
{
    struct s3_object *o = g_new0(struct s3_object, 1);
    const char *length = http_header(r, "content-length"), *class = http_header(r, "x-amz-storage-class");
    const char *modified = http_header(r, "last-modified"),
               *until = http_header(r, "x-amz-object-lock-retain-until-date");
    const char *tags = http_header(r, "x-amz-tagging-count");
    o->key = g_strdup(key);
    o->size_bytes = length ? g_ascii_strtoull(length, NULL, 10) : 0;
    o->etag = g_strdup(http_header(r, "etag"));
    o->storage_class = g_strdup(class ? class : "STANDARD");
    o->encryption = g_strdup(http_header(r, "x-amz-server-side-encryption"));
    o->kms_key_id = g_strdup(http_header(r, "x-amz-server-side-encryption-aws-kms-key-id"));
    o->restore = g_strdup(http_header(r, "x-amz-restore"));
    o->lock_mode = g_strdup(http_header(r, "x-amz-object-lock-mode"));
    o->legal_hold = g_strcmp0(http_header(r, "x-amz-object-lock-legal-hold"), "ON") == 0;
    o->version_id = g_strdup(http_header(r, "x-amz-version-id"));
    o->tag_count = tags ? (int)g_ascii_strtoll(tags, NULL, 10) : -1;
    if (modified)
        text_parse_http_date(modified, &o->modified);
    if (until)
        text_parse_iso_time(until, &o->lock_until);
    return o;
}

/* An answer to HEAD has no body, so it does not say why it refuses: one byte of the object is asked for to learn that.
 * TRUE if that went well: what was wrong (clock, expired credentials) is mended. Takes problem. */
static gboolean fail_head(struct s3 *s, const char *key, const struct s3_failure *failure, GError *problem,
                          GError **error)
{
    gboolean mended = FALSE;
    struct http_response r = {0};
    struct s3_request request = {
        .method = "GET", .key = key, .headers = (const char *[]){"Range: bytes=0-0", NULL}, .max_answer_bytes = 1};
    GError *reason = NULL;
    if (failure->status == 404)
        g_prefix_error(&problem, "there is no such object: ");
    else if (failure->status == 403 || failure->status == 400)
        mended = s3_send(s, &request, &r, NULL, &reason);
    http_response_clear(&r);
    if (reason || mended)
        g_clear_error(&problem);
    if (!mended)
        g_propagate_error(error, problem ? problem : reason);
    return mended;
}

struct s3_object *s3_head(struct s3 *s, const char *key, GError **error)
{
    struct http_response r = {0};
    struct s3_request request = {.method = "HEAD", .key = key};
    struct s3_failure failure;
    GError *problem = NULL;
    if (!s3_send(s, &request, &r, &failure, &problem) &&
        (!fail_head(s, key, &failure, problem, error) || !s3_send(s, &request, &r, &failure, error)))
        return NULL;
    struct s3_object *o = object_from_headers(key, &r);
    gboolean complete = http_header(&r, "content-length") != NULL;
    http_response_clear(&r);
    if (complete)
        return o;
    ot_fail(error, OT_S3, "the server does not say how large %s is", key);
    s3_object_free(o);
    return NULL;
}

/* ---- small objects ---- */

char *s3_get(struct s3 *s, const char *key, gsize max_bytes, gsize *ret_length, GError **error)
{
    struct http_response r = {0};
    struct s3_request request = {.method = "GET", .key = key, .max_answer_bytes = max_bytes};
    if (!s3_send(s, &request, &r, NULL, error))
        return NULL;
    char *text = g_strndup((const char *)r.body->data, r.body->len);
    gsize length = r.body->len;
    http_response_clear(&r);
    if (length > max_bytes) {
        g_free(text);
        ot_fail(error, OT_CORRUPT, "%s is larger than such an object can be", key);
        return NULL;
    }
    if (ret_length)
        *ret_length = length;
    return text;
}

/* ret_refused may be NULL. */
static gboolean put(struct s3 *s, const char *key, const void *data, gsize length, const struct s3_props *props,
                    char **ret_etag, gboolean *ret_refused, GError **error)
{
    struct http_response r = {0};
    struct s3_failure failure = {0};
    g_auto(GStrv) headers = s3_props_headers(props);
    struct s3_request request = {
        .method = "PUT",
        .key = key,
        .headers = (const char *const *)headers,
        .body = data,
        .body_length = length,
        .checksum = TRUE,
    };
    gboolean ok = s3_send(s, &request, &r, &failure, error);
    if (ret_refused)
        *ret_refused = !ok && failure.status == 403;
    if (!ok)
        return FALSE;
    if (ret_etag)
        *ret_etag = g_strdup(http_header(&r, "etag"));
    http_response_clear(&r);
    return TRUE;
}

gboolean s3_put(struct s3 *s, const char *key, const void *data, gsize length, const struct s3_props *props,
                char **ret_etag, GError **error)
{
    return put(s, key, data, length, props, ret_etag, NULL, error);
}

gboolean s3_put_if_allowed(struct s3 *s, const char *key, const void *data, gsize length, const struct s3_props *props,
                           gboolean *ret_refused, GError **error)
{
    return put(s, key, data, length, props, NULL, ret_refused, error);
}

#define MAX_SMALL_BYTES 4096

/* Whether the object is what was just put there, or what another one put. */
static gboolean is_still(struct s3 *s, const char *key, const char *text, s3_is_such is_such, gboolean *ret_same,
                         GError **error)
{
    g_autofree char *found = s3_get(s, key, MAX_SMALL_BYTES, NULL, error);
    *ret_same = found && g_str_equal(found, text);
    if (!found || *ret_same || is_such(found))
        return found != NULL;
    return ot_fail(error, OT_S3, "the server gives something else for %s than was stored there", key);
}

gboolean s3_put_new(struct s3 *s, const char *key, const char *text, s3_is_such is_such, guint retry_s,
                    gboolean *ret_there, GError **error)
{
    static const char *const only_new[] = {"If-None-Match: *", NULL};
    GError *problem = NULL;
    struct http_response r = {0};
    struct s3_failure failure = {0};
    struct s3_request request = {
        .method = "PUT",
        .key = key,
        .headers = only_new,
        .body = text,
        .body_length = strlen(text),
        .checksum = TRUE,
        .retry_s = retry_s,
    };
    gboolean same = FALSE;
    gboolean ok = s3_send(s, &request, &r, &failure, &problem);
    http_response_clear(&r);
    *ret_there = !ok && (failure.status == 412 || failure.status == 409);
    if (ok && !is_still(s, key, text, is_such, &same, &problem))
        ok = FALSE;
    *ret_there = *ret_there || (ok && !same);
    if (problem && !*ret_there)
        g_propagate_error(error, problem);
    else
        g_clear_error(&problem);
    return ok || *ret_there;
}

void s3_drop(struct s3 *s, const char *key, guint retry_s)
{
    struct http_response r = {0};
    struct s3_request request = {.method = "DELETE", .key = key, .retry_s = retry_s, .despite_interrupt = TRUE};
    s3_send(s, &request, &r, NULL, NULL);
    http_response_clear(&r);
}

gboolean s3_delete_if_allowed(struct s3 *s, const char *key, gboolean *ret_refused, GError **error)
{
    struct http_response r = {0};
    struct s3_failure failure = {0};
    struct s3_request request = {.method = "DELETE", .key = key};
    gboolean ok = s3_send(s, &request, &r, &failure, error);
    *ret_refused = !ok && failure.status == 403;
    http_response_clear(&r);
    return ok;
}

gboolean s3_delete(struct s3 *s, const char *key, GError **error)
{
    gboolean unused;
    return s3_delete_if_allowed(s, key, &unused, error);
}

gboolean s3_put_tags(struct s3 *s, const char *key, char **tags, GError **error)
{
    if (s3_missing(s) & S3_TAGS)
        return TRUE;
    g_autoptr(GString) xml = g_string_new("<Tagging><TagSet>");
    for (; tags && *tags; tags += 2) {
        g_autofree char *tag = g_markup_printf_escaped("<Tag><Key>%s</Key><Value>%s</Value></Tag>", tags[0], tags[1]);
        g_string_append(xml, tag);
    }
    g_string_append(xml, "</TagSet></Tagging>");
    struct http_response r = {0};
    struct s3_request request = {
        .method = "PUT",
        .key = key,
        .query = (char *[]){(char *)"tagging", (char *)"", NULL},
        .body = xml->str,
        .body_length = xml->len,
        .checksum = TRUE,
    };
    struct s3_failure failure = {0};
    GError *problem = NULL;
    gboolean ok = s3_send(s, &request, &r, &failure, &problem);
    http_response_clear(&r);
    if (!ok && s3_is_not_implemented(&failure)) {
        s3_learn_missing(s, S3_TAGS);
        g_clear_error(&problem);
        return TRUE;
    }
    if (!ok)
        g_propagate_error(error, problem);
    return ok;
}

/* ---- lists ---- */

/* Keys come form-encoded (encoding-type=url), for XML cannot hold every byte that a key can. */
static char *decode_key(const char *text)
{
    g_autofree char *spaced = g_strdelimit(g_strdup(text), "+", ' ');
    char *key = g_uri_unescape_string(spaced, NULL);
    return key ? key : g_strdup(text);
}

/* cleaning: what is asked serves to clean up, perhaps after an interrupt; what cannot be had now is left. */
static xmlDoc *get_document(struct s3 *s, char **query, const char *root, gboolean cleaning, GError **error)
{
    struct http_response r = {0};
    struct s3_request request = {
        .method = "GET",
        .query = query,
        .max_answer_bytes = MAX_LIST_BYTES,
        .despite_interrupt = cleaning,
        .retry_s = cleaning ? ABORT_RETRY_S : 0,
    };
    if (!s3_send(s, &request, &r, NULL, error))
        return NULL;
    xmlDoc *doc = s3_xml_read(r.body->data, r.body->len, root, error);
    http_response_clear(&r);
    return doc;
}

static gboolean is_node(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static gboolean is_true(const xmlNode *node, const char *name)
{
    g_autofree char *text = s3_xml_text(node, name);
    return g_strcmp0(text, "true") == 0;
}

static struct s3_object *object_from_xml(const xmlNode *node)
{
    g_autofree char *key = s3_xml_text(node, "Key"), *size = s3_xml_text(node, "Size");
    g_autofree char *modified = s3_xml_text(node, "LastModified");
    struct s3_object *o = g_new0(struct s3_object, 1);
    o->key = decode_key(key ? key : "");
    o->size_bytes = size ? g_ascii_strtoull(size, NULL, 10) : 0;
    o->etag = s3_xml_text(node, "ETag");
    o->storage_class = s3_xml_text(node, "StorageClass");
    if (!o->storage_class || !*o->storage_class) {
        g_free(o->storage_class);
        o->storage_class = g_strdup("STANDARD");
    }
    o->tag_count = -1;
    if (modified)
        text_parse_iso_time(modified, &o->modified);
    return o;
}

static void object_free(gpointer data)
{
    s3_object_free(data);
}

GPtrArray *s3_list(struct s3 *s, const char *prefix, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(object_free);
    g_autofree char *token = NULL;
    do {
        char *query[] = {(char *)"list-type",
                         (char *)"2",
                         (char *)"encoding-type",
                         (char *)"url",
                         (char *)"prefix",
                         (char *)prefix,
                         token ? (char *)"continuation-token" : NULL,
                         token,
                         NULL};
        xmlDoc *doc = get_document(s, query, "ListBucketResult", FALSE, error);
        if (!doc)
            return NULL;
        const xmlNode *root = xmlDocGetRootElement(doc);
        for (const xmlNode *node = root->children; node; node = node->next)
            if (is_node(node, "Contents"))
                g_ptr_array_add(list, object_from_xml(node));
        g_free(token);
        token = is_true(root, "IsTruncated") ? s3_xml_text(root, "NextContinuationToken") : NULL;
        xmlFreeDoc(doc);
    } while (token);
    return g_steal_pointer(&list);
}

gboolean s3_any(struct s3 *s, const char *prefix, guint retry_s, gboolean *ret_any, GError **error)
{
    struct http_response r = {0};
    char *query[] = {(char *)"list-type", (char *)"2", (char *)"max-keys", (char *)"1",
                     (char *)"prefix",    (char *)prefix, NULL};
    struct s3_request request = {
        .method = "GET", .query = query, .max_answer_bytes = MAX_LIST_BYTES, .retry_s = retry_s};
    if (!s3_send(s, &request, &r, NULL, error))
        return FALSE;
    xmlDoc *doc = s3_xml_read(r.body->data, r.body->len, "ListBucketResult", error);
    http_response_clear(&r);
    if (!doc)
        return FALSE;
    const xmlNode *root = xmlDocGetRootElement(doc);
    *ret_any = FALSE;
    for (const xmlNode *node = root->children; node; node = node->next)
        *ret_any = *ret_any || is_node(node, "Contents");
    xmlFreeDoc(doc);
    return TRUE;
}

static void unfinished_free(gpointer data)
{
    struct s3_unfinished *u = data;
    g_free(u->key);
    g_free(u->upload_id);
    g_free(u);
}

static void add_unfinished(GPtrArray *list, const xmlNode *node)
{
    g_autofree char *key = s3_xml_text(node, "Key");
    struct s3_unfinished *u = g_new0(struct s3_unfinished, 1);
    u->key = decode_key(key ? key : "");
    u->upload_id = s3_xml_text(node, "UploadId");
    g_ptr_array_add(list, u);
}

GPtrArray *s3_list_unfinished(struct s3 *s, const char *prefix, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(unfinished_free);
    g_autofree char *key = NULL, *id = NULL;
    do {
        char *query[] = {(char *)"uploads",
                         (char *)"",
                         (char *)"encoding-type",
                         (char *)"url",
                         (char *)"prefix",
                         (char *)prefix,
                         key ? (char *)"key-marker" : NULL,
                         key,
                         (char *)"upload-id-marker",
                         id ? id : (char *)"",
                         NULL};
        xmlDoc *doc = get_document(s, query, "ListMultipartUploadsResult", TRUE, error);
        if (!doc)
            return NULL;
        const xmlNode *root = xmlDocGetRootElement(doc);
        for (const xmlNode *node = root->children; node; node = node->next)
            if (is_node(node, "Upload"))
                add_unfinished(list, node);
        g_free(key);
        g_free(id);
        gboolean more = is_true(root, "IsTruncated");
        g_autofree char *encoded = more ? s3_xml_text(root, "NextKeyMarker") : NULL;
        key = encoded ? decode_key(encoded) : NULL;
        id = more ? s3_xml_text(root, "NextUploadIdMarker") : NULL;
        xmlFreeDoc(doc);
    } while (key);
    return g_steal_pointer(&list);
}

gboolean s3_abort(struct s3 *s, const char *key, const char *upload_id, GError **error)
{
    struct http_response r = {0};
    struct s3_request request = {
        .method = "DELETE",
        .key = key,
        .query = (char *[]){(char *)"uploadId", (char *)upload_id, NULL},
        .despite_interrupt = TRUE,
        .retry_s = ABORT_RETRY_S,
    };
    GError *problem = NULL;
    gboolean ok = s3_send(s, &request, &r, NULL, &problem);
    http_response_clear(&r);
    if (ok || g_error_matches(problem, OT_ERROR, OT_NOT_FOUND)) {
        g_clear_error(&problem);
        return TRUE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

gboolean s3_abort_all(struct s3 *s, const char *key, GError **error)
{
    g_autoptr(GPtrArray) list = s3_list_unfinished(s, key, error);
    for (guint i = 0; list && i < list->len; i++) {
        const struct s3_unfinished *u = list->pdata[i];
        if (g_str_equal(u->key, key) && !s3_abort(s, u->key, u->upload_id, error))
            return FALSE;
    }
    return list != NULL;
}

gboolean s3_get_versioning(struct s3 *s, gboolean *ret_on, GError **error)
{
    char *query[] = {(char *)"versioning", (char *)"", NULL};
    xmlDoc *doc = get_document(s, query, "VersioningConfiguration", FALSE, error);
    g_autofree char *status = doc ? s3_xml_text(xmlDocGetRootElement(doc), "Status") : NULL;
    *ret_on = g_strcmp0(status, "Enabled") == 0;
    xmlFreeDoc(doc);
    return doc != NULL;
}

/* ---- ranged reads ---- */

struct object_source {
    struct source base;
    struct s3 *s;
    char *key, *if_match;
};

static gboolean read_range(struct object_source *o, guint64 offset, guint8 *data, gsize length, GError **error)
{
    struct http_response r = {0};
    g_autofree char *range =
        g_strdup_printf("Range: bytes=%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, offset, offset + length - 1);
    struct s3_request request = {
        .method = "GET",
        .key = o->key,
        .headers = (const char *[]){range, o->if_match, NULL},
        .max_answer_bytes = length,
    };
    struct s3_failure failure;
    if (!s3_send(o->s, &request, &r, &failure, error)) {
        if (failure.status == 412)
            g_prefix_error(error, "the object was replaced while it was read: ");
        return FALSE;
    }
    gboolean ok = r.status == 206 && r.body->len == length;
    if (ok)
        memcpy(data, r.body->data, length);
    else
        ot_fail(error, OT_S3, "the server answered with other bytes than were asked for (%s of %s)", range,
                o->base.name);
    http_response_clear(&r);
    return ok;
}

static gboolean object_read_at(struct source *self, guint64 offset, void *data, gsize length, GError **error)
{
    struct object_source *o = (struct object_source *)self;
    if (offset > self->size_bytes || length > self->size_bytes - offset)
        return ot_fail(error, OT_CORRUPT, "%s ends before byte %" G_GUINT64_FORMAT, self->name, offset + length);
    return length == 0 || read_range(o, offset, data, length, error);
}

static void object_source_free(struct source *self)
{
    struct object_source *o = (struct object_source *)self;
    g_free(o->key);
    g_free(o->if_match);
}

struct source *s3_open(struct s3 *s, const char *key, GError **error)
{
    g_autoptr(s3_object) object = s3_head(s, key, error);
    if (!object)
        return NULL;
    g_autofree char *name = s3_url(s, key);
    if (s3_object_is_archived(object)) {
        ot_fail(error, OT_REFUSED,
                "%s is archived (%s) and cannot be read now. Ask for it with `aws s3api restore-object`, which takes "
                "hours, "
                "or use a younger backup",
                name, object->storage_class);
        return NULL;
    }
    struct object_source *o = g_new0(struct object_source, 1);
    o->base = (struct source){object_read_at, object_source_free, object->size_bytes, g_steal_pointer(&name)};
    o->s = s;
    o->key = g_strdup(key);
    o->if_match = object->etag ? g_strconcat("If-Match: ", object->etag, NULL) : NULL;
    return &o->base;
}
