/* The first page: whether all is well, why not, and what to do. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "catalog/record.h"
#include "web/chart.h"
#include "web/pages.h"

#define STRIP_HOURS 48
#define MAX_OTHERS 3 /* findings in the banner beside the worst */

/* ---- the verdict ---- */

static int badness(enum health_verdict v)
{
    static const int order[] = {[HEALTH_OK] = 0, [HEALTH_UNKNOWN] = 1, [HEALTH_WARNING] = 2, [HEALTH_CRITICAL] = 3};
    return order[v];
}

/* The checks, the worst first, else in their own order; borrowed. */
static GPtrArray *sorted(const struct health *h)
{
    GPtrArray *list = g_ptr_array_new();
    for (int level = badness(HEALTH_CRITICAL); level >= 0; level--)
        for (guint i = 0; i < h->checks->len; i++) {
            struct health_check *c = &g_array_index(h->checks, struct health_check, i);
            if (badness(c->verdict) == level)
                g_ptr_array_add(list, c);
        }
    return list;
}

/* What the page says before all else: the worst finding itself, not that there is one. */
static void write_headline(const struct sight *s, const GPtrArray *checks, guint bad, GString *out)
{
    const struct health_check *worst = bad ? checks->pdata[0] : NULL;
    g_string_append(out, "<div class=\"headline\">");
    view_verdict(s->verdict, out);
    if (worst)
        html(out, "<h2 id=\"verdict\">%s: <bdi>%s</bdi></h2></div>", worst->title, worst->value);
    else
        html(out, "<h2 id=\"verdict\">%s</h2></div>",
             s->verdict == HEALTH_OK ? "All is well" : "It is not known how the backups are doing");
    if (worst && worst->advice)
        html(out, "<p class=\"advice\"><strong>What to do:</strong> <bdi>%s</bdi></p>", worst->advice);
}

static void write_others(const GPtrArray *checks, guint bad, GString *out)
{
    if (bad < 2)
        return;
    g_string_append(out, "<ul class=\"reasons\">");
    for (guint i = 1; i < MIN(bad, 1 + MAX_OTHERS); i++) {
        const struct health_check *c = checks->pdata[i];
        g_string_append(out, "<li>");
        view_verdict(c->verdict, out);
        html(out, "<span>%s: <bdi>%s</bdi></span></li>", c->title, c->value);
    }
    g_string_append(out, "</ul>");
    if (bad > 1 + MAX_OTHERS)
        html(out, "<p><a href=\"#checks\">And %u more</a></p>", bad - 1 - MAX_OTHERS);
}

static void write_all_well(const struct view *v, GString *out)
{
    const struct health_numbers *n = &v->sight.health->numbers;
    g_string_append(out, "<p>The newest good backup was taken ");
    html_ago(out, n->newest_at, v->sight.now);
    html(out, ". Every one of %u checks is within its limits.</p>", v->sight.health->checks->len);
}

static void write_banner(const struct view *v, const GPtrArray *checks, GString *out)
{
    guint bad = 0;
    while (bad < checks->len && ((struct health_check *)checks->pdata[bad])->verdict != HEALTH_OK)
        bad++;
    html(out, "<section class=\"banner %s\" aria-labelledby=\"verdict\">", view_class(v->sight.verdict));
    write_headline(&v->sight, checks, bad, out);
    if (v->sight.health_problem)
        html(out, "<p class=\"because\">%s.</p>", v->sight.health_problem);
    write_others(checks, bad, out);
    if (v->sight.verdict == HEALTH_OK)
        write_all_well(v, out);
    g_string_append(out, "</section>");
}

/* ---- facts ---- */

static void begin_fact(const char *name, GString *out)
{
    html(out, "<div><dt>%s</dt><dd>", name);
}

static void end_fact(const char *below, GString *out)
{
    g_string_append(out, "</dd>");
    if (below)
        html(out, "<dd class=\"quiet\"><bdi>%s</bdi></dd>", below);
    g_string_append(out, "</div>");
}

static void write_moment(const char *name, gint64 at, gint64 now, GString *out)
{
    begin_fact(name, out);
    html_ago(out, MAX(0, at), now);
    end_fact(NULL, out);
}

/* A duration that a check measured, against its target. */
static void write_measured(const struct health *h, const char *name, const char *title, GString *out)
{
    const struct health_check *c = health_find(h, name);
    if (!c)
        return;
    g_autofree char *length = isfinite(c->number) ? text_duration((gint64)c->number) : g_strdup("never measured");
    g_autofree char *target = c->target ? g_strdup_printf("target: %s", c->target) : NULL;
    begin_fact(title, out);
    html(out, "%s", length);
    end_fact(target, out);
}

