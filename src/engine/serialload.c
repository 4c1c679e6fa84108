/* pg_restore's text, run by one session. */
#include "engine/serialload.h"

#include <string.h>

#include "archive/sqllex.h"
#include "pg/pgdump.h"
#include "pg/script.h"

#define MAX_SHOWN_BYTES 80

/* The first line of a statement that is neither empty nor a comment, for messages. */
static char *first_line(const char *sql)
{
    while (*sql == '\n' || g_str_has_prefix(sql, "--"))
        sql += strcspn(sql, "\n") + (sql[strcspn(sql, "\n")] == '\n');
    g_autofree char *line = g_strndup(sql, MIN(strcspn(sql, "\n"), MAX_SHOWN_BYTES));
    return g_utf8_make_valid(line, -1);
}

static gboolean run_statement(struct session *s, const char *sql, GError **error)
{
    if (script_run(s, sql, FALSE, error))
        return TRUE;
    g_autofree char *line = first_line(sql);
    g_prefix_error(error, "%s: ", line);
    return FALSE;
}

/* All statements of the text, each with the comments before it. */
static gboolean run_all(struct session *s, const char *text, GError **error)
{
    struct sqllex lex = {0};
    const char *begin = text, *at = text;
    while (*at) {
        gboolean ended = FALSE;
        gsize length = strcspn(at, "\n");
        at += sqllex_take(&lex, at, length, &ended);
        if (ended) {
            g_autofree char *sql = g_strndup(begin, (gsize)(at - begin));
            if (!run_statement(s, sql, error))
                return FALSE;
            begin = at;
        }
        if (*at == '\n')
            at++;
    }
    return TRUE;
}

gboolean serialload_section(const struct pg_target *target, const char *dbname, const char *bindir,
                            const struct toc *t, const char *section, const char *const *extra, GError **error)
{
    g_autoptr(session) s = session_open(target, dbname, error);
    g_autoptr(GString) sql =
        s ? pgdump_section_sql(t, bindir, session_version(s) / 10000, section, extra, NULL, error) : NULL;
    if (!sql)
        return FALSE;
    pgdump_strip_restrict(sql);
    return session_exec(s, "SET synchronous_commit = off; SET maintenance_work_mem = '256MB'", error) &&
           run_all(s, sql->str, error);
}
