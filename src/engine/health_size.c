/* Checks of how much there is: size against the past, rows of each table, room on the disk. */
#include "engine/health_data.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "catalog/gaps.h"
#include "catalog/names.h"

#define HOUR 3600
#define DAY (24 * HOUR)
#define SIZE_PERCENT 30.0
#define LOSS_PERCENT 30.0
#define MEDIAN_OF 24 /* backups before the newest */
#define FORECAST_WARNING_S (14.0 * DAY)
#define FORECAST_CRITICAL_S (3.0 * DAY)
#define SHOWN_TABLES 5

static GPtrArray *good_backups(const struct health_data *d)
{
    GPtrArray *good = g_ptr_array_new();
    for (guint i = 0; i < d->backups->len; i++)
        if (health_is_good(d, d->backups->pdata[i]))
            g_ptr_array_add(good, d->backups->pdata[i]);
    return good;
}

static void nothing_to_compare(const struct health_data *d, struct health_check *c, guint backups)
{
    health_blame_age(d, c);
    health_raise(c, backups ? HEALTH_UNKNOWN : health_without_backup(d, &c->value));
    if (!c->value)
        c->value = g_strdup(backups ? "one good backup only: nothing to compare with" : "there is no good backup");
    health_advise(c, backups ? "The next backup is compared with this one." : "Run `opstower backup` now.");
}

/* ---- size ---- */

static gint by_size(gconstpointer a, gconstpointer b)
{
    guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
    return x < y ? -1 : x > y;
}

/* Without the share of rows that were recovered beside the live ones: they come and go with a repair. */
static guint64 lasting_size(const struct catalog_entry *e)
{
    double plain = (double)e->meta->plain_bytes, recovered = (double)e->meta->recovered_bytes;
    return plain > 0 && recovered < plain ? (guint64)((double)e->size_bytes * (1 - recovered / plain)) : e->size_bytes;
}

/* Of the backups before the newest that were packed as it was; 0: there is none. */
static double median_size(const GPtrArray *good)
{
    g_autoptr(GArray) sizes = g_array_new(FALSE, FALSE, sizeof(guint64));
    const struct catalog_entry *newest = good->pdata[0];
    for (guint i = 1; i < good->len && sizes->len < MEDIAN_OF; i++) {
        const struct catalog_entry *e = good->pdata[i];
        guint64 size = lasting_size(e);
        if (g_strcmp0(e->meta->level, newest->meta->level) == 0)
            g_array_append_val(sizes, size);
    }
    if (sizes->len == 0)
        return 0;
    g_array_sort(sizes, by_size);
    double low = (double)g_array_index(sizes, guint64, (sizes->len - 1) / 2);
    double high = (double)g_array_index(sizes, guint64, sizes->len / 2);
    return (low + high) / 2;
}

/* Bytes a day, from the oldest of the last 7 days to the newest. */
static double growth_per_day(const GPtrArray *good)
{
    const struct catalog_entry *newest = good->pdata[0], *oldest = newest;
    for (guint i = 1; i < good->len; i++) {
        const struct catalog_entry *e = good->pdata[i];
        if (health_taken_at(e) >= health_taken_at(newest) - 7 * DAY &&
            g_strcmp0(e->meta->level, newest->meta->level) == 0)
            oldest = e;
    }
    double days = (double)(health_taken_at(newest) - health_taken_at(oldest)) / DAY;
    return days > 0 ? ((double)lasting_size(newest) - (double)lasting_size(oldest)) / days : 0;
}

static char *signed_size(double bytes)
{
    g_autofree char *text = text_size((guint64)fabs(bytes), "B");
    return g_strconcat(bytes < 0 ? "-" : "+", text, NULL);
}

