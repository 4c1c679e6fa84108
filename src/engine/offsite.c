/* Uploads, and files that are followed while they grow. */
#include "engine/offsite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "catalog/copy.h"
#include "catalog/hold.h"
#include "catalog/names.h"
#include "engine/leftover.h"
#include "store/s3_hold.h"

#define READ_BYTES (1u << 20)
#define WAIT_US 20000
#define MAX_GLOBALS_BYTES (256u << 20)
#define MAX_TAG_LENGTH 256

struct offsite_run {
    const struct offsite *offsite;
    char *key, *dir, *id;
    gboolean noted;     /* in dir, that key is being uploaded */
    gboolean announced; /* with its metadata: from here on the object may be there, and they may not */
    gboolean replace;   /* an object of that name may be there */
    char **tags;
    struct upload *upload;
    struct s3_object *object; /* once finished */
    /* with a file */
    int fd; /* -1: none */
    char *path;
    GThread *follower;
    GMutex mutex;
    GCond changed;
    gboolean complete, abandoned; /* no more bytes will come; nobody wants them any more */
    GError *error;                /* the follower's */
    struct digest *digest;        /* of what it read */
};

/* ---- how it is stored ---- */

/* S3 allows letters, digits, blanks and + - = . _ : / @ in tags. */
static char *tag_value(const char *text)
{
    GString *out = g_string_new(NULL);
    for (const char *c = text; *c && out->len < MAX_TAG_LENGTH; c++)
        g_string_append_c(out, g_ascii_isalnum(*c) || strchr(" +-=._:/@", *c) ? *c : '_');
    return g_string_free(out, FALSE);
}

char **offsite_tags(const struct offsite_labels *labels)
{
    gboolean tagged = labels->tag && *labels->tag;
    char **tags = g_new0(char *, 9);
    tags[0] = g_strdup("database");
    tags[1] = tag_value(labels->database);
    tags[2] = g_strdup("type");
    tags[3] = tag_value(labels->type ? labels->type : "unknown");
    tags[4] = g_strdup(OFFSITE_HOLD_TAG);
    tags[5] = g_strdup(labels->held ? "yes" : "no");
    tags[6] = tagged ? g_strdup("tag") : NULL;
    tags[7] = tagged ? tag_value(labels->tag) : NULL;
    return tags;
}

static gint64 lock_until(const struct offsite *o, const char *type)
{
    int days = tiers_days(&o->tiers, type, TIER_S3);
    return g_get_real_time() / G_USEC_PER_SEC + (gint64)days * 86400;
}

struct s3_props offsite_props(const struct offsite *o, const struct offsite_labels *labels, char **tags)
{
    struct s3_props props = o->upload.props;
    props.tags = tags;
    props.lock_until = lock_until(o, labels->type);
    props.content_type = "application/gzip";
    return props;
}

struct s3_props offsite_sidecar_props(const struct offsite *o, const char *type)
{
    struct s3_props props = o->upload.props;
    props.storage_class = NULL;
    props.lock_until = lock_until(o, type);
    return props;
}

/* ---- the id ---- */

#define RESERVED ".reserved"
#define RESERVE_RETRY_S 5 /* a bucket that does not answer keeps no backup from being taken */

static char *reserved_key(const struct offsite *o, const char *id)
{
    g_autofree char *dump = names_key(o->prefix, id);
    return dump ? g_strdup_printf("%.*s" RESERVED, (int)(strlen(dump) - strlen(NAMES_DUMP)), dump) : NULL;
}

/* "HOST UUID\n" */
static gboolean is_mark(const char *text)
{
    const char *blank = strrchr(text, ' ');
    g_autofree char *id = blank ? g_strchomp(g_strdup(blank + 1)) : NULL;
    return id && g_uuid_string_is_valid(id);
}

