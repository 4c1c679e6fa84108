/*
 * Tests of the rules of retention: a table of histories with what must stay of each, and the accidents of other backup
 * programs by name. Long histories are in test_retention_year.c and test_retention_model.c.
 */
#include "catalog/retention.h"

#include "catalog/catalog.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

#define DAY 86400
#define NOW 1770436800 /* 2026-02-07 12:00:00 +08:00 */

/* Backups from the newest on, a letter each: p proven, t tested on another
 * major version, v verified, u unverified, f failed, n without metadata,
 * r a verified pre-restore one, R a proven one, h a held verified one, w one that waits for its upload, i one in use,
 * l a locked one, ? one of an unknown type, o one whose dates disagree, s another server's, S
 * a proven one of that, c a monthly copy, d a pre-deployment one,
 * m a pre-maintenance one. days: how old. left: which are kept. */
static const struct history {
    const char *name, *letters;
    int days[8];
    int retention_days, keep_min;
    const char *left;
} histories[] = {
    {"young_stay", "vvvv", {0, 1, 2, 29}, 30, 1, "xxxx"},
    {"old_go", "vvvv", {0, 1, 31, 100}, 30, 1, "xx.."},
    {"not_to_the_second", "vvv", {0, 30, 31}, 30, 1, "xx."},
    {"keep_min", "vvvvv", {100, 101, 102, 103, 104}, 30, 3, "xxx.."},
    {"keep_min_of_good_ones", "ufvuvv", {100, 101, 102, 103, 104, 105}, 30, 2, "xxxxx."},
    {"failed_do_not_count", "fffv", {0, 1, 2, 100}, 30, 1, "xxxx"},
    {"unverified_do_not_count", "uuuv", {0, 1, 2, 100}, 30, 1, "xxxx"},
    {"no_metadata_does_not_count", "nnnv", {0, 1, 2, 100}, 30, 1, "xxxx"},
    {"pre_restore_does_not_count", "rrrv", {0, 1, 2, 100}, 30, 1, "xxxx"},
    {"proven_pre_restore_does_not_count", "RRp", {0, 1, 100}, 30, 1, "xxx"},
    {"newest_proven_stays", "vvvpv", {0, 1, 2, 100, 101}, 30, 1, "xxxx."},
    {"tested_elsewhere_counts_as_good_and_not_as_proven", "vtpt", {0, 99, 100, 101}, 30, 2, "xxx."},
    {"only_the_newest_proven", "vvpp", {0, 1, 100, 101}, 30, 1, "xxx."},
    {"young_proven", "pvp", {0, 100, 101}, 30, 1, "x.."},
    {"failed_go", "vfu", {0, 100, 101}, 30, 1, "x.."},
    {"without_metadata_stay", "vnn", {0, 100, 1000}, 30, 1, "xxx"},
    {"pre_restore_go", "vrr", {0, 1, 100}, 30, 1, "xx."},
    {"all_bad_stay", "fufu", {100, 101, 102, 103}, 30, 1, "xxxx"},
    {"one_alone_stays", "v", {10000}, 1, 1, "x"},
    {"short_retention", "vvvv", {0, 1, 2, 3}, 1, 1, "xx.."},
    {"held_stays_and_counts", "vhv", {0, 100, 101}, 30, 2, "xx."},
    {"pending_stays", "vwv", {0, 100, 101}, 30, 1, "xx."},
    {"in_use_stays", "viv", {0, 100, 101}, 30, 1, "xx."},
    {"locked_stays", "vlv", {0, 100, 101}, 30, 1, "xx."},
    {"unknown_type_stays_and_does_not_count", "??v", {0, 100, 101}, 30, 1, "xxx"},
    {"another_servers_stay_and_do_not_count", "ssv", {0, 100, 101}, 30, 1, "xxx"},
    {"another_servers_proven_is_not_the_newest_proven", "Svpv", {0, 1, 100, 101}, 30, 1, "xxx."},
    {"odd_date_stays_and_does_not_count", "oov", {0, 100, 101}, 30, 1, "xxx"},
    {"future_stays_and_does_not_count", "vvvv", {-400, -30, 100, 101}, 30, 1, "xxx."},
    {"all_in_the_future_stay", "vvvv", {-4, -3, -2, -1}, 1, 1, "xxxx"},
    {"a_copy_does_not_count", "ccv", {0, 1, 100}, 30, 1, "xxx"},
    {"pre_deployment_here_as_hourly", "vd", {0, 31}, 30, 1, "x."},
    {"pre_maintenance_stays_90_days", "vmm", {0, 90, 91}, 30, 1, "xx."},
    {"none", "", {0}, 30, 1, ""},
};

