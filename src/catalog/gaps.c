/* One walk from now backwards; then each question is a binary search. */
#include "catalog/gaps.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/lineage.h"
#include "catalog/retention.h"

#define DAY_S 86400
#define LEAST_ALLOWANCE_S (7 * (gint64)DAY_S)

struct gap_list {
    guint n;
    gint64 *made;      /* newest first, each once */
    gint64 *uncounted; /* of the gaps that are newer than that backup */
};

static int later_first(const void *a, const void *b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Two of the same moment make no gap. */
static guint drop_doubles(gint64 *sorted, guint n)
{
    guint kept = 0;
    for (guint k = 0; k < n; k++)
        if (kept == 0 || sorted[k] != sorted[kept - 1])
            sorted[kept++] = sorted[k];
    return kept;
}

/* Of an even number the smaller one: of two gaps one may be the outage. */
static gint64 median_gap(const gint64 *made, guint n)
{
    if (n < 2)
        return 0;
    g_autofree gint64 *between = g_new(gint64, n - 1);
    for (guint k = 0; k + 1 < n; k++)
        between[k] = made[k] - made[k + 1];
    qsort(between, n - 1, sizeof *between, later_first);
    return between[(n - 1) / 2];
}

/* The last gap before the days of the schedule's backups end may reach beyond: to what stays longer. */
static void walk(struct gap_list *g, gint64 now, gint64 whole_s)
{
    gint64 allowance = MAX(LEAST_ALLOWANCE_S, 2 * median_gap(g->made, g->n));
    gint64 real_s = MAX(whole_s - allowance, whole_s / 2), age = 0, uncounted = 0, newer = now;
    for (guint k = 0; k < g->n; k++) {
        gint64 gap = newer - g->made[k];
        gboolean is_real = age <= real_s;
        gint64 counts = is_real ? MIN(gap, allowance) : gap;
        age += counts;
        uncounted += gap - counts;
        g->uncounted[k] = uncounted;
        newer = g->made[k];
    }
}

struct gap_list *gaps_new(const gint64 *made, guint n, gint64 now, gint64 whole_s)
{
    struct gap_list *g = g_new0(struct gap_list, 1);
    g->made = g_new(gint64, n + 1);
    g->uncounted = g_new0(gint64, n + 1);
    for (guint k = 0; k < n; k++)
        g->made[k] = MIN(made[k], now);
    if (n > 1)
        qsort(g->made, n, sizeof *g->made, later_first);
    g->n = drop_doubles(g->made, n);
    walk(g, now, whole_s);
    return g;
}

void gaps_free(struct gap_list *g)
{
    if (!g)
        return;
    g_free(g->made);
    g_free(g->uncounted);
    g_free(g);
}

gint64 gaps_uncounted(const struct gap_list *g, gint64 taken_at)
{
    guint from = 0, to = g->n; /* the first that is older lies in between */
    while (from < to) {
        guint middle = from + (to - from) / 2;
        if (g->made[middle] >= taken_at)
            from = middle + 1;
        else
            to = middle;
    }
    return from > 0 ? g->uncounted[from - 1] : 0;
}

static gboolean was_made(const struct catalog_entry *e, enum tier_place place)
{
    return place == TIER_S3 ? e->object && e->object->has_meta : e->path && e->meta;
}

struct gap_list *gaps_of_entries(const GPtrArray *entries, const char *name, enum tier_place place,
                                 const struct tiers *t, gint64 now)
{
    g_autofree gint64 *made = g_new(gint64, entries->len + 1);
    guint n = 0;
    for (guint k = 0; k < entries->len; k++) {
        const struct catalog_entry *e = entries->pdata[k];
        if (was_made(e, place) && lineage_is_ours(e) && (!name || g_str_equal(e->name, name)) && e->taken_at <= now + RETENTION_SLACK_S)
            made[n++] = e->taken_at;
    }
    return gaps_new(made, n, now, t->days[TIER_HOURLY][place] * (gint64)DAY_S);
}
