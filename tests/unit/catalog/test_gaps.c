/* Tests of the time without backups: what of a gap counts as age, and what does not. */
#include "catalog/gaps.h"

#define HOUR 3600
#define DAY (24 * (gint64)HOUR)
#define NOW ((gint64)1770436800)
#define WHOLE (30 * DAY)

/* n backups, one every so many seconds, the newest so old. */
static guint put(gint64 *made, guint at, guint n, gint64 newest_age, gint64 every)
{
    for (guint k = 0; k < n; k++)
        made[at + k] = NOW - newest_age - k * every;
    return at + n;
}

static gint64 uncounted(const gint64 *made, guint n, gint64 age)
{
    g_autoptr(gap_list) g = gaps_new(made, n, NOW, WHOLE);
    return gaps_uncounted(g, NOW - age);
}

static void test_no_backups(void)
{
    g_assert_cmpint(uncounted(NULL, 0, 400 * DAY), ==, 0);
}

static void test_one_backup(void)
{
    gint64 made[1];
    put(made, 0, 1, 100 * DAY, 0);
    g_assert_cmpint(uncounted(made, 1, 100 * DAY), ==, 93 * DAY);
    g_assert_cmpint(uncounted(made, 1, 200 * DAY), ==, 93 * DAY); /* what came before it is no gap */
    g_assert_cmpint(uncounted(made, 1, 50 * DAY), ==, 0);
}

static void test_hourly_ones_have_no_gaps(void)
{
    gint64 made[720];
    guint n = put(made, 0, 720, HOUR, HOUR);
    for (gint64 age = HOUR; age <= 30 * DAY; age += HOUR)
        g_assert_cmpint(uncounted(made, n, age), ==, 0);
}

static void test_clock_jumps_ahead_a_year(void)
{
    gint64 made[721];
    guint n = put(made, 0, 720, 365 * DAY, HOUR);
    g_assert_cmpint(uncounted(made, n, 365 * DAY), ==, 358 * DAY);
    g_assert_cmpint(uncounted(made, n, 365 * DAY + 700 * HOUR), ==, 358 * DAY);
    n = put(made, n, 1, 0, HOUR); /* the first run afterwards makes one */
    g_assert_cmpint(uncounted(made, n, 365 * DAY), ==, 358 * DAY);
    g_assert_cmpint(uncounted(made, n, 0), ==, 0);
}

static void test_host_off_for_60_days(void)
{
    gint64 made[1000];
    guint n = put(made, 0, 48, 0, HOUR);
    n = put(made, n, 720, 62 * DAY, HOUR);
    g_assert_cmpint(uncounted(made, n, 47 * HOUR), ==, 0);
    g_assert_cmpint(uncounted(made, n, 62 * DAY), ==, 60 * DAY + HOUR - 7 * DAY);
}

static void test_two_gaps_add_up(void)
{
    gint64 made[100];
    guint n = put(made, 0, 30, 10 * DAY, HOUR);
    n = put(made, n, 30, 20 * DAY + 29 * HOUR, HOUR);
    g_assert_cmpint(uncounted(made, n, 10 * DAY), ==, 3 * DAY);
    g_assert_cmpint(uncounted(made, n, 20 * DAY + 29 * HOUR), ==, 6 * DAY);
}

static void test_once_a_month_is_no_gap(void)
{
    gint64 made[12];
    guint n = put(made, 0, 12, 20 * DAY, 30 * DAY);
    for (guint k = 0; k < n; k++)
        g_assert_cmpint(uncounted(made, n, NOW - made[k]), ==, 0);
    put(made, 0, 12, 70 * DAY, 30 * DAY); /* two were left out */
    g_assert_cmpint(uncounted(made, n, 70 * DAY), ==, 10 * DAY);
}

static void test_exactly_the_allowance(void)
{
    gint64 made[25];
    guint n = put(made, 0, 24, 7 * DAY, HOUR);
    g_assert_cmpint(uncounted(made, n, 7 * DAY), ==, 0);
    put(made, 0, 24, 7 * DAY + 1, HOUR);
    g_assert_cmpint(uncounted(made, n, 7 * DAY + 1), ==, 1);
    n = put(made, 0, 3, 10 * DAY, 5 * DAY);
    g_assert_cmpint(uncounted(made, n, 10 * DAY), ==, 0);
    put(made, 0, 3, 10 * DAY + 1, 5 * DAY);
    g_assert_cmpint(uncounted(made, n, 10 * DAY + 1), ==, 1);
}

/* Hourly ones are gone there by their age; of those that stay longer nobody knows what lay between them. */
static void test_what_was_thinned_out_is_no_gap(void)
{
    gint64 made[800];
    guint n = put(made, 0, 720, 0, HOUR);
    n = put(made, n, 3, 60 * DAY, 20 * DAY);
    for (guint k = 0; k < n; k++)
        g_assert_cmpint(uncounted(made, n, NOW - made[k]), ==, 0);
}

/* One that stays for years lies behind the newest days of a young installation: its gap is real all the same. */
static void test_a_gap_within_the_days_is_one(void)
{
    gint64 made[800];
    guint n = put(made, 0, 24, 0, HOUR);
    n = put(made, n, 1, 30 * DAY, 0);
    g_assert_cmpint(uncounted(made, n, 30 * DAY), ==, 22 * DAY + HOUR);
}

static void test_neither_order_nor_copies_nor_the_future_matter(void)
{
    const gint64 made[] = {NOW - 100 * DAY - HOUR,     NOW + 200,       NOW - 100 * DAY, NOW - 100 * DAY,
                           NOW - 100 * DAY - 2 * HOUR, NOW - 100 * DAY, NOW - 2 * HOUR,  NOW - HOUR};
    g_assert_cmpint(uncounted(made, G_N_ELEMENTS(made), 100 * DAY), ==, 93 * DAY - 2 * HOUR);
    g_assert_cmpint(uncounted(made, G_N_ELEMENTS(made), 100 * DAY + 2 * HOUR), ==, 93 * DAY - 2 * HOUR);
    g_assert_cmpint(uncounted(made, G_N_ELEMENTS(made), 2 * HOUR), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gaps/none", test_no_backups);
    g_test_add_func("/gaps/one", test_one_backup);
    g_test_add_func("/gaps/hourly", test_hourly_ones_have_no_gaps);
    g_test_add_func("/gaps/clock_jumps_ahead_a_year", test_clock_jumps_ahead_a_year);
    g_test_add_func("/gaps/host_off_for_60_days", test_host_off_for_60_days);
    g_test_add_func("/gaps/two_add_up", test_two_gaps_add_up);
    g_test_add_func("/gaps/once_a_month", test_once_a_month_is_no_gap);
    g_test_add_func("/gaps/exactly_the_allowance", test_exactly_the_allowance);
    g_test_add_func("/gaps/thinned_out", test_what_was_thinned_out_is_no_gap);
    g_test_add_func("/gaps/within_the_days", test_a_gap_within_the_days_is_one);
    g_test_add_func("/gaps/order_copies_future", test_neither_order_nor_copies_nor_the_future_matter);
    return g_test_run();
}
