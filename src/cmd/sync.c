/* opstower sync */
#include "engine/sync.h"

#include "catalog/names.h"
#include "cmd/command.h"
#include "cmd/requests.h"

static gboolean run(struct console *c, char **words, GError **error)
{
    (void)words;
    const struct settings *s = &c->settings;
    c->act = "sync";
    struct sync_request request = {.dir = s->backup_dir,
                                   .reach = s->all ? SYNC_ALL : SYNC_MISSING,
                                   .identity = request_identity(c),
                                   .wait_s = (guint)s->wait_minutes * 60,
                                   .monthly = g_str_equal(s->monthly_archive, "true")};
    guint count = 0;
    if (!request_s3(c, error) || !request_offsite(c, &request.offsite, error))
        return FALSE;
    g_autofree char *database = s->all ? NULL : pg_target_database(&c->target, error);
    g_autofree char *name = database ? names_encode(database) : NULL;
    request.name = name;
    if ((!s->all && !name) || !sync_run(&request, &c->report, &count, error))
        return FALSE;
    if (s->json)
        return console_print_json(json_pack("{si ss}", "uploaded", (int)count, "bucket", s->s3_bucket), error);
    report_info(&c->report, count == 1 ? "%u backup uploaded to S3" : "%u backups uploaded to S3", count);
    return TRUE;
}

const struct command cmd_sync = {
    .name = "sync",
    .mask = CMD_SYNC,
    .usage = "[--all] [OPTION]...",
    .summary = "Upload to S3 the backups that should be there and are not.",
    .details =
        "A backup whose upload failed is kept on this machine, and the next backup uploads it too; this command\n"
        "does so now, and also brings back copies that are damaged or gone. It ends uploads that an interrupted\n"
        "run left unfinished in the bucket.\n"
        "--all takes every database's backups, and those that were taken with --local-only.",
    .min_words = 0,
    .max_words = 0,
    .several = TRUE,
    .run = run,
};
