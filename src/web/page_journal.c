/* The journal, newest first, filtered by act, outcome and day. */
#include <string.h>

#include "base/text.h"
#include "catalog/record.h"
#include "web/pages.h"

#define PAGE_ROWS 50
#define DAY_S 86400

struct filter {
    const char *act, *result; /* NULL: any */
    const char *since_text, *until_text;
    gint64 since, until; /* 0: no limit; until is the end of its day */
};

/* A day as <input type="date"> sends it, in local time; 0 if it is none. */
static gint64 day_start(const char *text)
{
    int year, month, day;
    char rest;
    if (!text || sscanf(text, "%4d-%2d-%2d%c", &year, &month, &day, &rest) != 3)
        return 0;
    g_autoptr(GDateTime) time = g_date_time_new_local(year, month, day, 0, 0, 0);
    return time ? g_date_time_to_unix(time) : 0;
}

static const char *filled(const char *text)
{
    return text && *text ? text : NULL;
}

static struct filter read_filter(const struct view *v)
{
    struct filter f = {
        .act = filled(view_argument(v, "act")),
        .result = filled(view_argument(v, "result")),
        .since_text = filled(view_argument(v, "since")),
        .until_text = filled(view_argument(v, "until")),
    };
    f.since = day_start(f.since_text);
    f.until = day_start(f.until_text);
    f.until += f.until ? DAY_S : 0;
    return f;
}

static gboolean fits(const json_t *line, const struct filter *f)
{
    gint64 at = record_time(line);
    return (!f->act || record_is(line, f->act)) &&
           (!f->result || g_strcmp0(record_text(line, "result"), f->result) == 0) && (!f->since || at >= f->since) &&
           (!f->until || at < f->until);
}

/* Newest first; borrowed. */
static GPtrArray *select_lines(const GPtrArray *journal, const struct filter *f)
{
    GPtrArray *found = g_ptr_array_new();
    for (guint i = journal->len; i-- > 0;)
        if (fits(journal->pdata[i], f))
            g_ptr_array_add(found, journal->pdata[i]);
    return found;
}

/* ---- the form ---- */

static gint by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void write_acts(const GPtrArray *journal, const char *chosen, GString *out)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) acts = g_ptr_array_new();
    for (guint i = 0; i < journal->len; i++) {
        const char *act = record_text(journal->pdata[i], "act");
        if (act && g_hash_table_add(seen, (gpointer)act))
            g_ptr_array_add(acts, (gpointer)act);
    }
    g_ptr_array_sort(acts, by_text);
    g_string_append(out, "<label>Act <select name=\"act\"><option value=\"\">any</option>");
    for (guint i = 0; i < acts->len; i++)
        html(out, "<option%s>%s</option>", g_strcmp0(acts->pdata[i], chosen) == 0 ? " selected" : "",
             (char *)acts->pdata[i]);
    g_string_append(out, "</select></label>");
}

static void write_form(const GPtrArray *journal, const struct filter *f, GString *out)
{
    g_string_append(out, "<form method=\"get\" action=\"/journal\" class=\"filter\" role=\"search\" "
                         "aria-label=\"Filter the journal\">");
    write_acts(journal, f->act, out);
    html(out,
         "<label>Outcome <select name=\"result\"><option value=\"\">any</option><option%s>ok</option><option%s>failed"
         "</option></select></label><label>From <input type=\"date\" name=\"since\" value=\"%s\"></label>"
         "<label>To <input type=\"date\" name=\"until\" value=\"%s\"></label><button type=\"submit\">Show</button>"
         "</form>",
         g_strcmp0(f->result, "ok") == 0 ? " selected" : "", g_strcmp0(f->result, "failed") == 0 ? " selected" : "",
         f->since ? f->since_text : "", f->until ? f->until_text : "");
}

/* What links to other pages of the list carry: "act=backup&". */
static char *query_of(const struct filter *f)
{
    const struct {
        const char *name, *value;
    } parts[] = {{"act", f->act},
                 {"result", f->result},
                 {"since", f->since ? f->since_text : NULL},
                 {"until", f->until ? f->until_text : NULL}};
    g_autoptr(GString) query = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *value = parts[i].value ? html_uri(parts[i].value) : NULL;
        if (value)
            g_string_append_printf(query, "%s=%s&", parts[i].name, value);
    }
    return g_string_free(g_steal_pointer(&query), FALSE);
}

/* ---- lines ---- */

