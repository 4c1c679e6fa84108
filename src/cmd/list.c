/* opstower list */
#include "catalog/describe.h"

#include <stdio.h>

#include "base/text.h"
#include "cmd/command.h"
#include "cmd/requests.h"
#include "engine/others.h"

static void print_entry(const struct catalog_entry *e, gboolean looked)
{
    const struct meta *m = e->meta;
    g_autofree char *age = text_duration(MAX(0, describe_age_seconds(e)));
    g_autofree char *size = text_size(e->size_bytes, "B");
    g_autofree char *tables = m ? g_strdup_printf("%u", m->table_count) : g_strdup("-");
    g_autofree char *copies = describe_copies(e, looked);
    g_autofree char *state = describe_state_and_hold(e);
    printf("%-40s %-15s %-12s %-14s %8s %7s  %-19s  %s\n", e->id, m && m->type ? m->type : "-",
           m && m->tag ? m->tag : "-", age, size, tables, state, copies);
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

static const char *place_of(const struct settings *s, const struct listing *l)
{
    return l->looked ? "Folder and bucket" : s->backup_dir;
}

/* "No backups" would hide that the folder is another one than was meant. */
static void warn_if_nowhere(struct console *c)
{
    const char *folder = c->settings.backup_dir;
    if (!g_file_test(folder, G_FILE_TEST_EXISTS))
        report_warn(&c->report, "the folder %s does not exist: no backup was made there yet, or BACKUP_DIR is misspelt",
                    folder);
}

static gboolean run(struct console *c, char **words, GError **error)
{
    (void)words;
    const struct settings *s = &c->settings;
    g_auto(listing) found = {0};
    warn_if_nowhere(c);
    if (!request_list(c, &found, error))
        return FALSE;
    gboolean ok = print_all(found.list, s->json, found.looked, error);
    g_autofree char *others = s->json ? NULL : others_text(found.list, place_of(s, &found), FALSE);
    if (ok && others)
        printf("%s\n", others);
    if (ok && !s->json && found.list->len == 0)
        printf("No backups%s%s in %s%s\n", found.name ? " of " : "", found.name ? found.name : "", s->backup_dir,
               found.looked ? " and S3" : "");
    return ok && request_list_complete(&found, error);
}

const struct command cmd_list = {
    .name = "list",
    .mask = CMD_LIST,
    .usage = "[--json] [--all] [--local-only] [OPTION]...",
    .summary = "List the backups in BACKUP_DIR and S3 with their age, size and state.",
    .details = "STATE is what is known of a backup: proven (a test restore equalled it), \"tested on 18\"\n"
               "(so did one on another major version, which is no proof for its own), verified (every byte read\n"
               "back and held against its proof), unverified, or failed; and whether it is held (opstower hold). "
               "COPIES says where it lies; a copy in S3 that "
               "should be there is\n"
               "\"pending\" (never uploaded) or \"missing\" (gone). --all lists every database's backups;\n"
               "without it, those of the database that the settings name, if they name one.",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};
