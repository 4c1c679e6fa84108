/*
 * A year of hourly backups with an injected clock: every hour a backup may be taken, fail, be damaged, tested or never
 * come to be, and retention deletes, here and in S3. At the end of every day what is left is compared with what
 * the tier table says of ALL backups that ever were, which is computed another way than the rules compute it.
 */
#include "catalog/retention.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

#define HOUR 3600
#define DAY 86400
#define START 1767196800 /* 2026-01-01 00:00:00 +08:00 */
#define DAYS 400
#define KEEP_MIN 3

struct event {
    char id[32];
    gint64 at;
    enum tier tier;
    enum meta_state state;
    gboolean copy, gone;
};

struct place {
    enum tier_place where;
    GArray *all; /* struct event: every backup that ever was, oldest first */
};

/* A generator of our own, for the year must be the same everywhere. */
static guint32 random_state = 1;

static guint32 roll(guint32 sides)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % sides;
}

static void add(struct place *p, gint64 at, enum tier tier, enum meta_state state, gboolean copy)
{
    struct event e = {.at = at, .tier = tier, .state = state, .copy = copy};
    g_autofree char *timestamp = text_timestamp(at);
    g_snprintf(e.id, sizeof e.id, "app_%s", timestamp);
    g_array_append_val(p->all, e);
}

/* Once the machine is off for two months, and once for nine days. */
static gboolean is_off(int day)
{
    return (day >= 100 && day < 160) || (day >= 360 && day < 369);
}

static gboolean is_outage(int day)
{
    return (day >= 40 && day < 80) || (day >= 150 && day < 157) || (day >= 230 && day < 340);
}

static enum tier tier_of(int day, int hour)
{
    return hour == 14 && day % 9 == 0    ? TIER_PRE_DEPLOYMENT
           : hour == 22 && day % 30 == 0 ? TIER_PRE_MAINTENANCE
           : hour == 9 && day % 50 == 7  ? TIER_PRE_RESTORE
                                         : TIER_HOURLY;
}

/* What this hour brings: one backup in both places, the same in each. */
static void take(struct place *places, int day, int hour)
{
    gint64 at = START + (gint64)day * DAY + hour * HOUR;
    guint32 luck = roll(100);
    if (is_outage(day) && luck < 70)
        return; /* it failed before there was a file */
    enum meta_state state = is_outage(day) ? (luck & 1 ? META_FAILED : META_UNVERIFIED)
                            : luck < 3     ? META_FAILED
                            : luck == 50   ? META_PROVEN
                                           : META_VERIFIED;
    for (int p = 0; p < TIER_PLACES; p++)
        add(&places[p], at, tier_of(day, hour), state, FALSE);
}

/* ---- what retention does ---- */

static guint collect(struct place *p, struct retention_item *items)
{
    guint n = 0;
    for (guint k = 0; k < p->all->len; k++) {
        struct event *e = &g_array_index(p->all, struct event, k);
        if (!e->gone)
            items[n++] = (struct retention_item){
                .id = e->id, .tier = e->tier, .taken_at = e->at, .state = e->state, .copy = e->copy, .data = e};
    }
    return n;
}

static void archive(struct place *p, const struct retention_policy *policy)
{
    g_autofree struct retention_item *items = g_new0(struct retention_item, p->all->len);
    g_autofree gboolean *chosen = g_new0(gboolean, p->all->len);
    guint n = collect(p, items);
    retention_choose_monthly(items, n, policy, chosen);
    for (guint k = 0; k < n; k++)
        if (chosen[k])
            add(p, items[k].taken_at, TIER_MONTHLY, items[k].state, TRUE);
}

static void prune(struct place *p, const struct retention_policy *policy)
{
    g_autofree struct retention_item *items = g_new0(struct retention_item, p->all->len);
    guint n = collect(p, items);
    retention_judge(items, n, policy);
    for (guint k = 0; k < n; k++)
        if (items[k].reason == RETENTION_EXPIRED)
            ((struct event *)items[k].data)->gone = TRUE;
}

/* ---- what the table says ---- */

static gboolean is_good(const struct event *e)
{
    return e->state >= META_VERIFIED && e->tier != TIER_PRE_RESTORE && !e->copy;
}

