/* Which backups expire when, what retention would do now, and why old ones stay. */
#include <string.h>

#include "base/text.h"
#include "catalog/describe.h"
#include "catalog/gaps.h"
#include "catalog/hold.h"
#include "web/pages.h"

#define DAY_S 86400
#define WEEKS 6
#define DAYS (WEEKS * 7)
#define MAX_ROWS 200

/* ---- the calendar ---- */

/* Days are calendar days of local time: a day of a clock change has 23 or 25 hours. */
struct calendar {
    GDateTime *first; /* the Monday that it begins with */
    gint today;       /* index of the day */
    guint local[DAYS], s3[DAYS];
    guint local_sum, s3_sum;
};

static void calendar_begin(struct calendar *c, gint64 now)
{
    g_autoptr(GDateTime) moment = g_date_time_new_from_unix_local(now);
    g_autoptr(GDateTime) midnight = g_date_time_new_local(g_date_time_get_year(moment), g_date_time_get_month(moment),
                                                          g_date_time_get_day_of_month(moment), 0, 0, 0);
    c->today = g_date_time_get_day_of_week(midnight) - 1;
    c->first = g_date_time_add_days(midnight, -c->today);
}

/* The index of a moment's day; -1 if the calendar does not show it. */
static gint day_of(const struct calendar *c, gint64 at)
{
    for (gint day = c->today; day < DAYS; day++) {
        g_autoptr(GDateTime) next = g_date_time_add_days(c->first, day + 1);
        if (at < g_date_time_to_unix(next))
            return day;
    }
    return -1;
}

static gint64 expiry_of(const struct catalog_entry *e, const struct gap_list *silence, const struct tiers *tiers,
                        enum tier_place place)
{
    return e->taken_at + (gint64)tiers_days(tiers, e->meta->type, place) * DAY_S + gaps_uncounted(silence, e->taken_at);
}

static void enter(const struct calendar *c, gint64 expires, gint64 now, guint *days, guint *sum)
{
    gint day = expires < now ? -1 : day_of(c, expires);
    if (day < 0)
        return;
    days[day]++;
    ++*sum;
}

static void gaps_free_any(gpointer g)
{
    gaps_free(g);
}

/* Each database has its own: name to struct gap_list *. */
static GHashTable *gaps_of_names(const struct view *v, enum tier_place place)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, gaps_free_any);
    const GPtrArray *all = v->sight.backups->all;
    for (guint i = 0; i < all->len; i++) {
        const struct catalog_entry *e = all->pdata[i];
        if (!g_hash_table_contains(table, e->name))
            g_hash_table_insert(table, e->name,
                                gaps_of_entries(all, e->name, place, &v->config->retention->tiers, v->sight.now));
    }
    return table;
}

/* Backups that are held, and those that have no metadata, expire on no day. */
static void calendar_fill_place(struct calendar *c, const struct view *v, enum tier_place place)
{
    const GPtrArray *all = v->sight.backups->all;
    gboolean here = place == TIER_LOCAL;
    g_autoptr(GHashTable) silences = gaps_of_names(v, place);
    for (guint i = 0; i < all->len; i++) {
        const struct catalog_entry *e = all->pdata[i];
        if (!e->meta || !(here ? e->path != NULL : e->object != NULL) || hold_is_active(e->meta, v->sight.now))
            continue;
        gint64 expires = expiry_of(e, g_hash_table_lookup(silences, e->name), &v->config->retention->tiers, place);
        enter(c, expires, v->sight.now, here ? c->local : c->s3, here ? &c->local_sum : &c->s3_sum);
    }
}

static void calendar_fill(struct calendar *c, const struct view *v)
{
    calendar_fill_place(c, v, TIER_LOCAL);
    calendar_fill_place(c, v, TIER_S3);
}

static void write_day(const struct calendar *c, gint day, GString *out)
{
    g_autoptr(GDateTime) date = g_date_time_add_days(c->first, day);
    g_autofree char *number = g_date_time_format(date, "%-d");
    html(out,
         day == c->today ? "<td class=\"today\"><span class=\"day\">%s<span class=\"hidden\"> (today)</span></span>"
                         : "<td><span class=\"day\">%s</span>",
         number);
    if (c->local[day])
        html(out, "<span class=\"count here\">%u<span class=\"hidden\"> here</span></span>", c->local[day]);
    if (c->s3[day])
        html(out, "<span class=\"count away\">%u<span class=\"hidden\"> in S3</span></span>", c->s3[day]);
    g_string_append(out, "</td>");
}

