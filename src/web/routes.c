/* The table of routes, and what is served as it is. */
#include "web/routes.h"

#include <string.h>

#include "web/api.h"
#include "web/pages.h"
#include "web/style.h"

#define HTML "text/html; charset=utf-8"
#define JSON "application/json"
#define SVG "image/svg+xml"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"

static guint write_alive(struct view *v, GString *out)
{
    (void)v;
    g_string_append(out, "ok\n");
    return 200;
}

static guint write_style(struct view *v, GString *out)
{
    (void)v;
    g_string_append(out, style_css);
    return 200;
}

/* ---- icons of the browser's tab: shape and colour say the verdict ---- */

static guint write_icon(const char *colour, const char *shape, const char *mark, GString *out)
{
    g_string_append_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 24 24\"><path fill=\"%s\" d=\"%s\"/>"
        "<path fill=\"none\" stroke=\"#fff\" stroke-width=\"3\" d=\"%s\"/></svg>\n",
        colour, shape, mark);
    return 200;
}

static guint icon_ok(struct view *v, GString *out)
{
    (void)v;
    return write_icon("#1a7a42", "M12 1a11 11 0 1 1 0 22a11 11 0 1 1 0-22z", "M6.5 12.5l3.8 3.8 7.2-8", out);
}

static guint icon_warning(struct view *v, GString *out)
{
    (void)v;
    return write_icon("#9a5b00", "M12 1L24 23H0z", "M12 8v7M12 17.5v2.5", out);
}

static guint icon_critical(struct view *v, GString *out)
{
    (void)v;
    return write_icon("#b3141d", "M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z", "M8 8l8 8M16 8l-8 8", out);
}

static guint icon_unknown(struct view *v, GString *out)
{
    (void)v;
    return write_icon("#5b4aa0", "M12 0l12 12-12 12L0 12z", "M9 9.6a3 3 0 1 1 4.4 2.6c-1 .5-1.4 1-1.4 2M12 17v2", out);
}

static const struct route routes[] = {
    {.path = "/", .looks = TRUE, .type = HTML, .write = page_health},
    {.path = "/backups", .looks = TRUE, .type = HTML, .write = page_backups},
    {.path = "/backups", .subtree = TRUE, .looks = TRUE, .type = HTML, .write = page_backup},
    {.path = "/history", .looks = TRUE, .type = HTML, .write = page_history},
    {.path = "/recovery", .looks = TRUE, .type = HTML, .write = page_recovery},
    {.path = "/journal", .looks = TRUE, .type = HTML, .write = page_journal},
    {.path = "/retention", .looks = TRUE, .retention = TRUE, .type = HTML, .write = page_retention},
    {.path = "/metrics", .looks = TRUE, .type = METRICS, .write = api_metrics},
    {.path = "/api/status", .looks = TRUE, .type = JSON, .write = api_status},
    {.path = "/api/backups", .looks = TRUE, .type = JSON, .write = api_backups},
    {.path = "/api/journal", .looks = TRUE, .type = JSON, .write = api_journal},
    {.path = "/healthz", .open = TRUE, .type = "text/plain; charset=utf-8", .write = write_alive},
    {.path = "/style.css", .type = "text/css; charset=utf-8", .write = write_style},
    {.path = "/icon-ok.svg", .type = SVG, .write = icon_ok},
    {.path = "/icon-warning.svg", .type = SVG, .write = icon_warning},
    {.path = "/icon-critical.svg", .type = SVG, .write = icon_critical},
    {.path = "/icon-unknown.svg", .type = SVG, .write = icon_unknown},
};

const struct route *routes_find(const char *path, const char **ret_rest)
{
    *ret_rest = "";
    for (gsize i = 0; i < G_N_ELEMENTS(routes); i++) {
        gsize length = strlen(routes[i].path);
        if (!routes[i].subtree && g_str_equal(path, routes[i].path))
            return &routes[i];
        if (routes[i].subtree && strncmp(path, routes[i].path, length) == 0 && path[length] == '/' &&
            path[length + 1]) {
            *ret_rest = path + length + 1;
            return &routes[i];
        }
    }
    return NULL;
}

guint routes_not_found(struct view *v, GString *out)
{
    view_begin(v, "No such page", out);
    g_string_append(out, "<p>Nothing is at this address. <a href=\"/\">To the first page</a></p>");
    view_end(v, out);
    return 404;
}
