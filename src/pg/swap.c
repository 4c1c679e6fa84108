/*
 * ALTER DATABASE ... RENAME locks the database's name first, which keeps new sessions out, and then waits up to five
 * seconds for the others to end (dbcommands.c, RenameDatabase). While it waits, a second session ends them. So nothing
 * has to be committed beforehand (like ALLOW_CONNECTIONS false) that a crash would leave behind.
 */
#include "pg/swap.h"

#include <poll.h>
#include <string.h>

#include "base/interrupt.h"

#define NAME_BYTES 63
#define TRIES 3
#define POLL_MS 50

struct session *swap_admin(const struct pg_target *t, const char *live, GError **error)
{
    struct session *s = g_str_equal(live, "postgres") ? NULL : session_open_despite_interrupt(t, "postgres", NULL);
    return s ? s : session_open_despite_interrupt(t, "template1", error);
}

gboolean swap_exists(struct session *admin, const char *dbname, gboolean *ret_exists, GError **error)
{
    const char *params[] = {dbname};
    gint64 found = 0;
    if (!session_get_number(admin, error, "SELECT count(*) FROM pg_catalog.pg_database WHERE datname = $1", 1, params,
                            &found))
        return FALSE;
    *ret_exists = found > 0;
    return TRUE;
}

static gboolean end_sessions(struct session *killer, const char *dbname, GError **error)
{
    const char *params[] = {dbname};
    g_autoptr(PGresult) ended = session_query(
        killer, error,
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = $1", 1, params);
    return ended != NULL;
}

static gboolean rename_done(PGconn *pg)
{
    struct pollfd p = {.fd = PQsocket(pg), .events = POLLIN};
    poll(&p, 1, POLL_MS);
    return !PQconsumeInput(pg) || !PQisBusy(pg);
}

/* Renames while a second session ends whoever is in the way. *ret_again: they were not gone in time. */
static gboolean rename_busy(struct session *admin, struct session *killer, const char *from, const char *to,
                            gboolean *ret_again, GError **error)
{
    PGconn *pg = session_pg(admin);
    g_autofree char *a = session_quote_name(admin, from);
    g_autofree char *b = session_quote_name(admin, to);
    g_autofree char *sql = g_strdup_printf("ALTER DATABASE %s RENAME TO %s", a, b);
    g_autoptr(GError) kill_error = NULL;
    if (!PQsendQuery(pg, sql))
        return session_fail(admin, NULL, OT_RESTORE, sql, error);
    do {
        if (!kill_error)
            end_sessions(killer, from, &kill_error);
    } while (!rename_done(pg));
    g_autoptr(PGresult) result = PQgetResult(pg);
    for (PGresult *rest; (rest = PQgetResult(pg));)
        PQclear(rest);
    if (PQresultStatus(result) == PGRES_COMMAND_OK)
        return TRUE;
    *ret_again = g_strcmp0(PQresultErrorField(result, PG_DIAG_SQLSTATE), "55006") == 0 && !kill_error;
    session_fail(admin, result, OT_RESTORE, sql, error);
    if (kill_error)
        g_prefix_error(error, "sessions on the database cannot be ended (%s): ", kill_error->message);
    return FALSE;
}

static gboolean try_swap(struct session *admin, struct session *killer, const char *live, const char *side,
                         const char *replaced, const char *also, gboolean *ret_again, GError **error)
{
    *ret_again = FALSE;
    if (!session_exec(admin, "BEGIN", error))
        return FALSE;
    gboolean unused;
    if (session_exec(admin, also, error) &&
        (!replaced || rename_busy(admin, killer, live, replaced, ret_again, error)) &&
        rename_busy(admin, killer, side, live, replaced ? &unused : ret_again, error) && interrupt_check(error))
        return session_exec(admin, "COMMIT", error);
    session_exec(admin, "ROLLBACK", NULL);
    return FALSE;
}

/* A COMMIT whose answer was lost is decided by what the server shows afterwards. */
static gboolean commit_took_place(const struct pg_target *t, const char *live, const char *side)
{
    g_autoptr(session) s = swap_admin(t, live, NULL);
    gboolean exists = TRUE;
    return s && swap_exists(s, side, &exists, NULL) && !exists;
}

gboolean swap_names(const struct pg_target *t, struct session *admin, const char *live, const char *side,
                    const char *replaced, const char *also, GError **error)
{
    g_autoptr(session) killer = swap_admin(t, live, error);
    if (!killer)
        return FALSE;
    for (int i = 0;; i++) {
        gboolean again = FALSE;
        GError *problem = NULL;
        if (try_swap(admin, killer, live, side, replaced, also, &again, &problem))
            return TRUE;
        if (PQstatus(session_pg(admin)) != CONNECTION_OK && commit_took_place(t, live, side)) {
            g_error_free(problem);
            return TRUE;
        }
        if (!again || i + 1 >= TRIES) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        g_error_free(problem);
    }
}

/* ---- dropping ---- */

/* A megabyte in rows that are neither compressed nor stored elsewhere; beside the server's own files, as far as it is
 * up to us. */
#define PROBE_SQL                                                                                                      \
    "BEGIN; SET LOCAL temp_tablespaces = ''; CREATE TEMPORARY TABLE opstower_probe ON COMMIT DROP AS"                  \
    " SELECT pg_catalog.repeat('x', 1900) FROM pg_catalog.generate_series(1, 512); ROLLBACK"

/* DROP DATABASE begins with a checkpoint, and a checkpoint that finds no space at all is a PANIC: the server ends, with
 * everybody's sessions, and may not come up again. A table that does not fit is just an error. */
static gboolean has_space(struct session *admin, const char *dbname, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (session_exec(admin, PROBE_SQL, &problem))
        return TRUE;
    session_exec(admin, "ROLLBACK", NULL);
    return !g_error_matches(problem, OT_ERROR, OT_SPACE) ||
           ot_fail(error, OT_SPACE, "%s is not dropped, for the server's disk is full and it would not survive that",
                   dbname);
}

gboolean swap_drop(struct session *admin, const char *dbname, GError **error)
{
    gboolean exists;
    if (!swap_exists(admin, dbname, &exists, error) || (exists && !has_space(admin, dbname, error)))
        return FALSE;
    g_autofree char *quoted = session_quote_name(admin, dbname);
    if (session_version(admin) >= 130000)
        return session_execf(admin, error, "DROP DATABASE IF EXISTS %s WITH (FORCE)", quoted);
    return end_sessions(admin, dbname, error) && session_execf(admin, error, "DROP DATABASE IF EXISTS %s", quoted);
}

/* Dropping tables needs no checkpoint, and gives their space back at once. As far as it goes. */
static void drop_tables(const struct pg_target *t, struct session *admin, const char *dbname)
{
    end_sessions(admin, dbname, NULL);
    g_autoptr(session) s = session_open_despite_interrupt(t, dbname, NULL);
    if (!s)
        return;
    g_autoptr(PGresult) drops =
        session_query(s, NULL,
                      "SELECT pg_catalog.format('DROP %s IF EXISTS %I.%I CASCADE',"
                      " CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, nspname, relname)"
                      " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace"
                      " WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema'"
                      " ORDER BY pg_catalog.pg_total_relation_size(c.oid) DESC",
                      0, NULL);
    for (int i = 0; drops && i < PQntuples(drops); i++)
        session_exec(s, PQgetvalue(drops, i, 0), NULL);
}

gboolean swap_discard(const struct pg_target *t, struct session *admin, const char *dbname, GError **error)
{
    GError *problem = NULL;
    if (swap_drop(admin, dbname, &problem))
        return TRUE;
    if (!g_error_matches(problem, OT_ERROR, OT_SPACE)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_error_free(problem);
    drop_tables(t, admin, dbname);
    return swap_drop(admin, dbname, error);
}

char *swap_name(const char *base, const char *suffix)
{
    gsize room = NAME_BYTES - strlen(suffix);
    gsize length = MIN(strlen(base), room);
    /* Not within a UTF-8 character: its further bytes begin with the bits 10. */
    while (length > 0 && length < strlen(base) && ((guchar)base[length] & 0xc0) == 0x80)
        length--;
    g_autofree char *cut = g_strndup(base, length);
    return g_strconcat(cut, suffix, NULL);
}
