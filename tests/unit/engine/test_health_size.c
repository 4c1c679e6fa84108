/*
 * Tests of the checks of how much there is: each threshold from both sides and at it.
 */
#include "health_world.h"

static void set_size(struct catalog_entry *e, guint64 bytes)
{
    e->size_bytes = e->meta->size_bytes = bytes;
}

/* ---- size ---- */

static void test_size_thresholds(void)
{
    static const struct {
        guint64 size;
        double percent;
        enum health_verdict expected;
    } cases[] = {{1000, 0, HEALTH_OK},         {1299, 29.9, HEALTH_OK},   {1300, 30, HEALTH_OK},
                 {1301, 30.1, HEALTH_WARNING}, {701, -29.9, HEALTH_OK},   {700, -30, HEALTH_OK},
                 {699, -30.1, HEALTH_WARNING}, {0, -100, HEALTH_WARNING}, {9000, 800, HEALTH_WARNING}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        set_size(add_backup(&w, 60, META_VERIFIED, "hourly"), cases[i].size);
        for (int hour = 1; hour < 6; hour++)
            add_backup(&w, hour * HOUR, META_VERIFIED, "hourly");
        struct health_check c = run(&w, health_check_size);
        g_assert_cmpint(c.verdict, ==, cases[i].expected);
        g_assert_cmpfloat_with_epsilon(c.number, cases[i].percent, 1e-9);
        drop(&c);
        world_clear(&w);
    }
}

/* One odd backup among the others does not move the median, and one of another level is not compared. */
static void test_size_is_held_against_the_median(void)
{
    struct world w;
    world_init(&w);
    add_backup(&w, 60, META_VERIFIED, "hourly");
    set_size(add_backup(&w, HOUR, META_VERIFIED, "hourly"), 1000000);
    add_backup(&w, 2 * HOUR, META_VERIFIED, "hourly");
    add_backup(&w, 3 * HOUR, META_VERIFIED, "hourly");
    set_size(add_backup(&w, 4 * HOUR, META_VERIFIED, "hourly"), 1);
    assert_verdict(&w, health_check_size, HEALTH_OK);
    g_ptr_array_set_size(w.data.backups, 1);
    struct catalog_entry *other = add_backup(&w, HOUR, META_VERIFIED, "hourly");
    set_size(other, 10);
    assert_verdict(&w, health_check_size, HEALTH_WARNING);
    other->meta->level = g_strdup("9");
    assert_verdict(&w, health_check_size, HEALTH_UNKNOWN);
    world_clear(&w);
}

static void test_size_growth_is_shown(void)
{
    struct world w;
    world_init(&w);
    set_size(add_backup(&w, 0, META_VERIFIED, "hourly"), 12 << 20);
    set_size(add_backup(&w, DAY, META_VERIFIED, "hourly"), 11 << 20);
    set_size(add_backup(&w, 2 * DAY, META_VERIFIED, "hourly"), 10 << 20);
    set_size(add_backup(&w, 9 * DAY, META_VERIFIED, "hourly"), 1);
    struct health_check c = run(&w, health_check_size);
    g_assert_nonnull(strstr(c.value, "growth +1MB a day"));
    drop(&c);
    world_clear(&w);
}

static void test_nothing_to_compare_is_not_ok(void)
{
    struct world w;
    world_init(&w);
    assert_verdict(&w, health_check_size, HEALTH_CRITICAL);
    assert_verdict(&w, health_check_rows, HEALTH_CRITICAL);
    add_backup(&w, 60, META_VERIFIED, "hourly");
    add_backup(&w, 90, META_VERIFIED, "pre-restore");
    assert_verdict(&w, health_check_size, HEALTH_UNKNOWN);
    assert_verdict(&w, health_check_rows, HEALTH_UNKNOWN);
    world_clear(&w);
}

/* ---- rows ---- */