static int days_by_the_guide(enum tier tier, enum tier_place where)
{
    switch (tier) {
    case TIER_PRE_DEPLOYMENT:
        return where == TIER_S3 ? 180 : 30;
    case TIER_PRE_MAINTENANCE:
        return 90;
    case TIER_MONTHLY:
        return 365;
    default:
        return where == TIER_S3 ? 90 : 30;
    }
}

static void check_event(const struct place *p, const struct event *e, gboolean expected, gint64 now)
{
    if (expected != e->gone)
        return;
    g_autofree char *time = text_iso_time(now);
    g_error("%s: %s (%s) %s in %s", time, e->id, tiers_name(e->tier), e->gone ? "is gone" : "is still there",
            tiers_place_name(p->where));
}

/* Counts among all that ever were, gone ones too, so it holds only if it makes no difference when each was judged. */
static guint check_day(const struct place *p, gint64 now)
{
    gint64 newer = now, age = 0, sure = days_by_the_guide(TIER_HOURLY, p->where) - 7;
    guint there = 0;
    int good_newer = 0, proven_newer = 0, monthly_newer = 0;
    for (guint k = p->all->len; k-- > 0;) {
        const struct event *e = &g_array_index(p->all, struct event, k);
        age += age <= sure * DAY ? MIN(newer - e->at, 7 * DAY) : newer - e->at; /* silence: a week of it counts */
        newer = e->at;
        gboolean in_time = age <= (gint64)days_by_the_guide(e->tier, p->where) * DAY;
        gboolean last_proven = is_good(e) && e->state == META_PROVEN && proven_newer == 0;
        gboolean last_monthly = e->copy && monthly_newer == 0;
        check_event(p, e, in_time || good_newer < KEEP_MIN || last_proven || last_monthly, now);
        good_newer += is_good(e);
        proven_newer += is_good(e) && e->state == META_PROVEN;
        monthly_newer += e->copy;
        there += !e->gone;
    }
    return there;
}

static void run_year(gboolean with_silence)
{
    struct tiers tiers = tiers_make(30, 90);
    struct place places[TIER_PLACES] = {{TIER_LOCAL, g_array_new(FALSE, TRUE, sizeof(struct event))},
                                        {TIER_S3, g_array_new(FALSE, TRUE, sizeof(struct event))}};
    guint counted = 0, most[TIER_PLACES] = {0};
    for (int day = 0; day < DAYS; day++) {
        if (with_silence && is_off(day))
            continue;
        for (int hour = 0; hour < 24; hour++) {
            gint64 now = START + (gint64)day * DAY + hour * HOUR;
            struct retention_policy here = {&tiers, TIER_LOCAL, KEEP_MIN, now}, s3 = {&tiers, TIER_S3, KEEP_MIN, now};
            take(places, day, hour);
            archive(&places[TIER_S3], &s3);
            prune(&places[TIER_LOCAL], &here);
            prune(&places[TIER_S3], &s3);
        }
        for (int p = 0; p < TIER_PLACES; p++) {
            guint there = check_day(&places[p], START + (gint64)day * DAY + 23 * HOUR);
            most[p] = MAX(most[p], there);
            counted += there;
        }
    }
    guint copies = 0;
    for (guint k = 0; k < places[TIER_S3].all->len; k++)
        copies += g_array_index(places[TIER_S3].all, struct event, k).copy ? 1 : 0;
    g_assert_cmpuint(copies, >=, with_silence ? 9 : 10);
    g_test_message("%d days, %u backups, %u of them monthly copies; at most %u here and %u in S3 at once; %u looked at",
                   DAYS, places[TIER_S3].all->len, copies, most[TIER_LOCAL], most[TIER_S3], counted);
    for (int p = 0; p < TIER_PLACES; p++)
        g_array_unref(places[p].all);
}

static void test_year(void)
{
    run_year(FALSE);
}

static void test_year_with_silence(void)
{
    run_year(TRUE);
}

int main(int argc, char **argv)
{
    g_setenv("TZ", "Asia/Manila", TRUE);
    tzset();
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/retention/year", test_year);
    g_test_add_func("/retention/year/with_silence", test_year_with_silence);
    return g_test_run();
}
