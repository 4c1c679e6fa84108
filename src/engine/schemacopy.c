/* A backup's schema by its own text. */
#include "engine/schemacopy.h"

#include <string.h>

#include "archive/sqllex.h"
#include "base/files.h"
#include "pg/psql.h"

struct schemacopy {
    struct sqllex lex;
    gboolean tablespaces;
    GString *sql; /* what psql is given */
};

static gboolean begins(const char *line, gsize length, const char *text)
{
    return length >= strlen(text) && memcmp(line, text, strlen(text)) == 0;
}

/* The lines that pg_restore puts between the statements, and a statement that needs rows. */
static gboolean is_left_out(const struct schemacopy *c, const char *line, gsize length)
{
    if (c->lex.state != SQLLEX_PLAIN)
        return FALSE;
    return begins(line, length, "\\restrict ") || begins(line, length, "\\unrestrict ") ||
           begins(line, length, "REFRESH MATERIALIZED VIEW ") ||
           (!c->tablespaces && begins(line, length, "SET default_tablespace = "));
}

static void take_line(struct schemacopy *c, const char *line, gsize length)
{
    if (is_left_out(c, line, length))
        return;
    sqllex_line(&c->lex, line, length);
    g_string_append_len(c->sql, line, (gssize)length);
    g_string_append_c(c->sql, '\n');
}

static void take_text(struct schemacopy *c, const char *text, gsize length)
{
    for (const char *end = text + length; text < end;) {
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        const char *stop = newline ? newline : end;
        take_line(c, text, (gsize)(stop - text));
        text = stop + 1;
    }
}

static gboolean take_members(struct schemacopy *c, struct archive_reader *reader, enum member_kind kind, GError **error)
{
    g_autoptr(member_reader) members = member_reader_new(reader);
    const GArray *all = reader->contents->members;
    for (guint i = 0; i < all->len; i++) {
        const char *text;
        gsize length;
        if (g_array_index(all, struct archive_member, i).kind != kind)
            continue;
        if (!member_reader_get(members, i, &text, &length, error))
            return FALSE;
        take_text(c, text, length);
    }
    return TRUE;
}

static gboolean feed(struct session *s, const char *bindir, const GString *sql, GError **error)
{
    g_autoptr(subprocess) psql = psql_start(s, bindir, error);
    if (!psql)
        return FALSE;
    /* If psql has ended before, it says why when it is waited for. */
    gboolean sent = files_write_all(subprocess_stdin(psql), sql->str, sql->len, "to psql", NULL);
    gboolean closed = subprocess_close_stdin(psql, NULL);
    gboolean ended = subprocess_wait(psql, error);
    return ended && ((sent && closed) || ot_fail(error, OT_RESTORE, "psql did not read all of the statements"));
}

gboolean schemacopy_load(struct session *s, const char *bindir, struct archive_reader *reader, gboolean tablespaces,
                         GError **error)
{
    g_autoptr(GString) sql = g_string_new(NULL);
    struct schemacopy c = {.tablespaces = tablespaces, .sql = sql};
    if (!take_members(&c, reader, MEMBER_HEAD, error) || !take_members(&c, reader, MEMBER_TAIL, error))
        return FALSE;
    if (c.lex.backslash)
        return ot_fail(error, OT_REFUSED, "the file holds a command for psql itself: its statements are not run");
    if (feed(s, bindir, sql, error))
        return TRUE;
    g_prefix_error(error, "cannot load the file's own statements into an empty database: ");
    if (error && *error && (*error)->code == OT_FAILED)
        (*error)->code = OT_RESTORE;
    return FALSE;
}
