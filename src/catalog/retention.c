/* Each rule is a line of a table; one loop asks them in turn. */
#include "catalog/retention.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "catalog/catalog.h"
#include "catalog/gaps.h"

#define DAY_S 86400
#define TIMESTAMP_LENGTH 15
#define MONTH_LENGTH 6

/* What the loop has seen of the newer ones. */
struct seen {
    const struct retention_policy *policy;
    int good;
    gboolean proven, monthly;
};

static gboolean is_future(const struct retention_item *i, const struct retention_policy *p)
{
    return i->taken_at > p->now + RETENTION_SLACK_S;
}

gboolean retention_counts(const struct retention_item *i, const struct retention_policy *p)
{
    return i->state >= META_VERIFIED && i->tier != TIER_PRE_RESTORE && !i->copy && !i->no_metadata &&
           !i->other_server && !i->unknown_type && !i->odd_date && !is_future(i, p);
}

static gboolean counts_as_monthly(const struct retention_item *i, const struct retention_policy *p)
{
    return p->place == TIER_S3 && i->tier == TIER_MONTHLY && i->state >= META_VERIFIED && !i->other_server &&
           !is_future(i, p);
}

static int days_of(const struct retention_item *i, const struct retention_policy *p)
{
    return p->tiers->days[i->tier][p->place];
}

/* ---- the rules ---- */

static gboolean no_metadata(const struct retention_item *i, const struct seen *s)
{
    (void)s;
    return i->no_metadata;
}

static gboolean other_server(const struct retention_item *i, const struct seen *s)
{
    (void)s;
    return i->other_server;
}

static gboolean unknown_type(const struct retention_item *i, const struct seen *s)
{
    (void)s;
    return i->unknown_type;
}

static gboolean odd_date(const struct retention_item *i, const struct seen *s)
{
    (void)s;
    return i->odd_date;
}

static gboolean future(const struct retention_item *i, const struct seen *s)
{
    return is_future(i, s->policy);
}

static gboolean held(const struct retention_item *i, const struct seen *s)
{
    (void)s;
    return i->held;
}

/* What is older has had its tier's days. */
static gint64 days_ago(const struct retention_item *i, const struct seen *s)
{
    return s->policy->now - (gint64)days_of(i, s->policy) * DAY_S;
}

static gboolean young(const struct retention_item *i, const struct seen *s)
{
    return i->unread || i->taken_at >= days_ago(i, s);
}

static gboolean pending(const struct retention_item *i, const struct seen *s)
{
    (void)s;
    return i->pending;
}

static gboolean in_use(const struct retention_item *i, const struct seen *s)
{
    (void)s;
    return i->in_use;
}

static gboolean locked(const struct retention_item *i, const struct seen *s)
{
    return i->lock_until > s->policy->now;
}

static gboolean minimum(const struct retention_item *i, const struct seen *s)
{
    return retention_counts(i, s->policy) && s->good < s->policy->keep_min;
}

static gboolean newest_proven(const struct retention_item *i, const struct seen *s)
{
    return retention_counts(i, s->policy) && i->state == META_PROVEN && !s->proven;
}

static gboolean newest_monthly(const struct retention_item *i, const struct seen *s)
{
    return counts_as_monthly(i, s->policy) && !s->monthly;
}

static gboolean few_newer(const struct retention_item *i, const struct seen *s)
{
    (void)i;
    return s->good < s->policy->keep_min;
}

static gboolean uncounted(const struct retention_item *i, const struct seen *s)
{
    return i->taken_at + i->uncounted_s >= days_ago(i, s);
}

static gboolean expired(const struct retention_item *i, const struct seen *s)
{
    (void)i;
    (void)s;
    return TRUE;
}

