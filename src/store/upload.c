/* The parts of a multipart upload: filled by one thread, sent by several, listed at the end. */
#include "store/upload.h"

#include <string.h>

#include "base/interrupt.h"
#include "store/s3_xml.h"

#define DEFAULT_PARALLEL 4
#define DEFAULT_PART_BYTES (8u << 20)
#define DEFAULT_MAX_PARTS 10000
#define LARGEST_PART_BYTES (2ull << 30) /* S3 takes 5 GiB; a part lies in memory */

struct part {
    guint number; /* from 1 */
    GByteArray *bytes;
};

struct sent_part {
    char *etag;
    char *checksum; /* as the server says it; NULL if it does not */
};

struct upload {
    struct sink sink;
    struct s3 *s;
    const char *key;
    struct upload_options options;
    guint64 first_bytes;
    char **headers;  /* of the object */
    char *upload_id; /* NULL: no multipart upload was begun */
    GByteArray *filling;
    guint number; /* of the part being filled */
    guint64 total;
    GPtrArray *threads;
    GMutex mutex;
    GCond changed;
    GQueue waiting;  /* struct part * */
    guint in_flight; /* waiting or being sent */
    gboolean ended;  /* no more parts will come */
    gint cancelled;
    GError *error;     /* the first part that failed */
    GPtrArray *sent;   /* struct sent_part *, by number - 1; NULL where not sent yet */
    gboolean finished; /* the object is made */
    gboolean
        doubtful; /* an answer to the first request may have been lost: there may be an upload that we know not of */
};

/* ---- sizes ---- */

/* The first half of the parts are of the first size; then it doubles with each 32nd of them: a backup of usual size
 * never sees a large part, and one that outgrows every guess still fits. */
guint64 upload_part_bytes(guint64 first_bytes, guint max_parts, guint n)
{
    guint half = max_parts / 2, step = MAX(1u, max_parts / 32);
    guint doublings = n > half ? 1 + (n - half - 1) / step : 0;
    guint64 bytes = first_bytes;
    for (guint i = 0; i < doublings && bytes < LARGEST_PART_BYTES; i++)
        bytes *= 2;
    return MIN(bytes, LARGEST_PART_BYTES);
}

static guint parallel_of(const struct upload_options *o)
{
    return o->parallel ? o->parallel : DEFAULT_PARALLEL;
}

static guint max_parts_of(const struct upload_options *o)
{
    return o->max_parts ? o->max_parts : DEFAULT_MAX_PARTS;
}

/* Large enough that what is expected, and a quarter more, fits into the parts before they grow. */
static guint64 first_part_bytes(const struct upload_options *o)
{
    guint64 bytes = o->part_bytes ? o->part_bytes : DEFAULT_PART_BYTES;
    guint64 needed = (o->expected_bytes + o->expected_bytes / 4) / (max_parts_of(o) / 2);
    while (bytes < needed && bytes < LARGEST_PART_BYTES)
        bytes += 1u << 20;
    return MIN(bytes, LARGEST_PART_BYTES);
}

gsize upload_memory_bytes(const struct upload_options *options)
{
    return (parallel_of(options) + 1) * (gsize)first_part_bytes(options);
}

/* ---- sending parts ---- */

static void part_free(struct part *p)
{
    g_byte_array_unref(p->bytes);
    g_free(p);
}

static void sent_part_free(gpointer data)
{
    struct sent_part *p = data;
    if (!p)
        return;
    g_free(p->etag);
    g_free(p->checksum);
    g_free(p);
}

