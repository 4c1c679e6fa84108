/* Notes, and what the next run makes of them. */
#include "engine/leftover.h"

#include <string.h>

#include "base/files.h"
#include "catalog/names.h"

#define ENDING ".uploading"
#define MAX_NOTE_BYTES (1u << 30) /* metadata and globals, each bounded where they are made */

/* ---- the note ---- */

struct note {
    json_t *json;
    const char *bucket, *key, *meta, *globals; /* meta, globals: NULL as long as the dump was not complete */
};

static char *note_name(const char *id)
{
    return g_strdup_printf(".%s" ENDING, id);
}

static void set_text(json_t *note, const char *name, const char *value)
{
    if (value)
        json_object_set_new(note, name, json_string(value));
}

gboolean leftover_note(const struct offsite *o, const char *dir, const char *id, const char *key, const struct meta *m,
                       const char *globals_sql, GError **error)
{
    g_autofree char *name = note_name(id);
    g_autofree char *printed = m ? meta_print(m, error) : NULL;
    if (m && !printed)
        return FALSE;
    json_t *note = json_object();
    set_text(note, "bucket", s3_bucket(o->client));
    set_text(note, "key", key);
    set_text(note, "meta", printed);
    set_text(note, "globals", m ? globals_sql : NULL);
    char *text = json_dumps(note, JSON_COMPACT);
    gboolean ok = text ? files_write(dir, name, text, strlen(text), TRUE, error)
                       : ot_fail(error, OT_IO, "the upload of %s cannot be noted: its text is not UTF-8", id);
    free(text);
    json_decref(note);
    return ok;
}

void leftover_forget(const char *dir, const char *id)
{
    g_autofree char *name = note_name(id);
    g_autofree char *path = g_build_filename(dir, name, NULL);
    files_remove(path, NULL); /* one too many only costs the next run a look */
}

static const char *get_text(const json_t *note, const char *name)
{
    return json_string_value(json_object_get(note, name));
}

static void note_clear(struct note *n)
{
    json_decref(n->json);
}

/* Only what could be that backup's own: the file might be anything. */
static gboolean note_read(const char *path, const char *id, struct note *n, GError **error)
{
    g_autofree char *text = NULL;
    gsize length = 0;
    if (!files_read(path, MAX_NOTE_BYTES, &text, &length, error))
        return FALSE;
    json_t *json = json_loadb(text, length, 0, NULL);
    *n = (struct note){json, get_text(json, "bucket"), get_text(json, "key"), get_text(json, "meta"),
                       get_text(json, "globals")};
    g_autofree char *file = g_strconcat(id, NAMES_DUMP, NULL);
    const char *slash = n->key ? strrchr(n->key, '/') : NULL;
    if (n->bucket && n->key && g_str_equal(slash ? slash + 1 : n->key, file))
        return TRUE;
    note_clear(n);
    return ot_fail(error, OT_CORRUPT, "%s is not a note of an upload: remove it", path);
}

/* ---- an object without metadata ---- */

