/* The act's line in the journal, and those who are told. */
#include "cmd/aftermath.h"

#include <unistd.h>

#include "catalog/journal.h"
#include "catalog/record.h"
#include "cmd/alerting.h"
#include "cmd/hooking.h"
#include "cmd/requests.h"
#include "cmd/telling.h"
#include "engine/journalcopy.h"

#define COPY_RETRY_S 15u /* somebody may be waiting */

/* Acts that change nothing: who may not write the folder may still look. */
static const char *const only_look[] = {"verify", NULL};

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

/* A restore from a folder that was mounted read-only is a good one; the system's log has its record. */
static gboolean is_restored_from_unwritable(const struct console *c)
{
    return g_str_equal(c->act, "restore") && access(c->settings.backup_dir, W_OK) != 0;
}

/* Says that there is no record, once: where the folder is not there, the act has failed for that, or has warned. */
static void judge_unrecorded(struct console *c, const GError *problem, GError *unrecorded, GError **error)
{
    g_autoptr(GError) own = unrecorded;
    gboolean looks = g_strv_contains(only_look, c->act) || is_restored_from_unwritable(c);
    if ((problem || looks) && !g_file_test(c->settings.backup_dir, G_FILE_TEST_IS_DIR))
        return;
    g_prefix_error(&own, problem || looks ? "this could not be recorded in the journal: "
                                          : "all is done, but it could not be recorded in the journal: ");
    if (problem || looks)
        report_warn(&c->report, "%s", own->message);
    else
        g_propagate_error(error, g_steal_pointer(&own));
}

#define RECENT 1000 /* acts: more than a day has */

/* By the journal. */
static gboolean is_first_act_of_day(const struct console *c)
{
    g_autoptr(GPtrArray) records = journal_load_recent(c->settings.backup_dir, NULL, NULL, RECENT, NULL);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autoptr(GDateTime) midnight = g_date_time_new_local(g_date_time_get_year(now), g_date_time_get_month(now),
                                                          g_date_time_get_day_of_month(now), 0, 0, 0);
    gint64 started = (g_get_real_time() - (g_get_monotonic_time() - c->started_us)) / G_USEC_PER_SEC;
    gint64 day = midnight ? g_date_time_to_unix(midnight) : started; /* no midnight: clocks were put forward at it */
    for (guint i = records ? records->len : 0; i-- > 0;) {
        gint64 at = record_time(records->pdata[i]);
        if (at < started)
            return at < day;
    }
    return TRUE;
}

/* A host that may only read the bucket, to verify and restore, need not be told so each time. */
static void tell_uncopied(struct console *c, const GError *failure, gboolean refused)
{
    enum report_level level = refused && !is_first_act_of_day(c) ? REPORT_INFO : REPORT_WARN;
    report_say(&c->report, level, "The journal's copy in S3 is not up to date: %s", failure->message);
}

/* The journal's copy in S3. What cannot be copied now goes with the next act's: a good backup stays a good backup.
 * Where S3 has just failed, it is not asked again. */
static void copy_journal(struct console *c, const GError *problem)
{
    const struct settings *s = &c->settings;
    g_autoptr(GError) failure = NULL;
    gboolean hopeless = problem && problem->domain == OT_ERROR &&
                        (problem->code == OT_UPLOAD || problem->code == OT_S3 || problem->code == OT_INTERRUPTED);
    if (!s->s3_bucket || s->local_only || hopeless)
        return;
    g_autoptr(s3) client = request_s3_for(c, MIN((guint)s->s3_retry_s, COPY_RETRY_S), &failure);
    struct journalcopy j = {s->backup_dir, client, s->s3_prefix, request_sidecar_props(s)};
    gboolean refused = FALSE;
    if (!client || !journalcopy_send(&j, &refused, &failure))
        tell_uncopied(c, failure, refused);
}

/* As aftermath. */
static gboolean record_act(struct console *c, const GError *problem, GError **error)
{
    GError *unrecorded = NULL;
    json_t *record = record_of(c, problem);
    gboolean ok = journal_append(c->settings.backup_dir, record, &unrecorded);
    if (!ok) /* else it was told with the line */
        telling_system(record);
    json_decref(record);
    if (ok)
        return TRUE;
    gboolean fails = !problem && !g_strv_contains(only_look, c->act) && !is_restored_from_unwritable(c);
    judge_unrecorded(c, problem, unrecorded, error);
    return !fails;
}

/* It met another run at work, so that nothing was to be done: no failure, and nobody is told. If the other one hangs,
 * the check of the backups' age says so. */
static gboolean has_stood_aside(const struct console *c, const GError *problem)
{
    return !c->begun && g_error_matches(problem, OT_ERROR, OT_BUSY);
}

gboolean aftermath(struct console *c, const GError *problem, GError **error)
{
    g_autoptr(GError) unrecorded = NULL;
    if (!c->act)
        return TRUE;
    gboolean ok = record_act(c, problem, &unrecorded);
    if (!has_stood_aside(c, problem))
        alerting_act(c, problem ? problem : unrecorded);
    if ((problem || unrecorded) && !has_stood_aside(c, problem))
        hooking_failed(c, problem ? problem : unrecorded);
    copy_journal(c, problem); /* last: alerts have lines too */
    if (unrecorded)
        g_propagate_error(error, g_steal_pointer(&unrecorded));
    return ok;
}