gboolean health_check_size(const struct health_data *d, struct health_check *c)
{
    g_autoptr(GPtrArray) good = good_backups(d);
    c->target = g_strdup("near the median of the backups before");
    c->threshold = g_strdup_printf("warning beyond +-%g %%", SIZE_PERCENT);
    double median = good->len ? median_size(good) : 0;
    if (median <= 0) {
        health_measure(c, NAN, "%", HEALTH_OUTSIDE, SIZE_PERCENT, NAN);
        nothing_to_compare(d, c, good->len);
        return TRUE;
    }
    const struct catalog_entry *newest = good->pdata[0];
    double change = 100.0 * ((double)lasting_size(newest) - median) / median;
    health_measure(c, change, "%", HEALTH_OUTSIDE, SIZE_PERCENT, NAN);
    g_autofree char *size = text_size(newest->size_bytes, "B"), *growth = signed_size(growth_per_day(good));
    c->value = g_strdup_printf("%s, %+.1f %%, growth %s a day", size, change, growth);
    health_advise(c, "Find out which table changed: compare \"tables\" in the metadata of %s with the one before.",
                  newest->id);
    return TRUE;
}

/* ---- rows ---- */

/* Rows per "schema.name": the most that one of these backups had. */
static void note_rows(GHashTable *most, const struct catalog_entry *e)
{
    gsize i;
    json_t *t;
    json_t *tables = meta_read_tables(e->meta);
    json_array_foreach(tables, i, t)
    {
        const char *schema = record_text(t, "schema"), *name = record_text(t, "name");
        gint64 rows = json_integer_value(json_object_get(t, "rows"));
        if (!schema || !name || names_is_recovered(schema))
            continue;
        char *key = g_strdup_printf("%s.%s", schema, name);
        const gint64 *known = g_hash_table_lookup(most, key);
        if (!known || *known < rows)
            g_hash_table_insert(most, key, g_memdup2(&rows, sizeof rows));
        else
            g_free(key);
    }
    json_decref(tables);
}

static GHashTable *rows_of(const struct catalog_entry *e)
{
    GHashTable *rows = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (e)
        note_rows(rows, e);
    return rows;
}

/* A loss is told for a day, not only until the next backup, which has lost nothing any more. */
static GHashTable *rows_before(const GPtrArray *good)
{
    GHashTable *most = rows_of(NULL);
    gint64 newest = health_taken_at(good->pdata[0]);
    for (guint i = 1; i < good->len; i++)
        if (i == 1 || health_taken_at(good->pdata[i]) >= newest - DAY)
            note_rows(most, good->pdata[i]);
    return most;
}

/* A name as the settings have it: NAME or SCHEMA.NAME, quoted or not, and with * where the settings may say so. */
static gboolean is_listed(const char *const *list, const char *key)
{
    for (; list && *list; list++) {
        g_auto(GStrv) parts = g_strsplit(*list, "\"", -1);
        g_autofree char *pattern = g_strjoinv("", parts);
        const char *name = strchr(pattern, '.') ? key : strchr(key, '.') + 1;
        if (g_pattern_match_simple(pattern, name))
            return TRUE;
    }
    return FALSE;
}

struct loss {
    const char *key; /* the table's */
    gint64 before, now;
    double percent;
    gboolean gone;
};

static gint worst_loss_first(gconstpointer a, gconstpointer b)
{
    const struct loss *x = a, *y = b;
    gint64 lost_x = x->before - x->now, lost_y = y->before - y->now;
    return lost_x != lost_y ? (lost_x < lost_y ? 1 : -1) : strcmp(x->key, y->key);
}

/* struct loss, of tables that are gone or have fewer rows than before; keys belong to before. */
static GArray *find_losses(const struct health_data *d, GHashTable *before, GHashTable *rows)
{
    GArray *losses = g_array_new(FALSE, FALSE, sizeof(struct loss));
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, before);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const gint64 *now = g_hash_table_lookup(rows, key);
        struct loss l = {.key = key, .before = *(gint64 *)value, .now = now ? *now : 0, .gone = !now};
        l.percent = l.before > 0 ? 100.0 * (double)(l.before - l.now) / (double)l.before : l.gone ? 100 : 0;
        if ((l.gone || l.percent > 0) && !is_listed(d->request->row_loss_ignore, key))
            g_array_append_val(losses, l);
    }
    g_array_sort(losses, worst_loss_first);
    return losses;
}