#define EVERY 5
#define OLDEST 10100
#define FILLERS (OLDEST / EVERY)

struct fixture {
    struct retention_item items[40 + FILLERS];
    char *ids[40 + FILLERS];
    guint n;
};

/* Failed ones every few days, not to be shown: backups were tried all the time. */
static void fill(struct fixture *f)
{
    for (int k = 1; k <= FILLERS; k++) {
        gint64 at = NOW - (gint64)k * EVERY * DAY - 1;
        f->ids[f->n] = g_strdup("filler");
        f->items[f->n] = (struct retention_item){.id = f->ids[f->n], .taken_at = at, .state = META_FAILED, .data = f};
        f->n++;
    }
}

static void put(struct fixture *f, char letter, int days)
{
    static const char states[] = "fuvtp"; /* in the order of enum meta_state */
    struct retention_item *i = &f->items[f->n];
    const char *state = strchr(states, letter);
    g_autofree char *timestamp = text_timestamp(NOW - (gint64)days * DAY);
    f->ids[f->n] = g_strdup_printf("app_%s", timestamp);
    *i = (struct retention_item){.id = f->ids[f->n], .taken_at = NOW - (gint64)days * DAY};
    i->state = state ? (enum meta_state)(state - states) : strchr("RS", letter) ? META_PROVEN : META_VERIFIED;
    i->tier = letter == 'r' || letter == 'R' ? TIER_PRE_RESTORE
              : letter == 'd'                ? TIER_PRE_DEPLOYMENT
              : letter == 'm'                ? TIER_PRE_MAINTENANCE
              : letter == 'c'                ? TIER_MONTHLY
                                             : TIER_HOURLY;
    i->no_metadata = letter == 'n';
    i->unknown_type = letter == '?';
    i->odd_date = letter == 'o';
    i->other_server = letter == 's' || letter == 'S';
    i->held = letter == 'h';
    i->pending = letter == 'w';
    i->in_use = letter == 'i';
    i->copy = letter == 'c';
    i->lock_until = letter == 'l' ? NOW + DAY : 0;
    f->n++;
}

static void clear(struct fixture *f)
{
    for (guint k = 0; k < f->n; k++)
        g_free(f->ids[k]);
    f->n = 0;
}

/* An x for each that is kept, a dot for each that goes, from the newest on. */
static char *judge(struct fixture *f, const struct retention_policy *p)
{
    retention_judge(f->items, f->n, p);
    GString *left = g_string_new(NULL);
    for (guint k = 0; k < f->n; k++)
        if (!f->items[k].data)
            g_string_append_c(left, f->items[k].reason == RETENTION_EXPIRED ? '.' : 'x');
    return g_string_free(left, FALSE);
}

/* They come oldest first: it is not their order that counts. */
static void test_history(gconstpointer data)
{
    const struct history *h = data;
    struct tiers tiers = tiers_make(h->retention_days, 90);
    struct retention_policy p = {&tiers, TIER_LOCAL, h->keep_min, NOW};
    struct fixture f = {.n = 0};
    fill(&f);
    for (gsize k = strlen(h->letters); k-- > 0;)
        put(&f, h->letters[k], h->days[k]);
    g_autofree char *left = judge(&f, &p);
    g_assert_cmpstr(left, ==, h->left);
    clear(&f);
}

/* ---- the table ---- */

static void test_the_guides_table(void)
{
    static const struct {
        const char *type;
        int local, s3;
    } guide[] = {{"hourly", 30, 90},   {"pre-deployment", 30, 180}, {"pre-maintenance", 90, 90},
                 {"monthly", 30, 365}, {"manual", 30, 90},          {"pre-restore", 30, 90},
                 {NULL, 30, 90},       {"of tomorrow", 30, 90}};
    struct tiers t = tiers_make(0, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(guide); i++) {
        g_assert_cmpint(tiers_days(&t, guide[i].type, TIER_LOCAL), ==, guide[i].local);
        g_assert_cmpint(tiers_days(&t, guide[i].type, TIER_S3), ==, guide[i].s3);
    }
    g_assert_false(tiers_has_place(TIER_MONTHLY, TIER_LOCAL));
    g_assert_true(tiers_has_place(TIER_MONTHLY, TIER_S3));
}

