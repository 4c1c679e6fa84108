/* opstower backup */
#include "engine/backup.h"

#include "cmd/alerting.h"
#include "cmd/command.h"
#include "cmd/hooking.h"
#include "cmd/requests.h"

static json_t *result_json(const struct backup_result *r)
{
    return json_pack("{ss ss* ss* ss sI sI sI sI sI sI}", "id", r->id, "file", r->path, "s3", r->s3_url, "database",
                     r->database, "backup_size", (json_int_t)r->size_bytes, "uncompressed_size",
                     (json_int_t)r->plain_bytes, "table_count", (json_int_t)r->tables, "tables", (json_int_t)r->tables,
                     "rows", (json_int_t)r->rows, "duration_seconds", (json_int_t)r->duration_s);
}

struct backing_up {
    struct console *console;
    gboolean begun;
};

/* The lock is held, so that of two runs at once only one has its hooks run and tells the heartbeat. */
static gboolean begin(void *data, GError **error)
{
    struct backing_up *b = data;
    b->begun = b->console->begun = TRUE;
    alerting_backup_starts(b->console);
    if (hooking_before(b->console, HOOKING_PRE_BACKUP, NULL, error))
        return TRUE;
    g_prefix_error(error, "no backup was taken: ");
    return FALSE;
}

static gboolean finish(struct console *c, const struct backup_result *r, GError *problem, GError **error)
{
    struct hooking_facts facts = {.file = r->path, .s3_url = r->s3_url};
    return hooking_after(c, HOOKING_POST_BACKUP, &facts, "the backup is complete, but ", problem, error);
}

static gboolean run(struct console *c, char **words, GError **error)
{
    (void)words;
    const struct settings *s = &c->settings;
    c->act = "backup";
    struct backup_request request;
    struct backup_result result = {0};
    struct backing_up b = {.console = c};
    GError *problem = NULL;
    if (!hooking_check(c, error) || !request_backup(c, &request, error))
        return FALSE;
    request.begin = begin;
    request.begin_data = &b;
    gboolean ok = backup_run(&request, &c->report, &result, &problem);
    if (b.begun)
        ok = finish(c, &result, problem, error);
    else if (problem)
        g_propagate_error(error, problem);
    /* A backup that is complete here but not in S3 is told of too, though the run fails. */
    if (s->json && result.id)
        ok = console_print_json(result_json(&result), ok ? error : NULL) && ok;
    backup_result_clear(&result);
    return ok;
}

const struct command cmd_backup = {
    .name = "backup",
    .mask = CMD_BACKUP,
    .usage = "[--local-only|--s3-only] [--type TYPE] [--tag NAME] [OPTION]...",
    .summary = "Take a backup, read it back, and publish it with its proof.",
    .details = "Writes NAME_YYYYMMDD_HHMMSS.sql.gz with its metadata, roles and log to BACKUP_DIR, and with\n"
               "BACKUP_S3_BUCKET streams it to S3 at the same time. The file is a\n"
               "standard plain-text dump: `gunzip -c FILE | psql -d NEWDB` restores it without this program.\n"
               "Nothing has its final name before it is complete, on disk, read back and held against its proof.",
    .min_words = 0,
    .max_words = 0,
    .several = TRUE,
    .run = run,
};
