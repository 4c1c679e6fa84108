/* A backup's schema by its own text. */
#include "engine/schemacopy.h"

#include <string.h>

#include "archive/sqllex.h"
#include "base/interrupt.h"
#include "pg/script.h"

#define MAX_SHOWN_BYTES 100

struct schemacopy {
    struct session *session;
    gboolean tablespaces;
    gboolean all; /* nothing is left out */
    struct sqllex lex;
    GString *sql; /* the statement at hand; "" between two */
};

/* A statement that needs rows, and where things lie. */
static gboolean is_left_out(const struct schemacopy *c)
{
    return !c->all && (g_str_has_prefix(c->sql->str, "REFRESH MATERIALIZED VIEW ") ||
                       (!c->tablespaces && g_str_has_prefix(c->sql->str, "SET default_tablespace = ")));
}

static gboolean run_statement(struct schemacopy *c, GError **error)
{
    if (!interrupt_check(error))
        return FALSE;
    if (is_left_out(c) || script_run(c->session, c->sql->str, FALSE, error)) {
        if (g_str_has_prefix(c->sql->str, "SET standard_conforming_strings = "))
            c->lex.strings_escape = strstr(c->sql->str, "off") != NULL;
        g_string_truncate(c->sql, 0);
        return TRUE;
    }
    g_autofree char *begin = g_strndup(c->sql->str, MIN(strcspn(c->sql->str, "\n"), MAX_SHOWN_BYTES));
    g_autofree char *shown = g_utf8_make_valid(begin, -1);
    g_prefix_error(error, "the file's own statement \"%s\" fails%s: ", shown, c->all ? "" : " in an empty database");
    return FALSE;
}

/* Between two statements: blank lines, comments, and the commands that keep psql from running others. */
static gboolean is_between(const struct schemacopy *c, const char *line, gsize length)
{
    static const char *const begins[] = {"--", "\\restrict ", "\\unrestrict "};
    if (c->sql->len > 0 || c->lex.state != SQLLEX_PLAIN)
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(begins); i++)
        if (length >= strlen(begins[i]) && memcmp(line, begins[i], strlen(begins[i])) == 0)
            return TRUE;
    return length == 0;
}

static gboolean take_line(struct schemacopy *c, const char *line, gsize length, GError **error)
{
    if (is_between(c, line, length))
        return TRUE;
    for (gsize at = 0; at < length;) {
        gboolean end = FALSE;
        gsize n = sqllex_take(&c->lex, line + at, length - at, &end);
        g_string_append_len(c->sql, line + at, (gssize)n);
        at += n;
        if (end && !run_statement(c, error))
            return FALSE;
    }
    if (strspn(c->sql->str, " \t\r\n") == c->sql->len)
        g_string_truncate(c->sql, 0);
    else
        g_string_append_c(c->sql, '\n');
    return TRUE;
}

static gboolean take_text(struct schemacopy *c, const char *text, gsize length, GError **error)
{
    for (const char *end = text + length; text < end;) {
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        const char *stop = newline ? newline : end;
        if (!take_line(c, text, (gsize)(stop - text), error))
            return FALSE;
        text = stop + 1;
    }
    return TRUE;
}

static gboolean take_members(struct schemacopy *c, struct archive_reader *reader, enum member_kind kind, GError **error)
{
    g_autoptr(member_reader) members = member_reader_new(reader);
    const GArray *all = reader->contents->members;
    for (guint i = 0; i < all->len; i++) {
        const char *text;
        gsize length;
        if (g_array_index(all, struct archive_member, i).kind == kind &&
            (!member_reader_get(members, i, &text, &length, error) || !take_text(c, text, length, error)))
            return FALSE;
    }
    return TRUE;
}

gboolean schemacopy_load(struct session *s, struct archive_reader *reader, gboolean tablespaces, GError **error)
{
    g_autoptr(GString) sql = g_string_new(NULL);
    struct schemacopy c = {.session = s, .tablespaces = tablespaces, .sql = sql};
    return take_members(&c, reader, MEMBER_HEAD, error) && take_members(&c, reader, MEMBER_TAIL, error) &&
           (sql->len == 0 || ot_fail(error, OT_RESTORE, "the file's last statement has no end"));
}

gboolean schemacopy_run(struct session *s, const char *text, gsize length, GError **error)
{
    g_autoptr(GString) sql = g_string_new(NULL);
    struct schemacopy c = {.session = s, .all = TRUE, .sql = sql};
    return take_text(&c, text, length, error) &&
           (sql->len == 0 || ot_fail(error, OT_RESTORE, "the last statement has no end"));
}