static const struct rule {
    gboolean (*fits)(const struct retention_item *i, const struct seen *s);
    const char *word;
} rules[] = {
    [RETENTION_NO_METADATA] = {no_metadata, "no-metadata"},
    [RETENTION_OTHER_SERVER] = {other_server, "other-server"},
    [RETENTION_UNKNOWN_TYPE] = {unknown_type, "unknown-type"},
    [RETENTION_ODD_DATE] = {odd_date, "odd-date"},
    [RETENTION_FUTURE] = {future, "future"},
    [RETENTION_HELD] = {held, "held"},
    [RETENTION_YOUNG] = {young, "young"},
    [RETENTION_PENDING] = {pending, "pending"},
    [RETENTION_IN_USE] = {in_use, "in-use"},
    [RETENTION_LOCKED] = {locked, "locked"},
    [RETENTION_MINIMUM] = {minimum, "minimum"},
    [RETENTION_NEWEST_PROVEN] = {newest_proven, "newest-proven"},
    [RETENTION_NEWEST_MONTHLY] = {newest_monthly, "newest-monthly"},
    [RETENTION_FEW_NEWER] = {few_newer, "few-newer"},
    [RETENTION_UNCOUNTED] = {uncounted, "uncounted"},
    [RETENTION_EXPIRED] = {expired, "expired"},
};

static int newer_first(const void *a, const void *b)
{
    const struct retention_item *x = a, *y = b;
    if (x->taken_at != y->taken_at)
        return x->taken_at < y->taken_at ? 1 : -1;
    return x->copy != y->copy ? x->copy - y->copy : strcmp(x->id, y->id);
}

struct gap_list *retention_gaps(const struct retention_item *items, guint n, const struct retention_policy *p)
{
    g_autofree gint64 *made = g_new(gint64, n + 1);
    guint count = 0;
    for (guint k = 0; k < n; k++)
        if (!items[k].no_metadata && !items[k].other_server && !items[k].odd_date && !items[k].copy && !is_future(&items[k], p))
            made[count++] = items[k].taken_at;
    return gaps_new(made, count, p->now, (gint64)p->tiers->days[TIER_HOURLY][p->place] * DAY_S);
}

void retention_judge(struct retention_item *items, guint n, const struct retention_policy *policy)
{
    struct seen seen = {.policy = policy};
    g_autoptr(gap_list) silence = retention_gaps(items, n, policy);
    if (n > 1)
        qsort(items, n, sizeof *items, newer_first);
    for (guint k = 0; k < n; k++) {
        struct retention_item *i = &items[k];
        guint r = 0;
        i->uncounted_s = gaps_uncounted(silence, i->taken_at);
        while (!rules[r].fits(i, &seen))
            r++;
        i->reason = (enum retention_reason)r;
        gboolean counts = retention_counts(i, policy);
        seen.good += counts;
        seen.proven = seen.proven || (counts && i->state == META_PROVEN);
        seen.monthly = seen.monthly || counts_as_monthly(i, policy);
    }
}

/* ---- words ---- */

const char *retention_word(enum retention_reason reason)
{
    return rules[reason].word;
}

static char *uncounted_text(const struct retention_item *i, int days)
{
    int without = (int)((i->uncounted_s + DAY_S - 1) / DAY_S);
    return without == 1 ? g_strdup_printf("within %d days: 1 day without backups is not counted", days)
                        : g_strdup_printf("within %d days: %d days without backups are not counted", days, without);
}

