/*
 * Tests of holds: when one keeps a backup, what may be written for its reason and its end.
 */
#include "catalog/hold.h"

#include <string.h>

#include "base/text.h"

#define NOW 1770465600 /* 2026-02-07T12:00:00Z */

static struct meta *meta_with(const char *json)
{
    struct meta *m = g_new0(struct meta, 1);
    m->hold = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
    g_assert_true(!json || m->hold);
    return m;
}

/* Whatever cannot be read keeps the backup. */
static void test_active(void)
{
    static const struct {
        const char *hold;
        gboolean active;
    } cases[] = {
        {NULL, FALSE},
        {"{\"reason\": \"x\", \"until\": null}", TRUE},
        {"{\"reason\": \"x\"}", TRUE},
        {"{\"until\": \"2026-02-07T12:00:01Z\"}", TRUE},
        {"{\"until\": \"2026-02-07T12:00:00Z\"}", TRUE},
        {"{\"until\": \"2026-02-07T11:59:59Z\"}", FALSE},
        {"{\"until\": \"2026-02-07T20:00:00+08:00\"}", TRUE},
        {"{\"until\": \"2026-02-07T19:59:59+08:00\"}", FALSE},
        {"{\"until\": \"2026-02-07T11:59:59\"}", TRUE}, /* of which zone? */
        {"{\"until\": \"2020-01-01\"}", TRUE},
        {"{\"until\": \"yesterday\"}", TRUE},
        {"{\"until\": \"\"}", TRUE},
        {"{\"until\": 1}", TRUE},
        {"{}", TRUE},
        {"[]", TRUE},
        {"\"no\"", TRUE},
        {"false", TRUE},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(meta) m = meta_with(cases[i].hold);
        g_test_message("%s", cases[i].hold ? cases[i].hold : "none");
        g_assert_cmpint(hold_is_active(m, NOW), ==, cases[i].active);
    }
}

static void test_new(void)
{
    g_autoptr(meta) m = meta_with(NULL);
    m->hold = hold_new("audit \xe2\x82\xac", NOW + 60, NOW);
    g_assert_cmpstr(hold_text(m, "reason"), ==, "audit \xe2\x82\xac");
    g_assert_nonnull(strchr(hold_text(m, "by"), '@'));
    gint64 since = 0, until = 0;
    g_assert_true(text_parse_iso_time(hold_text(m, "since"), &since));
    g_assert_true(text_parse_iso_time(hold_text(m, "until"), &until));
    g_assert_cmpint(since, ==, NOW);
    g_assert_cmpint(until, ==, NOW + 60);
    g_assert_true(hold_is_active(m, NOW + 60));
    g_assert_false(hold_is_active(m, NOW + 61));
    g_autoptr(meta) endless = meta_with(NULL);
    endless->hold = hold_new("x", 0, NOW);
    g_assert_true(json_is_null(json_object_get(endless->hold, "until")));
    g_assert_true(hold_is_active(endless, G_MAXINT64));
}

static void test_reason(void)
{
    g_autofree char *longest = g_strnfill(HOLD_MAX_REASON, 'r');
    g_autofree char *too_long = g_strnfill(HOLD_MAX_REASON + 1, 'r');
    const char *good[] = {"audit", "case 12: \"x\", \xc3\xa4\xe2\x82\xac", longest};
    const char *bad[] = {"",     "  ",           "two\nlines", "tab\there", "bell\x07", "\x1b[31mred",
                         "\xff", "\xc2\x85next", too_long};
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_true(hold_check_reason(good[i], &error));
        g_assert_no_error(error);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(hold_check_reason(bad[i], &error));
        g_assert_error(error, OT_ERROR, OT_USAGE);
    }
}

/* The tests run with TZ=Asia/Manila, 8 hours ahead. */
static void test_until(void)
{
    static const struct {
        const char *text;
        gint64 until; /* 0: refused */
    } cases[] = {
        {"2026-02-07", 1770479999}, /* to the end of that day there */
        {"2026-02-08", 1770566399},
        {"2026-02-07T20:00:01", NOW + 1},
        {"2026-02-07T20:00:01+08:00", NOW + 1},
        {"2026-02-07T12:00:01Z", NOW + 1},
        {"20260207T120001Z", NOW + 1},
        {"2026-02-07T12:00:00Z", 0},
        {"2026-02-06", 0},
        {"1999-12-31", 0},
        {"2026-02-30", 0},
        {"2026-13-01", 0},
        {"2026-2-8", 0},
        {"08.02.2026", 0},
        {"tomorrow", 0},
        {"", 0},
        {"2027", 0},
        {"2026-02-08 ", 0},
        {"2026-W99", 0},
        {"\xff", 0},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        gint64 until = -1;
        g_test_message("%s", cases[i].text);
        gboolean ok = hold_parse_until(cases[i].text, NOW, &until, &error);
        g_assert_cmpint(ok, ==, cases[i].until != 0);
        g_assert_cmpint(until, ==, ok ? cases[i].until : -1);
        g_assert_true(ok || g_error_matches(error, OT_ERROR, OT_USAGE));
        g_assert_true(!error || g_utf8_validate(error->message, -1, NULL));
    }
}

/* A hold comes back from the metadata as it went in, an odd one too. */
static void test_round_trip(void)
{
    static const char text[] =
        "{\"timestamp\": \"20260207_120000\", \"date\": \"x\", \"database\": \"d\", \"host\": \"h\", \"port\": 1,"
        "\"backup_file\": \"d_20260207_120000.sql.gz\", \"backup_size\": \"1\", \"database_size\": \"1\","
        "\"table_count\": 0, \"postgresql_version\": \"p\", \"backup_script_version\": \"1\", \"retention_days\": 30,"
        "\"hold\": %s}";
    static const char *const holds[] = {"null", "{\"reason\": \"r\", \"until\": null, \"more\": [1]}", "\"odd\"", "[]"};
    for (gsize i = 0; i < G_N_ELEMENTS(holds); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *before = g_strdup_printf(text, holds[i]);
        g_autoptr(meta) m = meta_parse(before, strlen(before), "x", &error);
        g_assert_no_error(error);
        g_assert_cmpint(hold_is_active(m, NOW), ==, i > 0);
        g_autofree char *after = meta_print(m, &error);
        json_t *whole = json_loads(after, 0, NULL), *wanted = json_loads(holds[i], JSON_DECODE_ANY, NULL);
        g_assert_true(json_equal(json_object_get(whole, "hold"), wanted));
        json_decref(whole);
        json_decref(wanted);
    }
}

int main(int argc, char **argv)
{
    g_setenv("TZ", "Asia/Manila", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hold/active", test_active);
    g_test_add_func("/hold/new", test_new);
    g_test_add_func("/hold/reason", test_reason);
    g_test_add_func("/hold/until", test_until);
    g_test_add_func("/hold/round-trip", test_round_trip);
    return g_test_run();
}
