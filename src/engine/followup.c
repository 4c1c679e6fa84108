/* Earlier uploads, the monthly archive, retention. */
#include "engine/followup.h"

#include "base/interrupt.h"
#include "engine/dblock.h"
#include "engine/monthly.h"
#include "engine/prune.h"
#include "engine/sync.h"

struct followup {
    const struct backup_request *q;
    const char *name;
    struct server_identity *identity;
    gint64 now;
    struct report *report;
};

static gboolean is_in_s3(const struct followup *f)
{
    return f->q->places == BACKUP_BOTH || f->q->places == BACKUP_S3_ONLY;
}

/* What earlier runs could not upload, now that S3 takes backups again. */
static gboolean upload_earlier(struct followup *f, GError **error)
{
    const struct backup_request *q = f->q;
    struct sync_request sync = {
        .offsite = q->offsite, .dir = q->dir, .name = f->name, .reach = SYNC_PENDING, .identity = f->identity};
    if (q->places != BACKUP_BOTH || sync_database(&sync, f->report, NULL, error))
        return TRUE;
    g_prefix_error(error, "this backup is in S3, but an earlier one is not: ");
    return FALSE;
}

static gboolean archive_monthly(struct followup *f, GError **error)
{
    const struct backup_request *q = f->q;
    GError *problem = NULL;
    struct monthly_request monthly = {q->offsite, f->name, f->identity, f->now};
    if (!q->monthly || !is_in_s3(f) || monthly_archive(&monthly, f->report, NULL, &problem))
        return TRUE;
    return offsite_fail(problem, q->places == BACKUP_BOTH ? OT_UPLOAD : OT_S3, error);
}

/* Here, and in S3 if it takes backups at the moment. */
static gboolean prune(struct followup *f, gboolean in_s3, GError **error)
{
    const struct backup_request *q = f->q;
    g_autoptr(GPtrArray) verdicts = prune_verdicts_new();
    g_autoptr(GError) busy = NULL;
    g_autoptr(lock) held = dblock_take(q->dir, f->name, "prune", 0, f->report, &busy);
    if (!held && g_error_matches(busy, OT_ERROR, OT_BUSY)) {
        report_info(f->report, "Another run is at work by now, and deletes what is old");
        return TRUE;
    }
    if (!held) {
        g_propagate_error(error, g_steal_pointer(&busy));
        return FALSE;
    }
    struct prune_request request = {
        .dir = q->dir,
        .name = f->name,
        .identity = f->identity,
        .tiers = q->tiers,
        .keep_min = q->keep_min,
        .keep_pending = q->keep_pending,
        .local = TRUE,
        .offsite = in_s3 && q->prune_s3 ? q->offsite : NULL,
        .apply = TRUE,
        .now = f->now,
    };
    if (prune_database(&request, f->report, verdicts, error))
        return TRUE;
    g_prefix_error(error, "the backup is complete, but old ones could not be deleted: ");
    return FALSE;
}

gboolean followup_run(const struct backup_request *q, const char *name, struct server_identity *identity, gint64 now,
                      GError *upload_problem, struct report *report, GError **error)
{
    struct followup f = {q, name, identity, now, report};
    GError *problem = NULL, *second = NULL;
    if (upload_problem)
        offsite_fail(upload_problem, OT_UPLOAD, &problem);
    gboolean sent = !problem && upload_earlier(&f, &problem) && archive_monthly(&f, &problem) && is_in_s3(&f);
    if (q->prune && interrupt_check(NULL))
        prune(&f, sent, problem ? &second : &problem);
    if (second)
        report_warn(report, "%s", second->message);
    g_clear_error(&second);
    if (problem)
        g_propagate_error(error, problem);
    return problem == NULL;
}
