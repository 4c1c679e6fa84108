/* The act's line in the journal, and those who are told. */
#include "cmd/aftermath.h"

#include "catalog/journal.h"
#include "cmd/alerting.h"

static json_t *record_of(struct console *c, const GError *problem)
{
    json_t *record = json_pack("{ss ss si}", "act", c->act, "result", problem ? "failed" : "ok", "code",
                               problem ? console_exit_code(problem) : OT_OK);
    if (problem) {
        g_autofree char *valid = g_utf8_make_valid(problem->message, -1);
        g_autofree char *text = options_redact(&c->settings, valid);
        json_object_set_new(record, "error", json_string(text));
    }
    gint64 took = (g_get_monotonic_time() - c->started_us) / G_USEC_PER_SEC;
    json_object_set_new(record, "duration_seconds", json_integer(took));
    if (c->report.facts)
        json_object_update(record, c->report.facts);
    return record;
}

/* As aftermath. */
static gboolean record_act(struct console *c, const GError *problem, GError **error)
{
    g_autoptr(GError) unrecorded = NULL;
    json_t *record = record_of(c, problem);
    gboolean ok = journal_append(c->settings.backup_dir, record, &unrecorded);
    json_decref(record);
    if (ok)
        return TRUE;
    g_prefix_error(&unrecorded, "what was done could not be recorded: ");
    if (problem)
        report_warn(&c->report, "%s", unrecorded->message);
    else
        g_propagate_error(error, g_steal_pointer(&unrecorded));
    return problem != NULL;
}

gboolean aftermath(struct console *c, const GError *problem, GError **error)
{
    g_autoptr(GError) unrecorded = NULL;
    if (!c->act)
        return TRUE;
    gboolean ok = record_act(c, problem, &unrecorded);
    alerting_act(c, problem ? problem : unrecorded);
    if (unrecorded)
        g_propagate_error(error, g_steal_pointer(&unrecorded));
    return ok;
}