/* CRITICAL_TABLES, else those that had the most rows. */
static gboolean is_critical(const struct health_data *d, GHashTable *before, const struct loss *l)
{
    if (d->request->critical_tables)
        return is_listed(d->request->critical_tables, l->key);
    guint bigger = 0;
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, before);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        bigger += *(gint64 *)value > l->before;
    return bigger < 3 && l->before > 0;
}

static void judge_losses(const struct health_data *d, struct health_check *c, GHashTable *before, const GArray *losses)
{
    g_autoptr(GString) text = g_string_new(NULL), subject = g_string_new(NULL);
    double worst = 0;
    guint bad = 0;
    for (guint i = 0; i < losses->len; i++) {
        const struct loss *l = &g_array_index(losses, struct loss, i);
        worst = MAX(worst, l->percent);
        if (!l->gone && l->percent <= LOSS_PERCENT)
            continue;
        health_raise(c, is_critical(d, before, l) ? HEALTH_CRITICAL : HEALTH_WARNING);
        g_string_append_printf(subject, "%s%s", bad ? "\n" : "", l->key);
        if (++bad > SHOWN_TABLES)
            continue;
        g_string_append_printf(text, "%s%s %s %" G_GINT64_FORMAT " -> ", bad > 1 ? "; " : "", l->key,
                               l->gone ? "is gone:" : "lost rows:", l->before);
        g_string_append_printf(text, "%" G_GINT64_FORMAT, l->now);
    }
    if (bad > SHOWN_TABLES)
        g_string_append_printf(text, "; and %u more", bad - SHOWN_TABLES);
    health_measure(c, worst, "%", HEALTH_ABOVE, LOSS_PERCENT, NAN);
    c->subject = g_string_free(g_steal_pointer(&subject), FALSE);
    c->value = bad ? g_string_free(g_steal_pointer(&text), FALSE)
                   : g_strdup_printf("%u tables, at most %.1f %% fewer rows", g_hash_table_size(before), worst);
}

gboolean health_check_rows(const struct health_data *d, struct health_check *c)
{
    g_autoptr(GPtrArray) good = good_backups(d);
    c->target = g_strdup("as many rows as in the last 24 h");
    c->threshold = g_strdup_printf("bad over %g %% lost, or table gone", LOSS_PERCENT);
    if (good->len < 2) {
        health_measure(c, NAN, "%", HEALTH_ABOVE, LOSS_PERCENT, NAN);
        nothing_to_compare(d, c, good->len);
        return TRUE;
    }
    const struct meta *newest = ((struct catalog_entry *)good->pdata[0])->meta;
    if (!newest->tables && !newest->tables_text) {
        health_raise(c, HEALTH_UNKNOWN);
        c->value = g_strdup("the newest backup's metadata does not list its tables");
        health_advise(c, "Only backups of this program do.");
        return TRUE;
    }
    g_autoptr(GHashTable) before = rows_before(good), rows = rows_of(good->pdata[0]);
    g_autoptr(GArray) losses = find_losses(d, before, rows);
    judge_losses(d, c, before, losses);
    const struct catalog_entry *previous = good->pdata[1];
    health_advise(c,
                  "If nobody meant to delete that: `opstower restore %s --table SCHEMA.TABLE` brings it back beside "
                  "the live one. Tables that may lose rows: BACKUP_ROW_LOSS_IGNORE.",
                  previous->id);
    return TRUE;
}

/* ---- the disk ---- */

