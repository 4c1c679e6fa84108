/* Dropping a database, whatever is in it. */
#include "pg/swap.h"

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

/* ---- what bars a DROP DATABASE ---- */

/* Its publisher is left alone: the slot there may be another database's by now. */
static gboolean drop_subscription(struct session *s, const char *name, gboolean enabled, GError **error)
{
    g_autofree char *quoted = session_quote_name(s, name);
    return (!enabled || session_execf(s, error, "ALTER SUBSCRIPTION %s DISABLE", quoted)) &&
           session_execf(s, error, "ALTER SUBSCRIPTION %s SET (slot_name = NONE)", quoted) &&
           session_execf(s, error, "DROP SUBSCRIPTION %s", quoted);
}

static gboolean drop_subscriptions(const struct pg_target *t, struct session *admin, const char *dbname, GError **error)
{
    const char *params[] = {dbname};
    g_autoptr(PGresult) found =
        session_query(admin, error,
                      "SELECT s.subname, s.subenabled FROM pg_catalog.pg_subscription s"
                      " JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = $1",
                      1, params);
    if (!found || PQntuples(found) == 0)
        return found != NULL;
    g_autofree char *quoted = session_quote_name(admin, dbname);
    if (!session_execf(admin, error, "ALTER DATABASE %s ALLOW_CONNECTIONS true", quoted))
        return FALSE;
    g_autoptr(session) s = session_open_despite_interrupt(t, dbname, error);
    for (int i = 0; s && i < PQntuples(found); i++)
        if (!drop_subscription(s, PQgetvalue(found, i, 0), *PQgetvalue(found, i, 1) == 't', error))
            return FALSE;
    return s != NULL;
}

static gboolean unmark_template(struct session *admin, const char *dbname, GError **error)
{
    const char *params[] = {dbname};
    g_autofree char *marked = NULL;
    if (!session_get_text(admin, error, "SELECT datistemplate FROM pg_catalog.pg_database WHERE datname = $1", 1, params,
                          &marked))
        return FALSE;
    g_autofree char *quoted = session_quote_name(admin, dbname);
    return g_strcmp0(marked, "t") != 0 || session_execf(admin, error, "ALTER DATABASE %s IS_TEMPLATE false", quoted);
}

static gboolean drop_it(struct session *admin, const char *dbname, GError **error)
{
    g_autofree char *quoted = session_quote_name(admin, dbname);
    g_autofree char *kept = NULL;
    /* By ourselves first: FORCE ends nobody if there is one whom we may not end, or a logical slot in use. */
    if (!swap_end_sessions(admin, dbname, &kept, error))
        return FALSE;
    if (session_version(admin) >= 130000 && !kept)
        return session_execf(admin, error, "DROP DATABASE IF EXISTS %s WITH (FORCE)", quoted);
    if (session_execf(admin, error, "DROP DATABASE IF EXISTS %s", quoted))
        return TRUE;
    if (kept)
        g_prefix_error(error, "%s: ", kept);
    return FALSE;
}

gboolean swap_drop(const struct pg_target *t, struct session *admin, const char *dbname, GError **error)
{
    gboolean exists;
    if (!swap_exists(admin, dbname, &exists, error) || (exists && !has_space(admin, dbname, error)))
        return FALSE;
    return !exists || (unmark_template(admin, dbname, error) && drop_subscriptions(t, admin, dbname, error) &&
                       drop_it(admin, dbname, error));
}

/* ---- where there is no space to drop it ---- */

/* Dropping tables needs no checkpoint, and gives their space back at once. As far as it goes. */
static void drop_tables(const struct pg_target *t, struct session *admin, const char *dbname)
{
    swap_end_sessions(admin, dbname, NULL, NULL);
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
    if (swap_drop(t, admin, dbname, &problem))
        return TRUE;
    if (!g_error_matches(problem, OT_ERROR, OT_SPACE)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_error_free(problem);
    drop_tables(t, admin, dbname);
    return swap_drop(t, admin, dbname, error);
}