gboolean offsite_reserve(const struct offsite *o, const char *id, gboolean *ret_taken, GError **error)
{
    g_autofree char *dump = names_key(o->prefix, id), *key = reserved_key(o, id), *mine = g_uuid_string_random();
    g_autofree char *text = g_strdup_printf("%s %s\n", g_get_host_name(), mine);
    g_autofree char *beside = g_strndup(dump, strlen(dump) - strlen(NAMES_DUMP) + 1); /* with the dot */
    return s3_any(o->client, beside, RESERVE_RETRY_S, ret_taken, error) &&
           (*ret_taken || s3_put_new(o->client, key, text, is_mark, RESERVE_RETRY_S, ret_taken, error));
}

void offsite_release(const struct offsite *o, const char *id)
{
    g_autofree char *key = reserved_key(o, id);
    if (key)
        s3_drop(o->client, key, RESERVE_RETRY_S);
}

/* ---- a file that grows ---- */

static gboolean check_absent(struct s3 *client, const char *key, GError **error)
{
    GError *problem = NULL;
    g_autoptr(s3_object) there = s3_head(client, key, &problem);
    if (there) {
        g_autofree char *place = s3_url(client, key);
        return ot_fail(error, OT_S3, "%s exists already, and is not overwritten", place);
    }
    gboolean absent = g_error_matches(problem, OT_ERROR, OT_NOT_FOUND);
    if (absent)
        g_error_free(problem);
    else
        g_propagate_error(error, problem);
    return absent;
}

static gboolean read_some(struct offsite_run *r, guint64 offset, guint8 *buffer, gsize *ret_length, GError **error)
{
    ssize_t n;
    do
        n = pread(r->fd, buffer, READ_BYTES, (off_t)offset);
    while (n < 0 && errno == EINTR);
    *ret_length = n > 0 ? (gsize)n : 0;
    return n >= 0 || ot_fail_errno(error, OT_IO, "cannot read %s", r->path);
}

/* Waits a little for more bytes; FALSE once there will be none. */
static gboolean wait_for_more(struct offsite_run *r)
{
    g_mutex_lock(&r->mutex);
    gboolean more = !r->complete && !r->abandoned;
    if (more)
        g_cond_wait_until(&r->changed, &r->mutex, g_get_monotonic_time() + WAIT_US);
    g_mutex_unlock(&r->mutex);
    return more;
}

static gboolean is_abandoned(struct offsite_run *r)
{
    g_mutex_lock(&r->mutex);
    gboolean result = r->abandoned;
    g_mutex_unlock(&r->mutex);
    return result;
}

static gboolean follow_file(struct offsite_run *r, GError **error)
{
    if (!r->replace && !check_absent(r->offsite->client, r->key, error))
        return FALSE;
    g_autofree guint8 *buffer = g_malloc(READ_BYTES);
    struct sink *to = upload_sink(r->upload);
    guint64 offset = 0;
    for (;;) {
        gsize length = 0;
        gboolean more = wait_for_more(r); /* before reading: what is there once complete is all */
        do {
            if (is_abandoned(r) || !read_some(r, offset, buffer, &length, error) ||
                (length > 0 && !to->write(to, buffer, length, error)))
                return FALSE;
            digest_add(r->digest, buffer, length);
            offset += length;
        } while (length > 0);
        if (!more)
            return to->flush(to, error);
    }
}

/* The dump does not wait for a slow network, or one that is down: this thread reads behind it what it wrote, from the
 * page cache. */
static void *follow(void *data)
{
    struct offsite_run *r = data;
    follow_file(r, &r->error);
    return NULL;
}

static void end_follower(struct offsite_run *r, gboolean complete)
{
    if (!r->follower)
        return;
    g_mutex_lock(&r->mutex);
    r->complete = complete;
    r->abandoned = !complete;
    g_cond_broadcast(&r->changed);
    g_mutex_unlock(&r->mutex);
    g_thread_join(g_steal_pointer(&r->follower));
}

static gboolean start_follower(struct offsite_run *r, const char *path, GError **error)
{
    r->path = g_strdup(path);
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0)
        return ot_fail_errno(error, OT_IO, "cannot read %s", path);
    r->follower = g_thread_new("follower", follow, r);
    return TRUE;
}

/* ---- one upload ---- */