static gboolean send_part(struct upload *u, const struct part *p, GError **error)
{
    g_autofree char *number = g_strdup_printf("%u", p->number);
    struct http_response r = {0};
    struct s3_request request = {
        .method = "PUT",
        .key = u->key,
        .query = (char *[]){(char *)"partNumber", number, (char *)"uploadId", u->upload_id, NULL},
        .body = p->bytes->data,
        .body_length = p->bytes->len,
        .checksum = TRUE,
        .cancelled = &u->cancelled,
    };
    if (!s3_send(u->s, &request, &r, NULL, error))
        return FALSE;
    const char *etag = http_header(&r, "etag");
    gboolean ok = etag != NULL || ot_fail(error, OT_S3, "the server took part %u without an ETag", p->number);
    if (ok) {
        struct sent_part *sent = g_new0(struct sent_part, 1);
        sent->etag = g_strdup(etag);
        sent->checksum = g_strdup(http_header(&r, "x-amz-checksum-sha256"));
        g_mutex_lock(&u->mutex);
        if (u->sent->len < p->number)
            g_ptr_array_set_size(u->sent, (gint)p->number);
        u->sent->pdata[p->number - 1] = sent;
        g_mutex_unlock(&u->mutex);
    }
    http_response_clear(&r);
    return ok;
}

/* Takes the mutex's lock; error becomes the upload's if it is the first. */
static void fail(struct upload *u, GError *problem)
{
    if (u->error)
        g_error_free(problem);
    else
        u->error = problem;
    g_atomic_int_set(&u->cancelled, 1);
}

static void *send_parts(void *data)
{
    struct upload *u = data;
    g_mutex_lock(&u->mutex);
    for (;;) {
        while (!u->ended && !u->error && g_queue_is_empty(&u->waiting))
            g_cond_wait(&u->changed, &u->mutex);
        struct part *p = u->error ? NULL : g_queue_pop_head(&u->waiting);
        if (!p)
            break;
        g_mutex_unlock(&u->mutex);
        GError *problem = NULL;
        gboolean ok = send_part(u, p, &problem);
        part_free(p);
        g_mutex_lock(&u->mutex);
        u->in_flight--;
        if (!ok)
            fail(u, problem);
        g_cond_broadcast(&u->changed);
    }
    g_mutex_unlock(&u->mutex);
    return NULL;
}

/* ---- filling parts ---- */

static gboolean begin_multipart(struct upload *u, GError **error)
{
    struct http_response r = {0};
    g_autoptr(GPtrArray) headers = g_ptr_array_new();
    for (char **h = u->headers; *h; h++)
        g_ptr_array_add(headers, *h);
    g_ptr_array_add(headers, (gpointer) "x-amz-checksum-algorithm: SHA256");
    g_ptr_array_add(headers, NULL);
    struct s3_request request = {
        .method = "POST",
        .key = u->key,
        .query = (char *[]){(char *)"uploads", (char *)"", NULL},
        .headers = (const char *const *)headers->pdata,
        .exactly_once = TRUE,
    };
    struct s3_failure sending;
    u->doubtful = TRUE;
    if (!s3_send(u->s, &request, &r, &sending, error))
        return FALSE;
    u->doubtful = sending.tries > 1;
    xmlDoc *doc = s3_xml_read(r.body->data, r.body->len, "InitiateMultipartUploadResult", error);
    u->upload_id = doc ? s3_xml_text(xmlDocGetRootElement(doc), "UploadId") : NULL;
    xmlFreeDoc(doc);
    http_response_clear(&r);
    if (!u->upload_id)
        return error && *error ? FALSE : ot_fail(error, OT_S3, "the server began an upload without an id");
    for (guint i = 0; i < parallel_of(&u->options); i++)
        g_ptr_array_add(u->threads, g_thread_new("upload", send_parts, u));
    return TRUE;
}

static gboolean copy_error(struct upload *u, GError **error)
{
    if (u->error && error)
        *error = g_error_copy(u->error);
    return u->error == NULL;
}

/* Hands the filled part over once a sender is free. */
static gboolean push_part(struct upload *u, GError **error)
{
    if (u->number > max_parts_of(&u->options))
        return ot_fail(error, OT_S3, "the backup needs more than %u parts", max_parts_of(&u->options));
    if (!u->upload_id && !begin_multipart(u, error))
        return FALSE;
    struct part *p = g_new0(struct part, 1);
    g_mutex_lock(&u->mutex);
    while (u->in_flight >= parallel_of(&u->options) && !u->error)
        g_cond_wait(&u->changed, &u->mutex);
    gboolean ok = copy_error(u, error);
    if (ok) {
        *p = (struct part){u->number++, g_steal_pointer(&u->filling)};
        g_queue_push_tail(&u->waiting, g_steal_pointer(&p));
        u->in_flight++;
        g_cond_broadcast(&u->changed);
    }
    g_mutex_unlock(&u->mutex);
    g_free(p);
    return ok;
}

