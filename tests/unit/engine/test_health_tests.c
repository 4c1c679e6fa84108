/*
 * Tests of the checks of what was tried: verification, full test, drill, RTO; each threshold from both sides and at it.
 */
#include "health_world.h"

static json_t *add_verify(struct world *w, gint64 age, int code, gboolean full, const char *place)
{
    json_t *line = add_line(w, "verify", age, code);
    json_object_set_new(line, "full_test", json_boolean(full));
    json_object_set_new(line, "place", json_string(place));
    json_object_set_new(line, "duration_seconds", json_integer(60));
    return line;
}

static void test_ages(void)
{
    static const struct {
        check_function check;
        int warning_days, critical_days;
    } cases[] = {{health_check_verified, 8, 15}, {health_check_full_test, 36, 70}, {health_check_drill, 100, 190}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const struct {
            gint64 age;
            enum health_verdict expected;
        } ages[] = {{0, HEALTH_OK},
                    {cases[i].warning_days * DAY - 1, HEALTH_OK},
                    {cases[i].warning_days * DAY, HEALTH_OK},
                    {cases[i].warning_days * DAY + 1, HEALTH_WARNING},
                    {cases[i].critical_days * DAY - 1, HEALTH_WARNING},
                    {cases[i].critical_days * DAY, HEALTH_WARNING},
                    {cases[i].critical_days * DAY + 1, HEALTH_CRITICAL}};
        for (gsize k = 0; k < G_N_ELEMENTS(ages); k++) {
            struct world w;
            world_init(&w);
            add_verify(&w, ages[k].age, 0, TRUE, "s3");
            assert_verdict(&w, cases[i].check, ages[k].expected);
            world_clear(&w);
        }
    }
}

static void test_never_is_not_ok(void)
{
    static const check_function checks[] = {health_check_verified, health_check_full_test, health_check_drill,
                                            health_check_rto, health_check_rto_predicted};
    for (gsize i = 0; i < G_N_ELEMENTS(checks); i++) {
        struct world w;
        world_init(&w);
        assert_verdict(&w, checks[i], HEALTH_WARNING);
        add_verify(&w, -HOUR, 0, TRUE, "s3"); /* in the future */
        assert_verdict(&w, checks[i], HEALTH_WARNING);
        world_clear(&w);
    }
}

/* A plain verification is no full test, and a full test of what is here is no drill where there is a bucket. */
static void test_what_counts_as_what(void)
{
    static const struct offsite somewhere;
    struct world w;
    world_init(&w);
    w.request.offsite = &somewhere;
    add_verify(&w, HOUR, 0, FALSE, "local");
    assert_verdict(&w, health_check_verified, HEALTH_OK);
    assert_verdict(&w, health_check_full_test, HEALTH_WARNING);
    add_verify(&w, HOUR, 0, TRUE, "local");
    assert_verdict(&w, health_check_full_test, HEALTH_OK);
    assert_verdict(&w, health_check_drill, HEALTH_WARNING);
    w.request.offsite = NULL;
    assert_verdict(&w, health_check_drill, HEALTH_OK);
    w.request.s3_problem = "no credentials";
    assert_verdict(&w, health_check_drill, HEALTH_WARNING);
    add_line(&w, "drill", HOUR, 0);
    assert_verdict(&w, health_check_drill, HEALTH_OK);
    world_clear(&w);
}

/* A failure after a good one is told until the next good one; damage is worse than a test that could not be made. */
static void test_failures(void)
{
    static const struct {
        int code;
        enum health_verdict expected;
    } cases[] = {{OT_CORRUPT, HEALTH_CRITICAL}, {OT_MISMATCH, HEALTH_CRITICAL}, {OT_SPACE, HEALTH_WARNING}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        add_verify(&w, DAY, 0, FALSE, "local");
        add_verify(&w, HOUR, cases[i].code, FALSE, "local");
        assert_verdict(&w, health_check_verified, cases[i].expected);
        add_verify(&w, 60, 0, FALSE, "local");
        assert_verdict(&w, health_check_verified, HEALTH_OK);
        add_backup(&w, HOUR, META_FAILED, "hourly");
        assert_verdict(&w, health_check_verified, HEALTH_WARNING);
        world_clear(&w);
    }
}

/* ---- RTO ---- */

static void set_seconds(json_t *line, json_int_t seconds)
{
    json_object_set_new(line, "duration_seconds", json_integer(seconds));
}

/* 4 h, of which people take half an hour. */
static void test_rto_thresholds(void)
{
    static const struct {
        int seconds;
        enum health_verdict expected;
    } cases[] = {{0, HEALTH_OK},
                 {4 * HOUR - 30 * MINUTE - 1, HEALTH_OK},
                 {4 * HOUR - 30 * MINUTE, HEALTH_OK},
                 {4 * HOUR - 30 * MINUTE + 1, HEALTH_WARNING}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        set_seconds(add_line(&w, "restore", DAY, 0), cases[i].seconds);
        assert_verdict(&w, health_check_rto, cases[i].expected);
        world_clear(&w);
    }
}