struct offsite_run *offsite_begin(const struct offsite *o, const char *dir, const char *id,
                                  const struct offsite_labels *labels, const char *path, guint64 expected_bytes,
                                  gboolean replace, GError **error)
{
    g_autoptr(offsite_run) r = g_new0(struct offsite_run, 1);
    r->offsite = o;
    r->fd = -1;
    r->digest = digest_new();
    g_mutex_init(&r->mutex);
    g_cond_init(&r->changed);
    r->key = names_key(o->prefix, id);
    r->dir = g_strdup(dir);
    r->id = g_strdup(id);
    r->tags = offsite_tags(labels);
    struct upload_options options = o->upload;
    options.props = offsite_props(o, labels, r->tags);
    options.expected_bytes = expected_bytes;
    r->replace = replace;
    if (!path && !replace && !check_absent(o->client, r->key, error))
        return NULL;
    r->noted = leftover_note(o, dir, id, r->key, NULL, NULL, error);
    if (!r->noted)
        return NULL;
    r->upload = upload_new(o->client, r->key, &options);
    if (path && !start_follower(r, path, error))
        return NULL;
    return g_steal_pointer(&r);
}

struct sink *offsite_sink(struct offsite_run *r)
{
    return upload_sink(r->upload);
}

static void set_integer(struct meta *m, const char *what, guint64 value)
{
    json_object_set_new(m->s3, what, json_integer((json_int_t)value));
}

void offsite_record_object(const struct offsite *o, const struct s3_object *object, const char *key, struct meta *m)
{
    g_autofree char *now = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
    json_decref(m->s3);
    m->s3 = json_object();
    meta_set_s3_text(m, "state", "uploaded");
    meta_set_s3_text(m, "bucket", s3_bucket(o->client));
    meta_set_s3_text(m, "key", key);
    set_integer(m, "size", object->size_bytes);
    meta_set_s3_text(m, "etag", object->etag);
    meta_set_s3_text(m, "storage_class", object->storage_class);
    meta_set_s3_text(m, "uploaded_at", now);
    if (object->lock_mode) {
        g_autofree char *until = text_iso_time(object->lock_until);
        meta_set_s3_text(m, "lock_mode", object->lock_mode);
        meta_set_s3_text(m, "lock_until", until);
    }
}

void offsite_record(const struct offsite_run *r, struct meta *m)
{
    offsite_record_object(r->offsite, r->object, r->key, m);
}

const char *offsite_key(const struct offsite_run *r)
{
    return r->key;
}

static gboolean check_digest(const struct offsite_run *r, const char *sha256, GError **error)
{
    g_autofree char *sent = sha256 ? digest_text(r->digest) : NULL;
    return !sha256 || g_str_equal(sent, sha256) ||
           ot_fail(error, OT_CORRUPT, "%s is not what it was when it was checked: its SHA-256 is another", r->path);
}

gboolean offsite_finish(struct offsite_run *r, const char *sha256, GError **error)
{
    end_follower(r, TRUE);
    if (r->error) {
        g_propagate_error(error, g_steal_pointer(&r->error));
        return FALSE;
    }
    return interrupt_check(error) && check_digest(r, sha256, error) && upload_finish(r->upload, &r->object, error);
}

gboolean offsite_announce(struct offsite_run *r, struct meta *m, const char *globals_sql, GError **error)
{
    m->size_bytes = upload_bytes(r->upload);
    r->announced = leftover_note(r->offsite, r->dir, r->id, r->key, m, globals_sql, error);
    return r->announced;
}

void offsite_settle(struct offsite_run *r)
{
    r->announced = FALSE;
}

void offsite_free(struct offsite_run *r)
{
    if (!r)
        return;
    end_follower(r, FALSE);
    gboolean clean = upload_free(r->upload);
    if (r->noted && clean && !r->announced)
        leftover_forget(r->dir, r->id);
    if (r->fd >= 0)
        close(r->fd);
    g_strfreev(r->tags);
    s3_object_free(r->object);
    digest_free(r->digest);
    g_clear_error(&r->error);
    g_mutex_clear(&r->mutex);
    g_cond_clear(&r->changed);
    g_free(r->key);
    g_free(r->dir);
    g_free(r->id);
    g_free(r->path);
    g_free(r);
}