static void set_rows(struct catalog_entry *e, gint64 big, gint64 small)
{
    e->meta->tables = json_pack("[{ss ss sI} {ss ss sI} {ss ss sI} {ss ss sI}]", "schema", "public", "name", "users",
                                "rows", (json_int_t)5000, "schema", "public", "name", "payments", "rows",
                                (json_int_t)4000, "schema", "public", "name", "bookings", "rows", (json_int_t)big,
                                "schema", "public", "name", "queue", "rows", (json_int_t)small);
    if (small < 0)
        json_array_remove(e->meta->tables, 3);
}

static void test_row_loss_thresholds(void)
{
    static const struct {
        gint64 big, small; /* -1: gone */
        double percent;
        enum health_verdict expected;
    } cases[] = {
        {1000, 10, 0, HEALTH_OK},        {2000, 20, 0, HEALTH_OK},         {701, 10, 29.9, HEALTH_OK},
        {700, 10, 30, HEALTH_OK},        {699, 10, 30.1, HEALTH_CRITICAL}, {0, 10, 100, HEALTH_CRITICAL},
        {1000, 8, 20, HEALTH_OK},        {1000, 7, 30, HEALTH_OK},         {1000, 6, 40, HEALTH_WARNING},
        {1000, -1, 100, HEALTH_WARNING},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        set_rows(add_backup(&w, 60, META_VERIFIED, "hourly"), cases[i].big, cases[i].small);
        set_rows(add_backup(&w, HOUR, META_VERIFIED, "hourly"), 1000, 10);
        struct health_check c = run(&w, health_check_rows);
        g_assert_cmpint(c.verdict, ==, cases[i].expected);
        g_assert_cmpfloat_with_epsilon(c.number, cases[i].percent, 1e-9);
        drop(&c);
        world_clear(&w);
    }
}

/* A loss is told for a day, and not for longer. */
static void test_row_loss_lasts_a_day(void)
{
    struct world w;
    world_init(&w);
    set_rows(add_backup(&w, 0, META_VERIFIED, "hourly"), 10, 10);
    set_rows(add_backup(&w, HOUR, META_VERIFIED, "hourly"), 10, 10);
    set_rows(add_backup(&w, DAY, META_VERIFIED, "hourly"), 1000, 10);
    assert_verdict(&w, health_check_rows, HEALTH_CRITICAL);
    g_ptr_array_set_size(w.data.backups, 2);
    set_rows(add_backup(&w, DAY + 1, META_VERIFIED, "hourly"), 1000, 10);
    assert_verdict(&w, health_check_rows, HEALTH_OK);
    world_clear(&w);
}

/* Metadata of others, in the guide's form, has no tables: that is not the loss of all of them. */
static void test_no_tables_are_not_all_gone(void)
{
    struct world w;
    world_init(&w);
    add_backup(&w, 60, META_VERIFIED, "hourly");
    set_rows(add_backup(&w, HOUR, META_VERIFIED, "hourly"), 1000, 10);
    assert_verdict(&w, health_check_rows, HEALTH_UNKNOWN);
    world_clear(&w);
}

