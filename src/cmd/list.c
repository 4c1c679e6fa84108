/* opstower list */
#include "catalog/catalog.h"

#include <stdio.h>

#include "base/text.h"
#include "catalog/names.h"
#include "cmd/command.h"

static const char *state_of(const struct catalog_entry *e)
{
    return e->meta ? meta_state_name(e->meta->state) : e->meta_error ? "metadata unreadable" : "no metadata";
}

static gint64 age_of(const struct catalog_entry *e)
{
    return g_get_real_time() / G_USEC_PER_SEC - e->taken_at;
}

static json_t *entry_json(const struct catalog_entry *e)
{
    const struct meta *m = e->meta;
    json_t *o = json_pack("{ss ss ss sI sI ss}", "id", e->id, "file", e->path, "timestamp", e->timestamp, "age_seconds",
                          (json_int_t)age_of(e), "size", (json_int_t)e->size_bytes, "state", state_of(e));
    if (m)
        json_object_update_new(o, json_pack("{ss ss* ss* sI sI ss* ss* ss*}", "database", m->database, "type", m->type,
                                            "tag", m->tag, "tables", (json_int_t)m->table_count, "rows",
                                            (json_int_t)m->rows, "snapshot_time", m->snapshot_time, "verified_at",
                                            m->verified_at, "proven_at", m->proven_at));
    return o;
}

static void print_entry(const struct catalog_entry *e)
{
    const struct meta *m = e->meta;
    g_autofree char *age = text_duration(MAX(0, age_of(e)));
    g_autofree char *size = text_size(e->size_bytes, "B");
    g_autofree char *tables = m ? g_strdup_printf("%u", m->table_count) : g_strdup("-");
    printf("%-40s %-15s %-12s %-14s %8s %7s  %s\n", e->id, m && m->type ? m->type : "-", m && m->tag ? m->tag : "-",
           age, size, tables, state_of(e));
}

static gboolean run(struct console *c, char **words, GError **error)
{
    (void)words;
    const struct settings *s = &c->settings;
    gboolean one = s->database_url || s->database_name;
    g_autofree char *database = one && !s->all ? pg_target_database(&c->target, error) : NULL;
    if (one && !s->all && !database)
        return FALSE;
    g_autofree char *name = database ? names_encode(database) : NULL;
    g_autoptr(GPtrArray) list = catalog_list(s->backup_dir, name, error);
    if (!list)
        return FALSE;
    if (s->json) {
        json_t *array = json_array();
        for (guint i = 0; i < list->len; i++)
            json_array_append_new(array, entry_json(list->pdata[i]));
        return console_print_json(array, error);
    }
    if (list->len == 0) {
        printf("No backups%s%s in %s\n", name ? " of " : "", name ? name : "", s->backup_dir);
        return TRUE;
    }
    printf("%-40s %-15s %-12s %-14s %8s %7s  %s\n", "ID", "TYPE", "TAG", "AGE", "SIZE", "TABLES", "STATE");
    for (guint i = 0; i < list->len; i++)
        print_entry(list->pdata[i]);
    return TRUE;
}

const struct command cmd_list = {
    .name = "list",
    .mask = CMD_LIST,
    .usage = "[--json] [--all] [OPTION]...",
    .summary = "List the backups in BACKUP_DIR with their age, size and state.",
    .details = "STATE is what is known of a backup: proven (a test restore equalled it), verified (every byte read\n"
               "back and held against its proof), unverified, or failed. --all lists every database's backups;\n"
               "without it, those of the database that the settings name, if they name one.",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};