static void test_changed_table(void)
{
    struct tiers t = tiers_make(7, 14);
    tiers_set(&t, TIER_PRE_DEPLOYMENT, TIER_S3, 400);
    tiers_set(&t, TIER_MANUAL, TIER_LOCAL, 0);
    g_assert_cmpint(tiers_days(&t, "hourly", TIER_LOCAL), ==, 7);
    g_assert_cmpint(tiers_days(&t, "manual", TIER_LOCAL), ==, 7);
    g_assert_cmpint(tiers_days(&t, "pre-deployment", TIER_LOCAL), ==, 7);
    g_assert_cmpint(tiers_days(&t, "pre-deployment", TIER_S3), ==, 400);
    g_assert_cmpint(tiers_days(&t, "pre-maintenance", TIER_LOCAL), ==, 90);
    g_assert_cmpint(tiers_days(&t, "monthly", TIER_S3), ==, 365);
    g_assert_cmpint(tiers_days(&t, "pre-restore", TIER_S3), ==, 14);
}

/* ---- accidents ---- */

/* Others delete by age alone: after a month in which every backup failed nothing good is left. */
static void test_age_only_deletion_while_backups_fail(void)
{
    struct tiers tiers = tiers_make(30, 90);
    struct fixture f = {.n = 0};
    for (int days = 0; days < 400; days += 10) {
        struct retention_policy p = {&tiers, TIER_LOCAL, 3, NOW + (gint64)days * DAY};
        put(&f, 'f', -days); /* today's, failed */
        put(&f, 'u', -days + 1);
        put(&f, 'v', 0);
        put(&f, 'v', 1);
        put(&f, 'p', 2);
        g_autofree char *left = judge(&f, &p);
        g_assert_cmpstr(left, ==, "xxxxx");
        clear(&f);
    }
}

/* A clock that is set back makes everything look as if it were to come; one that is ahead, as if all were old. */
static void test_clock_set_back_or_ahead(void)
{
    struct tiers tiers = tiers_make(30, 90);
    struct fixture f = {.n = 0};
    for (int k = 0; k < 6; k++)
        put(&f, 'v', k);
    struct retention_policy back = {&tiers, TIER_LOCAL, 3, NOW - 1000 * (gint64)DAY};
    g_autofree char *left = judge(&f, &back);
    g_assert_cmpstr(left, ==, "xxxxxx");
    g_assert_cmpint(f.items[0].reason, ==, RETENTION_FUTURE);
    struct retention_policy ahead = {&tiers, TIER_LOCAL, 3, NOW + 1000 * (gint64)DAY};
    g_autofree char *rest = judge(&f, &ahead);
    g_assert_cmpstr(rest, ==, "xxxxxx");
    g_assert_cmpint(f.items[2].reason, ==, RETENTION_MINIMUM);
    g_assert_cmpint(f.items[3].reason, ==, RETENTION_UNCOUNTED);
    g_autofree char *text = retention_text(&f.items[5], &ahead);
    g_assert_cmpstr(text, ==, "within 30 days: 993 days without backups are not counted");
    clear(&f);
}

/* count backups, one every so many days, the newest so old. */
static void put_every(struct fixture *f, int count, int newest, int every)
{
    for (int k = 0; k < count; k++)
        put(f, 'v', newest + k * every);
}

static void expect(struct fixture *f, int days, const char *expected)
{
    struct tiers tiers = tiers_make(days, 90);
    struct retention_policy p = {&tiers, TIER_LOCAL, 1, NOW};
    g_autofree char *left = judge(f, &p);
    g_assert_cmpstr(left, ==, expected);
    clear(f);
}

