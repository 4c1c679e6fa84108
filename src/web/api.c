/* The same looks as the pages show, as JSON and in Prometheus's text format. */
#include "web/api.h"

#include <stdlib.h>

#include "base/text.h"
#include "catalog/describe.h"

#define MAX_ROWS 1000
#define STANDARD_ROWS 200

static guint write_json(json_t *value, guint status, GString *out)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    g_string_append(out, text ? text : "null");
    g_string_append_c(out, '\n');
    free(text);
    json_decref(value);
    return status;
}

static json_t *problem(const char *text)
{
    return json_pack("{ss}", "error", text);
}

guint api_status(struct view *v, GString *out)
{
    const struct sight *s = &v->sight;
    if (!s->health)
        return write_json(json_pack("{ss ss ss*}", "database", v->config->health->database, "verdict",
                                    health_verdict_name(s->verdict), "error", s->health_problem),
                          503, out);
    json_t *o = health_json(s->health);
    /* The word of the page: old checks are not believed. */
    json_object_set_new(o, "verdict", json_string(health_verdict_name(s->verdict)));
    if (s->health_problem)
        json_object_set_new(o, "error", json_string(s->health_problem));
    return write_json(o, 200, out);
}

/* The part of a list that the query asks for. */
static void range(const struct view *v, guint length, guint *ret_first, guint *ret_end)
{
    guint limit = view_number(v, "limit", 1, MAX_ROWS, STANDARD_ROWS);
    *ret_first = MIN(length, view_number(v, "offset", 0, G_MAXINT, 0));
    *ret_end = MIN(length, *ret_first + limit);
}

guint api_backups(struct view *v, GString *out)
{
    const struct sight_backups *b = v->sight.backups;
    guint first, end;
    if (!b)
        return write_json(problem(v->sight.backups_problem), 503, out);
    range(v, b->all->len, &first, &end);
    json_t *rows = json_array();
    for (guint i = first; i < end; i++)
        json_array_append_new(rows, describe_json(b->all->pdata[i], b->s3_looked));
    return write_json(json_pack("{si si sb ss* so}", "total", (int)b->all->len, "offset", (int)first, "s3_looked",
                                b->s3_looked, "s3_error", b->s3_problem, "backups", rows),
                      200, out);
}

guint api_journal(struct view *v, GString *out)
{
    const struct sight_backups *b = v->sight.backups;
    const char *why = b ? b->journal_problem : v->sight.backups_problem;
    guint first, end;
    if (!b || why)
        return write_json(problem(why), 503, out);
    range(v, b->journal->len, &first, &end);
    json_t *rows = json_array();
    for (guint i = first; i < end; i++)
        json_array_append(rows, b->journal->pdata[b->journal->len - 1 - i]);
    return write_json(json_pack("{si si so}", "total", (int)b->journal->len, "offset", (int)first, "journal", rows),
                      200, out);
}

/* Without a look there are no metrics but that one: a scrape that fails would look like a dead dashboard. */
guint api_metrics(struct view *v, GString *out)
{
    const struct sight *s = &v->sight;
    gint64 age_s = s->health_value ? (g_get_monotonic_time() - s->health_value->made_at_us) / G_USEC_PER_SEC : -1;
    gboolean known = s->health && !s->health_problem;
    if (known) {
        g_autoptr(GPtrArray) list = g_ptr_array_new();
        g_ptr_array_add(list, (gpointer)s->health);
        health_prometheus(list, out);
    }
    g_string_append_printf(out,
                           "# HELP opstower_dashboard_look_ok 1 if the checks could be made and are recent.\n"
                           "# TYPE opstower_dashboard_look_ok gauge\nopstower_dashboard_look_ok %d\n",
                           known);
    if (age_s >= 0)
        g_string_append_printf(out,
                               "# HELP opstower_dashboard_look_age_seconds Age of the checks.\n"
                               "# TYPE opstower_dashboard_look_age_seconds gauge\n"
                               "opstower_dashboard_look_age_seconds %" G_GINT64_FORMAT "\n",
                               age_s);
    return 200;
}
