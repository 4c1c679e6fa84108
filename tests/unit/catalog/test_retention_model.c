/*
 * A model checker: random histories of backups, failures, damage, test restores, holds, readers, uploads, locks, odd
 * metadata, clocks that jump, and runs of retention in both places; after every run the promises of
 * catalog/retention.h are looked at, each in the plainest way there is. RETENTION_HISTORIES and RETENTION_SEED in the
 * environment change how many and which; a broken promise names the seed of its history.
 */
#include "catalog/retention.h"

#include <stdlib.h>
#include <string.h>

#define HOUR 3600
#define DAY 86400
#define MOST 64
#define STEPS 24

struct model {
    guint64 random;
    guint seed;
    gint64 clock; /* what the machine believes */
    gint64 truth; /* what the time is */
    int next_id, keep_min;
    struct tiers tiers;
    char ids[MOST][24];
    struct thing {
        struct retention_item item;
        gint64 born; /* in truth */
        gboolean here[TIER_PLACES];
    } things[MOST];
    guint n;
    gint64 uncounted[MOST]; /* of each item that is judged, as worked out here */
};

static guint64 runs, deletions, kept_by[RETENTION_EXPIRED + 1];

static guint roll(struct model *m, guint sides)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (guint)(m->random % sides);
}

static gboolean one_in(struct model *m, guint n)
{
    return roll(m, n) == 0;
}

/* ---- what happens ---- */

static void take_backup(struct model *m)
{
    if (m->n == MOST)
        return;
    struct thing *t = &m->things[m->n];
    *t = (struct thing){.born = m->truth, .here = {TRUE, TRUE}};
    g_snprintf(m->ids[m->n], sizeof m->ids[m->n], "app_%08d_000000", m->next_id++);
    t->item = (struct retention_item){
        .id = m->ids[m->n],
        .tier = (enum tier)(one_in(m, 2) ? TIER_HOURLY : roll(m, TIERS)),
        .taken_at = m->clock,
        .state = one_in(m, 3) ? (enum meta_state)roll(m, META_PROVEN + 1) : META_VERIFIED,
        .no_metadata = one_in(m, 12),
        .other_server = one_in(m, 25),
        .unknown_type = one_in(m, 25),
        .odd_date = one_in(m, 25),
        .pending = one_in(m, 8),
        .copy = one_in(m, 10),
        .lock_until = one_in(m, 8) ? m->clock + (gint64)roll(m, 200) * DAY : 0,
    };
    t->here[roll(m, TIER_PLACES)] = !one_in(m, 4);
    if (t->item.copy)
        t->item.tier = TIER_MONTHLY;
    m->n++;
}

static struct thing *any_thing(struct model *m)
{
    return m->n ? &m->things[roll(m, m->n)] : NULL;
}

static void change_something(struct model *m)
{
    struct thing *t = any_thing(m);
    if (!t)
        return;
    switch (roll(m, 4)) {
    case 0: /* a verification */
        t->item.state = (enum meta_state)roll(m, META_PROVEN + 1);
        break;
    case 1:
        t->item.held = !t->item.held;
        break;
    case 2:
        t->item.in_use = !t->item.in_use;
        break;
    default:
        t->item.pending = FALSE;
    }
}

static void pass_time(struct model *m)
{
    gint64 seconds = one_in(m, 4) ? (gint64)roll(m, 120) * DAY : (gint64)roll(m, 48) * HOUR;
    m->truth += seconds;
    m->clock += seconds;
    if (one_in(m, 12)) /* the clock is set wrong ... */
        m->clock = m->truth + ((gint64)roll(m, 4000) - 2000) * DAY;
    else if (one_in(m, 4)) /* ... and right */
        m->clock = m->truth;
}

/* ---- promises ---- */

static void broken(const struct model *m, const char *promise, const char *id)
{
    g_error("history %u: %s (%s)", m->seed, promise, id);
}

/* Good in the sense of the promises: by what is known of it, not by the code that is tested. */
static gboolean is_good(const struct model *m, const struct retention_item *i)
{
    return i->state >= META_VERIFIED && i->tier != TIER_PRE_RESTORE && !i->copy &&
           !i->no_metadata && !i->other_server && !i->unknown_type && !i->odd_date && i->taken_at <= m->clock + RETENTION_SLACK_S;
}

