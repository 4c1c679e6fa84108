/* The jobs and their times; how a time is written for cron and for systemd, and when it comes next. */
#include <string.h>
#include <time.h>

#include "engine/schedule.h"

#define DAYS_TO_LOOK 400
#define LONGEST_S (100 * 86400) /* longer than a quarter */

static const char *const quarters[] = {"1", "4", "7", "10", NULL};

/* Quiet hours for what reads everything; the drill on another Sunday than the monthly test. */
const struct schedule_job schedule_jobs[] = {
    {.name = "opstower-backup",
     .title = "hourly database backup",
     .command = "backup",
     .script = "backup-database.sh",
     .when = {.minute = 0, .hour = -1}},
    {.name = "opstower-verify",
     .title = "weekly verification of the latest backup",
     .command = "verify",
     .words = {"latest"},
     .script = "verify-backup.sh",
     .when = {.minute = 30, .hour = 2, .sunday = TRUE}},
    {.name = "opstower-restore-test",
     .title = "monthly full restore test",
     .command = "verify",
     .words = {"latest", "--full-test"},
     .script = "verify-backup.sh",
     .full_test = TRUE,
     .when = {.minute = 30, .hour = 3, .sunday = TRUE, .first_day = 1, .last_day = 7}},
    {.name = "opstower-drill",
     .title = "quarterly recovery drill",
     .command = "verify",
     .words = {"latest", "--full-test"},
     .script = "verify-backup.sh",
     .from_s3 = TRUE,
     .full_test = TRUE,
     .when = {.minute = 30, .hour = 3, .sunday = TRUE, .first_day = 8, .last_day = 14, .months = quarters}},
    {.name = "opstower-catch-up",
     .title = "what was missed of these while the machine was off",
     .command = "schedule",
     .words = {"catch-up"},
     .catch_up = TRUE,
     .when = {.minute = 50, .hour = -1}},
    {.name = "opstower-watch",
     .title = "look at the backups, alert when something is wrong",
     .command = "status",
     .words = {"--alert"},
     .watch = TRUE,
     .when = {.every_minutes = 5}},
    {.name = "opstower-serve", .title = "dashboard", .command = "serve", .serve = TRUE},
    {0},
};

gboolean schedule_wants(const struct schedule_request *q, const struct schedule_job *job)
{
    if (job->serve)
        return q->serve;
    return (!job->watch || q->alerts) && (!job->catch_up || q->kind != SCHEDULE_SYSTEMD);
}

gboolean schedule_needs_sunday(const struct schedule_when *w)
{
    return w->sunday && w->first_day > 0;
}

static char *months_text(const struct schedule_when *w, const char *any)
{
    return w->months ? g_strjoinv(",", (char **)w->months) : g_strdup(any);
}

char *schedule_cron_fields(const struct schedule_when *w)
{
    if (w->every_minutes)
        return g_strdup_printf("*/%d * * * *", w->every_minutes);
    g_autofree char *hour = w->hour < 0 ? g_strdup("*") : g_strdup_printf("%d", w->hour);
    g_autofree char *days = w->first_day ? g_strdup_printf("%d-%d", w->first_day, w->last_day) : g_strdup("*");
    g_autofree char *months = months_text(w, "*");
    const char *weekday = w->sunday && !schedule_needs_sunday(w) ? "0" : "*";
    return g_strdup_printf("%d %s %s %s %s", w->minute, hour, days, months, weekday);
}

char *schedule_calendar(const struct schedule_when *w)
{
    if (w->every_minutes)
        return g_strdup_printf("*-*-* *:00/%d:00", w->every_minutes);
    g_autofree char *hour = w->hour < 0 ? g_strdup("*") : g_strdup_printf("%02d", w->hour);
    g_autofree char *days = w->first_day ? g_strdup_printf("%02d..%02d", w->first_day, w->last_day) : g_strdup("*");
    g_autofree char *months = months_text(w, "*");
    return g_strdup_printf("%s*-%s-%s %s:%02d:00", w->sunday ? "Sun " : "", months, days, hour, w->minute);
}

static gboolean day_fits(const struct schedule_when *w, const struct tm *day)
{
    g_autofree char *month = g_strdup_printf("%d", day->tm_mon + 1);
    return (!w->sunday || day->tm_wday == 0) &&
           (!w->first_day || (day->tm_mday >= w->first_day && day->tm_mday <= w->last_day)) &&
           (!w->months || g_strv_contains(w->months, month));
}

/* mktime knows the hours that a change of clocks moves. */
static gint64 next_on_a_day(const struct schedule_when *w, gint64 after, struct tm day)
{
    for (int i = 0; i < DAYS_TO_LOOK; i++) {
        struct tm t = day;
        t.tm_hour = w->hour;
        t.tm_min = w->minute;
        t.tm_sec = 0;
        t.tm_isdst = -1;
        gint64 at = day_fits(w, &day) ? mktime(&t) : 0;
        if (at > after)
            return at;
        day.tm_mday++;
        day.tm_hour = 12;
        day.tm_isdst = -1;
        mktime(&day);
    }
    return 0;
}

gint64 schedule_next(const struct schedule_when *w, gint64 after)
{
    time_t start = (time_t)after;
    struct tm now;
    if (w->every_minutes)
        return (after / (w->every_minutes * 60) + 1) * w->every_minutes * 60;
    if (!localtime_r(&start, &now))
        return 0;
    if (w->hour >= 0)
        return next_on_a_day(w, after, now);
    /* Every hour: by the minutes alone, so that an hour that comes twice counts twice. */
    gint64 at = after - (now.tm_min - w->minute) * 60 - now.tm_sec;
    return at > after ? at : at + 3600;
}

gint64 schedule_last(const struct schedule_when *w, gint64 now)
{
    gint64 last = 0;
    for (gint64 at = schedule_next(w, now - LONGEST_S); at && at <= now; at = schedule_next(w, at))
        last = at;
    return last;
}