/* ---- what lies beside it ---- */

static struct offsite_labels labels_of(const struct meta *m)
{
    return (struct offsite_labels){m->type, m->tag, m->database, hold_is_active(m, g_get_real_time() / G_USEC_PER_SEC)};
}

static gboolean put_beside(const struct offsite *o, const struct meta *m, const char *ending, const char *text,
                           GError **error)
{
    struct offsite_labels labels = labels_of(m);
    g_auto(GStrv) tags = offsite_tags(&labels);
    const char *noted = meta_s3_text(m, "key");
    g_autofree char *dump = noted ? g_strdup(noted) : names_key(o->prefix, m->id);
    g_autofree char *key = g_strdup_printf("%.*s%s", (int)(strlen(dump) - strlen(NAMES_DUMP)), dump, ending);
    struct s3_props props = offsite_sidecar_props(o, m->type);
    props.tags = tags;
    props.content_type = g_str_equal(ending, NAMES_META) ? "application/json" : "application/sql";
    return s3_put(o->client, key, text, strlen(text), &props, NULL, error);
}

gboolean offsite_put_sidecars(const struct offsite *o, const struct meta *m, const char *globals_sql, GError **error)
{
    g_autofree char *text = meta_print(m, error);
    return text && (!globals_sql || put_beside(o, m, NAMES_GLOBALS, globals_sql, error)) &&
           put_beside(o, m, NAMES_META, text, error);
}

/* ---- holds ---- */

static gboolean hold_one(const struct offsite *o, const char *key, gboolean on, gboolean *ret_binding, GError **error)
{
    return s3_set_tag(o->client, key, OFFSITE_HOLD_TAG, on ? "yes" : "no", error) &&
           s3_set_legal_hold(o->client, key, on, ret_binding, error);
}

/* The legal hold is for what never changes. Metadata is written again by every check, and each old version of it would
 * stay for good. */
