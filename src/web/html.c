/* Escaped text, times and sizes. */
#include "web/html.h"

#include "base/text.h"

static void append_valid(GString *out, const char *text)
{
    if (g_utf8_validate(text, -1, NULL)) {
        g_string_append(out, text);
        return;
    }
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    g_string_append(out, valid);
}

void html(GString *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_markup_vprintf_escaped(format, args);
    va_end(args);
    append_valid(out, text);
}

/* Both forms of a moment; FALSE if it lies outside the years that GLib knows. */
static gboolean moment(gint64 unix_seconds, char **ret_text, char **ret_iso)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(unix_seconds);
    if (!time)
        return FALSE;
    *ret_text = g_date_time_format(time, "%-d %b %Y, %H:%M");
    *ret_iso = text_iso_time(unix_seconds);
    return TRUE;
}

void html_time(GString *out, gint64 unix_seconds)
{
    g_autofree char *text = NULL, *iso = NULL;
    if (unix_seconds <= 0 || !moment(unix_seconds, &text, &iso))
        g_string_append(out, "\u2013");
    else
        html(out, "<time datetime=\"%s\">%s</time>", iso, text);
}

void html_ago(GString *out, gint64 unix_seconds, gint64 now)
{
    g_autofree char *text = NULL, *iso = NULL;
    if (unix_seconds <= 0 || !moment(unix_seconds, &text, &iso)) {
        g_string_append(out, "never");
        return;
    }
    gboolean ahead = unix_seconds > now;
    g_autofree char *length = text_duration(ahead ? unix_seconds - now : now - unix_seconds);
    html(out, "<time datetime=\"%s\" title=\"%s\">%s%s%s</time>", iso, text, ahead ? "in " : "", length,
         ahead ? "" : " ago");
}

void html_size(GString *out, guint64 bytes)
{
    g_autofree char *text = text_size_pretty(bytes);
    html(out, "%s", text);
}

char *html_uri(const char *text)
{
    return g_uri_escape_string(text, NULL, FALSE);
}
