/* Columns, strips, and their tables. */
#include "web/chart.h"

#include <math.h>
#include <string.h>

#include "web/html.h"

#define WIDTH 720
#define HEIGHT 160
#define STRIP_HEIGHT 40

struct column {
    double value; /* the highest in it; -1: it is empty */
    gint64 time;  /* of that value */
    guint count;
};

static void fill_columns(const struct chart *c, struct column *columns)
{
    for (guint i = 0; i < CHART_COLUMNS; i++)
        columns[i] = (struct column){.value = -1};
    for (guint i = 0; i < c->points->len; i++) {
        const struct chart_point *p = &g_array_index(c->points, struct chart_point, i);
        if (p->time < c->from || p->time > c->to || !(p->value >= 0) || !isfinite(p->value))
            continue;
        gint64 at = (p->time - c->from) * CHART_COLUMNS / (c->to - c->from);
        struct column *column = &columns[MIN(at, CHART_COLUMNS - 1)];
        column->count++;
        if (p->value > column->value) {
            column->value = p->value;
            column->time = p->time;
        }
    }
}

static double highest(const struct column *columns, double limit)
{
    double top = limit;
    for (guint i = 0; i < CHART_COLUMNS; i++)
        top = MAX(top, columns[i].value);
    return top;
}

static guint filled(const struct column *columns)
{
    guint n = 0;
    for (guint i = 0; i < CHART_COLUMNS; i++)
        n += columns[i].count > 0;
    return n;
}

static char *short_time(gint64 t, const char *format)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(t);
    return time ? g_date_time_format(time, format) : g_strdup("?");
}

static void draw_column(const struct chart *c, const struct column *column, guint index, double top, GString *out)
{
    if (column->count == 0)
        return;
    double step = (double)WIDTH / CHART_COLUMNS;
    double height = top > 0 ? MAX(2, column->value / top * HEIGHT) : 2;
    g_autofree char *value = c->print(column->value);
    g_autofree char *time = short_time(column->time, "%-d %b, %H:%M");
    gboolean beyond = c->limit > 0 && column->value > c->limit;
    char x[G_ASCII_DTOSTR_BUF_SIZE], y[G_ASCII_DTOSTR_BUF_SIZE], w[G_ASCII_DTOSTR_BUF_SIZE], h[G_ASCII_DTOSTR_BUF_SIZE];
    html(out, "<rect class=\"%s\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"><title>%s: %s%s</title></rect>",
         beyond ? "column beyond" : "column", g_ascii_formatd(x, sizeof x, "%.1f", index * step + step * 0.1),
         g_ascii_formatd(y, sizeof y, "%.1f", HEIGHT - height), g_ascii_formatd(w, sizeof w, "%.1f", step * 0.8),
         g_ascii_formatd(h, sizeof h, "%.1f", height), time, value, beyond ? ", beyond the target" : "");
}

static void describe(const struct chart *c, const struct column *columns, GString *out)
{
    double low = INFINITY, high = -1;
    const struct column *last = NULL;
    for (guint i = 0; i < CHART_COLUMNS; i++) {
        if (columns[i].count == 0)
            continue;
        low = MIN(low, columns[i].value);
        high = MAX(high, columns[i].value);
        last = &columns[i];
    }
    if (!last) {
        g_string_append(out, "There is nothing to show in this span of time.");
        return;
    }
    g_autofree char *low_text = c->print(low), *high_text = c->print(high), *last_text = c->print(last->value);
    html(out, "Between %s and %s; the last is %s.", low_text, high_text, last_text);
}

static void draw_svg(const struct chart *c, const struct column *columns, double top, GString *out)
{
    html(out,
         "<svg class=\"chart\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
         "aria-labelledby=\"%s-title %s-text\"><title id=\"%s-title\">%s</title><desc id=\"%s-text\">",
         WIDTH, HEIGHT, c->id, c->id, c->id, c->title, c->id);
    describe(c, columns, out);
    html(out, "</desc><line class=\"ground\" x1=\"0\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", WIDTH, HEIGHT, HEIGHT);
    for (guint i = 0; i < CHART_COLUMNS; i++)
        draw_column(c, &columns[i], i, top, out);
    if (c->limit > 0) {
        char y[G_ASCII_DTOSTR_BUF_SIZE];
        g_ascii_formatd(y, sizeof y, "%.1f", HEIGHT - c->limit / top * HEIGHT);
        html(out, "<line class=\"limit\" x1=\"0\" x2=\"%d\" y1=\"%s\" y2=\"%s\"/>", WIDTH, y, y);
    }
    g_string_append(out, "</svg>");
}