static void test_which_tables_may_lose_rows(void)
{
    static const struct {
        const char *ignore, *critical;
        enum health_verdict expected;
    } cases[] = {
        {NULL, NULL, HEALTH_CRITICAL},
        {"queue", NULL, HEALTH_CRITICAL},
        {"bookings", NULL, HEALTH_OK},
        {"public.bookings", NULL, HEALTH_OK},
        {"\"bookings\"", NULL, HEALTH_OK},
        {"public.b*", NULL, HEALTH_OK},
        {"other.bookings", NULL, HEALTH_CRITICAL},
        {NULL, "users", HEALTH_WARNING},
        {NULL, "bookings", HEALTH_CRITICAL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *ignore[] = {cases[i].ignore, NULL}, *critical[] = {cases[i].critical, NULL};
        struct world w;
        world_init(&w);
        w.request.row_loss_ignore = cases[i].ignore ? ignore : NULL;
        w.request.critical_tables = cases[i].critical ? critical : NULL;
        set_rows(add_backup(&w, 60, META_VERIFIED, "hourly"), 0, 10);
        set_rows(add_backup(&w, HOUR, META_VERIFIED, "hourly"), 1000, 10);
        assert_verdict(&w, health_check_rows, cases[i].expected);
        world_clear(&w);
    }
}

/* ---- the disk ---- */

/* 1000 bytes a day for 20 days, nothing deleted yet. */
static void test_disk_thresholds(void)
{
    static const struct {
        gint64 free;
        enum health_verdict expected;
    } cases[] = {{-1, HEALTH_UNKNOWN},    {999, HEALTH_CRITICAL}, {2999, HEALTH_CRITICAL}, {3000, HEALTH_WARNING},
                 {13999, HEALTH_WARNING}, {14000, HEALTH_OK},     {1000000, HEALTH_OK}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct world w;
        world_init(&w);
        w.data.free_bytes = cases[i].free;
        for (int day = 0; day < 20; day++)
            add_backup(&w, day * DAY + HOUR, META_VERIFIED, "hourly");
        assert_verdict(&w, health_check_disk, cases[i].expected);
        g_assert_cmpint(w.numbers.local_backups, ==, 20);
        g_assert_cmpint(w.numbers.local_bytes, ==, 20000);
        world_clear(&w);
    }
}

/* What is added is deleted again at the other end: no forecast, but one more backup must fit. */
static void test_disk_in_balance(void)
{
    struct world w;
    world_init(&w);
    w.data.free_bytes = 1000;
    for (int day = 0; day < 30; day++)
        add_backup(&w, day * DAY + HOUR, META_VERIFIED, "hourly");
    assert_verdict(&w, health_check_disk, HEALTH_OK);
    w.data.free_bytes = 999;
    assert_verdict(&w, health_check_disk, HEALTH_CRITICAL);
    world_clear(&w);
}

/* Types that stay longer leave later. */
static void test_disk_knows_the_types(void)
{
    struct world w;
    world_init(&w);
    w.data.free_bytes = 13000;
    for (int day = 0; day < 30; day++)
        add_backup(&w, day * DAY + HOUR, META_VERIFIED, "pre-maintenance");
    assert_verdict(&w, health_check_disk, HEALTH_WARNING);
    world_clear(&w);
}

/* The first backup of all: the forecast is by the schedule, 24 of them a day. */
static void test_disk_of_a_young_folder(void)
{
    struct world w;
    world_init(&w);
    add_backup(&w, 60, META_VERIFIED, "hourly");
    w.data.free_bytes = 14 * 24000;
    assert_verdict(&w, health_check_disk, HEALTH_OK);
    w.data.free_bytes = 14 * 24000 - 1;
    assert_verdict(&w, health_check_disk, HEALTH_WARNING);
    world_clear(&w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/health_size/size_thresholds", test_size_thresholds);
    g_test_add_func("/health_size/size_is_held_against_the_median", test_size_is_held_against_the_median);
    g_test_add_func("/health_size/size_growth_is_shown", test_size_growth_is_shown);
    g_test_add_func("/health_size/nothing_to_compare_is_not_ok", test_nothing_to_compare_is_not_ok);
    g_test_add_func("/health_size/row_loss_thresholds", test_row_loss_thresholds);
    g_test_add_func("/health_size/row_loss_lasts_a_day", test_row_loss_lasts_a_day);
    g_test_add_func("/health_size/no_tables_are_not_all_gone", test_no_tables_are_not_all_gone);
    g_test_add_func("/health_size/which_tables_may_lose_rows", test_which_tables_may_lose_rows);
    g_test_add_func("/health_size/disk_thresholds", test_disk_thresholds);
    g_test_add_func("/health_size/disk_in_balance", test_disk_in_balance);
    g_test_add_func("/health_size/disk_knows_the_types", test_disk_knows_the_types);
    g_test_add_func("/health_size/disk_of_a_young_folder", test_disk_of_a_young_folder);
    return g_test_run();
}