static gboolean upload_write(struct sink *self, const void *data, gsize length, GError **error)
{
    struct upload *u = (struct upload *)self;
    const guint8 *at = data;
    while (length > 0) {
        guint64 size = upload_part_bytes(u->first_bytes, max_parts_of(&u->options), u->number);
        if (!u->filling)
            u->filling = g_byte_array_sized_new((guint)MIN(size, G_MAXUINT32 / 2));
        gsize n = (gsize)MIN(length, size - u->filling->len);
        g_byte_array_append(u->filling, at, (guint)n);
        u->total += n;
        at += n;
        length -= n;
        if (u->filling->len == size && !push_part(u, error))
            return FALSE;
    }
    return TRUE;
}

guint64 upload_bytes(const struct upload *u)
{
    return u->total;
}

static void join_threads(struct upload *u)
{
    g_mutex_lock(&u->mutex);
    u->ended = TRUE;
    g_cond_broadcast(&u->changed);
    g_mutex_unlock(&u->mutex);
    for (guint i = 0; i < u->threads->len; i++)
        g_thread_join(u->threads->pdata[i]);
    g_ptr_array_set_size(u->threads, 0);
}

static gboolean upload_flush(struct sink *self, GError **error)
{
    struct upload *u = (struct upload *)self;
    if (!u->upload_id)
        return TRUE; /* less than a part: goes up in one request at the end */
    gboolean ok = !u->filling || u->filling->len == 0 || push_part(u, error);
    join_threads(u);
    return ok && copy_error(u, error);
}

/* ---- the object ---- */

/* What S3 makes of the parts' ETags: the MD5 of their MD5s, and how many. NULL if they are none. */
static char *expected_etag(const struct upload *u)
{
    g_autoptr(GChecksum) md5 = g_checksum_new(G_CHECKSUM_MD5);
    for (guint i = 0; i < u->sent->len; i++) {
        const char *etag = ((struct sent_part *)u->sent->pdata[i])->etag;
        if (strlen(etag) != 34)
            return NULL;
        for (guint k = 1; k < 33; k += 2) {
            if (!g_ascii_isxdigit(etag[k]) || !g_ascii_isxdigit(etag[k + 1]))
                return NULL;
            guchar byte = (guchar)(g_ascii_xdigit_value(etag[k]) << 4 | g_ascii_xdigit_value(etag[k + 1]));
            g_checksum_update(md5, &byte, 1);
        }
    }
    return g_strdup_printf("\"%s-%u\"", g_checksum_get_string(md5), u->sent->len);
}

static gboolean check_object(struct upload *u, const struct s3_object *o, GError **error)
{
    const char *wish = u->options.props.sse;
    gboolean kms = g_strcmp0(o->encryption ? o->encryption : wish, "AES256") != 0 && (o->encryption || wish);
    g_autofree char *etag = u->upload_id && !kms ? expected_etag(u) : NULL;
    if (o->size_bytes != u->total)
        return ot_fail(error, OT_S3, "%s has %" G_GUINT64_FORMAT " bytes in S3, %" G_GUINT64_FORMAT " were sent",
                       u->key, o->size_bytes, u->total);
    if (etag && o->etag && strlen(o->etag) == strlen(etag) && !g_str_equal(o->etag, etag))
        return ot_fail(error, OT_S3, "%s has ETag %s in S3, its parts make %s", u->key, o->etag, etag);
    if (wish && o->encryption && !g_str_has_prefix(o->encryption, wish))
        return ot_fail(error, OT_S3, "%s is encrypted with %s in S3, not with %s", u->key, o->encryption, wish);
    return TRUE;
}

static int count_tags(char **tags)
{
    return tags ? (int)g_strv_length(tags) / 2 : 0;
}

/* Some servers forget the tags of a multipart upload. */
static gboolean mend_tags(struct upload *u, const struct s3_object *o, GError **error)
{
    char **tags = u->options.props.tags;
    return count_tags(tags) == 0 || o->tag_count == count_tags(tags) || s3_put_tags(u->s, u->key, tags, error);
}