gboolean offsite_hold(const struct offsite *o, const char *key, gboolean on, gboolean *ret_binding, GError **error)
{
    GError *problem = NULL;
    gboolean unused;
    if (!hold_one(o, key, on, ret_binding ? ret_binding : &unused, error))
        return FALSE;
    g_autofree char *globals = g_strdup_printf("%.*s%s", (int)(strlen(key) - strlen(NAMES_DUMP)), key, NAMES_GLOBALS);
    if (hold_one(o, globals, on, &unused, &problem) || g_error_matches(problem, OT_ERROR, OT_NOT_FOUND)) {
        g_clear_error(&problem);
        return TRUE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

/* ---- a backup that lies in the folder ---- */

static void change_record(struct meta *m, void *data)
{
    json_decref(m->s3);
    m->s3 = json_incref(data);
}

gboolean offsite_save_record(const char *dir, const struct meta *m, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s" NAMES_DUMP, dir, m->id);
    g_autoptr(copy) here = copy_local(path);
    return copy_update_meta(here, change_record, m->s3, error);
}

static gboolean read_globals(const char *dir, const char *id, char **ret_sql, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s" NAMES_GLOBALS, dir, id);
    GError *problem = NULL;
    if (files_read(path, MAX_GLOBALS_BYTES, ret_sql, NULL, &problem))
        return TRUE;
    gboolean none = g_error_matches(problem, OT_ERROR, OT_NOT_FOUND);
    if (none)
        g_error_free(problem);
    else
        g_propagate_error(error, problem);
    return none;
}

/* The upload is done whatever becomes of the hold: it is not made again, only the hold is. */
static gboolean hold_after_upload(const struct offsite *o, const char *dir, struct meta *m, GError **error)
{
    if (offsite_hold(o, meta_s3_text(m, "key"), TRUE, NULL, error))
        return TRUE;
    meta_set_s3_text(m, "hold", "pending");
    offsite_save_record(dir, m, NULL);
    g_prefix_error(error, "the backup is in S3, but not held there: ");
    return FALSE;
}

/* Another host may have a backup of the same id, which it uploaded while S3 could not be asked from here. */
static gboolean check_not_anothers(const struct offsite *o, const struct meta *m, GError **error)
{
    g_autofree char *dump = names_key(o->prefix, m->id);
    g_autofree char *key = g_strdup_printf("%.*s" NAMES_META, (int)(strlen(dump) - strlen(NAMES_DUMP)), dump);
    GError *problem = NULL;
    gsize length = 0;
    g_autofree char *text = s3_get(o->client, key, META_MAX_BYTES, &length, &problem);
    if (!text && g_error_matches(problem, OT_ERROR, OT_NOT_FOUND)) {
        g_error_free(problem);
        return TRUE;
    }
    if (!text) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_autoptr(meta) there = meta_parse(text, length, key, NULL);
    if (!there || !there->sha256 || !m->sha256 || g_str_equal(there->sha256, m->sha256))
        return TRUE;
    g_autofree char *place = s3_url(o->client, dump);
    return ot_fail(error, OT_REFUSED, "%s is another backup of the same id, from another host: it is not overwritten, and "
                                 "the one here stays here only", place);
}

gboolean offsite_send(const struct offsite *o, const char *dir, struct meta *m, struct report *report, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s" NAMES_DUMP, dir, m->id);
    g_autofree char *globals = NULL;
    struct offsite_labels labels = labels_of(m);
    report_info(report, "Uploading backup %s to S3...", m->id);
    if (!check_not_anothers(o, m, error))
        return FALSE;
    /* An earlier try may have made the object and been cut off before the metadata: it is made again. */
    g_autoptr(offsite_run) run = offsite_begin(o, dir, m->id, &labels, path, m->size_bytes, TRUE, error);
    if (!run || !read_globals(dir, m->id, &globals, error) || !offsite_finish(run, m->sha256, error))
        return FALSE;
    offsite_record(run, m);
    meta_set_s3_text(m, "hold", labels.held ? "yes" : NULL);
    if (!offsite_put_sidecars(o, m, globals, error) || (labels.held && !hold_after_upload(o, dir, m, error)) ||
        !offsite_save_record(dir, m, error))
        return FALSE;
    g_autofree char *place = s3_url(o->client, meta_s3_text(m, "key"));
    report_info(report, "Backup uploaded to S3: %s", place);
    return TRUE;
}

/* ---- failure ---- */

gboolean offsite_fail(GError *problem, enum ot_code code, GError **error)
{
    if (!g_error_matches(problem, OT_ERROR, OT_INTERRUPTED)) {
        problem->code = problem->domain == OT_ERROR ? (int)code : problem->code;
        g_prefix_error(&problem, "Failed to upload backup to S3: ");
    }
    g_propagate_error(error, problem);
    return FALSE;
}

gboolean offsite_fail_reading_back(struct offsite_run *r, GError *problem, GError **error)
{
    struct s3 *client = r->offsite->client;
    GError *refused = NULL;
    if (!g_error_matches(problem, OT_ERROR, OT_CORRUPT)) {
        g_prefix_error(&problem, "the backup went to s3://%s/%s, but could not be read back: ", s3_bucket(client),
                       r->key);
    } else {
        if (!s3_delete(client, r->key, &refused))
            g_prefix_error(&problem, "s3://%s/%s is bad, and could not be deleted (%s): ", s3_bucket(client), r->key,
                           refused->message);
        g_clear_error(&refused);
        offsite_settle(r); /* if it is still there, it must not get metadata either */
    }
    g_propagate_error(error, problem);
    return FALSE;
}

void offsite_mark_pending(const struct offsite *o, struct meta *m, const char *why)
{
    g_autofree char *key = names_key(o->prefix, m->id);
    json_decref(m->s3);
    m->s3 = json_object();
    meta_set_s3_text(m, "state", "pending");
    meta_set_s3_text(m, "bucket", s3_bucket(o->client));
    meta_set_s3_text(m, "key", key);
    if (why)
        meta_set_s3_text(m, "error", why);
}