static void draw_table(const struct chart *c, const struct column *columns, GString *out)
{
    html(out,
         "<details><summary>%s as a table</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" "
         "aria-label=\"%s as a table\"><table><thead><tr><th scope=\"col\">When</th><th scope=\"col\" "
         "class=\"number\">%s</th></tr></thead><tbody>",
         c->title, c->title, c->value_name);
    for (guint i = CHART_COLUMNS; i-- > 0;) {
        if (columns[i].count == 0)
            continue;
        g_autofree char *value = c->print(columns[i].value);
        g_string_append(out, "<tr><th scope=\"row\">");
        html_time(out, columns[i].time);
        html(out, "</th><td class=\"number\">%s</td></tr>", value);
    }
    g_string_append(out, "</tbody></table></div></details>");
}

static void draw_axis(gint64 from, gint64 to, const char *format, GString *out)
{
    g_autofree char *first = short_time(from, format), *middle = short_time(from + (to - from) / 2, format),
                    *last = short_time(to, format);
    html(out, "<div class=\"axis\" aria-hidden=\"true\"><span>%s</span><span>%s</span><span>%s</span></div>", first,
         middle, last);
}

void chart_draw(const struct chart *c, GString *out)
{
    struct column columns[CHART_COLUMNS];
    fill_columns(c, columns);
    double top = highest(columns, c->limit);
    html(out, "<figure><figcaption>%s</figcaption>", c->title);
    if (filled(columns) == 0) {
        g_string_append(out, "<p class=\"quiet\">There is nothing to show in this span of time.</p></figure>");
        return;
    }
    g_autofree char *top_text = c->print(top);
    html(out, "<p class=\"scale\"><span>highest: %s</span>", top_text);
    if (c->limit > 0) {
        g_autofree char *limit_text = c->print(c->limit);
        html(out, "<span class=\"limit-name\">%s: %s</span>", c->limit_name, limit_text);
    }
    g_string_append(out, "</p>");
    draw_svg(c, columns, top, out);
    draw_axis(c->from, c->to, c->to - c->from > 3 * 86400 ? "%-d %b" : "%a %H:%M", out);
    draw_table(c, columns, out);
    g_string_append(out, "</figure>");
}

/* ---- strips ---- */

static void draw_cell(const struct chart_strip *s, guint index, GString *out)
{
    enum chart_cell state = s->states[index];
    static const char *const classes[] = {"cell none", "cell good", "cell bad"};
    const char *names[] = {s->none_name, s->good_name, s->bad_name};
    guint height = state == CHART_GOOD ? STRIP_HEIGHT : state == CHART_BAD ? STRIP_HEIGHT / 2 : 4;
    g_autofree char *time = short_time(s->from + (gint64)index * s->seconds_per_cell, "%-d %b, %H:%M");
    html(out, "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"8\" height=\"%u\"><title>%s: %s</title></rect>",
         classes[state], index * 10 + 1, STRIP_HEIGHT - height, height, time, names[state]);
}

void chart_draw_strip(const struct chart_strip *s, GString *out)
{
    guint n[3] = {0};
    for (guint i = 0; i < s->cells; i++)
        n[s->states[i]]++;
    html(out,
         "<figure><figcaption>%s</figcaption><svg class=\"strip\" viewBox=\"0 0 %u %d\" preserveAspectRatio=\"none\" "
         "role=\"img\" aria-labelledby=\"%s-title %s-text\"><title id=\"%s-title\">%s</title>"
         "<desc id=\"%s-text\">%u with a %s, %u %s, %u with %s.</desc>",
         s->title, s->cells * 10, STRIP_HEIGHT, s->id, s->id, s->id, s->title, s->id, n[CHART_GOOD], s->good_name,
         n[CHART_BAD], s->bad_name, n[CHART_NONE], s->none_name);
    for (guint i = 0; i < s->cells; i++)
        draw_cell(s, i, out);
    g_string_append(out, "</svg>");
    draw_axis(s->from, s->from + (gint64)s->cells * s->seconds_per_cell, "%a %H:%M", out);
    const char *names[] = {s->none_name, s->good_name, s->bad_name}, *keys[] = {"none", "good", "bad"};
    static const enum chart_cell order[] = {CHART_GOOD, CHART_BAD, CHART_NONE};
    g_string_append(out, "<p class=\"legend\">");
    for (gsize i = 0; i < G_N_ELEMENTS(order); i++)
        html(out, "<span><span class=\"key %s\"></span>%s: %u</span>", keys[order[i]], names[order[i]], n[order[i]]);
    g_string_append(out, "</p></figure>");
}