static char *parts_xml(const struct upload *u)
{
    GString *xml = g_string_new("<CompleteMultipartUpload>");
    for (guint i = 0; i < u->sent->len; i++) {
        const struct sent_part *p = u->sent->pdata[i];
        g_autofree char *etag = g_markup_escape_text(p->etag, -1);
        g_autofree char *sum =
            p->checksum ? g_markup_printf_escaped("<ChecksumSHA256>%s</ChecksumSHA256>", p->checksum) : g_strdup("");
        g_string_append_printf(xml, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag>%s</Part>", i + 1, etag, sum);
    }
    g_string_append(xml, "</CompleteMultipartUpload>");
    return g_string_free(xml, FALSE);
}

/* A repeated request may find the upload gone because the first one, whose answer was lost, completed it: then the
 * object is there, and check_object tells whether it is ours. */
static gboolean complete(struct upload *u, GError **error)
{
    g_autofree char *xml = parts_xml(u);
    struct http_response r = {0};
    struct s3_failure failure;
    struct s3_request request = {
        .method = "POST",
        .key = u->key,
        .query = (char *[]){(char *)"uploadId", u->upload_id, NULL},
        .headers = (const char *[]){"Content-Type: application/xml", NULL},
        .body = xml,
        .body_length = strlen(xml),
    };
    GError *problem = NULL;
    gboolean ok = s3_send(u->s, &request, &r, &failure, &problem);
    http_response_clear(&r);
    if (ok || g_str_equal(failure.code, "NoSuchUpload")) {
        g_clear_error(&problem);
        return TRUE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean make_object(struct upload *u, GError **error)
{
    if (u->upload_id)
        return complete(u, error);
    const GByteArray *bytes = u->filling;
    return s3_put(u->s, u->key, bytes ? bytes->data : NULL, bytes ? bytes->len : 0, &u->options.props, NULL, error);
}

gboolean upload_finish(struct upload *u, struct s3_object **ret_object, GError **error)
{
    if (!make_object(u, error))
        return FALSE;
    u->finished = TRUE;
    g_autoptr(s3_object) object = s3_head(u->s, u->key, error);
    if (!object || !check_object(u, object, error) || !mend_tags(u, object, error))
        return FALSE;
    if (ret_object)
        *ret_object = g_steal_pointer(&object);
    return TRUE;
}

/* ---- its life ---- */

struct upload *upload_new(struct s3 *s, const char *key, const struct upload_options *options)
{
    struct upload *u = g_new0(struct upload, 1);
    u->sink = (struct sink){upload_write, upload_flush};
    u->s = s;
    u->key = key;
    u->options = *options;
    u->first_bytes = first_part_bytes(options);
    u->headers = s3_props_headers(&options->props);
    u->number = 1;
    u->threads = g_ptr_array_new();
    u->sent = g_ptr_array_new_with_free_func(sent_part_free);
    g_mutex_init(&u->mutex);
    g_cond_init(&u->changed);
    g_queue_init(&u->waiting);
    return u;
}

struct sink *upload_sink(struct upload *u)
{
    return &u->sink;
}

gboolean upload_free(struct upload *u)
{
    if (!u)
        return TRUE;
    g_atomic_int_set(&u->cancelled, 1);
    g_mutex_lock(&u->mutex);
    g_queue_clear_full(&u->waiting, (GDestroyNotify)part_free);
    g_mutex_unlock(&u->mutex);
    join_threads(u);
    gboolean clean = u->finished || !u->upload_id || s3_abort(u->s, u->key, u->upload_id, NULL);
    if (u->doubtful)
        clean = s3_abort_all(u->s, u->key, NULL) && clean;
    if (u->filling)
        g_byte_array_unref(u->filling);
    g_ptr_array_unref(u->threads);
    g_ptr_array_unref(u->sent);
    g_clear_error(&u->error);
    g_mutex_clear(&u->mutex);
    g_cond_clear(&u->changed);
    g_strfreev(u->headers);
    g_free(u->upload_id);
    g_free(u);
    return clean;
}
