/*
 * What is not due yet, and what is not known, are neither good nor bad: a new installation whose first backup, test or
 * drill is still to come; and backups that lie in S3 only while S3 does not answer.
 */
#include "engine/health_data.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/schedule.h"

#define DAY (24 * 3600)

/* ---- since when ---- */

/* When the folder was made; 0: not known. */
static gint64 folder_made_at(const char *dir)
{
    struct statx st;
    if (statx(AT_FDCWD, dir, 0, STATX_BTIME, &st) != 0 || !(st.stx_mask & STATX_BTIME))
        return 0;
    return st.stx_btime.tv_sec;
}

/* The first line that is about this database. */
static gint64 first_line_at(const struct health_data *d)
{
    for (guint i = 0; i < d->journal->len; i++) {
        const json_t *line = d->journal->pdata[i];
        gint64 at = record_time(line);
        if (at > 0 && (record_text(line, "database") || record_text(line, "id")))
            return at;
    }
    return 0;
}

/* The oldest backup is older than the journal where that began anew. */
void health_begin(struct health_data *d)
{
    gint64 at = first_line_at(d);
    for (guint i = 0; i < d->backups->len; i++) {
        gint64 taken = health_taken_at(d->backups->pdata[i]);
        at = at && at < taken ? at : taken;
    }
    if (!at)
        at = folder_made_at(d->request->dir);
    d->began_at = at <= d->now + HEALTH_CLOCK_SLACK_S ? at : 0;
}

/* ---- backups ---- */

/* Nothing has gone wrong yet, and the first one has not had its time. */
static gint64 first_due_at(const struct health_data *d)
{
    gint64 due = d->began_at + d->limits.rpo_minutes * 60 + HEALTH_BACKUP_SLACK_S;
    if (!d->began_at || d->backups->len || (d->others && d->others->len) || d->now > due)
        return 0;
    for (guint i = 0; i < d->journal->len; i++)
        if (record_is(d->journal->pdata[i], "backup"))
            return 0;
    return due;
}

gboolean health_is_s3_unseen(const struct health_data *d)
{
    return (d->request->offsite || d->request->s3_problem) && !d->s3_looked;
}

/* When the last good backup was taken, by the journal; 0: it knows of none. */
static gint64 last_noted_at(const struct health_data *d)
{
    for (guint i = d->journal->len; i-- > 0;) {
        const json_t *line = d->journal->pdata[i];
        if (record_is(line, "backup") && !record_failed(line) && record_time(line) <= d->now + HEALTH_CLOCK_SLACK_S)
            return record_time(line) - (gint64)MAX(0, record_number(line, "duration_seconds"));
    }
    return 0;
}

/* It says that there was one, which may lie in S3, where it cannot be seen now. */
static enum health_verdict unseen_verdict(const struct health_data *d, gint64 noted_at)
{
    gint64 age = d->now - noted_at;
    return age > d->limits.age_critical_minutes * 60  ? HEALTH_CRITICAL
           : age > d->limits.age_warning_minutes * 60 ? HEALTH_WARNING
                                                      : HEALTH_UNKNOWN;
}

enum health_verdict health_without_backup(const struct health_data *d, char **ret_value)
{
    gint64 due = first_due_at(d), noted = health_is_s3_unseen(d) ? last_noted_at(d) : 0;
    g_autofree char *value = NULL;
    enum health_verdict verdict = HEALTH_CRITICAL;
    if (due) {
        g_autoptr(GDateTime) at = g_date_time_new_from_unix_local(due);
        g_autofree char *when = g_date_time_format(at, "%a %F %H:%M");
        value = g_strdup_printf("no backup yet; the first is due by %s", when);
        verdict = HEALTH_UNKNOWN;
    } else if (noted) {
        g_autofree char *age = health_duration((double)MAX(0, d->now - noted));
        value = g_strdup_printf("S3 was not seen; by the journal the newest good backup is %s old", age);
        verdict = unseen_verdict(d, noted);
    }
    if (ret_value)
        *ret_value = g_steal_pointer(&value);
    return verdict;
}

/* ---- what is tried now and then ---- */

static const struct schedule_job *job_of(const char *name)
{
    for (const struct schedule_job *job = schedule_jobs; job->name; job++)
        if (g_str_equal(job->name, name))
            return job;
    return NULL;
}

char *health_not_due_yet(const struct health_data *d, const char *job_name, double patience_s)
{
    const struct schedule_job *job = job_of(job_name);
    if (!d->began_at || (double)(d->now - d->began_at) > patience_s)
        return NULL;
    gint64 next = job ? schedule_next(&job->when, d->now) : 0;
    if (!next || (double)(next - d->began_at) > patience_s)
        return g_strdup("not due yet");
    g_autoptr(GDateTime) at = g_date_time_new_from_unix_local(next);
    g_autofree char *when = g_date_time_format(at, "%a %F %H:%M");
    return g_strdup_printf("not due yet, first on %s", when);
}