/* Daily ones for a month, then a year that never was: at the first run, and at the next after it made one. */
static void test_clock_jumps_ahead_a_year(void)
{
    struct fixture f = {.n = 0};
    put_every(&f, 31, 365, 1);
    expect(&f, 30, "xxxxxxxxxxxxxxxxxxxxxxxx.......");
    put(&f, 'v', 0);
    put_every(&f, 31, 365, 1);
    expect(&f, 30, "xxxxxxxxxxxxxxxxxxxxxxxxx.......");
}

static void test_host_off_for_60_days(void)
{
    struct fixture f = {.n = 0};
    put_every(&f, 3, 0, 1);
    put_every(&f, 28, 62, 1); /* of the 60 days 7 count: they are 9 days old, and older */
    expect(&f, 30, "xxxxxxxxxxxxxxxxxxxxxxxxx......");
}

static void test_monthly_user(void)
{
    struct fixture f = {.n = 0};
    put_every(&f, 8, 10, 30);
    expect(&f, 100, "xxxx....");
    put_every(&f, 8, 10, 30);
    expect(&f, 30, "x.......");
}

static void test_gap_exactly_at_the_allowance(void)
{
    struct fixture f = {.n = 0};
    put_every(&f, 3, 0, 1);
    put_every(&f, 3, 9, 1);
    expect(&f, 10, "xxxxx.");
    put_every(&f, 3, 0, 1);
    put_every(&f, 3, 10, 1); /* one day is not counted */
    expect(&f, 10, "xxxxx.");
    put_every(&f, 3, 0, 1);
    put_every(&f, 3, 9, 1);
    expect(&f, 9, "xxxx..");
}

/* What one wrong clock dated years ahead must not pass for the newest good ones from then on. */
static void test_backups_from_the_future_are_no_reason_to_delete(void)
{
    struct tiers tiers = tiers_make(30, 90);
    struct fixture f = {.n = 0};
    struct retention_policy p = {&tiers, TIER_LOCAL, 3, NOW};
    fill(&f);
    for (int k = 0; k < 3; k++)
        put(&f, 'p', -3650 + k);
    for (int k = 0; k < 4; k++)
        put(&f, 'v', 100 + k);
    g_autofree char *left = judge(&f, &p);
    g_assert_cmpstr(left, ==, "xxxxxx.");
    clear(&f);
}

/* When the clocks go back an hour, 01:30 comes twice: the offset in the date tells them apart. What a name says may be
 * any zone's time, but not another day's. */
static void test_local_time_that_comes_twice(void)
{
    static const gint64 summer = 1792884600; /* 2026-10-25 01:30 +02:00, in UTC 23:30 of the 24th */
    static const struct {
        const char *date, *snapshot_time;
        gint64 named_at, moment;
        gboolean odd;
    } cases[] = {
        {"2026-10-25T01:30:00+02:00", NULL, summer + 3600, summer, FALSE},
        {"2026-10-25T01:30:00+01:00", NULL, summer, summer + 3600, FALSE},
        {"2026-10-25T01:30:00+01:00", "2026-10-25T01:30:07+01:00", summer, summer + 3607, FALSE},
        {"2026-10-25T01:30:00+01:00", NULL, summer - 3 * DAY, summer + 3600, TRUE},
        {"2026-10-25T01:30:00+02:00", "2026-12-25T01:30:00+02:00", summer, summer + 61 * DAY, FALSE},
        {"2026-10-25T01:30:00+02:00", "no time", summer, summer, FALSE},
        {"yesterday", NULL, summer, summer, TRUE},
        {NULL, NULL, summer, summer, TRUE},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct catalog_entry *e = catalog_entry_new("app_20261025_013000.sql.gz", NULL);
        struct meta *m = cases[i].date ? g_new0(struct meta, 1) : NULL;
        if (m) {
            m->date = g_strdup(cases[i].date);
            m->snapshot_time = g_strdup(cases[i].snapshot_time);
        }
        e->named_at = cases[i].named_at;
        catalog_entry_set_meta(e, m);
        g_assert_cmpint(e->taken_at, ==, cases[i].moment);
        g_assert_true(retention_date_is_odd(e) == cases[i].odd);
        catalog_entry_free(e);
    }
}