static void write_calendar(const struct calendar *c, GString *out)
{
    static const char *const weekdays[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    html(out,
         "<p>In the next weeks %u backups reach their age on this machine, %u in S3. Rules that keep backups (the "
         "newest "
         "good ones, holds, locks) come before the days.</p>"
         "<p class=\"legend\"><span><span class=\"count here\">n</span>on this machine</span>"
         "<span><span class=\"count away\">n</span>in S3</span></p>"
         "<table class=\"calendar\"><caption class=\"hidden\">Backups that expire on each day</caption><thead><tr>"
         "<th scope=\"col\">Week</th>",
         c->local_sum, c->s3_sum);
    for (gsize i = 0; i < G_N_ELEMENTS(weekdays); i++)
        html(out, "<th scope=\"col\">%s</th>", weekdays[i]);
    g_string_append(out, "</tr></thead><tbody>");
    for (gint day = 0; day < DAYS; day++) {
        g_autoptr(GDateTime) date = g_date_time_add_days(c->first, day);
        g_autofree char *text = g_date_time_format(date, "%-d %b");
        if (day % 7 == 0)
            html(out, "<tr><th scope=\"row\">%s</th>", text);
        write_day(c, day, out);
        if (day % 7 == 6)
            g_string_append(out, "</tr>");
    }
    g_string_append(out, "</tbody></table>");
}

static void write_calendar_section(const struct view *v, GString *out)
{
    struct calendar c = {0};
    calendar_begin(&c, v->sight.now);
    calendar_fill(&c, v);
    g_string_append(out, "<section aria-labelledby=\"when\"><h2 id=\"when\">Which backups expire when</h2>");
    write_calendar(&c, out);
    g_string_append(out, "</section>");
    g_date_time_unref(c.first);
}

/* ---- the table of types ---- */

static guint count_type(const GPtrArray *all, enum tier tier, enum tier_place place)
{
    guint n = 0;
    for (guint i = 0; i < all->len; i++) {
        const struct catalog_entry *e = all->pdata[i];
        enum tier found;
        gboolean there = place == TIER_LOCAL ? e->path != NULL : e->object != NULL;
        n += there && e->meta && tiers_find(e->meta->type, &found) && found == tier;
    }
    return n;
}

static void write_days(const struct view *v, enum tier tier, enum tier_place place, GString *out)
{
    const char *label = place == TIER_LOCAL ? "Here" : "In S3";
    if (!tiers_has_place(tier, place))
        html(out, "<td data-label=\"%s\" class=\"number\">\u2013</td>", label);
    else
        html(out,
             "<td data-label=\"%s\" class=\"number\"><span>%d days <span class=\"quiet\">(%u now)</span></span></td>",
             label, v->config->retention->tiers.days[tier][place], count_type(v->sight.backups->all, tier, place));
}

static void write_types(const struct view *v, GString *out)
{
    html(out,
         "<section aria-labelledby=\"types\"><h2 id=\"types\">How long each type is kept</h2><p>At least %d good ones "
         "stay in each place however old they are, and the newest that a test restore proved.</p>"
         "<table class=\"cards\"><thead><tr><th scope=\"col\">Type</th><th scope=\"col\" class=\"number\">On this "
         "machine</th><th scope=\"col\" class=\"number\">In S3</th></tr></thead><tbody>",
         v->config->retention->keep_min);
    for (int tier = 0; tier < TIERS; tier++) {
        html(out, "<tr><th scope=\"row\">%s</th>", tiers_name((enum tier)tier));
        write_days(v, (enum tier)tier, TIER_LOCAL, out);
        write_days(v, (enum tier)tier, TIER_S3, out);
        g_string_append(out, "</tr>");
    }
    g_string_append(out, "</tbody></table></section>");
}

/* ---- what would go, and what stays though it is old ---- */

static gboolean is_told(const struct prune_verdict *p)
{
    return p->outcome != PRUNE_KEPT || !g_str_equal(p->reason, retention_word(RETENTION_YOUNG));
}

static void write_verdict(const struct prune_verdict *p, GString *out)
{
    g_autofree char *uri = html_uri(p->id);
    gboolean goes = p->outcome != PRUNE_KEPT;
    html(out,
         "<tr><th scope=\"row\"><a href=\"/backups/%s\"><bdi>%s</bdi></a></th><td data-label=\"Where\">%s</td>"
         "<td data-label=\"Next run\"><span class=\"tag %s\">%s</span></td><td data-label=\"Why\">%s</td></tr>",
         uri, p->id, p->place == TIER_LOCAL ? "here" : "S3", goes ? "is-warning" : "is-ok", goes ? "goes" : "stays",
         p->text ? p->text : p->reason);
}

static void write_verdicts(const GPtrArray *verdicts, GString *out)
{
    guint told = 0;
    g_string_append(out, "<section aria-labelledby=\"old\"><h2 id=\"old\">What the next run deletes, and what is kept "
                         "for another reason than its age</h2>");
    for (guint i = 0; i < verdicts->len; i++) {
        const struct prune_verdict *p = verdicts->pdata[i];
        if (!is_told(p) || told++ >= MAX_ROWS)
            continue;
        if (told == 1)
            g_string_append(out,
                            "<table class=\"cards\"><thead><tr><th scope=\"col\">Backup</th><th scope=\"col\">Where"
                            "</th><th scope=\"col\">Next run</th><th scope=\"col\">Why</th></tr></thead><tbody>");
        write_verdict(p, out);
    }
    if (told == 0)
        g_string_append(out, "<p class=\"empty\">Nothing: every backup is younger than its type's days.</p>");
    else
        g_string_append(out, "</tbody></table>");
    if (told > MAX_ROWS)
        html(out, "<p class=\"quiet\">%u more: <code>opstower prune</code> lists all.</p>", told - MAX_ROWS);
    g_string_append(out, "</section>");
}

/* ---- holds ---- */

static void write_hold(const struct catalog_entry *e, GString *out)
{
    const char *reason = hold_text(e->meta, "reason"), *until = hold_text(e->meta, "until"),
               *by = hold_text(e->meta, "by");
    g_autofree char *uri = html_uri(e->id);
    gint64 end;
    html(out,
         "<tr><th scope=\"row\"><a href=\"/backups/%s\"><bdi>%s</bdi></a></th><td data-label=\"Why\"><bdi>%s</bdi></td>"
         "<td data-label=\"By\"><bdi>%s</bdi></td><td data-label=\"Until\">",
         uri, e->id, reason ? reason : "?", by ? by : "?");
    if (until && text_parse_iso_time(until, &end))
        html_time(out, end);
    else
        g_string_append(out, "without an end");
    g_string_append(out, "</td></tr>");
}

static void write_holds(const struct view *v, GString *out)
{
    const GPtrArray *all = v->sight.backups->all;
    guint held = 0;
    g_string_append(out, "<section aria-labelledby=\"holds\"><h2 id=\"holds\">Holds</h2>");
    for (guint i = 0; i < all->len; i++) {
        const struct catalog_entry *e = all->pdata[i];
        if (!e->meta || !hold_is_active(e->meta, v->sight.now) || held++ >= MAX_ROWS)
            continue;
        if (held == 1)
            g_string_append(out, "<table class=\"cards\"><thead><tr><th scope=\"col\">Backup</th><th scope=\"col\">Why"
                                 "</th><th scope=\"col\">By</th><th scope=\"col\">Until</th></tr></thead><tbody>");
        write_hold(e, out);
    }
    g_string_append(out, held ? "</tbody></table></section>" : "<p class=\"empty\">No backup is held.</p></section>");
}

guint page_retention(struct view *v, GString *out)
{
    view_begin(v, "Retention", out);
    view_problem("The list of backups could not be read:", v->sight.backups_problem, out);
    if (v->sight.backups) {
        view_problem("S3 could not be asked, so its copies are left out:", v->sight.backups->s3_problem, out);
        write_calendar_section(v, out);
        write_types(v, out);
    }
    view_problem("What retention would do is not known:", v->sight.retention_problem, out);
    if (v->sight.retention)
        write_verdicts(v->sight.retention, out);
    if (v->sight.backups)
        write_holds(v, out);
    view_end(v, out);
    return 200;
}
