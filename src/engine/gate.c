/* The lock, the rights, and side databases that nobody loads any more. */
#include "engine/gate.h"

#include <string.h>

#include "base/interrupt.h"
#include "base/text.h"
#include "engine/ownname.h"
#include "engine/replaced.h"
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

/* The timestamp at the end of a side database's name; NULL: there is none. */
static const char *timestamp_of(const char *name)
{
    const gsize length = strlen("YYYYMMDD_HHMMSS");
    gint64 unused;
    const char *timestamp = strlen(name) < length ? NULL : name + strlen(name) - length;
    return timestamp && text_parse_timestamp(timestamp, &unused) ? timestamp : NULL;
}

static gboolean is_empty(const struct gate *g, const char *name)
{
    gint64 objects = 1;
    g_autoptr(session) s = session_open(g->target, name, NULL);
    return s &&
           session_get_number(s, NULL, "SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384", 0, NULL,
                              &objects) &&
           objects == 0;
}

/* A kill while the server made the side database leaves one without its mark: it has the exact name, and is empty, or
 * shut as only door_create shuts one. */
static gboolean is_unmarked_side(const struct gate *g, const char *name, gboolean shut)
{
    const char *timestamp = timestamp_of(name);
    if (!timestamp)
        return FALSE;
    g_autofree char *suffix = g_strdup_printf("_restoring_%s", timestamp);
    g_autofree char *expected = swap_name(g->live, suffix);
    return g_str_equal(name, expected) && (shut || is_empty(g, name));
}

/* An --in-place restore that was killed between renaming the live database and dropping it. */
static gboolean bring_back_live(const struct gate *g, const char *side, GError **error)
{
    const char *timestamp = timestamp_of(side);
    g_autofree char *aside = timestamp ? replaced_name(g->live, timestamp) : NULL;
    gboolean live = FALSE, old = FALSE;
    if (!aside)
        return TRUE;
    if (!swap_exists(g->admin, g->live, &live, error) || !swap_exists(g->admin, aside, &old, error))
        return FALSE;
    if (live || !old)
        return TRUE;
    report_warn(g->report, "An interrupted --in-place restore put %s out of use; it is brought back from %s, as it was",
                g->live, aside);
    return swap_rename(g->target, g->admin, aside, g->live, error);
}

/* Side databases that a killed restore left. We hold the lock, so nobody is loading them. */
static gboolean drop_left_behind(const struct gate *g, GError **error)
{
    g_autoptr(PGresult) rows =
        session_query(g->admin, error,
                      "SELECT datname, pg_catalog.shobj_description(oid, 'pg_database'),"
                      " NOT datallowconn AND datconnlimit = 0 FROM pg_catalog.pg_database",
                      0, NULL);
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        const char *name = PQgetvalue(rows, i, 0);
        g_autofree char *mark = gate_side_mark(g->live, name);
        gboolean marked = g_str_equal(PQgetvalue(rows, i, 1), mark);
        gboolean shut = *PQgetvalue(rows, i, 2) == 't';
        if (!marked && !(PQgetisnull(rows, i, 1) && is_unmarked_side(g, name, shut)))
            continue;
        if (!bring_back_live(g, name, error))
            return FALSE;
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
        !ownname_recover(target, admin, live, report, error) || !drop_left_behind(&g, error))
        return NULL;
    return g_steal_pointer(&admin);
}
