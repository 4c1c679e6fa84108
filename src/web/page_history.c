/* Size, duration and gaps over time. */
#include "base/text.h"
#include "catalog/describe.h"
#include "catalog/record.h"
#include "web/chart.h"
#include "web/pages.h"

#define DAY_S 86400
static const guint spans[] = {2, 7, 30, 90, 365};

static char *print_size(double value)
{
    return text_size_pretty((guint64)value);
}

static char *print_duration(double value)
{
    return text_duration((gint64)value);
}

static GArray *new_points(void)
{
    return g_array_new(FALSE, FALSE, sizeof(struct chart_point));
}

static void add(GArray *points, gint64 time, double value)
{
    struct chart_point p = {time, value};
    g_array_append_val(points, p);
}

/* Backups that are gone live on in the journal; those that are here have metadata. An id counts once. */
static void collect(const struct sight_backups *b, GArray *sizes, GArray *durations)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < b->all->len; i++) {
        const struct catalog_entry *e = b->all->pdata[i];
        g_hash_table_add(seen, e->id);
        if (!e->meta || catalog_is_pre_restore(e))
            continue;
        add(sizes, e->taken_at, (double)e->size_bytes);
        if (e->meta->duration_s >= 0)
            add(durations, e->taken_at, (double)e->meta->duration_s);
    }
    for (guint i = 0; i < b->ours->len; i++) {
        const json_t *line = b->ours->pdata[i];
        const char *id = record_text(line, "id");
        if (!record_is(line, "backup") || !id || g_hash_table_contains(seen, id))
            continue;
        add(sizes, record_time(line), record_number(line, "size"));
        add(durations, record_time(line), record_number(line, "duration_seconds"));
    }
}

static gint by_time(gconstpointer a, gconstpointer b)
{
    gint64 x = ((const struct chart_point *)a)->time, y = ((const struct chart_point *)b)->time;
    return (x > y) - (x < y);
}

/* What a loss of the server would have cost just before each backup; the last gap is still open. */
static GArray *gaps_of(GArray *sizes, gint64 now)
{
    GArray *gaps = new_points();
    g_array_sort(sizes, by_time);
    for (guint i = 1; i < sizes->len; i++) {
        gint64 before = g_array_index(sizes, struct chart_point, i - 1).time;
        gint64 at = g_array_index(sizes, struct chart_point, i).time;
        add(gaps, at, (double)(at - before));
    }
    if (sizes->len > 0)
        add(gaps, now, (double)(now - g_array_index(sizes, struct chart_point, sizes->len - 1).time));
    return gaps;
}

static void write_spans(guint days, GString *out)
{
    g_string_append(out, "<nav class=\"choice\" aria-label=\"Span of time\"><ul>");
    for (gsize i = 0; i < G_N_ELEMENTS(spans); i++)
        html(out,
             spans[i] == days ? "<li><a href=\"/history?days=%u\" aria-current=\"true\">%u days</a></li>"
                              : "<li><a href=\"/history?days=%u\">%u days</a></li>",
             spans[i], spans[i]);
    g_string_append(out, "</ul></nav>");
}

static void write_charts(const struct view *v, guint days, GString *out)
{
    g_autoptr(GArray) sizes = new_points();
    g_autoptr(GArray) durations = new_points();
    collect(v->sight.backups, sizes, durations);
    g_autoptr(GArray) gaps = gaps_of(sizes, v->sight.now);
    int rpo = v->config->health->limits.rpo_minutes;
    gint64 from = v->sight.now - (gint64)days * DAY_S;
    struct chart charts[] = {
        {.id = "size", .title = "Size of backups", .value_name = "Size", .points = sizes, .print = print_size},
        {.id = "duration",
         .title = "How long a backup took",
         .value_name = "Duration",
         .points = durations,
         .print = print_duration},
        {.id = "gap",
         .title = "Time since the backup before: what a loss of the server would have cost",
         .value_name = "Time",
         .points = gaps,
         .limit = (rpo ? rpo : 60) * 60.0,
         .limit_name = "target (RPO)",
         .print = print_duration},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(charts); i++) {
        charts[i].from = from;
        charts[i].to = v->sight.now;
        chart_draw(&charts[i], out);
    }
}

guint page_history(struct view *v, GString *out)
{
    guint days = view_number(v, "days", 1, 3650, 30);
    view_begin(v, "History", out);
    write_spans(days, out);
    view_problem("The list of backups could not be read:", v->sight.backups_problem, out);
    if (v->sight.backups) {
        view_problem("The journal could not be read:", v->sight.backups->journal_problem, out);
        write_charts(v, days, out);
        html(out,
             "<p class=\"quiet\">Each column is a %u-hour span at most; where several backups fall into one, the "
             "highest is shown.</p>",
             (days * 24 + CHART_COLUMNS - 1) / CHART_COLUMNS);
    }
    view_end(v, out);
    return 200;
}
