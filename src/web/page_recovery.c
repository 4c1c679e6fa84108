/* RPO and RTO against their targets; the last drills, full tests and restores. */
#include "base/text.h"
#include "catalog/record.h"
#include "web/pages.h"

#define MAX_ROWS 10

/* ---- against the targets ---- */

static void write_objective(const struct health_check *c, GString *out)
{
    html(out, "<div class=\"card %s\"><h3>%s</h3>", view_class(c->verdict), c->title);
    view_verdict(c->verdict, out);
    html(out, "<p class=\"big\"><bdi>%s</bdi></p><p class=\"quiet\">Target: %s</p>", c->value,
         c->target ? c->target : "none");
    if (c->advice)
        html(out, "<p><bdi>%s</bdi></p>", c->advice);
    g_string_append(out, "</div>");
}

static void write_objectives(const struct health *h, GString *out)
{
    g_string_append(out, "<section aria-labelledby=\"objectives\"><h2 id=\"objectives\">Against the targets</h2>"
                         "<div class=\"cards-grid\">");
    for (guint i = 0; i < h->checks->len; i++) {
        const struct health_check *c = &g_array_index(h->checks, struct health_check, i);
        if (g_str_has_prefix(c->name, "rpo") || g_str_has_prefix(c->name, "rto") || g_str_equal(c->name, "backup_age"))
            write_objective(c, out);
    }
    g_string_append(out, "</div></section>");
}

/* ---- what was tried ---- */

static gboolean is_drill(const json_t *line)
{
    return record_is(line, "drill");
}

static gboolean is_full_test(const json_t *line)
{
    return record_is(line, "verify") && json_is_true(json_object_get(line, "full_test"));
}

static gboolean is_restore(const json_t *line)
{
    return record_is(line, "restore");
}

static const char *subject_of(const json_t *line)
{
    static const char *const keys[] = {"scenario", "id", "from", "of", "database"};
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++)
        if (record_text(line, keys[i]))
            return record_text(line, keys[i]);
    return "";
}

static void write_row(const json_t *line, GString *out)
{
    double took = record_number(line, "duration_seconds");
    g_autofree char *length = took >= 0 ? text_duration((gint64)took) : g_strdup("\u2013");
    g_string_append(out, "<tr><th scope=\"row\">");
    html_time(out, record_time(line));
    html(out,
         "</th><td data-label=\"Of\"><bdi>%s</bdi></td><td data-label=\"Took\" class=\"number\">%s</td>"
         "<td data-label=\"Outcome\"><span class=\"tag %s\">%s</span></td></tr>",
         subject_of(line), length, record_failed(line) ? "is-critical" : "is-ok",
         record_failed(line) ? "failed" : "passed");
}

static void write_tried(const struct view *v, const char *id, const char *title, const char *how,
                        gboolean (*fits)(const json_t *line), GString *out)
{
    const GPtrArray *journal = v->sight.backups->ours;
    guint rows = 0;
    html(out, "<section aria-labelledby=\"%s\"><h2 id=\"%s\">%s</h2>", id, id, title);
    for (guint i = journal->len; i-- > 0 && rows < MAX_ROWS;) {
        if (!fits(journal->pdata[i]))
            continue;
        if (rows++ == 0)
            html(out,
                 "<table class=\"cards\"><caption class=\"hidden\">%s</caption><thead><tr><th scope=\"col\">When</th>"
                 "<th scope=\"col\">Of</th><th scope=\"col\" class=\"number\">Took</th><th scope=\"col\">Outcome</th>"
                 "</tr></thead><tbody>",
                 title);
        write_row(journal->pdata[i], out);
    }
    if (rows)
        g_string_append(out, "</tbody></table></section>");
    else
        html(out, "<p class=\"empty\">None is in the journal. %s</p></section>", how);
}

guint page_recovery(struct view *v, GString *out)
{
    view_begin(v, "Recovery", out);
    view_problem("The checks could not be made:", v->sight.health_problem, out);
    if (v->sight.health)
        write_objectives(v->sight.health, out);
    view_problem("The journal could not be read:",
                 v->sight.backups ? v->sight.backups->journal_problem : v->sight.backups_problem, out);
    if (v->sight.backups) {
        write_tried(v, "drills", "Last drills", "The guide wants one every quarter.", is_drill, out);
        write_tried(v, "tests", "Last full tests", "opstower verify latest --full-test runs one.", is_full_test, out);
        write_tried(v, "restores", "Last restores", "That is a good sign.", is_restore, out);
    }
    view_end(v, out);
    return 200;
}