/* The object that the note is about; NULL without error: there is none, or none that it could be. */
static struct s3_object *find_object(const struct offsite *o, const struct note *n, const struct meta *m,
                                     GError **error)
{
    GError *problem = NULL;
    struct s3_object *object = s3_head(o->client, n->key, &problem);
    if (object && object->size_bytes == m->size_bytes)
        return object;
    s3_object_free(object);
    if (problem && !g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
        g_propagate_error(error, g_steal_pointer(&problem));
    g_clear_error(&problem);
    return NULL;
}

/* TRUE if it has its metadata, or there is nothing that could have them. */
static gboolean is_settled(const struct offsite *o, const struct note *n, gboolean *ret_settled, GError **error)
{
    g_autofree char *beside = g_strdup_printf("%.*s%s", (int)(strlen(n->key) - strlen(NAMES_DUMP)), n->key, NAMES_META);
    GError *problem = NULL;
    g_autoptr(s3_object) there = s3_head(o->client, beside, &problem);
    *ret_settled = there != NULL;
    if (there || g_error_matches(problem, OT_ERROR, OT_NOT_FOUND)) {
        g_clear_error(&problem);
        return TRUE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean complete_object(const struct offsite *o, const struct note *n, const char *id, struct report *report,
                                GError **error)
{
    GError *problem = NULL;
    gboolean settled = FALSE;
    g_autofree char *usual = names_key(o->prefix, id);
    g_autoptr(meta) m = meta_parse(n->meta, strlen(n->meta), "the note of an upload", error);
    if (!m || !g_str_equal(m->id, id))
        return m ? ot_fail(error, OT_CORRUPT, "it is the note of %s", m->id) : FALSE;
    g_autoptr(s3_object) object = find_object(o, n, m, &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (!object)
        return TRUE;
    if (!g_str_equal(n->key, usual))
        return ot_fail(error, OT_S3, "s3://%s/%s has no metadata, and BACKUP_S3_PREFIX is another one now", n->bucket,
                       n->key);
    if (!is_settled(o, n, &settled, error))
        return FALSE;
    if (settled)
        return TRUE;
    offsite_record_object(o, object, n->key, m);
    if (!offsite_put_sidecars(o, m, n->globals, error))
        return FALSE;
    report_warn(report,
                "An earlier run was ended before s3://%s/%s had its metadata: it has them now. Nobody has read that "
                "backup back yet: `opstower verify %s --from-s3` does",
                n->bucket, n->key, id);
    return TRUE;
}

/* ---- the next run ---- */

static gboolean clean_one(const struct offsite *o, const char *dir, const char *id, struct report *report,
                          GError **error)
{
    struct note n = {0};
    g_autofree char *name = note_name(id);
    g_autofree char *path = g_build_filename(dir, name, NULL);
    if (!note_read(path, id, &n, error))
        return FALSE;
    gboolean ok = g_str_equal(n.bucket, s3_bucket(o->client)) ||
                  ot_fail(error, OT_S3, "it went to bucket %s, and BACKUP_S3_BUCKET is another one now", n.bucket);
    ok = ok && s3_abort_all(o->client, n.key, error) && (!n.meta || complete_object(o, &n, id, report, error));
    note_clear(&n);
    if (ok)
        offsite_release(o, id);
    return ok && files_remove(path, error);
}

/* The id of the backup whose note a file of that name is; to be freed. NULL: it is none. */
static char *id_of_note(const char *file, char **ret_name)
{
    g_autofree char *id = file[0] == '.' ? names_id_of_file(file + 1, ENDING) : NULL;
    g_autofree char *timestamp = NULL;
    return id && names_split_id(id, ret_name, &timestamp) ? g_steal_pointer(&id) : NULL;
}

void leftover_add_names(const char *dir, GHashTable *names)
{
    g_autoptr(GDir) folder = g_dir_open(dir, 0, NULL);
    for (const char *file; folder && (file = g_dir_read_name(folder));) {
        g_autofree char *found = NULL;
        g_autofree char *id = id_of_note(file, &found);
        if (id)
            g_hash_table_add(names, g_steal_pointer(&found));
    }
}

void leftover_clean(const struct offsite *o, const char *dir, const char *name, struct report *report)
{
    g_autoptr(GDir) folder = g_dir_open(dir, 0, NULL);
    for (const char *file; folder && (file = g_dir_read_name(folder));) {
        g_autofree char *found = NULL;
        g_autofree char *id = id_of_note(file, &found);
        g_autoptr(GError) problem = NULL;
        if (id && g_str_equal(found, name) && !clean_one(o, dir, id, report, &problem))
            report_warn(report,
                        "What an unfinished upload of %s left could not be settled, the next run tries again: %s", id,
                        problem->message);
    }
}
