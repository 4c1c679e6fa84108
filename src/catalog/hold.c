/* Holds: one JSON object in the metadata, and what a person may write for its end. */
#include "catalog/hold.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

gboolean hold_is_active(const struct meta *m, gint64 now)
{
    gint64 until;
    if (!m->hold)
        return FALSE;
    const char *text = hold_text(m, "until");
    return !text || !text_parse_iso_time(text, &until) || now <= until;
}

const char *hold_text(const struct meta *m, const char *what)
{
    return json_string_value(json_object_get(m->hold, what));
}

static char *who(void)
{
    const struct passwd *user = getpwuid(geteuid());
    g_autofree char *text = user ? g_strdup_printf("%s@%s", user->pw_name, g_get_host_name())
                                 : g_strdup_printf("%u@%s", (unsigned)geteuid(), g_get_host_name());
    return g_utf8_make_valid(text, -1);
}

json_t *hold_new(const char *reason, gint64 until, gint64 now)
{
    g_autofree char *by = who();
    g_autofree char *since = text_iso_time(now);
    g_autofree char *end = until ? text_iso_time(until) : NULL;
    return json_pack("{ss ss? ss ss}", "reason", reason, "until", end, "by", by, "since", since);
}

gboolean hold_check_reason(const char *reason, GError **error)
{
    if (!g_utf8_validate(reason, -1, NULL))
        return ot_fail(error, OT_USAGE, "the reason is not valid UTF-8");
    if (strlen(reason) > HOLD_MAX_REASON)
        return ot_fail(error, OT_USAGE, "the reason has %zu bytes; at most %d are noted", strlen(reason),
                       HOLD_MAX_REASON);
    gboolean blank = TRUE;
    for (const char *c = reason; *c; c = g_utf8_next_char(c)) {
        if (g_unichar_iscntrl(g_utf8_get_char(c)))
            return ot_fail(error, OT_USAGE, "the reason has a control character (a newline, for instance) in it");
        blank = blank && g_unichar_isspace(g_utf8_get_char(c));
    }
    return !blank || ot_fail(error, OT_USAGE, "the reason is empty");
}

/* YYYY-MM-DD. GLib takes other dates of ISO 8601 as well, such as weeks; nobody types those. */
static gboolean is_day(const char *text)
{
    static const char form[] = "0000-00-00";
    if (strlen(text) != strlen(form))
        return FALSE;
    for (gsize i = 0; i < strlen(form); i++)
        if (form[i] == '-' ? text[i] != '-' : !g_ascii_isdigit(text[i]))
            return FALSE;
    return TRUE;
}

gboolean hold_parse_until(const char *text, gint64 now, gint64 *ret_until, GError **error)
{
    g_autofree char *whole = is_day(text) ? g_strconcat(text, "T23:59:59", NULL) : g_strdup(text);
    g_autoptr(GTimeZone) here = g_time_zone_new_local();
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(whole, here);
    g_autofree char *shown = g_strescape(text, NULL);
    if (!time)
        return ot_fail(error, OT_USAGE,
                       "--until is \"%s\"; allowed: a day as 2027-12-31, or a time as 2027-12-31T18:00:00+08:00",
                       shown);
    if (g_date_time_to_unix(time) <= now)
        return ot_fail(error, OT_USAGE, "--until is \"%s\", which has passed: such a hold would keep nothing", shown);
    *ret_until = g_date_time_to_unix(time);
    return TRUE;
}