/* Bytes of the backups here that were taken at or after a moment. */
static double bytes_since(const struct health_data *d, gint64 from)
{
    double bytes = 0;
    for (guint i = 0; i < d->backups->len; i++) {
        const struct catalog_entry *e = d->backups->pdata[i];
        if (e->path && health_taken_at(e) >= from && health_taken_at(e) <= d->now)
            bytes += (double)e->size_bytes;
    }
    return bytes;
}

/* Of those whose days are over within a week, or were. */
static double bytes_leaving(const struct health_data *d)
{
    const struct tiers *tiers = &d->request->tiers;
    g_autoptr(gap_list) silence = gaps_of_entries(d->backups, NULL, TIER_LOCAL, tiers, d->now);
    double bytes = 0;
    for (guint i = 0; i < d->backups->len; i++) {
        const struct catalog_entry *e = d->backups->pdata[i];
        gint64 days = tiers_days(tiers, e->meta ? e->meta->type : NULL, TIER_LOCAL);
        if (e->path && health_taken_at(e) + days * DAY + gaps_uncounted(silence, e->taken_at) < d->now + 7 * DAY)
            bytes += (double)e->size_bytes;
    }
    return bytes;
}

/* What is added in a day less what retention deletes: of a young folder, by the schedule. */
static double net_per_day(const struct health_data *d, const struct catalog_entry *oldest, double newest_bytes)
{
    gint64 span = MIN(7 * DAY, d->now - health_taken_at(oldest));
    double added = span < DAY ? newest_bytes * DAY / (d->limits.rpo_minutes * 60.0)
                              : bytes_since(d, d->now - span) * DAY / (double)span;
    return added - bytes_leaving(d) / 7;
}

static void count_local(const struct health_data *d, const struct catalog_entry **newest,
                        const struct catalog_entry **oldest)
{
    d->numbers->local_backups = d->numbers->local_bytes = 0;
    for (guint i = 0; i < d->backups->len; i++) {
        const struct catalog_entry *e = d->backups->pdata[i];
        if (!e->path)
            continue;
        *newest = *newest ? *newest : e;
        *oldest = e;
        d->numbers->local_backups++;
        d->numbers->local_bytes += (gint64)e->size_bytes;
    }
}

static void forecast(const struct health_data *d, struct health_check *c, const struct catalog_entry *newest,
                     const struct catalog_entry *oldest)
{
    g_autofree char *room = text_size((guint64)d->free_bytes, "B");
    double net = net_per_day(d, oldest, (double)newest->size_bytes);
    double seconds = net > 0 ? (double)d->free_bytes / net * DAY : INFINITY;
    health_measure(c, seconds, "s", HEALTH_BELOW, FORECAST_WARNING_S, FORECAST_CRITICAL_S);
    if ((double)d->free_bytes < (double)newest->size_bytes) {
        health_raise(c, HEALTH_CRITICAL);
        c->value = g_strdup_printf("%s free: the next backup will not fit", room);
        return;
    }
    g_autofree char *growth = signed_size(net), *days = health_duration(seconds < 1e9 ? seconds : 0);
    c->value = seconds < 1e9 ? g_strdup_printf("full in %s: %s free, %s a day", days, room, growth)
                             : g_strdup_printf("%s free; as much is deleted as is added", room);
}

gboolean health_check_disk(const struct health_data *d, struct health_check *c)
{
    const struct catalog_entry *newest = NULL, *oldest = NULL;
    count_local(d, &newest, &oldest);
    if (!newest)
        return FALSE;
    c->target = g_strdup("room for weeks");
    c->threshold = g_strdup("warning under 14 d, critical under 3 d or one backup");
    if (d->free_bytes < 0) {
        health_raise(c, HEALTH_UNKNOWN);
        c->value = g_strdup("free space cannot be seen");
    } else {
        forecast(d, c, newest, oldest);
    }
    health_advise(c, "Give %s a larger disk, or lower BACKUP_RETENTION_DAYS. Do not delete backups by hand.",
                  d->request->dir);
    return TRUE;
}
