/* A backup within a restore. */
#include "engine/prebackup.h"

#include <string.h>

void prebackup_clear(struct prebackup *p)
{
    g_free(p->id);
    copy_free(p->copy);
    memset(p, 0, sizeof *p);
}

/* Its object's key stands behind the bucket: s3://bucket/key. */
static struct copy *copy_of(const struct restore_request *q, const struct backup_result *made)
{
    if (made->path)
        return copy_local(made->path);
    const struct offsite *o = q->pre_backup->offsite;
    const char *bucket = strstr(made->s3_url, "://"), *slash = bucket ? strchr(bucket + strlen("://"), '/') : NULL;
    return slash ? copy_s3(o->client, &o->upload.props, slash + 1) : NULL;
}

static gboolean prove(const struct restore_request *q, struct report *report, const struct copy *made, GError **error)
{
    struct verify_request verify = {
        .copy = made,
        .full_test = TRUE,
        .test = {NULL, q->tmp_dir, q->bindir, q->jobs},
        .remember = TRUE,
    };
    struct verify_result result = {0};
    g_autoptr(GError) problem = NULL;
    gboolean ok = verify_run(&verify, report, &result, &problem);
    verify_result_clear(&result);
    if (g_error_matches(problem, OT_ERROR, OT_INCOMPLETE)) {
        report_warn(report, "%s", problem->message);
        return TRUE;
    }
    if (problem)
        g_propagate_error(error, g_steal_pointer(&problem));
    if (!ok)
        g_prefix_error(error, "--in-place is refused, for the pre-restore backup is not proven: ");
    return ok;
}

static gboolean take(const struct restore_request *q, struct report *report, struct backup_result *made, GError **error)
{
    struct report own_log = {.line = report->line, .redact = report->redact, .data = report->data};
    gboolean ok = backup_run(q->pre_backup, &own_log, made, error);
    ok = report_close_log(&own_log, ok ? error : NULL) && ok;
    json_decref(own_log.facts);
    report_fact_text(report, "pre_restore_backup", made->id);
    return ok;
}

gboolean prebackup_take(const struct restore_request *q, struct report *report, struct prebackup *ret_made,
                        GError **error)
{
    if (!q->pre_backup && q->in_place)
        return ot_fail(error, OT_REFUSED, "--in-place needs the pre-restore backup: it is the only way back");
    if (!q->pre_backup)
        return TRUE;
    report_info(report, "Creating pre-restore backup...");
    gint64 start = g_get_monotonic_time();
    struct backup_result made = {0};
    gboolean ok = take(q, report, &made, error);
    if (ok) {
        *ret_made = (struct prebackup){.id = g_strdup(made.id), .copy = copy_of(q, &made)};
        report_info(report, "Pre-restore backup created: %s", made.path ? made.path : made.s3_url);
    } else {
        g_prefix_error(error, "no pre-restore backup, so no restore: ");
    }
    ok = ok && (!q->in_place || prove(q, report, ret_made->copy, error));
    report_phase(report, "pre_backup", start);
    backup_result_clear(&made);
    return ok;
}