/* Days on which only another server made backups are days without. */
static void test_gaps_by_another_server(void)
{
    struct tiers tiers = tiers_make(30, 90);
    struct retention_policy p = {&tiers, TIER_LOCAL, 3, NOW};
    for (int others = 0; others < 2; others++) {
        struct fixture f = {.n = 0};
        for (int days = 0; days < 60; days++) {
            put(&f, 'v', days);
            f.items[f.n - 1].other_server = others && days >= 2 && days < 25;
        }
        g_autoptr(gap_list) silence = retention_gaps(f.items, f.n, &p);
        gint64 uncounted = gaps_uncounted(silence, NOW - 40 * DAY);
        g_assert_true(others ? uncounted > 10 * DAY : uncounted == 0);
        clear(&f);
    }
}

/* Nothing here looks at the server's version: backups of the old one stay as long as any. */
static void test_upgrade_of_the_servers_major_version(void)
{
    struct tiers tiers = tiers_make(30, 90);
    struct retention_policy p = {&tiers, TIER_LOCAL, 3, NOW};
    struct fixture f = {.n = 0};
    fill(&f);
    put(&f, 'v', 0); /* the first of the new server */
    for (int k = 0; k < 4; k++)
        put(&f, k ? 'v' : 'p', 40 + k); /* those of the old one, the newest of them tested */
    g_autofree char *left = judge(&f, &p);
    g_assert_cmpstr(left, ==, "xxx..");
    clear(&f);
}

/* ---- in S3 ---- */

static void test_tiers_in_s3(void)
{
    struct tiers tiers = tiers_make(30, 90);
    struct retention_policy p = {&tiers, TIER_S3, 1, NOW};
    struct fixture f = {.n = 0};
    fill(&f);
    put(&f, 'v', 0);
    put(&f, 'v', 91);
    put(&f, 'd', 180);
    put(&f, 'd', 181);
    put(&f, 'c', 365);
    put(&f, 'c', 366);
    g_autofree char *left = judge(&f, &p);
    g_assert_cmpstr(left, ==, "x.x.x.");
    clear(&f);
}

static void test_the_newest_monthly_one_stays(void)
{
    struct tiers tiers = tiers_make(30, 90);
    struct retention_policy p = {&tiers, TIER_S3, 1, NOW};
    struct fixture f = {.n = 0};
    fill(&f);
    put(&f, 'v', 0);
    put(&f, 'c', 500);
    put(&f, 'c', 530);
    g_autofree char *left = judge(&f, &p);
    g_assert_cmpstr(left, ==, "xx.");
    clear(&f);
}

static void test_reasons_in_words(void)
{
    struct tiers tiers = tiers_make(30, 90);
    struct retention_policy p = {&tiers, TIER_LOCAL, 3, NOW};
    struct retention_item i = {.id = "app_20260207_120000", .lock_until = NOW};
    for (int r = 0; r <= RETENTION_EXPIRED; r++) {
        i.reason = (enum retention_reason)r;
        g_autofree char *text = retention_text(&i, &p);
        g_assert_cmpuint(strlen(text), >, 3);
        g_assert_cmpuint(strlen(retention_word(i.reason)), >, 3);
    }
    g_autofree char *text = retention_text(&i, &p);
    g_assert_cmpstr(text, ==, "older than 30 days");
    i.reason = RETENTION_UNCOUNTED;
    i.uncounted_s = DAY / 2;
    g_autofree char *half = retention_text(&i, &p);
    g_assert_cmpstr(half, ==, "within 30 days: 1 day without backups is not counted");
}

/* ---- the monthly archive ---- */

struct dated {
    const char *id;
    enum meta_state state;
    enum tier tier;
    gboolean copy, chosen;
};

static void expect_monthly(const struct dated *list, guint n, int s3_days)
{
    struct tiers tiers = tiers_make(30, s3_days);
    struct retention_policy p = {&tiers, TIER_S3, 3, NOW};
    g_autofree struct retention_item *items = g_new0(struct retention_item, n);
    g_autofree gboolean *chosen = g_new0(gboolean, n);
    for (guint k = 0; k < n; k++) {
        items[k] = (struct retention_item){
            .id = list[k].id, .state = list[k].state, .tier = list[k].tier, .copy = list[k].copy};
        g_assert_true(text_parse_timestamp(list[k].id + strlen(list[k].id) - 15, &items[k].taken_at));
    }
    retention_choose_monthly(items, n, &p, chosen);
    for (guint k = 0; k < n; k++)
        if (chosen[k] != list[k].chosen)
            g_error("%s is %schosen", list[k].id, chosen[k] ? "" : "not ");
}

