/* The frame of every page. */
#include "web/view.h"

#include <microhttpd.h>
#include <string.h>

#include "base/text.h"
#include "base/version.h"

#define MAX_ARGUMENT_BYTES 200

static const struct {
    const char *path, *word;
} places[] = {
    {"/", "Health"},           {"/backups", "Backups"}, {"/history", "History"},
    {"/recovery", "Recovery"}, {"/journal", "Journal"}, {"/retention", "Retention"},
};

static const struct {
    const char *class, *word, *icon;
} verdicts[] = {
    [HEALTH_OK] = {"is-ok", "OK", "ok"},
    [HEALTH_WARNING] = {"is-warning", "Warning", "warning"},
    [HEALTH_CRITICAL] = {"is-critical", "Critical", "critical"},
    [HEALTH_UNKNOWN] = {"is-unknown", "Unknown", "unknown"},
};

/* Each verdict has a shape of its own, so that colour is not all that tells them apart. */
static const char sprite[] =
    "<svg width=\"0\" height=\"0\" class=\"sprite\" aria-hidden=\"true\" focusable=\"false\">"
    "<symbol id=\"i-ok\" viewBox=\"0 0 24 24\"><circle cx=\"12\" cy=\"12\" r=\"11\"/>"
    "<path class=\"mark\" d=\"M6.5 12.5l3.8 3.8 7.2-8\"/></symbol>"
    "<symbol id=\"i-warning\" viewBox=\"0 0 24 24\"><path d=\"M12 1.5L23.5 22.5H.5z\"/>"
    "<path class=\"mark\" d=\"M12 9v6M12 18v1.6\"/></symbol>"
    "<symbol id=\"i-critical\" viewBox=\"0 0 24 24\"><path d=\"M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z\"/>"
    "<path class=\"mark\" d=\"M8 8l8 8M16 8l-8 8\"/></symbol>"
    "<symbol id=\"i-unknown\" viewBox=\"0 0 24 24\"><path d=\"M12 .5L23.5 12 12 23.5.5 12z\"/>"
    "<path class=\"mark\" d=\"M9 9.6a3 3 0 1 1 4.4 2.6c-1 .5-1.4 1-1.4 2M12 17v1.4\"/></symbol></svg>";

const char *view_argument(const struct view *v, const char *name)
{
    const char *value = MHD_lookup_connection_value(v->connection, MHD_GET_ARGUMENT_KIND, name);
    return value && strlen(value) <= MAX_ARGUMENT_BYTES && g_utf8_validate(value, -1, NULL) ? value : NULL;
}

guint view_number(const struct view *v, const char *name, guint low, guint high, guint standard)
{
    const char *text = view_argument(v, name);
    guint64 value;
    return text && g_ascii_string_to_unsigned(text, 10, low, high, &value, NULL) ? (guint)value : standard;
}

const char *view_class(enum health_verdict verdict)
{
    return verdicts[verdict].class;
}

void view_verdict(enum health_verdict verdict, GString *out)
{
    html(out,
         "<span class=\"verdict %s\"><svg class=\"icon\" aria-hidden=\"true\"><use href=\"#i-%s\"/></svg>%s</span>",
         verdicts[verdict].class, verdicts[verdict].icon, verdicts[verdict].word);
}

/* /backups/ID belongs to /backups. */
static gboolean is_under(const char *path, const char *place)
{
    gsize length = strlen(place);
    return g_str_equal(path, place) || (length > 1 && strncmp(path, place, length) == 0 && path[length] == '/');
}

static void write_navigation(const struct view *v, GString *out)
{
    g_string_append(out, "<nav aria-label=\"Pages\"><ul>");
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++)
        html(out,
             is_under(v->path, places[i].path) ? "<li><a href=\"%s\" aria-current=\"page\">%s</a></li>"
                                               : "<li><a href=\"%s\">%s</a></li>",
             places[i].path, places[i].word);
    g_string_append(out, "</ul></nav>");
}

