/*
 * Tests of the checks of copies in S3: uploaded, pending, gone, S3 that does not answer. S3 itself is not asked here.
 */
#include "health_world.h"

static const struct offsite somewhere; /* that there is one is all that the checks look at */

static struct catalog_entry *add_copy(struct world *w, gint64 age, const char *state)
{
    struct catalog_entry *e = add_backup(w, age, META_VERIFIED, "hourly");
    if (state)
        meta_set_s3_text(e->meta, "state", state);
    return e;
}

static void see(struct catalog_entry *e, guint64 size)
{
    e->object = g_new0(struct catalog_object, 1);
    e->object->size_bytes = size;
    e->object->has_meta = TRUE;
}

static void assert_absent(const struct world *w, check_function check)
{
    struct health_check c = {.unit = ""};
    g_assert_false(check(&w->data, &c));
    drop(&c);
}

static void test_without_a_bucket(void)
{
    struct world w;
    world_init(&w);
    add_copy(&w, HOUR, NULL);
    add_copy(&w, 7 * DAY + 1, "uploaded");
    assert_absent(&w, health_check_upload);
    assert_absent(&w, health_check_copies);
    add_copy(&w, 7 * DAY, "uploaded");
    assert_verdict(&w, health_check_upload, HEALTH_WARNING);
    world_clear(&w);
}

static void test_upload_rate(void)
{
    static const struct {
        const char *states[3]; /* of an hour, two, eight days ago */
        enum health_verdict expected;
        gint64 pending;
    } cases[] = {
        {{"uploaded", "uploaded", "uploaded"}, HEALTH_OK, 0},
        {{"uploaded", "pending", "uploaded"}, HEALTH_WARNING, 1},
        {{"uploaded", "uploaded", "pending"}, HEALTH_WARNING, 1},
        {{"uploaded", NULL, NULL}, HEALTH_OK, 0},
        {{NULL, NULL, "uploaded"}, HEALTH_CRITICAL, 0},
        {{"pending", "pending", "pending"}, HEALTH_CRITICAL, 3},
        {{NULL, NULL, NULL}, HEALTH_CRITICAL, 0},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        w.request.offsite = &somewhere;
        const gint64 ages[] = {7 * HOUR, 8 * HOUR, 8 * DAY};
        for (gsize k = 0; k < 3; k++)
            add_copy(&w, ages[k], cases[i].states[k]);
        assert_verdict(&w, health_check_upload, cases[i].expected);
        g_assert_cmpint(w.numbers.pending_copies, ==, cases[i].pending);
        world_clear(&w);
    }
}

/* The newest good copy in S3 may be a day old. */
static void test_newest_copy(void)
{
    struct world w;
    world_init(&w);
    w.request.offsite = &somewhere;
    add_copy(&w, DAY, "uploaded");
    assert_verdict(&w, health_check_upload, HEALTH_OK);
    g_ptr_array_set_size(w.data.backups, 0);
    add_copy(&w, DAY + 1, "uploaded");
    assert_verdict(&w, health_check_upload, HEALTH_CRITICAL);
    world_clear(&w);
}

/* Taken once a day, week or month: no check has an hour of its own that does not move with that. */
static void test_seldom(void)
{
    static const int days[] = {1, 7, 30};
    static const check_function checks[] = {health_check_age, health_check_rpo, health_check_success,
                                            health_check_upload};
    for (gsize i = 0; i < G_N_ELEMENTS(days); i++) {
        struct world w;
        world_init(&w);
        w.request.offsite = &somewhere;
        w.data.limits = health_fill_limits((struct health_limits){.rpo_minutes = days[i] * 24 * 60});
        gint64 late = HOUR + 5 * MINUTE; /* clocks were put back, and the next has just begun */
        for (int back = 0; back < 3; back++)
            add_copy(&w, late + (1 + back) * days[i] * DAY, "uploaded");
        for (int back = 3; back-- > 0;)
            add_line(&w, "backup", late + (1 + back) * days[i] * DAY, 0);
        for (gsize k = 0; k < G_N_ELEMENTS(checks); k++)
            assert_verdict(&w, checks[k], HEALTH_OK);
        w.data.now += 4 * days[i] * DAY;
        assert_verdict(&w, health_check_upload, HEALTH_CRITICAL);
        world_clear(&w);
    }
}

