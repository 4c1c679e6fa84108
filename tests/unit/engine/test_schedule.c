/* When a job runs next: Sundays of a month, quarters, changes of clocks, and zones that are not a whole hour off. */
#include "engine/schedule.h"

#include <stdlib.h>
#include <time.h>

#include "base/text.h"

static const struct {
    const char *job, *zone, *after, *next;
} cases[] = {
    {"opstower-backup", "UTC", "2026-02-07T12:00:00+00:00", "2026-02-07T13:00:00+00:00"},
    {"opstower-backup", "UTC", "2026-12-31T23:59:59+00:00", "2027-01-01T00:00:00+00:00"},
    {"opstower-backup", "Asia/Kolkata", "2026-02-07T12:15:07+05:30", "2026-02-07T13:00:00+05:30"},
    /* 02:30 comes twice in October and not at all in March */
    {"opstower-backup", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00"},
    {"opstower-backup", "Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"},
    {"opstower-backup", "Europe/Berlin", "2026-03-29T01:59:00+01:00", "2026-03-29T03:00:00+02:00"},
    {"opstower-verify", "Europe/Berlin", "2026-03-29T00:00:00+01:00", "2026-03-29T03:30:00+02:00"},
    {"opstower-verify", "UTC", "2026-02-08T02:29:59+00:00", "2026-02-08T02:30:00+00:00"},
    {"opstower-verify", "UTC", "2026-02-08T02:30:00+00:00", "2026-02-15T02:30:00+00:00"},
    {"opstower-verify", "America/New_York", "2026-02-08T02:29:00-05:00", "2026-02-08T02:30:00-05:00"},
    {"opstower-restore-test", "UTC", "2026-02-01T03:30:00+00:00", "2026-03-01T03:30:00+00:00"},
    {"opstower-restore-test", "UTC", "2026-03-02T00:00:00+00:00", "2026-04-05T03:30:00+00:00"},
    {"opstower-restore-test", "UTC", "2028-02-29T00:00:00+00:00", "2028-03-05T03:30:00+00:00"},
    {"opstower-drill", "UTC", "2026-02-01T00:00:00+00:00", "2026-04-12T03:30:00+00:00"},
    {"opstower-drill", "UTC", "2026-10-11T03:30:00+00:00", "2027-01-10T03:30:00+00:00"},
    {"opstower-watch", "UTC", "2026-02-07T12:00:00+00:00", "2026-02-07T12:05:00+00:00"},
    {"opstower-watch", "UTC", "2026-02-07T12:04:59+00:00", "2026-02-07T12:05:00+00:00"},
};

static const struct schedule_job *find(const char *name)
{
    for (const struct schedule_job *job = schedule_jobs; job->name; job++)
        if (g_str_equal(job->name, name))
            return job;
    g_error("no job %s", name);
}

static void test_next(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        gint64 after = 0;
        g_setenv("TZ", cases[i].zone, TRUE);
        tzset();
        g_assert_true(text_parse_iso_time(cases[i].after, &after));
        g_autofree char *next = text_iso_time(schedule_next(&find(cases[i].job)->when, after));
        g_test_message("%s in %s after %s", cases[i].job, cases[i].zone, cases[i].after);
        g_assert_cmpstr(next, ==, cases[i].next);
    }
}

/* Over two years, one after the other: as many as there are, none twice, each on a day that fits. */
static void test_a_chain(void)
{
    g_setenv("TZ", "Europe/Berlin", TRUE);
    tzset();
    gint64 from = 0, until = 0;
    g_assert_true(text_parse_iso_time("2026-01-01T00:00:00+01:00", &from));
    g_assert_true(text_parse_iso_time("2028-01-01T00:00:00+01:00", &until));
    const int expected[] = {2 * 365 * 24 - 1, 104, 24, 8, 2 * 365 * 288 - 1};
    for (int i = 0; schedule_jobs[i].name; i++) {
        int count = 0;
        for (gint64 at = schedule_next(&schedule_jobs[i].when, from); at < until; count++) {
            gint64 next = schedule_next(&schedule_jobs[i].when, at);
            g_assert_cmpint(next, >, at);
            at = next;
        }
        g_assert_cmpint(count, ==, expected[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schedule/next", test_next);
    g_test_add_func("/schedule/chain", test_a_chain);
    return g_test_run();
}
