/* The lock, the rights, and side databases that nobody loads any more. */
#include "engine/gate.h"

#include <string.h>

#include "base/interrupt.h"
#include "base/text.h"
#include "pg/snapshot.h"
#include "pg/swap.h"

struct gate {
    const struct pg_target *target;
    struct session *admin;
    const char *live;
    struct report *report;
};

/* It holds the side's own name: once it has another, the mark means nothing, so that a database in place can never be
 * taken for something left behind. */
char *gate_side_mark(const char *live, const char *side)
{
    return g_strdup_printf("opstower is restoring database %s into this one, %s", live, side);
}

/* Advisory locks belong to the database in which they are taken, and not every role is let into the same ones: who else
 * holds this one in any database is seen in pg_locks, which shows them all to everybody. */
#define OTHER_HOLDER_SQL                                                                                               \
    "SELECT 'process ' || l.pid || ' of the server, user ' || coalesce(a.usename, 'unknown')"                          \
    " || coalesce(', since ' || a.backend_start, '') FROM pg_catalog.pg_locks l"                                       \
    " LEFT JOIN pg_catalog.pg_stat_activity a USING (pid)"                                                             \
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_catalog.pg_backend_pid()"         \
    " AND l.classid::bigint = (pg_catalog.hashtext('opstower restore')::bigint & 4294967295)"                          \
    " AND l.objid::bigint = (pg_catalog.hashtext($1)::bigint & 4294967295) LIMIT 1"

#define LOCK_TRIES 3

static gboolean say_who_holds(const struct gate *g, const char *holder, GError **error)
{
    return ot_fail(error, OT_BUSY, "another restore of database %s is at work (%s)", g->live,
                   holder ? holder : "its holder cannot be seen");
}

/* TRUE without *ret_holder: the lock is ours alone. */
static gboolean try_lock(const struct gate *g, char **ret_holder, GError **error)
{
    const char *params[] = {g->live};
    g_autofree char *got = NULL;
    if (!session_get_text(g->admin, error,
                          "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext('opstower restore'),"
                          " pg_catalog.hashtext($1))",
                          1, params, &got) ||
        !session_get_text(g->admin, error, OTHER_HOLDER_SQL, 1, params, ret_holder))
        return FALSE;
    if (g_strcmp0(got, "t") != 0)
        return say_who_holds(g, *ret_holder, error);
    return TRUE;
}

/* Held by the session: it ends with it, however that ends. Two that came at the same moment in two databases both see
 * the other one; both step back, and try again after a time that is hardly the same. */
static gboolean take_lock(const struct gate *g, GError **error)
{
    for (int i = 0;; i++) {
        const char *params[] = {g->live};
        g_autofree char *holder = NULL;
        g_autofree char *unlocked = NULL;
        if (!try_lock(g, &holder, error))
            return FALSE;
        if (!holder)
            return TRUE;
        if (!session_get_text(g->admin, error,
                              "SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtext('opstower restore'),"
                              " pg_catalog.hashtext($1))",
                              1, params, &unlocked))
            return FALSE;
        if (i + 1 >= LOCK_TRIES)
            return say_who_holds(g, holder, error);
        g_usleep((gulong)g_random_int_range(50, 400) * 1000);
    }
}

/* A kill while the server made the side database leaves one without its mark: it has the exact name, and is empty. */
static gboolean is_unmarked_side(const struct gate *g, const char *name)
{
    const gsize timestamp_length = strlen("YYYYMMDD_HHMMSS");
    gint64 unused, objects = 1;
    if (strlen(name) < timestamp_length || !text_parse_timestamp(name + strlen(name) - timestamp_length, &unused))
        return FALSE;
    g_autofree char *suffix = g_strdup_printf("_restoring_%s", name + strlen(name) - timestamp_length);
    g_autofree char *expected = swap_name(g->live, suffix);
    if (!g_str_equal(name, expected))
        return FALSE;
    g_autoptr(session) s = session_open(g->target, name, NULL);
    return s &&
           session_get_number(s, NULL, "SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384", 0, NULL,
                              &objects) &&
           objects == 0;
}

/* Side databases that a killed restore left. We hold the lock, so nobody is loading them. */
static gboolean drop_left_behind(const struct gate *g, GError **error)
{
    g_autoptr(PGresult) rows = session_query(g->admin, error,
                                             "SELECT datname, pg_catalog.shobj_description(oid, 'pg_database')"
                                             " FROM pg_catalog.pg_database",
                                             0, NULL);
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        const char *name = PQgetvalue(rows, i, 0);
        g_autofree char *mark = gate_side_mark(g->live, name);
        gboolean marked = g_str_equal(PQgetvalue(rows, i, 1), mark);
        if (!marked && !(PQgetisnull(rows, i, 1) && is_unmarked_side(g, name)))
            continue;
        report_info(g->report, "Removing %s, which an interrupted restore left behind", name);
        if (!swap_discard(g->target, g->admin, name, error))
            return FALSE;
    }
    return rows != NULL;
}

static gboolean check_rights(const struct gate *g, GError **error)
{
    gint64 may = 0;
    if (!session_get_number(
            g->admin, error,
            "SELECT (rolsuper OR rolcreatedb)::int FROM pg_catalog.pg_roles WHERE rolname = current_user", 0, NULL,
            &may))
        return FALSE;
    return may || ot_fail(error, OT_PREREQUISITE, "user %s may not create databases: ALTER ROLE %s CREATEDB",
                          PQuser(session_pg(g->admin)), PQuser(session_pg(g->admin)));
}

struct session *gate_open(const struct pg_target *target, const char *live, struct report *report, GError **error)
{
    g_autoptr(session) admin = interrupt_check(error) ? swap_admin(target, live, error) : NULL;
    struct gate g = {target, admin, live, report};
    if (!admin || !check_rights(&g, error) || !take_lock(&g, error) ||
        !drop_left_behind(&g, error))
        return NULL;
    return g_steal_pointer(&admin);
}
