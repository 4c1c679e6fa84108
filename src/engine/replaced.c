/* What becomes of the database that was live. */
#include "engine/replaced.h"

#include <string.h>

#include "base/interrupt.h"
#include "engine/since.h"
#include "pg/swap.h"

void replaced_clear(struct replaced *r)
{
    g_free(r->name);
    g_clear_pointer(&r->slots, g_ptr_array_unref);
}

char *replaced_name(const char *live, const char *timestamp)
{
    g_autofree char *suffix = g_strdup_printf("_replaced_%s", timestamp);
    return swap_name(live, suffix);
}

/* ---- what belongs to it ---- */

static GPtrArray *list_texts(struct session *s, const char *sql, const char *param, GError **error)
{
    const char *params[] = {param};
    g_autoptr(PGresult) rows = session_query(s, error, sql, 1, params);
    GPtrArray *list = rows ? g_ptr_array_new_with_free_func(g_free) : NULL;
    for (int i = 0; rows && i < PQntuples(rows); i++)
        g_ptr_array_add(list, g_strdup(PQgetvalue(rows, i, 0)));
    return list;
}

gboolean replaced_note(struct replaced *r, GError **error)
{
    r->slots = list_texts(r->admin,
                          "SELECT pg_catalog.format('%s: its reader receives no changes of the restored database. To make it"
                          " anew, in %I: SELECT pg_drop_replication_slot(%L) FROM pg_replication_slots WHERE slot_name ="
                          " %L; SELECT pg_create_logical_replication_slot(%L, %L);', slot_name, database, slot_name,"
                          " slot_name, slot_name, plugin)"
                          " FROM pg_catalog.pg_replication_slots WHERE database = $1 AND NOT temporary ORDER BY slot_name",
                          r->live, error);
    return r->slots != NULL;
}

static void tell_slots(const struct replaced *r)
{
    for (guint i = 0; i < r->slots->len; i++)
        report_warn(r->report, "A logical replication slot %s the replaced database: %s",
                    r->name ? "stays with" : "went with", (char *)r->slots->pdata[i]);
}

/* ---- subscriptions ---- */

#define ENABLED_SQL                                                                                                    \
    "SELECT s.subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid"            \
    " WHERE d.datname = $1 AND s.subenabled ORDER BY 1"

static void disable_one(const struct replaced *r, struct session *s, const char *name)
{
    g_autofree char *quoted = session_quote_name(r->admin, name);
    g_autoptr(GError) problem = NULL;
    if (s)
        session_execf(s, &problem, "ALTER SUBSCRIPTION %s DISABLE", quoted);
    if (!s || problem)
        report_warn(r->report, "Subscription %s of the replaced database %s goes on receiving; in it: ALTER SUBSCRIPTION"
                               " %s DISABLE (%s)",
                    name, r->name, quoted, problem ? problem->message : "it cannot be connected to");
    else
        report_warn(r->report,
                    "Subscription %s was ended in the replaced database: what it received since the backup is only there",
                    name);
}

/* What it would receive from now on would be missing in the restored one, whose subscription reads the same slot. */
static void disable_subscriptions(const struct replaced *r)
{
    g_autoptr(GPtrArray) names = list_texts(r->admin, ENABLED_SQL, r->name, NULL);
    if (!names || names->len == 0)
        return;
    g_autoptr(session) s = session_open_despite_interrupt(r->request->target, r->name, NULL);
    for (guint i = 0; i < names->len; i++)
        disable_one(r, s, names->pdata[i]);
}

/* ---- held against the pre-restore backup ---- */

static gboolean changed_since(struct replaced *r, char **ret_change, GError **error)
{
    struct since_request since = {
        .target = r->request->target,
        .dbname = r->name,
        .copy = r->pre->copy,
        .bindir = r->request->bindir,
        .jobs = r->request->jobs,
    };
    report_info(r->report, "Comparing %s with the pre-restore backup before it is dropped...", r->name);
    gint64 start = g_get_monotonic_time();
    gboolean ok = since_backup(&since, r->report, ret_change, error);
    report_phase(r->report, "compare_replaced", start);
    return ok;
}