static void write_facts(const struct view *v, GString *out)
{
    const struct health_numbers *n = &v->sight.health->numbers;
    const struct health_check *age = health_find(v->sight.health, "backup_age");
    gint64 now = v->sight.now;
    g_string_append(out, "<section aria-labelledby=\"facts\"><h2 id=\"facts\">At a glance</h2><dl class=\"facts\">");
    begin_fact("Newest good backup", out);
    html_ago(out, MAX(0, n->newest_at), now);
    g_autofree char *target = age && age->target ? g_strdup_printf("target: %s", age->target) : NULL;
    end_fact(target, out);
    begin_fact("Its size", out);
    if (n->size_bytes >= 0)
        html_size(out, (guint64)n->size_bytes);
    else
        g_string_append(out, "\u2013");
    g_autofree char *tables = n->tables >= 0 ? g_strdup_printf("%" G_GINT64_FORMAT " tables", n->tables) : NULL;
    end_fact(tables, out);
    begin_fact("Copies", out);
    html(out, n->local_backups < 0 ? "\u2013" : "%" G_GINT64_FORMAT " here", n->local_backups);
    g_autofree char *there = !v->config->s3      ? g_strdup("no S3 is set")
                             : n->s3_backups < 0 ? g_strdup("S3: not known")
                                                 : g_strdup_printf("%" G_GINT64_FORMAT " in S3", n->s3_backups);
    end_fact(there, out);
    write_measured(v->sight.health, "rpo", "RPO of 7 days", out);
    write_measured(v->sight.health, "rto_predicted", "RTO, predicted", out);
    write_moment("Last verification", n->verified_at, now, out);
    write_moment("Last full test", n->tested_at, now, out);
    write_moment("Last drill", n->drilled_at, now, out);
    g_string_append(out, "</dl></section>");
}

/* ---- checks ---- */

static void write_check(const struct health_check *c, GString *out)
{
    g_string_append(out, "<tr><td data-label=\"Verdict\">");
    view_verdict(c->verdict, out);
    html(out, "</td><th scope=\"row\">%s</th><td data-label=\"Found\"><div><bdi>%s</bdi>", c->title, c->value);
    if (c->advice)
        html(out, "<p class=\"quiet\"><bdi>%s</bdi></p>", c->advice);
    html(out, "</div></td><td data-label=\"Target\"><div>%s", c->target ? c->target : "\u2013");
    if (c->threshold)
        html(out, "<span class=\"id\">%s</span>", c->threshold);
    g_string_append(out, "</div></td></tr>");
}

static void write_checks(const GPtrArray *checks, GString *out)
{
    g_string_append(out, "<section aria-labelledby=\"checks\"><h2 id=\"checks\">Every check</h2>"
                         "<table class=\"cards\"><thead><tr><th scope=\"col\">Verdict</th><th scope=\"col\">Check</th>"
                         "<th scope=\"col\">Found</th><th scope=\"col\">Target</th></tr></thead><tbody>");
    for (guint i = 0; i < checks->len; i++)
        write_check(checks->pdata[i], out);
    g_string_append(out, "</tbody></table></section>");
}

/* ---- the last hours ---- */

static void mark(enum chart_cell *cells, gint64 from, gint64 at, enum chart_cell state)
{
    gint64 cell = (at - from) / 3600;
    if (at < from || cell >= STRIP_HOURS || cells[cell] == CHART_GOOD)
        return;
    cells[cell] = state;
}

static void write_strip(const struct view *v, GString *out)
{
    enum chart_cell cells[STRIP_HOURS] = {CHART_NONE};
    const struct sight_backups *b = v->sight.backups;
    gint64 from = v->sight.now / 3600 * 3600 + 3600 - STRIP_HOURS * 3600;
    if (!b)
        return;
    for (guint i = 0; i < b->all->len; i++) {
        const struct catalog_entry *e = b->all->pdata[i];
        if (e->meta && !catalog_is_pre_restore(e))
            mark(cells, from, e->taken_at, e->meta->state == META_FAILED ? CHART_BAD : CHART_GOOD);
    }
    for (guint i = 0; i < b->ours->len; i++)
        if (record_is(b->ours->pdata[i], "backup") && record_failed(b->ours->pdata[i]))
            mark(cells, from, record_time(b->ours->pdata[i]), CHART_BAD);
    struct chart_strip strip = {
        .id = "hours",
        .title = "The last 48 hours, one bar per hour",
        .from = from,
        .cells = STRIP_HOURS,
        .seconds_per_cell = 3600,
        .states = cells,
        .good_name = "backup",
        .bad_name = "failed",
        .none_name = "none",
    };
    g_string_append(out, "<section aria-labelledby=\"hours-heading\"><h2 id=\"hours-heading\">Lately</h2>");
    chart_draw_strip(&strip, out);
    g_string_append(out, "</section>");
}

guint page_health(struct view *v, GString *out)
{
    const struct health *h = v->sight.health;
    g_autoptr(GPtrArray) checks = h ? sorted(h) : g_ptr_array_new();
    view_begin(v, "Health", out);
    write_banner(v, checks, out);
    if (h)
        write_facts(v, out);
    write_strip(v, out);
    view_problem("The list of backups could not be read:", v->sight.backups_problem, out);
    if (v->sight.backups) {
        view_problem("The journal could not be read:", v->sight.backups->journal_problem, out);
        view_problem("S3 could not be asked:", v->sight.backups->s3_problem, out);
    }
    if (h)
        write_checks(checks, out);
    view_end(v, out);
    return 200;
}
