/* Checks of when backups were taken: age, success rate, the gaps between them, the clock. */
#include "engine/health_data.h"

#include <math.h>

#define HOUR 3600
#define DAY_S (24 * HOUR)
#define SUCCESS_PERCENT 95.0
/* A run a day or less often keeps the clock on the wall, which has days of 25 hours. */
#define CLOCK_CHANGE_S HOUR

/* ---- age ---- */

static void note_newest(struct health_numbers *n, const struct catalog_entry *e)
{
    n->newest_at = health_taken_at(e);
    n->size_bytes = (gint64)e->size_bytes;
    n->plain_bytes = (gint64)e->meta->plain_bytes;
    n->rows = (gint64)e->meta->rows;
    n->tables = e->meta->table_count;
    n->duration_s = e->meta->duration_s;
}

/* No good backup is seen. Whatever else is to say of that comes first. */
static void judge_none(const struct health_data *d, struct health_check *c)
{
    health_raise(c, health_without_backup(d, &c->value));
    if (!c->value)
        c->value = g_strdup_printf("%s%s", d->backups->len ? "there is no good backup" : "there is no backup",
                                   health_is_s3_unseen(d) ? " here, and S3 was not seen" : "");
    health_advise(c, "Run `opstower backup` now and look at its last lines; `opstower list` shows what there is.");
}

gboolean health_check_age(const struct health_data *d, struct health_check *c)
{
    double warning = d->limits.age_warning_minutes * 60.0, critical = d->limits.age_critical_minutes * 60.0;
    g_autofree char *target = health_duration(d->limits.rpo_minutes * 60.0);
    g_autofree char *yellow = health_duration(warning), *red = health_duration(critical);
    const struct catalog_entry *e = health_newest_good(d);
    c->target = g_strdup_printf("under %s", target);
    c->threshold = g_strdup_printf("warning over %s, critical over %s", yellow, red);
    if (!e) {
        health_measure(c, NAN, "s", HEALTH_ABOVE, warning, critical);
        judge_none(d, c);
        return TRUE;
    }
    note_newest(d->numbers, e);
    double age = (double)MAX(0, d->now - health_taken_at(e));
    g_autofree char *text = health_duration(age);
    health_measure(c, age, "s", HEALTH_ABOVE, warning, critical);
    c->value = g_strdup_printf("%s (%s)", text, e->id);
    health_advise(c,
                  "Look whether the schedule runs (crontab -l, systemctl list-timers) and at the last backup_*.log in "
                  "%s; then run `opstower backup`.",
                  d->request->dir);
    return TRUE;
}

/* ---- success rate ---- */

struct runs {
    guint ok, failed, missed;
    const char *last_error;
};

/* A run that found another at work is none of its own. A backup that is complete here and not in S3 is one; its copy is
 * another check's. */
static gboolean is_run(const json_t *line, gboolean *ret_ok)
{
    json_int_t code = json_integer_value(json_object_get(line, "code"));
    *ret_ok = g_strcmp0(record_text(line, "result"), "ok") == 0 || code == OT_UPLOAD;
    return record_is(line, "backup") && code != OT_BUSY;
}

/* Runs that were due between two moments and left no trace. The nearest whole number of intervals: runs take different
 * time, so the distance of two is never quite one. */
static guint missed_between(gint64 from, gint64 to, gint64 interval)
{
    gint64 intervals = (to - from + interval / 2) / interval;
    return intervals > 1 ? (guint)(intervals - 1) : 0;
}

static struct runs count_runs(const struct health_data *d)
{
    struct runs r = {0};
    gint64 start = d->now - health_window_s(d), interval = d->limits.rpo_minutes * 60, last = 0;
    for (guint i = 0; i < d->journal->len; i++) {
        gboolean ok;
        gint64 at = record_time(d->journal->pdata[i]);
        if (!is_run(d->journal->pdata[i], &ok) || at > d->now + HEALTH_CLOCK_SLACK_S)
            continue;
        if (at >= start) {
            r.missed += last ? missed_between(MAX(last, start), at, interval) : 0;
            *(ok ? &r.ok : &r.failed) += 1;
            if (!ok)
                r.last_error = record_text(d->journal->pdata[i], "error");
        }
        last = MAX(last, at);
    }
    if (last)
        r.missed += missed_between(MAX(last, start), d->now, interval);
    return r;
}