/* Fields that have a column of their own, or are of no use on a page. */
static gboolean has_column(const char *key)
{
    static const char *const keys[] = {"seq",  "time", "act", "result", "code", "error",   "who",
                                       "host", "prev", "sum", "login",  "pid",  "version", "duration_seconds",
                                       NULL};
    return g_strv_contains(keys, key);
}

static void write_value(const char *key, const json_t *value, GString *out)
{
    g_autofree char *text = NULL;
    if (json_is_string(value))
        text = g_strdup(json_string_value(value));
    else if (json_is_integer(value) && g_str_has_suffix(key, "size"))
        text = text_size_pretty((guint64)MAX(0, json_integer_value(value)));
    else {
        char *dumped = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        text = g_strdup(dumped ? dumped : "");
        free(dumped);
    }
    g_autofree char *label = g_strdelimit(g_strdup(key), "_", ' ');
    html(out, "<span class=\"field\"><span class=\"key-name\">%s</span> <bdi>%s</bdi></span> ", label, text);
}

static void write_details(const json_t *line, GString *out)
{
    const char *error = record_text(line, "error"), *key;
    json_t *value;
    if (error)
        html(out, "<p class=\"error\"><bdi>%s</bdi></p>", error);
    json_object_foreach((json_t *)line, key, value) if (!has_column(key) && !json_is_null(value) &&
                                                        !json_is_object(value) && !json_is_array(value))
        write_value(key, value, out);
}

static void write_line(const json_t *line, GString *out)
{
    const char *act = record_text(line, "act"), *who = record_text(line, "who"), *host = record_text(line, "host");
    double took = record_number(line, "duration_seconds");
    g_autofree char *length = took >= 0 ? text_duration((gint64)took) : g_strdup("\u2013");
    html(out, "<tr><th scope=\"row\">");
    html_time(out, record_time(line));
    html(out, "<span class=\"id\">#%" JSON_INTEGER_FORMAT "</span></th><td data-label=\"Act\">%s</td>",
         json_integer_value(json_object_get(line, "seq")), act ? act : "?");
    html(out, "<td data-label=\"Outcome\"><span class=\"tag %s\">%s</span></td>",
         record_failed(line) ? "is-critical" : "is-ok", record_failed(line) ? "failed" : "ok");
    html(out, "<td data-label=\"Took\" class=\"number\">%s</td><td data-label=\"Who\"><bdi>%s@%s</bdi></td>", length,
         who ? who : "?", host ? host : "?");
    g_string_append(out, "<td data-label=\"Details\" class=\"details\"><div>");
    write_details(line, out);
    g_string_append(out, "</div></td></tr>");
}

static void write_lines(const struct view *v, const GPtrArray *found, const struct filter *f, GString *out)
{
    guint last_page = MAX(1, (found->len + PAGE_ROWS - 1) / PAGE_ROWS);
    guint page = view_number(v, "page", 1, last_page, 1);
    g_autofree char *query = query_of(f);
    html(out, "<p class=\"quiet\" role=\"status\">%u line%s, newest first.</p>", found->len,
         found->len == 1 ? "" : "s");
    g_string_append(out, "<table class=\"cards\"><caption class=\"hidden\">Journal</caption><thead><tr>"
                         "<th scope=\"col\">When</th><th scope=\"col\">Act</th><th scope=\"col\">Outcome</th>"
                         "<th scope=\"col\" class=\"number\">Took</th><th scope=\"col\">Who</th>"
                         "<th scope=\"col\">Details</th></tr></thead><tbody>");
    for (guint i = (page - 1) * PAGE_ROWS; i < found->len && i < page * PAGE_ROWS; i++)
        write_line(found->pdata[i], out);
    g_string_append(out, "</tbody></table>");
    view_pages(v, page, found->len, PAGE_ROWS, query, out);
}

guint page_journal(struct view *v, GString *out)
{
    const struct sight_backups *b = v->sight.backups;
    view_begin(v, "Journal", out);
    view_problem("The journal could not be read:", b ? b->journal_problem : v->sight.backups_problem, out);
    if (b) {
        struct filter f = read_filter(v);
        g_autoptr(GPtrArray) found = select_lines(b->journal, &f);
        if (b->journal->len >= SIGHT_MAX_RECORDS)
            html(out, "<p class=\"quiet\">The newest %u lines; <code>%s/journal.jsonl</code> has all.</p>", b->journal->len,
                 v->config->health->dir);
        write_form(b->journal, &f, out);
        if (found->len)
            write_lines(v, found, &f, out);
        else
            html(out, "<p class=\"empty\" role=\"status\">%s</p>",
                 b->journal->len ? "No line of the journal is like that." : "Nothing has been recorded yet.");
    }
    view_end(v, out);
    return 200;
}
