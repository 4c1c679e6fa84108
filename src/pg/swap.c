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

/* Hardened servers let nobody in particular into postgres and template1. Who is neither live nor one of a restore's own
 * databases, which are dropped and renamed; the oldest first. */
#define OTHERS_SQL                                                                                                     \
    "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND datname <> $1 AND datname <> current_database()" \
    " AND datname !~ '_(restoring|replaced)_[0-9]{8}_[0-9]{6}$'"                                                       \
    " AND pg_catalog.has_database_privilege(oid, 'CONNECT') ORDER BY oid LIMIT 10"

static struct session *admin_elsewhere(const struct pg_target *t, const char *live, GError **error)
{
    const char *params[] = {live};
    g_autoptr(session) in_live = session_open_despite_interrupt(t, live, error);
    g_autoptr(PGresult) found = in_live ? session_query(in_live, error, OTHERS_SQL, 1, params) : NULL;
    for (int i = 0; found && i < PQntuples(found); i++) {
        struct session *s = session_open_despite_interrupt(t, PQgetvalue(found, i, 0), NULL);
        if (s)
            return s;
    }
    if (found)
        ot_fail(error, OT_PREREQUISITE,
                "user %s may connect to no database but %s, and a database is not renamed or dropped from within: GRANT"
                " CONNECT ON DATABASE postgres TO %s",
                PQuser(session_pg(in_live)), live, PQuser(session_pg(in_live)));
    return NULL;
}

struct session *swap_admin(const struct pg_target *t, const char *live, GError **error)
{
    static const char *const usual[] = {"postgres", "template1"};
    GError *first = NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(usual); i++) {
        if (g_str_equal(live, usual[i]))
            continue;
        struct session *s = session_open_despite_interrupt(t, usual[i], first ? NULL : &first);
        if (s) {
            g_clear_error(&first);
            return s;
        }
    }
    GError *other = NULL;
    struct session *s = admin_elsewhere(t, live, &other);
    /* Where nothing can be reached the reason is the same each time; a server that lets us in says more. */
    if (s || !first || !g_error_matches(other, OT_ERROR, OT_PREREQUISITE)) {
        g_clear_error(s ? &first : &other);
        if (!s)
            g_propagate_error(error, first);
        return s;
    }
    g_error_free(first);
    g_propagate_error(error, other);
    return NULL;
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

/* ---- ending sessions ---- */

/* Who has a role: clients, and workers that act for one. Autovacuum's workers have none; they give way by themselves,
 * and only a superuser may end them. */
#define SESSIONS_SQL                                                                                                   \
    "SELECT pid, usename FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND usesysid IS NOT NULL"

static gboolean end_one(struct session *killer, const char *pid, GError **error)
{
    const char *params[] = {pid};
    g_autoptr(PGresult) ended = session_query(killer, error, "SELECT pg_catalog.pg_terminate_backend($1::int)", 1, params);
    return ended != NULL;
}

/* One by one: that one may not be ended is no reason to leave the others. */
gboolean swap_end_sessions(struct session *killer, const char *dbname, char **ret_kept, GError **error)
{
    const char *params[] = {dbname};
    g_autoptr(PGresult) found = session_query(killer, error, SESSIONS_SQL, 1, params);
    for (int i = 0; found && i < PQntuples(found); i++) {
        g_autoptr(GError) problem = NULL;
        if (end_one(killer, PQgetvalue(found, i, 0), &problem))
            continue;
        if (PQstatus(session_pg(killer)) != CONNECTION_OK) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
        if (ret_kept && !*ret_kept)
            *ret_kept = g_strdup_printf("the session of %s (process %s) cannot be ended: %s", PQgetvalue(found, i, 1),
                                        PQgetvalue(found, i, 0), problem->message);
    }
    return found != NULL;
}

/* ---- the swap ---- */

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
    g_autofree char *kept = NULL;
    if (!PQsendQuery(pg, sql))
        return session_fail(admin, NULL, OT_RESTORE, sql, error);
    session_wait_begins(admin);
    do {
        if (!kill_error) {
            g_clear_pointer(&kept, g_free);
            swap_end_sessions(killer, from, &kept, &kill_error);
        }
    } while (!rename_done(pg));
    g_autoptr(PGresult) result = PQgetResult(pg);
    for (PGresult *rest; (rest = PQgetResult(pg));)
        PQclear(rest);
    session_wait_ends(admin);
    if (PQresultStatus(result) == PGRES_COMMAND_OK)
        return TRUE;
    *ret_again = g_strcmp0(PQresultErrorField(result, PG_DIAG_SQLSTATE), "55006") == 0 && !kill_error;
    session_fail(admin, result, OT_RESTORE, sql, error);
    if (kill_error || kept)
        g_prefix_error(error, "%s: ", kill_error ? kill_error->message : kept);
    return FALSE;
}

static gboolean try_swap(struct session *admin, struct session *killer, const char *live, const char *side,
                         const char *replaced, const char *also, gboolean cleaning_up, gboolean *ret_again,
                         GError **error)
{
    *ret_again = FALSE;
    if (!session_exec(admin, "BEGIN", error))
        return FALSE;
    gboolean unused;
    if (session_exec(admin, also, error) &&
        (!replaced || rename_busy(admin, killer, live, replaced, ret_again, error)) &&
        rename_busy(admin, killer, side, live, replaced ? &unused : ret_again, error) &&
        (cleaning_up || interrupt_check(error)))
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

gboolean swap_rename(const struct pg_target *t, struct session *admin, const char *from, const char *to, GError **error)
{
    g_autoptr(session) killer = swap_admin(t, from, error);
    for (int i = 0; killer; i++) {
        gboolean again = FALSE;
        GError *problem = NULL;
        if (rename_busy(admin, killer, from, to, &again, &problem))
            return TRUE;
        if (again && i + 1 < TRIES) {
            g_error_free(problem);
            continue;
        }
        g_propagate_error(error, problem);
        return FALSE;
    }
    return FALSE;
}

gboolean swap_names(const struct pg_target *t, struct session *admin, const char *live, const char *side,
                    const char *replaced, const char *also, GError **error)
{
    g_autoptr(session) killer = swap_admin(t, live, error);
    gboolean cleaning_up = interrupt_signal() != 0;
    if (!killer)
        return FALSE;
    for (int i = 0;; i++) {
        gboolean again = FALSE;
        GError *problem = NULL;
        if (try_swap(admin, killer, live, side, replaced, also, cleaning_up, &again, &problem))
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
