/* When a job runs next: Sundays of a month, quarters, changes of clocks, and zones that are not a whole hour off. */
#include "engine/schedule.h"

#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "engine/catchup.h"

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
    const int expected[] = {2 * 365 * 24 - 1, 104, 24, 8, 2 * 365 * 24, 2 * 365 * 288 - 1};
    for (int i = 0; schedule_jobs[i].name && !schedule_jobs[i].serve; i++) {
        int count = 0;
        for (gint64 time = schedule_next(&schedule_jobs[i].when, from); time < until; count++) {
            gint64 next = schedule_next(&schedule_jobs[i].when, time);
            g_assert_cmpint(next, >, time);
            time = next;
        }
        g_assert_cmpint(count, ==, expected[i]);
    }
}

/* ---- what was missed ---- */

static gint64 at(const char *time)
{
    gint64 seconds = 0;
    g_autofree char *whole = g_strconcat(time, ":00+00:00", NULL);
    g_assert_true(text_parse_iso_time(whole, &seconds));
    return seconds;
}

static void test_last(void)
{
    static const struct {
        const char *job, *now, *last;
    } lasts[] = {
        {"opstower-verify", "2026-02-08T02:29", "2026-02-01T02:30"},
        {"opstower-verify", "2026-02-08T02:30", "2026-02-08T02:30"},
        {"opstower-restore-test", "2026-03-31T00:00", "2026-03-01T03:30"},
        {"opstower-drill", "2026-04-12T03:29", "2026-01-11T03:30"},
        {"opstower-drill", "2026-04-12T03:30", "2026-04-12T03:30"},
    };
    g_setenv("TZ", "UTC", TRUE);
    tzset();
    for (gsize i = 0; i < G_N_ELEMENTS(lasts); i++)
        g_assert_cmpint(schedule_last(&find(lasts[i].job)->when, at(lasts[i].now)), ==, at(lasts[i].last));
}

/* A journal in words: each record as "TIME ACT WHAT", the oldest first. Sundays of 2026: 4, 11, 18, 25 January, 1, 8,
 * 15 February, 1, 8 March, 5, 12 April. missed: NULL, or since when. */
static const struct {
    const char *job, *now, *records[5], *missed;
    gboolean bucket;
} misses[] = {
    {"opstower-verify", "2026-02-10T12:00", {"2026-01-01T00:00 schedule-install"}, "2026-02-08T02:30", FALSE},
    {"opstower-verify", "2026-02-10T12:00", {NULL}, NULL, FALSE},
    {"opstower-verify", "2026-02-10T12:00", {"2026-02-08T02:31 schedule-install"}, NULL, FALSE},
    {"opstower-verify", "2026-02-10T12:00", {"2026-02-01T00:00 catch-up"}, "2026-02-08T02:30", FALSE},
    {"opstower-verify",
     "2026-02-10T12:00",
     {"2025-02-01T00:00 catch-up", "2026-02-09T00:00 schedule-install"},
     NULL,
     FALSE},
    {"opstower-verify", "2026-02-08T03:29", {"2026-02-07T00:00 schedule-install"}, NULL, FALSE},
    {"opstower-verify", "2026-02-08T03:30", {"2026-02-07T00:00 schedule-install"}, "2026-02-08T02:30", FALSE},
    {"opstower-verify",
     "2026-02-10T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-02-08T02:29 verify", "2026-02-09T00:00 backup"},
     "2026-02-08T02:30",
     FALSE},
    {"opstower-verify",
     "2026-02-10T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-02-08T02:30 verify"},
     NULL,
     FALSE},
    {"opstower-verify",
     "2026-02-10T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-02-08T04:00 verify full"},
     NULL,
     FALSE},
    {"opstower-verify",
     "2026-02-10T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-02-09T04:00 catch-up opstower-verify"},
     NULL,
     FALSE},
    {"opstower-verify",
     "2026-02-10T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-02-09T04:00 catch-up opstower-drill"},
     "2026-02-08T02:30",
     FALSE},
    {"opstower-restore-test",
     "2026-02-10T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-02-08T02:30 verify"},
     "2026-02-01T03:30",
     FALSE},
    {"opstower-restore-test",
     "2026-02-10T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-02-08T02:30 verify full"},
     NULL,
     FALSE},
    {"opstower-drill",
     "2026-04-20T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-04-05T03:30 verify full"},
     "2026-04-12T03:30",
     FALSE},
    {"opstower-drill",
     "2026-04-20T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-04-15T03:30 verify full"},
     NULL,
     FALSE},
    {"opstower-drill",
     "2026-04-20T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-04-15T03:30 verify full"},
     "2026-04-12T03:30",
     TRUE},
    {"opstower-drill",
     "2026-04-20T12:00",
     {"2026-01-01T00:00 schedule-install", "2026-04-15T03:30 verify s3"},
     NULL,
     TRUE},
    {"opstower-backup", "2026-04-20T12:59", {"2026-01-01T00:00 schedule-install"}, NULL, FALSE},
    {"opstower-catch-up", "2026-04-20T12:59", {"2026-01-01T00:00 schedule-install"}, NULL, FALSE},
    {"opstower-watch", "2026-04-20T12:59", {"2026-01-01T00:00 schedule-install"}, NULL, FALSE},
    {"opstower-serve", "2026-04-20T12:59", {"2026-01-01T00:00 schedule-install"}, NULL, FALSE},
};

static json_t *record_of(const char *words)
{
    g_auto(GStrv) parts = g_strsplit(words, " ", 3);
    g_autofree char *time = g_strconcat(parts[0], ":00+00:00", NULL);
    json_t *record = json_pack("{ss ss ss}", "time", time, "act", parts[1], "result", "ok");
    const char *what = parts[2];
    if (what && g_str_has_prefix(what, "opstower"))
        json_object_set_new(record, "job", json_string(what));
    else if (g_str_equal(parts[1], "verify"))
        json_object_update_new(record, json_pack("{sb ss}", "full_test", what != NULL, "place",
                                                 g_strcmp0(what, "s3") == 0 ? "s3" : "local"));
    return record;
}

static void free_json(gpointer json)
{
    json_decref(json);
}

static void test_missed(void)
{
    g_setenv("TZ", "UTC", TRUE);
    tzset();
    for (gsize i = 0; i < G_N_ELEMENTS(misses); i++) {
        g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(free_json);
        for (gsize k = 0; k < G_N_ELEMENTS(misses[i].records) && misses[i].records[k]; k++)
            g_ptr_array_add(records, record_of(misses[i].records[k]));
        struct schedule_request q = {.kind = SCHEDULE_CRON_FILE, .bucket = misses[i].bucket};
        g_test_message("case %u: %s at %s", (guint)i, misses[i].job, misses[i].now);
        g_assert_cmpint(catchup_missed(&q, find(misses[i].job), records, at(misses[i].now)), ==,
                        misses[i].missed ? at(misses[i].missed) : 0);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schedule/next", test_next);
    g_test_add_func("/schedule/chain", test_a_chain);
    g_test_add_func("/schedule/last", test_last);
    g_test_add_func("/schedule/missed", test_missed);
    return g_test_run();
}