static void test_what_measures_a_restore(void)
{
    struct world w;
    world_init(&w);
    add_verify(&w, HOUR, 0, FALSE, "local");
    add_line(&w, "restore", HOUR, OT_RESTORE);
    json_object_set_new(add_line(&w, "restore", HOUR, 0), "only_tables", json_string("a"));
    assert_verdict(&w, health_check_rto, HEALTH_WARNING);
    json_t *line = add_line(&w, "restore", HOUR, 0);
    set_seconds(line, 100 * HOUR); /* somebody went to lunch before confirming */
    json_object_set_new(line, "phases", json_pack("{sf sf}", "load", 600.5, "compare", 299.5));
    struct health_check c = run(&w, health_check_rto);
    g_assert_cmpfloat(c.number, ==, 900 + 30 * MINUTE);
    drop(&c);
    world_clear(&w);
}

/* A restore of 1000 bytes took an hour: how long would that of now take? */
static void test_rto_predicted(void)
{
    static const struct {
        gint64 bytes;
        enum health_verdict expected;
    } cases[] = {{500, HEALTH_OK}, {3500, HEALTH_OK}, {3501, HEALTH_WARNING}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        struct catalog_entry *tested = add_backup(&w, DAY, META_PROVEN, "hourly");
        tested->meta->plain_bytes = 1000;
        json_t *line = add_verify(&w, DAY, 0, TRUE, "local");
        json_object_set_new(line, "id", json_string(tested->id));
        set_seconds(line, HOUR);
        w.numbers.plain_bytes = cases[i].bytes;
        struct health_check c = run(&w, health_check_rto_predicted);
        g_assert_cmpint(c.verdict, ==, cases[i].expected);
        g_assert_cmpfloat_with_epsilon(c.number, (double)cases[i].bytes / 1000 * HOUR + 30 * MINUTE, 1e-6);
        drop(&c);
        world_clear(&w);
    }
}

/* ---- one cause ---- */

static const check_function judged_by_backups[] = {
    health_check_success, health_check_rpo,    health_check_rto,      health_check_rto_predicted,
    health_check_size,    health_check_rows,   health_check_verified, health_check_full_test,
    health_check_drill,   health_check_upload,
};

static void assert_cause(const struct world *w, check_function check, const char *expected)
{
    struct health_check c = run(w, check);
    g_assert_cmpint(c.verdict, !=, HEALTH_OK);
    g_assert_cmpstr(c.cause, ==, expected);
    drop(&c);
}

/* Without any good backup each is bad for that alone; the check of the age is bad by itself. */
static void test_no_backup_is_one_cause(void)
{
    struct world w;
    world_init(&w);
    w.request.s3_problem = "not asked";
    for (gsize i = 0; i < G_N_ELEMENTS(judged_by_backups); i++)
        assert_cause(&w, judged_by_backups[i], "backup_age");
    assert_cause(&w, health_check_age, NULL);
    add_backup(&w, 60, META_UNVERIFIED, "hourly");
    for (gsize i = 0; i < G_N_ELEMENTS(judged_by_backups); i++)
        assert_cause(&w, judged_by_backups[i], "backup_age");
    add_backup(&w, 9 * DAY, META_VERIFIED, "hourly");
    for (gsize i = 0; i < G_N_ELEMENTS(judged_by_backups); i++)
        assert_cause(&w, judged_by_backups[i], NULL);
    world_clear(&w);
}

/* What did go wrong is told for itself, though there is no good backup either. */
static void test_failures_are_causes_of_their_own(void)
{
    struct world w;
    world_init(&w);
    w.request.s3_problem = "not asked";
    add_line(&w, "backup", HOUR, OT_CONNECT);
    add_line(&w, "verify", HOUR, OT_CORRUPT);
    struct catalog_entry *e = add_backup(&w, 12 * HOUR, META_UNVERIFIED, "hourly");
    e->meta->s3 = json_pack("{ss}", "state", "pending");
    assert_cause(&w, health_check_success, NULL);
    assert_cause(&w, health_check_verified, NULL);
    assert_cause(&w, health_check_upload, NULL);
    assert_cause(&w, health_check_full_test, "backup_age");
    world_clear(&w);
    world_init(&w);
    add_backup(&w, HOUR, META_FAILED, "hourly");
    assert_cause(&w, health_check_verified, NULL);
    world_clear(&w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/health_tests/ages", test_ages);
    g_test_add_func("/health_tests/never_is_not_ok", test_never_is_not_ok);
    g_test_add_func("/health_tests/what_counts_as_what", test_what_counts_as_what);
    g_test_add_func("/health_tests/failures", test_failures);
    g_test_add_func("/health_tests/rto_thresholds", test_rto_thresholds);
    g_test_add_func("/health_tests/what_measures_a_restore", test_what_measures_a_restore);
    g_test_add_func("/health_tests/rto_predicted", test_rto_predicted);
    g_test_add_func("/health_tests/no_backup_is_one_cause", test_no_backup_is_one_cause);
    g_test_add_func("/health_tests/failures_are_causes_of_their_own", test_failures_are_causes_of_their_own);
    return g_test_run();
}