static int count_good(const struct model *m, const struct retention_item *items, guint n, gboolean left_only)
{
    int count = 0;
    for (guint k = 0; k < n; k++)
        count += is_good(m, &items[k]) && !(left_only && items[k].reason == RETENTION_EXPIRED);
    return count;
}

static const struct retention_item *newest(const struct model *m, const struct retention_item *items, guint n,
                                           enum meta_state at_least)
{
    const struct retention_item *found = NULL;
    for (guint k = 0; k < n; k++)
        if (is_good(m, &items[k]) && items[k].state >= at_least && (!found || items[k].taken_at > found->taken_at))
            found = &items[k];
    return found;
}

/* ---- time without backups, worked out the slow way ---- */

static gboolean was_made(const struct model *m, const struct retention_item *i)
{
    return !i->no_metadata && !i->other_server && !i->odd_date && !i->copy && i->taken_at <= m->clock + RETENTION_SLACK_S;
}

/* The latest moment before another one at which a backup was made; 0: none. */
static gint64 made_before(const struct model *m, const struct retention_item *items, guint n, gint64 moment)
{
    gint64 found = 0;
    for (guint k = 0; k < n; k++)
        if (was_made(m, &items[k]) && items[k].taken_at < moment)
            found = MAX(found, items[k].taken_at);
    return found;
}

/* Of the gaps between backups, the shortest that is not shorter than half of them. */
static gint64 usual_gap(const struct model *m, const struct retention_item *items, guint n)
{
    gint64 gaps[MOST], usual = G_MAXINT64;
    guint count = 0;
    gint64 newer = made_before(m, items, n, G_MAXINT64), older;
    for (; newer && (older = made_before(m, items, n, newer)); newer = older)
        gaps[count++] = newer - older;
    for (guint k = 0; k < count; k++) {
        guint not_longer = 0;
        for (guint other = 0; other < count; other++)
            not_longer += gaps[other] <= gaps[k];
        if (2 * not_longer >= count)
            usual = MIN(usual, gaps[k]);
    }
    return count ? usual : 0;
}

static void work_out_uncounted(struct model *m, enum tier_place place, const struct retention_item *items, guint n)
{
    gint64 allowance = 2 * usual_gap(m, items, n), whole = m->tiers.days[TIER_HOURLY][place] * (gint64)DAY;
    gint64 newer = m->clock, age = 0;
    if (allowance < 7 * DAY)
        allowance = 7 * DAY;
    memset(m->uncounted, 0, sizeof m->uncounted);
    for (gint64 at = made_before(m, items, n, G_MAXINT64); at; at = made_before(m, items, n, at)) {
        gboolean beyond = age + allowance > whole && 2 * age > whole;
        gint64 excess = beyond ? 0 : MAX(0, newer - at - allowance);
        for (guint k = 0; k < n; k++)
            m->uncounted[k] += items[k].taken_at <= at ? excess : 0;
        age += MAX(0, newer - at) - excess;
        newer = at;
    }
}

/* In the sense of the tier table: its days are over. */
static gboolean is_over(const struct model *m, enum tier_place place, const struct retention_item *items,
                        const struct retention_item *i)
{
    gint64 age = m->clock - i->taken_at - m->uncounted[i - items];
    return age > (gint64)m->tiers.days[i->tier][place] * DAY;
}

static void check_deleted(const struct model *m, enum tier_place place, const struct retention_item *items, guint n,
                          const struct retention_item *gone)
{
    int good_newer = 0;
    for (guint k = 0; k < n; k++)
        good_newer += is_good(m, &items[k]) && items[k].taken_at >= gone->taken_at && &items[k] != gone;
    if (gone->held)
        broken(m, "a held backup goes", gone->id);
    if (gone->in_use)
        broken(m, "a backup goes that is read", gone->id);
    if (gone->pending)
        broken(m, "a backup goes that is not in S3 yet", gone->id);
    if (gone->lock_until > m->clock)
        broken(m, "a locked backup is tried", gone->id);
    if (gone->no_metadata || gone->unknown_type || gone->odd_date)
        broken(m, "something goes that is not understood", gone->id);
    if (gone->taken_at > m->clock)
        broken(m, "a backup from the future goes", gone->id);
    if (!is_over(m, place, items, gone))
        broken(m, "a backup goes before its time", gone->id);
    if (good_newer < m->keep_min)
        broken(m, "a backup goes though too few good ones are newer", gone->id);
}