static void test_monthly_choice(void)
{
    static const struct dated list[] = {
        {"app_20260206_030000", META_VERIFIED, TIER_HOURLY, FALSE, FALSE},
        {"app_20260201_000000", META_FAILED, TIER_HOURLY, FALSE, FALSE},
        {"app_20260201_010000", META_UNVERIFIED, TIER_HOURLY, FALSE, FALSE},
        {"app_20260201_020000", META_PROVEN, TIER_PRE_RESTORE, FALSE, FALSE},
        {"app_20260201_030000", META_VERIFIED, TIER_MANUAL, FALSE, TRUE},
        {"app_20260131_230000", META_VERIFIED, TIER_HOURLY, FALSE, TRUE}, /* January has no earlier one */
        {"app_20251203_000000", META_PROVEN, TIER_MONTHLY, TRUE, FALSE},  /* December has its archive */
        {"app_20251201_000000", META_VERIFIED, TIER_HOURLY, FALSE, FALSE},
        {"app_20240101_000000", META_VERIFIED, TIER_HOURLY, FALSE, FALSE}, /* it would be expired at once */
        {"app_20270101_000000", META_VERIFIED, TIER_HOURLY, FALSE, FALSE}, /* dated in the future */
    };
    expect_monthly(list, G_N_ELEMENTS(list), 1); /* all but today's may have been thinned out: there are no gaps */
    expect_monthly(NULL, 0, 1);
}

/* The archive of a month before a long silence would not be expired, so it is made. */
static void test_monthly_choice_after_a_silence(void)
{
    static const struct dated list[] = {
        {"app_20260207_030000", META_VERIFIED, TIER_HOURLY, FALSE, FALSE},
        {"app_20260207_020000", META_VERIFIED, TIER_HOURLY, FALSE, TRUE},
        {"app_20240102_010000", META_VERIFIED, TIER_HOURLY, FALSE, FALSE},
        {"app_20240102_000000", META_VERIFIED, TIER_HOURLY, FALSE, TRUE},
    };
    expect_monthly(list, G_N_ELEMENTS(list), 90);
}

static const struct {
    const char *name;
    void (*test)(void);
} tests[] = {
    {"/retention/table/guide", test_the_guides_table},
    {"/retention/table/changed", test_changed_table},
    {"/retention/accident/age_only_deletion_while_backups_fail", test_age_only_deletion_while_backups_fail},
    {"/retention/accident/clock_set_back_or_ahead", test_clock_set_back_or_ahead},
    {"/retention/silence/clock_jumps_ahead_a_year", test_clock_jumps_ahead_a_year},
    {"/retention/silence/host_off_for_60_days", test_host_off_for_60_days},
    {"/retention/silence/monthly_user", test_monthly_user},
    {"/retention/silence/gap_exactly_at_the_allowance", test_gap_exactly_at_the_allowance},
    {"/retention/accident/backups_from_the_future", test_backups_from_the_future_are_no_reason_to_delete},
    {"/retention/accident/local_time_that_comes_twice", test_local_time_that_comes_twice},
    {"/retention/gaps_by_another_server", test_gaps_by_another_server},
    {"/retention/accident/major_upgrade", test_upgrade_of_the_servers_major_version},
    {"/retention/s3/tiers", test_tiers_in_s3},
    {"/retention/s3/newest_monthly", test_the_newest_monthly_one_stays},
    {"/retention/words", test_reasons_in_words},
    {"/retention/monthly", test_monthly_choice},
    {"/retention/monthly/after_a_silence", test_monthly_choice_after_a_silence},
};

int main(int argc, char **argv)
{
    g_setenv("TZ", "Asia/Manila", TRUE);
    tzset();
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_func(tests[i].name, tests[i].test);
    for (gsize i = 0; i < G_N_ELEMENTS(histories); i++) {
        g_autofree char *path = g_strconcat("/retention/history/", histories[i].name, NULL);
        g_test_add_data_func(path, &histories[i], test_history);
    }
    return g_test_run();
}
