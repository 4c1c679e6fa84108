/* opstower prune */
#include "engine/prune.h"

#include <stdio.h>

#include "base/text.h"
#include "catalog/names.h"
#include "cmd/command.h"
#include "cmd/requests.h"

static json_t *verdict_json(const struct prune_verdict *v)
{
    g_autofree char *taken = text_iso_time(v->taken_at);
    return json_pack("{ss ss ss ss ss ss ss ss}", "id", v->id, "place", tiers_place_name(v->place), "location",
                     v->location, "type", v->type, "taken_at", taken, "verdict", prune_outcome_name(v->outcome),
                     "reason", v->reason, "text", v->text);
}

static void print_verdict(const struct prune_verdict *v)
{
    g_autofree char *taken = text_iso_time(v->taken_at);
    printf("%-5s  %-40s %-15s %-25s  %-8s  %s\n", tiers_place_name(v->place), v->id, v->type, taken,
           prune_outcome_name(v->outcome), v->text);
}

static gboolean print_all(struct console *c, const GPtrArray *verdicts, GError **error)
{
    if (c->settings.json) {
        json_t *array = json_array();
        for (guint k = 0; k < verdicts->len; k++)
            json_array_append_new(array, verdict_json(verdicts->pdata[k]));
        return console_print_json(array, error);
    }
    if (verdicts->len > 0)
        printf("%-5s  %-40s %-15s %-25s  %-8s  %s\n", "PLACE", "ID", "TYPE", "TAKEN", "VERDICT", "REASON");
    else
        printf("No backups\n");
    for (guint k = 0; k < verdicts->len; k++)
        print_verdict(verdicts->pdata[k]);
    return TRUE;
}

static guint count(const GPtrArray *verdicts, enum prune_outcome outcome)
{
    guint n = 0;
    for (guint k = 0; k < verdicts->len; k++)
        n += ((const struct prune_verdict *)verdicts->pdata[k])->outcome == outcome ? 1 : 0;
    return n;
}

static void say_sum(struct console *c, const GPtrArray *verdicts)
{
    guint to_delete = count(verdicts, PRUNE_TO_DELETE);
    if (c->settings.apply)
        report_info(&c->report, "Deleted: %u; kept: %u; S3 did not let us delete: %u", count(verdicts, PRUNE_DELETED),
                    count(verdicts, PRUNE_KEPT), count(verdicts, PRUNE_RETAINED));
    else
        report_info(&c->report, "To delete: %u; to keep: %u%s", to_delete, count(verdicts, PRUNE_KEPT),
                    to_delete ? ". Nothing was deleted: --apply does" : "");
}

static gboolean run(struct console *c, char **words, GError **error)
{
    (void)words;
    const struct settings *s = &c->settings;
    struct prune_request request;
    if (s->apply)
        c->act = "prune";
    g_autofree char *database = s->all ? NULL : pg_target_database(&c->target, error);
    g_autofree char *name = database ? names_encode(database) : NULL;
    if ((!s->all && !name) || !request_prune(c, name, &request, error))
        return FALSE;
    request.apply = s->apply;
    g_autoptr(GPtrArray) verdicts = prune_verdicts_new();
    GError *problem = NULL;
    gboolean ok = prune_run(&request, &c->report, verdicts, &problem);
    /* What was found out before it failed is told too: some of it may have been deleted. */
    gboolean told = print_all(c, verdicts, ok ? error : NULL);
    if (problem)
        g_propagate_error(error, problem);
    if (ok)
        say_sum(c, verdicts);
    return ok && told;
}

const struct command cmd_prune = {
    .name = "prune",
    .mask = CMD_PRUNE,
    .usage = "[--apply] [--all] [--local-only] [--json] [OPTION]...",
    .summary = "Say of every backup whether retention keeps it, and why; with --apply, delete.",
    .details =
        "A backup goes only when its type's days have passed (see `opstower retention`) and BACKUP_KEEP_MIN good\n"
        "ones in the same place are newer: failed and unverified backups are no reason to delete one. What is\n"
        "held, in use, pending upload, locked in S3, dated in the future, or not ours stays. The newest backup that\n"
        "a test restore proved always stays. Time in which no backup was made (a machine that was off, a clock that\n"
        "jumped ahead) does not age one. Every deletion is written to the journal before it is done.\n"
        "Every backup does this by itself when it is complete; nothing needs to be scheduled.\n"
        "--all takes every database's backups, --local-only the folder's.",
    .min_words = 0,
    .max_words = 0,
    .several = TRUE,
    .run = run,
};
