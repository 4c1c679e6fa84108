/*
 * Tests of sizes, durations and times as text: tables of values and what a person must read.
 */
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define K ((guint64)1024)
#define M (K * 1024)
#define G (M * 1024)
#define T (G * 1024)

static const struct {
    guint64 bytes;
    const char *suffix, *expected;
} sizes[] = {
    {0, "", "0"},
    {12, "B", "12B"},
    {1023, "", "1023"},
    {1024, "", "1K"},
    {K + 512, "", "1.5K"},
    {9 * K + 922, "", "9.9K"},
    {10 * K, "", "10K"},
    {10 * K + 100, "", "10K"},
    {999 * K, "", "999K"},
    {1023 * K, "", "1023K"},
    {M, "", "1M"},
    {245 * M, "", "245M"},
    {5 * G, "B", "5GB"},
    {2 * G, "B", "2GB"},
    {5 * G / 2, "B", "2.5GB"},
    {3 * T, "", "3T"},
    {1100 * T, "", "1.1P"},
    {G_MAXUINT64, "B", "16EB"},
};

static void test_size(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *text = text_size(sizes[i].bytes, sizes[i].suffix);
        g_assert_cmpstr(text, ==, sizes[i].expected);
    }
}

/* As PostgreSQL 15 answers to SELECT pg_size_pretty(...). */
static const struct {
    guint64 bytes;
    const char *expected;
} pretty[] = {
    {0, "0 bytes"},      {8192, "8192 bytes"}, {10239, "10239 bytes"},
    {10240, "10 kB"},    {10 * M, "10 MB"},    {10 * M - 1024, "10239 kB"},
    {245 * M, "245 MB"}, {10 * G, "10 GB"},    {9 * G + G / 2, "9728 MB"},
    {10 * T, "10 TB"},
};

static void test_size_pretty(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(pretty); i++) {
        g_autofree char *text = text_size_pretty(pretty[i].bytes);
        g_assert_cmpstr(text, ==, pretty[i].expected);
    }
}

static const struct {
    gint64 seconds;
    const char *expected;
} durations[] = {
    {0, "0 s"},
    {7, "7 s"},
    {59, "59 s"},
    {60, "1 min 0 s"},
    {245, "4 min 5 s"},
    {3599, "59 min 59 s"},
    {3600, "1 h 0 min"},
    {11520, "3 h 12 min"},
    {86399, "23 h 59 min"},
    {86400, "1 d 0 h"},
    {187200, "2 d 4 h"},
    {86400 * 4000LL, "4000 d 0 h"},
};

static void test_duration(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(durations); i++) {
        g_autofree char *text = text_duration(durations[i].seconds);
        g_assert_cmpstr(text, ==, durations[i].expected);
    }
}

static void test_times(void)
{
    g_autofree char *stamp = text_timestamp(1770436800);
    g_autofree char *iso = text_iso_time(1770436800);
    g_assert_cmpstr(stamp, ==, "20260207_120000");
    g_assert_cmpstr(iso, ==, "2026-02-07T12:00:00+08:00");
}

/* Every fifth hour of three years: a timestamp leads back to its second. */
static void test_round_trip(void)
{
    for (gint64 at = 1704067200; at < 1704067200 + 3 * 366 * 86400LL; at += 5 * 3600 + 7) {
        g_autofree char *text = text_timestamp(at);
        gint64 back = 0;
        g_assert_true(text_parse_timestamp(text, &back));
        g_assert_cmpint(back, ==, at);
    }
}

static const char *const wrong_timestamps[] = {
    "",
    "20260207",
    "20260207120000",
    "20260207_12000",
    "20260207_1200000",
    "20260207-120000",
    "2026020a_120000",
    "20261307_120000",
    "20260230_120000",
    "20260207_240000",
    "20260207_126000",
    "20260207_120060",
    " 0260207_120000",
    "+0260207_120000",
    "20260200_120000",
    "20260007_120000",
    "2026_207_120000",
};

static void test_wrong_timestamps(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(wrong_timestamps); i++) {
        gint64 at = 42;
        g_assert_false(text_parse_timestamp(wrong_timestamps[i], &at));
        g_assert_cmpint(at, ==, 42);
    }
}

static void test_dates(void)
{
    static const struct {
        const char *http, *iso;
        gint64 expected; /* -1: is no date */
    } dates[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T01:00:00+01:00", 0},
        {"Sun, 31 Feb 2027 00:00:00 GMT", "2027-02-31T00:00:00Z", -1},
        {"Sun, 06 Nop 1994 08:49:37 GMT", "1994-11-06", -1},
        {"yesterday", "yesterday", -1},
        {"", "", -1},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(dates); i++) {
        gint64 http = -1, iso = -1;
        g_assert_cmpint(text_parse_http_date(dates[i].http, &http), ==, dates[i].expected >= 0);
        g_assert_cmpint(text_parse_iso_time(dates[i].iso, &iso), ==, dates[i].expected >= 0);
        g_assert_cmpint(http, ==, dates[i].expected);
        g_assert_cmpint(iso, ==, dates[i].expected);
    }
}

int main(int argc, char **argv)
{
    setenv("TZ", "Asia/Manila", 1); /* no summer time: every timestamp names one second */
    tzset();
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/text/size", test_size);
    g_test_add_func("/text/size_pretty", test_size_pretty);
    g_test_add_func("/text/duration", test_duration);
    g_test_add_func("/text/times", test_times);
    g_test_add_func("/text/round_trip", test_round_trip);
    g_test_add_func("/text/wrong_timestamps", test_wrong_timestamps);
    g_test_add_func("/text/dates", test_dates);
    return g_test_run();
}