gboolean health_check_success(const struct health_data *d, struct health_check *c)
{
    struct runs r = count_runs(d);
    guint all = r.ok + r.failed + r.missed;
    double rate = all ? 100.0 * r.ok / all : 0;
    d->numbers->runs_ok = r.ok;
    d->numbers->runs_failed = r.failed + r.missed;
    c->target = g_strdup("100 %");
    c->threshold = g_strdup_printf("warning under %g %%", SUCCESS_PERCENT);
    health_measure(c, all ? rate : NAN, "%", HEALTH_BELOW, SUCCESS_PERCENT, NAN);
    gint64 days = health_window_s(d) / DAY_S;
    if (r.ok == 0)
        health_raise(c, all == 0 && !d->journal_problem ? health_without_backup(d, NULL) : HEALTH_CRITICAL);
    if (all == 0 && !d->journal_problem)
        health_blame_age(d, c);
    if (d->journal_problem)
        c->value = g_strdup_printf("the journal cannot be read: %s", d->journal_problem);
    else
        c->value =
            all ? g_strdup_printf("%.1f %% of %d days: %u good, %u failed, %u missed", rate, (int)days, r.ok, r.failed,
                                  r.missed)
                : g_strdup("no backup was ever run (by the journal)");
    if (r.failed && r.last_error)
        health_advise(c, "The last failure: %s", r.last_error);
    health_advise(c, "Runs that were due are missing: look whether the schedule runs, and whether the machine does.");
    return TRUE;
}

/* ---- RPO ---- */

struct gap {
    gint64 seconds, until;
};

/* The longest time in the last days of which nothing could have been restored; the one that lasts still counts. */
static struct gap longest_gap(const struct health_data *d)
{
    struct gap longest = {-1, 0};
    gint64 later = d->now;
    for (guint i = 0; i < d->backups->len && later > d->now - health_window_s(d); i++) {
        const struct catalog_entry *e = d->backups->pdata[i];
        if (!health_is_good(d, e))
            continue;
        gint64 at = MIN(health_taken_at(e), later);
        if (later - at > longest.seconds)
            longest = (struct gap){later - at, later};
        later = at;
    }
    return longest;
}

/* Until a backup that has begun in time is complete, the one before is the newest. */
static double rpo_limit(const struct health_data *d)
{
    const struct catalog_entry *e = health_newest_good(d);
    double target = d->limits.rpo_minutes * 60.0, takes = e ? (double)e->meta->duration_s : 0;
    return target + MAX(HEALTH_BACKUP_SLACK_S, takes + HEALTH_BACKUP_SLACK_S / 2.0) +
           (target >= DAY_S ? CLOCK_CHANGE_S : 0);
}

gboolean health_check_rpo(const struct health_data *d, struct health_check *c)
{
    double limit = rpo_limit(d);
    struct gap gap = longest_gap(d);
    g_autofree char *target = health_duration(d->limits.rpo_minutes * 60.0), *yellow = health_duration(limit);
    c->target = g_strdup_printf("at most %s", target);
    c->threshold = g_strdup_printf("warning over %s", yellow);
    health_measure(c, gap.seconds < 0 ? NAN : (double)gap.seconds, "s", HEALTH_ABOVE, limit, NAN);
    if (gap.seconds < 0) {
        health_raise(c, health_without_backup(d, &c->value));
        health_blame_age(d, c);
        if (!c->value)
            c->value = g_strdup("nothing can be restored");
        health_advise(c, "Run `opstower backup` now.");
        return TRUE;
    }
    g_autofree char *text = health_duration((double)gap.seconds);
    g_autoptr(GDateTime) end = g_date_time_new_from_unix_local(gap.until);
    g_autofree char *when = g_date_time_format(end, "%F %H:%M");
    c->value = g_strdup_printf("%s at most in %d days (until %s)", text, (int)(health_window_s(d) / DAY_S),
                               gap.until == d->now ? "now" : when);
    health_advise(c,
                  "For so long a loss of the server would have cost more than the target. Find out why no backup was "
                  "taken: `opstower list`, backup_*.log.");
    return TRUE;
}

/* ---- the clock ---- */

gboolean health_check_clock(const struct health_data *d, struct health_check *c)
{
    gint64 ahead = 0;
    const char *what = NULL;
    for (guint i = 0; i < d->backups->len; i++) {
        const struct catalog_entry *e = d->backups->pdata[i];
        gint64 latest = MAX(e->taken_at, e->dated_at);
        if (latest - d->now > ahead) {
            ahead = latest - d->now;
            what = e->id;
        }
    }
    for (guint i = 0; i < d->journal->len; i++)
        if (record_time(d->journal->pdata[i]) - d->now > ahead) {
            ahead = record_time(d->journal->pdata[i]) - d->now;
            what = "a line of the journal";
        }
    c->target = g_strdup("nothing is dated in the future");
    health_measure(c, (double)ahead, "s", HEALTH_ABOVE, HEALTH_CLOCK_SLACK_S, NAN);
    g_autofree char *text = health_duration((double)ahead);
    c->value = c->verdict == HEALTH_OK ? g_strdup("right, as far as backups tell")
                                       : g_strdup_printf("%s is dated %s ahead", what, text);
    health_advise(c,
                  "Set this machine's clock (timedatectl). What is dated in the future does not count as a backup of "
                  "the present.");
    return TRUE;
}
