/* opstower list */
#include "catalog/remote.h"

#include <stdio.h>

#include "base/text.h"
#include "catalog/names.h"
#include "cmd/command.h"
#include "cmd/requests.h"

static const char *state_of(const struct catalog_entry *e)
{
    return e->meta ? meta_state_name(e->meta->state) : e->meta_error ? "metadata unreadable" : "no metadata";
}

static gint64 age_of(const struct catalog_entry *e)
{
    return g_get_real_time() / G_USEC_PER_SEC - e->taken_at;
}

#define LIST_RETRY_S 15 /* somebody is waiting for the list */

/* ---- copies ---- */

/* What is known of the copy in S3, in a word: of the object if it was looked at, else of the metadata. */
static const char *s3_state(const struct catalog_entry *e, gboolean looked)
{
    const char *noted = e->meta ? meta_s3_text(e->meta, "state") : NULL;
    if (!e->object)
        return looked && g_strcmp0(noted, "uploaded") == 0 ? "missing" : noted;
    if (e->meta && e->meta->size_bytes != e->object->size_bytes)
        return "wrong size";
    if (g_strcmp0(noted, "failed") == 0)
        return "failed";
    return e->object->has_meta ? "present" : "no metadata";
}

static char *copies_text(const struct catalog_entry *e, gboolean looked)
{
    const char *state = s3_state(e, looked);
    gboolean good = state && (g_str_equal(state, "present") || g_str_equal(state, "uploaded"));
    g_autofree char *there = !state ? NULL : good ? g_strdup("s3") : g_strdup_printf("s3 (%s)", state);
    if (!e->path)
        return g_strdup(there ? there : "-");
    return there ? g_strconcat("local, ", there, NULL) : g_strdup("local");
}

static json_t *copies_json(const struct catalog_entry *e, gboolean looked)
{
    json_t *copies = json_array();
    const char *state = s3_state(e, looked);
    const struct meta *m = e->meta;
    if (e->path)
        json_array_append_new(copies, json_pack("{ss ss sI ss ss*}", "place", "local", "location", e->path, "size",
                                                (json_int_t)e->size_bytes, "state", "present", "verified_at",
                                                m ? m->verified_at : NULL));
    if (!state)
        return copies;
    const struct catalog_object *o = e->object;
    const char *key = o ? o->key : m ? meta_s3_text(m, "key") : NULL;
    json_t *there = json_pack("{ss ss* ss}", "place", "s3", "key", key, "state", state);
    if (o)
        json_object_update_new(
            there, json_pack("{sI ss*}", "size", (json_int_t)o->size_bytes, "storage_class", o->storage_class));
    if (m)
        json_object_update_new(there, json_pack("{ss* ss* ss* ss* ss*}", "uploaded_at", meta_s3_text(m, "uploaded_at"),
                                                "verified_at", meta_s3_text(m, "verified_at"), "lock_mode",
                                                meta_s3_text(m, "lock_mode"), "lock_until",
                                                meta_s3_text(m, "lock_until"), "error", meta_s3_text(m, "error")));
    json_array_append_new(copies, there);
    return copies;
}

/* ---- entries ---- */

static json_t *entry_json(const struct catalog_entry *e, gboolean looked)
{
    const struct meta *m = e->meta;
    json_t *o = json_pack("{ss ss* ss sI sI ss so}", "id", e->id, "file", e->path, "timestamp", e->timestamp,
                          "age_seconds", (json_int_t)age_of(e), "size", (json_int_t)e->size_bytes, "state", state_of(e),
                          "copies", copies_json(e, looked));
    if (m)
        json_object_update_new(o, json_pack("{ss ss* ss* sI sI ss* ss* ss*}", "database", m->database, "type", m->type,
                                            "tag", m->tag, "tables", (json_int_t)m->table_count, "rows",
                                            (json_int_t)m->rows, "snapshot_time", m->snapshot_time, "verified_at",
                                            m->verified_at, "proven_at", m->proven_at));
    return o;
}

static void print_entry(const struct catalog_entry *e, gboolean looked)
{
    const struct meta *m = e->meta;
    g_autofree char *age = text_duration(MAX(0, age_of(e)));
    g_autofree char *size = text_size(e->size_bytes, "B");
    g_autofree char *tables = m ? g_strdup_printf("%u", m->table_count) : g_strdup("-");
    g_autofree char *copies = copies_text(e, looked);
    printf("%-40s %-15s %-12s %-14s %8s %7s  %-19s  %s\n", e->id, m && m->type ? m->type : "-",
           m && m->tag ? m->tag : "-", age, size, tables, state_of(e), copies);
}

static gboolean print_all(const GPtrArray *list, gboolean json, gboolean looked, GError **error)
{
    if (json) {
        json_t *array = json_array();
        for (guint i = 0; i < list->len; i++)
            json_array_append_new(array, entry_json(list->pdata[i], looked));
        return console_print_json(array, error);
    }
    if (list->len > 0)
        printf("%-40s %-15s %-12s %-14s %8s %7s  %-19s  %s\n", "ID", "TYPE", "TAG", "AGE", "SIZE", "TABLES", "STATE",
               "COPIES");
    for (guint i = 0; i < list->len; i++)
        print_entry(list->pdata[i], looked);
    return TRUE;
}

static gboolean run(struct console *c, char **words, GError **error)
{
    (void)words;
    const struct settings *s = &c->settings;
    gboolean one = s->database_url || s->database_name || s->database;
    g_autofree char *database = one && !s->all ? pg_target_database(&c->target, error) : NULL;
    if (one && !s->all && !database)
        return FALSE;
    g_autofree char *name = database ? names_encode(database) : NULL;
    g_autoptr(GPtrArray) list = catalog_list(s->backup_dir, name, error);
    if (!list)
        return FALSE;
    /* If S3 does not answer, what lies here is listed all the same, and the error makes the exit code. */
    GError *problem = NULL;
    gboolean ask = s->s3_bucket && !s->local_only;
    c->settings.s3_retry_s = MIN(s->s3_retry_s, LIST_RETRY_S);
    gboolean looked = ask && request_s3(c, &problem) && remote_join(list, c->s3, s->s3_prefix, name, &problem);
    gboolean ok = print_all(list, s->json, looked, error);
    if (ok && !s->json && list->len == 0)
        printf("No backups%s%s in %s%s\n", name ? " of " : "", name ? name : "", s->backup_dir,
               looked ? " and S3" : "");
    if (ok && problem) {
        g_prefix_error(&problem, "the list lacks what is in S3: ");
        g_propagate_error(error, g_steal_pointer(&problem));
        ok = FALSE;
    }
    g_clear_error(&problem);
    return ok;
}

const struct command cmd_list = {
    .name = "list",
    .mask = CMD_LIST,
    .usage = "[--json] [--all] [--local-only] [OPTION]...",
    .summary = "List the backups in BACKUP_DIR and S3 with their age, size and state.",
    .details = "STATE is what is known of a backup: proven (a test restore equalled it), verified (every byte read\n"
               "back and held against its proof), unverified, or failed. COPIES says where it lies; a copy in S3 that "
               "should be there is\n"
               "\"pending\" (never uploaded) or \"missing\" (gone). --all lists every database's backups;\n"
               "without it, those of the database that the settings name, if they name one.",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};