/* What nobody has a reason to keep must go: a rule that keeps everything would pass all the others. */
static void check_kept(const struct model *m, enum tier_place place, const struct retention_item *items, guint n,
                       const struct retention_item *kept)
{
    int good_newer = 0, monthly_newer = 0;
    for (guint k = 0; k < n; k++) {
        const struct retention_item *i = &items[k];
        good_newer += is_good(m, i) && i->taken_at > kept->taken_at;
        monthly_newer += i->tier == TIER_MONTHLY && i->state >= META_VERIFIED && !i->other_server && i->taken_at > kept->taken_at &&
                         i->taken_at <= m->clock + RETENTION_SLACK_S;
    }
    gboolean excused = kept->held || kept->in_use || kept->pending || kept->lock_until > m->clock ||
                       kept->no_metadata || kept->other_server || kept->unknown_type || kept->odd_date ||
                       kept->taken_at > m->clock + RETENTION_SLACK_S || kept == newest(m, items, n, META_PROVEN) ||
                       (place == TIER_S3 && kept->tier == TIER_MONTHLY && monthly_newer == 0);
    if (!excused && good_newer >= m->keep_min && is_over(m, place, items, kept))
        broken(m, "a backup stays for no reason", kept->id);
}

static void check(const struct model *m, enum tier_place place, const struct retention_item *items, guint n)
{
    int before = count_good(m, items, n, FALSE), after = count_good(m, items, n, TRUE);
    if (after < MIN(before, m->keep_min))
        broken(m, "fewer than BACKUP_KEEP_MIN good backups are left", "-");
    const struct retention_item *good = newest(m, items, n, META_VERIFIED), *proven = newest(m, items, n, META_PROVEN);
    if (good && good->reason == RETENTION_EXPIRED)
        broken(m, "the newest good backup goes", good->id);
    if (proven && proven->reason == RETENTION_EXPIRED)
        broken(m, "the newest proven backup goes", proven->id);
    for (guint k = 0; k < n; k++)
        (items[k].reason == RETENTION_EXPIRED ? check_deleted : check_kept)(m, place, items, n, &items[k]);
}

static void prune(struct model *m, enum tier_place place)
{
    struct retention_item items[MOST];
    struct retention_policy policy = {&m->tiers, place, m->keep_min, m->clock};
    guint n = 0;
    for (guint k = 0; k < m->n; k++)
        if (m->things[k].here[place]) {
            items[n] = m->things[k].item;
            items[n++].data = &m->things[k];
        }
    retention_judge(items, n, &policy);
    work_out_uncounted(m, place, items, n);
    check(m, place, items, n);
    runs++;
    for (guint k = 0; k < n; k++) {
        kept_by[items[k].reason]++;
        if (items[k].reason != RETENTION_EXPIRED)
            continue;
        deletions++;
        ((struct thing *)items[k].data)->here[place] = FALSE;
    }
}

static void run_history(guint seed)
{
    struct model m = {.random = seed * 0x9e3779b97f4a7c15u + 1, .seed = seed, .clock = 1767196800, .truth = 1767196800};
    m.keep_min = 1 + (int)roll(&m, 4);
    m.tiers = tiers_make(1 + (int)roll(&m, 60), 1 + (int)roll(&m, 120));
    for (int step = 0; step < STEPS; step++) {
        pass_time(&m);
        for (guint k = roll(&m, 3); k > 0; k--)
            take_backup(&m);
        if (one_in(&m, 2))
            change_something(&m);
        if (one_in(&m, 2))
            prune(&m, TIER_LOCAL);
        if (one_in(&m, 2))
            prune(&m, TIER_S3);
    }
}

