/*
 * Header values are one line each, made so before they are put in: nothing that comes from outside can add a header.
 * A body that is all ASCII goes as it is, any other in base64: so no server on the way has anything to convert.
 */
#include "notify/mailtext.h"

#include <string.h>

#include "base/text.h"
#include "notify/post.h"

#define MAX_SUBJECT 200
#define MAX_TEXT 20000
#define MAX_LINE 900          /* RFC 5322 allows 998 */
#define ENCODED_WORD_BYTES 42 /* 56 in base64, and 12 around them: RFC 2047 allows 75 */

static gboolean is_ascii(const char *text)
{
    for (; *text; text++)
        if (*text & 0x80)
            return FALSE;
    return TRUE;
}

/* =?UTF-8?B?...?= in pieces that do not cut a character. */
static void append_encoded(GString *out, const char *text)
{
    while (*text) {
        gsize length = MIN(strlen(text), ENCODED_WORD_BYTES);
        while (length > 0 && (text[length] & 0xC0) == 0x80)
            length--;
        g_autofree char *word = g_base64_encode((const guchar *)text, length);
        g_string_append_printf(out, "=?UTF-8?B?%s?=", word);
        text += length;
        if (*text)
            g_string_append(out, "\r\n ");
    }
}

/* An ASCII one that looks encoded, or is too long for a line, is encoded as well. */
static void append_subject(GString *out, const struct notify_event *e)
{
    g_autofree char *head = notify_headline(e, MAX_SUBJECT);
    g_autofree char *subject =
        e->database ? g_strdup_printf("[opstower %s] %s", e->database, head) : g_strdup_printf("[opstower] %s", head);
    g_autofree char *line = notify_line(subject, MAX_SUBJECT);
    g_string_append(out, "Subject: ");
    if (is_ascii(line) && !strstr(line, "=?") && strlen(line) < 70)
        g_string_append(out, line);
    else
        append_encoded(out, line);
    g_string_append(out, "\r\n");
}

/* Names of days and months are English in mail, whatever the locale. */
static void append_date(GString *out, gint64 when)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(when);
    g_autofree char *rest = g_date_time_format(time, "%Y %H:%M:%S %z");
    g_string_append_printf(out, "Date: %s, %d %s %s\r\n", days[g_date_time_get_day_of_week(time) - 1],
                           g_date_time_get_day_of_month(time), months[g_date_time_get_month(time) - 1], rest);
}

/* The part of a Message-ID behind the @: what is no host name's character is left out. */
static char *id_domain(const char *from)
{
    g_autoptr(GString) out = g_string_new(NULL);
    for (const char *p = strchr(from, '@') + 1; *p; p++)
        if (g_ascii_isalnum(*p) || strchr("-.", *p))
            g_string_append_c(out, *p);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

/* All mails of one trouble name the same ancestor: readers show them as one thread. */
static void append_ids(GString *out, const struct notify_event *e, const char *from)
{
    g_autofree char *domain = id_domain(from), *thread = g_compute_checksum_for_string(G_CHECKSUM_SHA256, e->key, -1);
    g_string_append_printf(out, "Message-ID: <%s@%s>\r\n", e->id, domain);
    g_string_append_printf(out, "References: <%.32s@%s>\r\n", thread, domain);
}

static void append_head(GString *out, const struct notify_event *e, const char *from, const char *const *to)
{
    g_string_append_printf(out, "From: <%s>\r\n", from);
    for (const char *const *each = to; *each; each++)
        g_string_append_printf(out, "%s<%s>%s", each == to ? "To: " : " ", *each, each[1] ? ",\r\n" : "\r\n");
    append_subject(out, e);
    append_date(out, e->when);
    append_ids(out, e, from);
    g_string_append(out, "MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n");
}

static char *body_text(const struct notify_event *e)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *head = notify_headline(e, MAX_TEXT), *text = notify_text(e->text, MAX_TEXT);
    g_autofree char *time = text_iso_time(e->when), *host = notify_line(e->host, MAX_SUBJECT);
    g_string_append_printf(out, "%s\n\n%s%s", head, text, *text ? "\n\n" : "");
    const char *name;
    json_t *value;
    json_object_foreach(e->facts, name, value)
    {
        g_autofree char *label = notify_line(name, MAX_SUBJECT);
        g_autofree char *shown = notify_line(json_is_string(value) ? json_string_value(value) : "", MAX_TEXT);
        g_string_append_printf(out, "%s: %s\n", label, shown);
    }
    if (e->database) {
        g_autofree char *database = notify_line(e->database, MAX_SUBJECT);
        g_string_append_printf(out, "database: %s\n", database);
    }
    g_string_append_printf(out, "host: %s\ntime: %s\n", host, time);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static gboolean is_plain(const char *body)
{
    for (const char *line = body; *line; line += strcspn(line, "\n") + 1)
        if (strcspn(line, "\n") > MAX_LINE)
            return FALSE;
    return is_ascii(body);
}

static void append_base64(GString *out, const char *body)
{
    g_autofree char *text = g_base64_encode((const guchar *)body, strlen(body));
    for (const char *p = text; *p; p += MIN(strlen(p), 76))
        g_string_append_printf(out, "%.76s\r\n", p);
}

static void append_lines(GString *out, const char *body)
{
    g_autoptr(GString) lines = g_string_new(body);
    g_string_replace(lines, "\n", "\r\n", 0);
    g_string_append(out, lines->str);
}

char *mailtext(const struct notify_event *e, const char *from, const char *const *to)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *body = body_text(e);
    gboolean plain = is_plain(body);
    append_head(out, e, from, to);
    g_string_append_printf(out, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
                           plain ? "7bit" : "base64");
    (plain ? append_lines : append_base64)(out, body);
    return g_string_free(g_steal_pointer(&out), FALSE);
}
