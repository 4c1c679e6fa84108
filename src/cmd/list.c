/* opstower list */
#include "catalog/remote.h"

#include <stdio.h>

#include "base/text.h"
#include "catalog/describe.h"
#include "catalog/names.h"
#include "cmd/command.h"
#include "cmd/requests.h"

#define LIST_RETRY_S 15 /* somebody is waiting for the list */

static void print_entry(const struct catalog_entry *e, gboolean looked)
{
    const struct meta *m = e->meta;
    g_autofree char *age = text_duration(MAX(0, describe_age_seconds(e)));
    g_autofree char *size = text_size(e->size_bytes, "B");
    g_autofree char *tables = m ? g_strdup_printf("%u", m->table_count) : g_strdup("-");
    g_autofree char *copies = describe_copies(e, looked);
    printf("%-40s %-15s %-12s %-14s %8s %7s  %-19s  %s\n", e->id, m && m->type ? m->type : "-",
           m && m->tag ? m->tag : "-", age, size, tables, describe_state(e), copies);
}

static gboolean print_all(const GPtrArray *list, gboolean json, gboolean looked, GError **error)
{
    if (json) {
        json_t *array = json_array();
        for (guint i = 0; i < list->len; i++)
            json_array_append_new(array, describe_json(list->pdata[i], looked));
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
    gboolean one = s->database_url || s->database_name;
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
