/* HEAD requests, and what their answers should be. */
#include "engine/s3check.h"

#include "base/text.h"
#include "catalog/names.h"

static char *key_of(const struct offsite *o, const struct copy *c, const struct meta *m)
{
    const char *known = m ? meta_s3_text(m, "key") : NULL;
    g_autofree char *id = names_id_of_file(c->file, NAMES_DUMP);
    if (!c->path)
        return g_strdup(c->key);
    return known ? g_strdup(known) : id ? names_key(o->prefix, id) : NULL;
}

static gboolean check_size(const struct s3_object *object, const struct meta *m, GError **error)
{
    return !m || m->size_bytes == object->size_bytes ||
           ot_fail(error, OT_CORRUPT,
                   "the object has %" G_GUINT64_FORMAT " bytes, the backup's metadata say %" G_GUINT64_FORMAT,
                   object->size_bytes, m->size_bytes);
}

static gboolean check_encryption(const struct s3_object *object, const char *wish, GError **error)
{
    return !wish || !object->encryption || g_str_has_prefix(object->encryption, wish) ||
           ot_fail(error, OT_S3, "the object is encrypted with %s, BACKUP_S3_SSE asks for %s", object->encryption,
                   wish);
}

static gboolean check_sidecar(const struct offsite *o, const char *key, GError **error)
{
    struct s3_props unused = {0};
    g_autoptr(copy) there = copy_s3(o->client, &unused, key);
    g_autofree char *beside = copy_beside(there, NAMES_META);
    if (!beside)
        return TRUE; /* not named as a backup: it never had metadata */
    g_autoptr(s3_object) found = s3_head(o->client, beside, error);
    if (!found)
        g_prefix_error(error, "the metadata beside it: ");
    return found != NULL;
}

char *s3check_copy(const struct offsite *o, const struct copy *c, const struct meta *m, gboolean with_sidecar,
                   GError **error)
{
    g_autofree char *key = key_of(o, c, m);
    if (c->path && m && g_strcmp0(meta_s3_text(m, "state"), "pending") == 0) {
        const char *why = meta_s3_text(m, "error");
        ot_fail(error, OT_UPLOAD, "the backup is not in S3 yet%s%s", why ? ": " : "", why ? why : "");
        return NULL;
    }
    g_autoptr(s3_object) object = s3_head(o->client, key, error);
    if (!object || !check_size(object, m, error) || !check_encryption(object, o->upload.props.sse, error) ||
        (with_sidecar && !check_sidecar(o, key, error)))
        return NULL;
    g_autofree char *size = text_size(object->size_bytes, "B");
    return g_strdup_printf("s3://%s/%s, %s, %s, encryption %s%s", s3_bucket(o->client), key, size,
                           object->storage_class, object->encryption ? object->encryption : "not told by the server",
                           c->path ? "; its bytes are read with --from-s3" : "; its bytes were read");
}

enum check_state s3check_versioning(struct s3 *client, char **ret_detail)
{
    g_autoptr(GError) problem = NULL;
    gboolean on = FALSE;
    if (!s3_get_versioning(client, &on, &problem)) {
        *ret_detail = g_strdup(problem->message);
        return CHECK_NOT_DONE;
    }
    if (on)
        return CHECK_PASS;
    *ret_detail = g_strdup("off: what is overwritten or deleted cannot be brought back; see `opstower bucket setup`");
    return CHECK_WARN;
}