static guint number_of(const char *variable, guint standard)
{
    const char *text = g_getenv(variable);
    return text ? (guint)g_ascii_strtoull(text, NULL, 10) : standard;
}

static void test_histories(void)
{
    guint histories = number_of("RETENTION_HISTORIES", 100000), first = number_of("RETENTION_SEED", 1);
    for (guint k = 0; k < histories; k++)
        run_history(first + k);
    g_assert_cmpuint(deletions, >, histories > 100 ? histories / 10 : 0);
    g_test_message("%u histories from seed %u: %" G_GUINT64_FORMAT " runs of retention, %" G_GUINT64_FORMAT
                   " deletions, no promise broken",
                   histories, first, runs, deletions);
    for (int r = 0; r <= RETENTION_EXPIRED; r++) {
        g_test_message("%-15s %" G_GUINT64_FORMAT, retention_word((enum retention_reason)r), kept_by[r]);
        g_assert_cmpuint(kept_by[r] + (histories < 1000), >, 0); /* every rule was at work */
    }
}

/* ---- a clock that jumps ahead ---- */

#define HOURS (24 * 60)
#define JUMPS 300

/* Hourly backups for weeks, judged every day; only the clock of the machine then leaps. */
struct leap {
    struct model m; /* only for its random numbers, tiers, and time */
    struct retention_item items[HOURS + 1];
    guint n;
};

static void leap_add(struct leap *l, gint64 at)
{
    guint k = l->n++;
    l->items[k] = (struct retention_item){.taken_at = at, .state = META_VERIFIED};
    l->items[k].tier = (enum tier)(one_in(&l->m, 20) ? roll(&l->m, TIERS) : TIER_HOURLY);
    l->items[k].data = GSIZE_TO_POINTER(l->m.truth); /* when it was made, whatever the clock said */
    l->items[k].id = "app";
}

/* What is left after a run; and if the clock has jumped, nothing may go that is a week short of its days. */
static void leap_judge(struct leap *l, enum tier_place place, gint64 now)
{
    struct retention_policy policy = {&l->m.tiers, place, 1, now};
    retention_judge(l->items, l->n, &policy);
    guint left = 0;
    for (guint k = 0; k < l->n; k++) {
        const struct retention_item *i = &l->items[k];
        gint64 age = l->m.truth - (gint64)GPOINTER_TO_SIZE(i->data);
        if (i->reason == RETENTION_EXPIRED && age < (gint64)(l->m.tiers.days[i->tier][place] - 7) * DAY)
            broken(&l->m, "a backup goes because the clock jumped ahead", tiers_name(i->tier));
        if (i->reason != RETENTION_EXPIRED)
            l->items[left++] = *i;
    }
    l->n = left;
}

static void run_leap(guint seed)
{
    g_autofree struct leap *l = g_new0(struct leap, 1);
    l->m = (struct model){.random = seed * 0x9e3779b97f4a7c15u + 1, .seed = seed, .truth = 1767196800};
    enum tier_place place = one_in(&l->m, 2) ? TIER_LOCAL : TIER_S3;
    l->m.tiers = tiers_make(1 + (int)roll(&l->m, 40), 1 + (int)roll(&l->m, 40));
    for (int tier = 1; tier < TIERS; tier++)
        tiers_set(&l->m.tiers, (enum tier)tier, place, (int)roll(&l->m, 80));
    for (guint hours = 1 + roll(&l->m, HOURS - 1); hours > 0; hours--) {
        leap_add(l, l->m.truth);
        if (hours % 24 == 1)
            leap_judge(l, place, l->m.truth);
        l->m.truth += HOUR;
    }
    gint64 now = l->m.truth + (gint64)roll(&l->m, 4000) * DAY + roll(&l->m, DAY);
    if (one_in(&l->m, 2))
        leap_add(l, now);
    leap_judge(l, place, now);
}

static void test_clock_jumps_ahead(void)
{
    for (guint seed = 1; seed <= JUMPS; seed++)
        run_leap(seed);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/retention/model", test_histories);
    g_test_add_func("/retention/clock_jumps_ahead", test_clock_jumps_ahead);
    return g_test_run();
}
