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
    return (i->state == META_VERIFIED || i->state == META_PROVEN) && i->tier != TIER_PRE_RESTORE && !i->copy &&
           !i->no_metadata && !i->unknown_type && !i->odd_date && i->taken_at <= m->clock + RETENTION_SLACK_S;
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
    if (gone->taken_at >= m->clock - (gint64)m->tiers.days[gone->tier][place] * DAY)
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
        monthly_newer += i->tier == TIER_MONTHLY && i->state >= META_VERIFIED && i->taken_at > kept->taken_at &&
                         i->taken_at <= m->clock + RETENTION_SLACK_S;
    }
    gboolean excused = kept->held || kept->in_use || kept->pending || kept->lock_until > m->clock ||
                       kept->no_metadata || kept->unknown_type || kept->odd_date ||
                       kept->taken_at > m->clock + RETENTION_SLACK_S || kept == newest(m, items, n, META_PROVEN) ||
                       (place == TIER_S3 && kept->tier == TIER_MONTHLY && monthly_newer == 0);
    if (!excused && good_newer >= m->keep_min &&
        kept->taken_at < m->clock - (gint64)m->tiers.days[kept->tier][place] * DAY)
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/retention/model", test_histories);
    return g_test_run();
}
