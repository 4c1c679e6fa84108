/*
 * Tests of the checks of when backups were taken: each threshold from both sides and at it.
 */
#include "health_world.h"

/* ---- age ---- */

static void test_age_thresholds(void)
{
    static const struct {
        gint64 age;
        enum health_verdict expected;
    } cases[] = {
        {0, HEALTH_OK},
        {HOUR - 1, HEALTH_OK},
        {HOUR, HEALTH_OK},
        {HOUR + 1, HEALTH_OK},
        {2 * HOUR - 1, HEALTH_OK},
        {2 * HOUR, HEALTH_OK},
        {2 * HOUR + 1, HEALTH_WARNING},
        {4 * HOUR - 1, HEALTH_WARNING},
        {4 * HOUR, HEALTH_WARNING},
        {4 * HOUR + 1, HEALTH_CRITICAL},
        {5 * HOUR, HEALTH_CRITICAL},
        {48 * HOUR, HEALTH_CRITICAL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        add_backup(&w, cases[i].age, META_VERIFIED, "hourly");
        assert_verdict(&w, health_check_age, cases[i].expected);
        g_assert_cmpint(w.numbers.newest_at, ==, NOW - cases[i].age);
        world_clear(&w);
    }
}

/* What does not count as a backup of the present: an empty folder is critical, and so are these. */
static void test_age_counts_good_ones_only(void)
{
    static const struct {
        gint64 age;
        enum meta_state state;
        const char *type;
        enum health_verdict expected;
    } cases[] = {
        {60, META_UNVERIFIED, "hourly", HEALTH_CRITICAL},
        {60, META_FAILED, "hourly", HEALTH_CRITICAL},
        {60, META_VERIFIED, "pre-restore", HEALTH_CRITICAL},
        {-HOUR, META_PROVEN, "hourly", HEALTH_CRITICAL},
        {60, META_PROVEN, "manual", HEALTH_OK},
    };
    struct world w;
    world_init(&w);
    assert_verdict(&w, health_check_age, HEALTH_CRITICAL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_ptr_array_set_size(w.data.backups, 0);
        add_backup(&w, cases[i].age, cases[i].state, cases[i].type);
        assert_verdict(&w, health_check_age, cases[i].expected);
    }
    world_clear(&w);
}

static void test_limits_follow_the_target(void)
{
    struct health_limits l = health_fill_limits((struct health_limits){.rpo_minutes = 1440});
    g_assert_cmpint(l.age_warning_minutes, ==, 2880);
    g_assert_cmpint(l.age_critical_minutes, ==, 5760);
    l = health_fill_limits((struct health_limits){.rpo_minutes = 1440, .age_warning_minutes = 1500});
    g_assert_cmpint(l.age_warning_minutes, ==, 1500);
}

/* ---- success rate ---- */

/* 200 runs, failed of them not good, spread over 7 days so that none is missing. */
static void add_runs(struct world *w, guint failed)
{
    w->data.limits.rpo_minutes = 50;
    for (guint i = 200; i-- > 0;)
        add_line(w, "backup", i * 50 * MINUTE, i < failed ? 7 : 0);
}

static void test_success_thresholds(void)
{
    static const struct {
        guint failed;
        double rate;
        enum health_verdict expected;
    } cases[] = {{0, 100, HEALTH_OK},        {1, 99.5, HEALTH_OK},       {9, 95.5, HEALTH_OK},     {10, 95, HEALTH_OK},
                 {11, 94.5, HEALTH_WARNING}, {199, 0.5, HEALTH_WARNING}, {200, 0, HEALTH_CRITICAL}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        add_runs(&w, cases[i].failed);
        struct health_check c = run(&w, health_check_success);
        g_assert_cmpfloat_with_epsilon(c.number, cases[i].rate, 1e-9);
        g_assert_cmpint(c.verdict, ==, cases[i].expected);
        drop(&c);
        world_clear(&w);
    }
}

/* The scheduler stopped: nothing fails, nothing succeeds. */
static void test_missing_runs_count(void)
{
    struct world w;
    world_init(&w);
    assert_verdict(&w, health_check_success, HEALTH_CRITICAL);
    for (int hour = 168; hour >= 48; hour--)
        add_line(&w, "backup", hour * HOUR, 0);
    struct health_check c = run(&w, health_check_success);
    g_assert_cmpint(c.verdict, ==, HEALTH_WARNING);
    g_assert_cmpint(w.numbers.runs_failed, ==, 47);
    drop(&c);
    world_clear(&w);
}

/* Runs end some minutes after the hour, now more, now fewer: none of that is a missed run. */
static void test_jitter_misses_nothing(void)
{
    struct world w;
    world_init(&w);
    for (int hour = 200; hour >= 0; hour--)
        add_line(&w, "backup", hour * HOUR + (hour % 3) * 9 * MINUTE, 0);
    struct health_check c = run(&w, health_check_success);
    g_assert_cmpfloat(c.number, ==, 100);
    drop(&c);
    world_clear(&w);
}

static void test_which_lines_are_runs(void)
{
    struct world w;
    world_init(&w);
    add_line(&w, "backup", HOUR, OT_UPLOAD);
    add_line(&w, "backup", HOUR / 2, OT_BUSY);
    add_line(&w, "verify", 30, OT_CORRUPT);
    add_line(&w, "backup", 20, 0);
    struct health_check c = run(&w, health_check_success);
    g_assert_cmpfloat(c.number, ==, 100);
    g_assert_cmpint(w.numbers.runs_ok, ==, 2);
    drop(&c);
    world_clear(&w);
}

/* ---- RPO ---- */

static void test_rpo_thresholds(void)
{
    static const struct {
        gint64 gap;
        enum health_verdict expected;
    } cases[] = {{HOUR - 1, HEALTH_OK},
                 {HOUR, HEALTH_OK},
                 {HOUR + 10 * MINUTE, HEALTH_OK},
                 {HOUR + 10 * MINUTE + 1, HEALTH_WARNING},
                 {5 * HOUR, HEALTH_WARNING}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        add_backup(&w, MINUTE, META_VERIFIED, "hourly");
        add_backup(&w, MINUTE + cases[i].gap, META_VERIFIED, "hourly");
        struct health_check c = run(&w, health_check_rpo);
        g_assert_cmpint(c.verdict, ==, cases[i].expected);
        g_assert_cmpfloat(c.number, ==, (double)cases[i].gap);
        drop(&c);
        world_clear(&w);
    }
}

static void test_rpo_without_backup(void)
{
    struct world w;
    world_init(&w);
    assert_verdict(&w, health_check_rpo, HEALTH_CRITICAL);
    add_backup(&w, MINUTE, META_VERIFIED, "pre-restore");
    assert_verdict(&w, health_check_rpo, HEALTH_CRITICAL);
    world_clear(&w);
}

/* ---- the clock ---- */

static void test_clock(void)
{
    struct world w;
    world_init(&w);
    assert_verdict(&w, health_check_clock, HEALTH_OK);
    add_backup(&w, -HEALTH_CLOCK_SLACK_S, META_VERIFIED, "hourly");
    assert_verdict(&w, health_check_clock, HEALTH_OK);
    add_line(&w, "backup", -HEALTH_CLOCK_SLACK_S - 1, 0);
    assert_verdict(&w, health_check_clock, HEALTH_WARNING);
    world_clear(&w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/health/age_thresholds", test_age_thresholds);
    g_test_add_func("/health/age_counts_good_ones_only", test_age_counts_good_ones_only);
    g_test_add_func("/health/limits_follow_the_target", test_limits_follow_the_target);
    g_test_add_func("/health/success_thresholds", test_success_thresholds);
    g_test_add_func("/health/missing_runs_count", test_missing_runs_count);
    g_test_add_func("/health/jitter_misses_nothing", test_jitter_misses_nothing);
    g_test_add_func("/health/which_lines_are_runs", test_which_lines_are_runs);
    g_test_add_func("/health/rpo_thresholds", test_rpo_thresholds);
    g_test_add_func("/health/rpo_without_backup", test_rpo_without_backup);
    g_test_add_func("/health/clock", test_clock);
    return g_test_run();
}