/* A backup is published before its last parts are up: while its run has not ended, it is not a failed upload. */
static void test_upload_under_way(void)
{
    struct world w;
    world_init(&w);
    w.request.offsite = &somewhere;
    struct catalog_entry *e = add_copy(&w, 60, "pending");
    add_copy(&w, HOUR, "uploaded");
    assert_verdict(&w, health_check_upload, HEALTH_OK);
    json_object_set_new(add_line(&w, "backup", 30, OT_UPLOAD), "id", json_string(e->id));
    assert_verdict(&w, health_check_upload, HEALTH_WARNING);
    world_clear(&w);
}

/* ---- what is there ---- */

static void test_missing_copies(void)
{
    struct world w;
    world_init(&w);
    w.request.offsite = &somewhere;
    w.data.s3_looked = TRUE;
    struct catalog_entry *e = add_copy(&w, 60, "uploaded");
    see(e, 1000);
    add_copy(&w, HOUR, NULL);
    add_copy(&w, HOUR, "pending");
    assert_verdict(&w, health_check_copies, HEALTH_OK);
    g_assert_cmpint(w.numbers.s3_backups, ==, 1);
    g_assert_cmpint(w.numbers.s3_bytes, ==, 1000);
    e->object->size_bytes = 999;
    assert_verdict(&w, health_check_copies, HEALTH_CRITICAL);
    e->object->size_bytes = 1000;
    add_copy(&w, DAY, "uploaded");
    assert_verdict(&w, health_check_copies, HEALTH_CRITICAL);
    g_assert_cmpint(w.numbers.missing_copies, ==, 1);
    world_clear(&w);
}

/* What retention deleted there, here or on another host, is not missing. */
static void test_expired_copies(void)
{
    static const struct {
        gint64 age;
        const char *state, *type;
        enum health_verdict expected;
    } cases[] = {{DAY, "expired", "hourly", HEALTH_OK},
                 {90 * DAY, "uploaded", "hourly", HEALTH_CRITICAL},
                 {90 * DAY + 1, "uploaded", "hourly", HEALTH_OK},
                 {90 * DAY + 1, "uploaded", "pre-deployment", HEALTH_CRITICAL},
                 {180 * DAY + 1, "uploaded", "pre-deployment", HEALTH_OK}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        w.request.offsite = &somewhere;
        w.data.s3_looked = TRUE;
        struct catalog_entry *e = add_backup(&w, cases[i].age, META_VERIFIED, cases[i].type);
        meta_set_s3_text(e->meta, "state", cases[i].state);
        assert_verdict(&w, health_check_copies, cases[i].expected);
        g_assert_cmpint(w.numbers.s3_backups, ==, 0);
        world_clear(&w);
    }
}

static void test_s3_does_not_answer(void)
{
    struct world w;
    world_init(&w);
    w.request.offsite = &somewhere;
    w.data.s3_problem = (char *)"S3 is down";
    add_copy(&w, 60, "uploaded");
    struct health_check c = run(&w, health_check_copies);
    g_assert_cmpint(c.verdict, ==, HEALTH_WARNING);
    g_assert_cmpstr(c.value, ==, "S3 is down");
    drop(&c);
    w.data.s3_problem = NULL;
    w.request.look_away = TRUE;
    assert_verdict(&w, health_check_copies, HEALTH_UNKNOWN);
    world_clear(&w);
}

/* A bucket is set, but no client can be made of the settings: it still counts as set. */
static void test_bucket_that_cannot_be_used(void)
{
    struct world w;
    world_init(&w);
    w.request.s3_problem = "no credentials";
    w.data.s3_problem = (char *)"no credentials";
    add_copy(&w, 60, NULL);
    assert_verdict(&w, health_check_copies, HEALTH_WARNING);
    assert_verdict(&w, health_check_upload, HEALTH_CRITICAL);
    world_clear(&w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/health_copies/without_a_bucket", test_without_a_bucket);
    g_test_add_func("/health_copies/upload_rate", test_upload_rate);
    g_test_add_func("/health_copies/newest_copy", test_newest_copy);
    g_test_add_func("/health/copies of seldom backups", test_seldom);
    g_test_add_func("/health_copies/upload_under_way", test_upload_under_way);
    g_test_add_func("/health_copies/missing_copies", test_missing_copies);
    g_test_add_func("/health_copies/expired_copies", test_expired_copies);
    g_test_add_func("/health_copies/s3_does_not_answer", test_s3_does_not_answer);
    g_test_add_func("/health_copies/bucket_that_cannot_be_used", test_bucket_that_cannot_be_used);
    return g_test_run();
}