char *retention_text(const struct retention_item *i, const struct retention_policy *p)
{
    int days = days_of(i, p);
    g_autofree char *until = i->lock_until > 0 ? text_iso_time(i->lock_until) : NULL;
    switch (i->reason) {
    case RETENTION_NO_METADATA:
        return g_strdup("not ours to delete: it has no metadata that can be read");
    case RETENTION_OTHER_SERVER:
        return g_strdup("another server's");
    case RETENTION_UNKNOWN_TYPE:
        return g_strdup("its type is not known here");
    case RETENTION_ODD_DATE:
        return g_strdup("its name and its metadata disagree on when it was taken");
    case RETENTION_FUTURE:
        return g_strdup("dated in the future: a clock is or was wrong");
    case RETENTION_HELD:
        return g_strdup("held");
    case RETENTION_YOUNG:
        return g_strdup_printf("within %d days", days);
    case RETENTION_PENDING:
        return g_strdup("still to be uploaded to S3");
    case RETENTION_IN_USE:
        return g_strdup("in use");
    case RETENTION_LOCKED:
        return g_strdup_printf("locked in S3 until %s", until);
    case RETENTION_MINIMUM:
        return g_strdup_printf("one of the newest %d good ones", p->keep_min);
    case RETENTION_NEWEST_PROVEN:
        return g_strdup("the newest that a test restore proved");
    case RETENTION_NEWEST_MONTHLY:
        return g_strdup("the newest monthly one");
    case RETENTION_FEW_NEWER:
        return g_strdup_printf("fewer than %d good ones are newer", p->keep_min);
    case RETENTION_UNCOUNTED:
        return uncounted_text(i, days);
    case RETENTION_EXPIRED:
        return g_strdup_printf("older than %d days", days);
    }
    return g_strdup("");
}

/* ---- dates ---- */

gboolean retention_date_is_odd(const struct catalog_entry *e)
{
    gint64 noted;
    return !e->meta || !text_parse_iso_time(e->meta->date, &noted) || ABS(noted - e->named_at) > CATALOG_ZONES_S;
}

void retention_month(const char *id, char *ret_month)
{
    gsize length = strlen(id);
    g_strlcpy(ret_month, length >= TIMESTAMP_LENGTH ? id + length - TIMESTAMP_LENGTH : "", MONTH_LENGTH + 1);
}

/* ---- the monthly archive ---- */

/* The months (YYYYMM) that have one. */
static GHashTable *months_served(const struct retention_item *items, guint n)
{
    GHashTable *months = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint k = 0; k < n; k++) {
        char month[MONTH_LENGTH + 1];
        retention_month(items[k].id, month);
        if (items[k].copy && !items[k].other_server)
            g_hash_table_add(months, g_strdup(month));
    }
    return months;
}

static gboolean is_older(const struct retention_item *a, const struct retention_item *b)
{
    return a->taken_at != b->taken_at ? a->taken_at < b->taken_at : strcmp(a->id, b->id) < 0;
}

/* Of the month in which the archive's days begin, and of older ones, it may have been deleted already. */
static gboolean may_have_had_one(const char *month, const struct retention_item *i, const struct gap_list *silence,
                                 const struct retention_policy *p)
{
    gint64 days = p->tiers->days[TIER_MONTHLY][TIER_S3];
    g_autofree char *oldest = text_timestamp(p->now - days * DAY_S - gaps_uncounted(silence, i->taken_at));
    return strncmp(month, oldest, MONTH_LENGTH) <= 0;
}

void retention_choose_monthly(const struct retention_item *items, guint n, const struct retention_policy *policy,
                              gboolean *chosen)
{
    g_autoptr(GHashTable) served = months_served(items, n);
    g_autoptr(GHashTable) first = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(gap_list) silence = retention_gaps(items, n, policy);
    for (guint k = 0; k < n; k++) {
        char month[MONTH_LENGTH + 1];
        chosen[k] = FALSE;
        retention_month(items[k].id, month);
        if (!retention_counts(&items[k], policy) || g_hash_table_contains(served, month) ||
            may_have_had_one(month, &items[k], silence, policy))
            continue;
        gpointer before;
        gboolean known = g_hash_table_lookup_extended(first, month, NULL, &before);
        if (known && !is_older(&items[k], &items[GPOINTER_TO_UINT(before)]))
            continue;
        if (known)
            chosen[GPOINTER_TO_UINT(before)] = FALSE;
        chosen[k] = TRUE;
        g_hash_table_replace(first, g_strdup(month), GUINT_TO_POINTER(k));
    }
}