/* ---- in place ---- */

/* With a session of its own: the other may be broken or cancelled. */
static gboolean bring_back(struct replaced *r, GError **error)
{
    GError *problem = NULL;
    g_autoptr(session) s = swap_admin(r->request->target, r->live, &problem);
    if (s && swap_rename(r->request->target, s, r->name, r->live, &problem)) {
        report_info(r->report, "Database %s is in use again, as it was", r->live);
        g_clear_pointer(&r->name, g_free);
        return TRUE;
    }
    g_prefix_error(error, "DATABASE %s IS OUT OF USE: it is called %s and could not be renamed back (%s); the next restore"
                          " renames it back, or: ALTER DATABASE \"%s\" RENAME TO \"%s\". ",
                   r->live, r->name, problem->message, r->name, r->live);
    g_error_free(problem);
    return FALSE;
}

static gboolean check_unchanged(struct replaced *r, GError **error)
{
    g_autofree char *change = NULL;
    if (!changed_since(r, &change, error) || !interrupt_check(error))
        return FALSE;
    return !change || ot_fail(error, OT_REFUSED,
                              "--in-place would lose what was committed since the pre-restore backup %s was taken (%s): stop"
                              " what writes to %s (HOOK_PRE_RESTORE can), and run it again",
                              r->pre->id, change, r->live);
}

gboolean replaced_drop_in_place(struct replaced *r, GError **error)
{
    g_autofree char *name = replaced_name(r->live, r->timestamp);
    report_warn(r->report, "Taking %s out of use (--in-place)...", r->live);
    if (!report_check_log(r->report, error) || !swap_rename(r->request->target, r->admin, r->live, name, error))
        return FALSE;
    r->name = g_steal_pointer(&name);
    if (!check_unchanged(r, error)) {
        bring_back(r, error);
        return FALSE;
    }
    report_warn(r->report, "Dropping %s (--in-place); the pre-restore backup %s is the way back", r->name, r->pre->id);
    if (!report_check_log(r->report, error) || !swap_drop(r->request->target, r->admin, r->name, error)) {
        bring_back(r, error);
        return FALSE;
    }
    g_clear_pointer(&r->name, g_free);
    r->dropped = TRUE;
    return TRUE;
}

/* ---- after the swap ---- */

/* In doubt it stays. */
static gboolean may_be_dropped(struct replaced *r)
{
    if (!r->pre->copy)
        return TRUE; /* --no-pre-backup: nobody wanted a way back */
    g_autofree char *change = NULL;
    g_autoptr(GError) problem = NULL;
    if (changed_since(r, &change, &problem) && !change)
        return TRUE;
    report_warn(r->report,
                "%s is not dropped: it holds what was committed since the pre-restore backup %s and is in no backup (%s)."
                " When you no longer need it: DROP DATABASE \"%s\"",
                r->name, r->pre->id, change ? change : problem->message, r->name);
    return FALSE;
}

static gboolean drop_replaced(struct replaced *r, GError **error)
{
    if (!may_be_dropped(r))
        return TRUE;
    report_info(r->report, "Dropping the old database (%s)...", r->name);
    if (swap_drop(r->request->target, r->admin, r->name, error)) {
        g_clear_pointer(&r->name, g_free);
        return TRUE;
    }
    g_prefix_error(error, "the restore is done, but the old database is still there: ");
    return FALSE;
}

gboolean replaced_settle(struct replaced *r, GError **error)
{
    tell_slots(r);
    if (!r->name)
        return TRUE;
    disable_subscriptions(r);
    if (r->request->drop_replaced)
        return drop_replaced(r, error);
    report_info(r->report,
                "The old database stays as %s, with all that was committed to it until now; when you no longer need it: "
                "DROP DATABASE \"%s\"",
                r->name, r->name);
    return TRUE;
}