static void write_head(const struct view *v, const char *title, GString *out)
{
    const char *database = v->config->health->database;
    html(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<meta name=\"color-scheme\" content=\"light dark\"><title>%s: %s \u00b7 %s</title>"
        "<link rel=\"stylesheet\" href=\"/style.css\"><link rel=\"icon\" type=\"image/svg+xml\" href=\"/icon-%s.svg\">",
        verdicts[v->sight.verdict].word, title, database, verdicts[v->sight.verdict].icon);
    guint refresh = view_number(v, "refresh", 5, 3600, 0);
    if (refresh)
        html(out, "<meta http-equiv=\"refresh\" content=\"%u\">", refresh);
    g_string_append(out, "</head>");
}

void view_begin(const struct view *v, const char *title, GString *out)
{
    write_head(v, title, out);
    g_string_append(out, "<body>");
    g_string_append(out, sprite);
    g_string_append(out, "<a class=\"skip\" href=\"#main\">Skip to content</a><header><div class=\"wide\">"
                         "<p class=\"brand\"><a href=\"/\">OpsTower Backup</a>");
    html(out, "<span class=\"database\"><bdi>%s</bdi></span></p>", v->config->health->database);
    html(out, "<p class=\"state %s\"><a href=\"/\"><span class=\"hidden\">Health: </span>",
         view_class(v->sight.verdict));
    view_verdict(v->sight.verdict, out);
    g_string_append(out, "</a></p></div><div class=\"wide\">");
    write_navigation(v, out);
    html(out, "</div></header><main id=\"main\" class=\"wide\" tabindex=\"-1\"><h1>%s</h1>", title);
}

/* The page's own address: ids may hold what an address may not. */
static char *address_of(const struct view *v)
{
    return g_uri_escape_string(v->path, "/", FALSE);
}

void view_end(const struct view *v, GString *out)
{
    g_autofree char *address = address_of(v);
    g_string_append(out, "</main><footer><div class=\"wide\"><p>As of ");
    gint64 made = v->sight.health_value ? v->sight.health_value->made_at : v->sight.now;
    g_autofree char *iso = text_iso_time(made);
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(made);
    g_autofree char *text = g_date_time_format(time, "%-d %b %Y, %H:%M:%S %Z");
    html(out, "<time datetime=\"%s\">%s</time>. <a href=\"%s\">Look again</a>", iso, text, address);
    if (g_str_equal(v->path, "/"))
        g_string_append(out, " \u00b7 <a href=\"/?refresh=30\">every 30 s</a>");
    html(out,
         "</p><p>For programs: <a href=\"/metrics\">metrics</a>, <a href=\"/api/status\">status</a>, "
         "<a href=\"/api/backups\">backups</a> and <a href=\"/api/journal\">journal</a> as JSON. opstower %s; "
         "this page only shows, it changes nothing.</p></div></footer></body></html>\n",
         TOOL_VERSION);
}

void view_problem(const char *what, const char *problem, GString *out)
{
    if (problem)
        html(out, "<p class=\"problem\" role=\"note\"><strong>%s</strong> %s</p>", what, problem);
}

void view_pages(const struct view *v, guint page, guint length, guint size, const char *query, GString *out)
{
    guint pages = MAX(1, (length + size - 1) / size);
    if (pages == 1)
        return;
    g_autofree char *address = address_of(v);
    g_string_append(out, "<nav class=\"pages\" aria-label=\"Pages of this list\"><ul>");
    if (page > 1)
        html(out, "<li><a rel=\"prev\" href=\"%s?%spage=%u\">Newer</a></li>", address, query, page - 1);
    html(out, "<li>Page %u of %u</li>", page, pages);
    if (page < pages)
        html(out, "<li><a rel=\"next\" href=\"%s?%spage=%u\">Older</a></li>", address, query, page + 1);
    g_string_append(out, "</ul></nav>");
}
