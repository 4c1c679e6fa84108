/* Whether the live database can be put aside. */
#include "engine/preflight_live.h"

static PGresult *ask(const struct preflight *p, const char *sql, GError **error)
{
    const char *params[] = {p->live};
    return session_query(p->q->admin, error, sql, 1, params);
}

gboolean preflight_live_state(struct preflight *p, GError **error)
{
    g_autoptr(PGresult) row =
        ask(p,
            "SELECT datallowconn, datconnlimit, pg_catalog.quote_ident(datname) FROM pg_catalog.pg_database"
            " WHERE datname = $1",
            error);
    if (!row || PQntuples(row) == 0)
        return row != NULL;
    const char *quoted = PQgetvalue(row, 0, 2);
    if (g_str_equal(PQgetvalue(row, 0, 1), "-2"))
        preflight_refuse(p, OT_PREREQUISITE,
                         "database %s is half dropped and cannot be used any more: DROP DATABASE %s, then restore it",
                         p->live, quoted);
    else if (*PQgetvalue(row, 0, 0) == 'f' && p->q->restore->pre_backup)
        preflight_refuse(p, OT_PREREQUISITE,
                         "database %s takes no connections, so there can be no pre-restore backup: ALTER DATABASE %s "
                         "ALLOW_CONNECTIONS true, or give --no-pre-backup",
                         p->live, quoted);
    return TRUE;
}

gboolean preflight_live_owner(struct preflight *p, GError **error)
{
    g_autoptr(PGresult) row = ask(p,
                                  "SELECT r.rolname, pg_catalog.pg_has_role(d.datdba, 'USAGE'), r.rolsuper,"
                                  " pg_catalog.quote_ident(r.rolname), pg_catalog.quote_ident(d.datname),"
                                  " pg_catalog.quote_ident(current_user) FROM pg_catalog.pg_database d"
                                  " JOIN pg_catalog.pg_roles r ON r.oid = d.datdba WHERE d.datname = $1",
                                  error);
    if (!row || PQntuples(row) == 0 || *PQgetvalue(row, 0, 1) == 't')
        return row != NULL;
    const char *owner = PQgetvalue(row, 0, 3), *us = PQgetvalue(row, 0, 5);
    g_autofree char *grant = g_strdup_printf("GRANT %s TO %s, or ", owner, us);
    preflight_refuse(p, OT_PREREQUISITE,
                     "database %s belongs to %s, and only who has that role's rights may rename it: %sALTER DATABASE %s "
                     "OWNER TO %s",
                     p->live, PQgetvalue(row, 0, 0), *PQgetvalue(row, 0, 2) == 't' ? "" : grant, PQgetvalue(row, 0, 4),
                     us);
    return TRUE;
}

/* ---- sessions ---- */

#define LOOKS 5
#define LOOK_PERIOD_US 200000

/* Whom pg_terminate_backend would refuse. */
#define OUT_OF_REACH_SQL                                                                                               \
    "SELECT a.usename || ' (process ' || a.pid || ')', r.rolsuper, a.pid FROM pg_catalog.pg_stat_activity a"           \
    " JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid WHERE a.datname = $1"                                           \
    " AND coalesce(a.backend_type, 'client backend') IN ('client backend', 'walsender')"                               \
    " AND (r.rolsuper OR NOT (pg_catalog.pg_has_role(r.oid, 'USAGE')"                                                  \
    "  OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE'))) ORDER BY a.pid"

static void refuse_sessions(struct preflight *p, const PGresult *rows)
{
    gboolean superusers = FALSE, others = FALSE;
    for (int i = 0; i < PQntuples(rows); i++)
        *(*PQgetvalue(rows, i, 1) == 't' ? &superusers : &others) = TRUE;
    g_autofree char *list = preflight_list(rows);
    g_autofree char *user = session_quote_name(p->q->admin, p->user);
    preflight_refuse(p, OT_PREREQUISITE, "user %s may not end the sessions of %s on %s: %s%s%s%s", p->user, list, p->live,
                     others ? "GRANT pg_signal_backend TO " : "", others ? user : "", others && superusers ? "; " : "",
                     superusers ? "a superuser's must end by themselves, or be ended by a superuser" : "");
}

/* Who comes and goes, as a watch does, is no obstacle: only sessions that stay are. */
gboolean preflight_live_sessions(struct preflight *p, GError **error)
{
    if (p->superuser)
        return TRUE;
    g_autofree char *may = NULL;
    if (!session_get_text(p->q->admin, error, "SELECT pg_catalog.pg_has_role('pg_signal_backend', 'USAGE')", 0, NULL,
                          &may))
        return FALSE;
    g_autoptr(PGresult) first = ask(p, OUT_OF_REACH_SQL, error);
    for (int i = 1; first && PQntuples(first) > 0; i++) {
        g_usleep(LOOK_PERIOD_US);
        g_autoptr(PGresult) now = ask(p, OUT_OF_REACH_SQL, error);
        if (!now || PQntuples(now) == 0)
            return now != NULL;
        if (i < LOOKS)
            continue;
        if (g_str_equal(PQgetvalue(now, 0, 2), PQgetvalue(first, 0, 2)))
            refuse_sessions(p, now);
        return TRUE;
    }
    if (first && g_strcmp0(may, "t") != 0)
        preflight_note(p, "User %s can end only the sessions of its own roles; if others are on %s at the swap, the"
                          " restore fails then: GRANT pg_signal_backend TO %s",
                       p->user, p->live, p->user);
    return first != NULL;
}

gboolean preflight_live_prepared(struct preflight *p, GError **error)
{
    g_autoptr(PGresult) rows =
        ask(p,
            "SELECT pg_catalog.format('%L (of %s, since %s)', gid, owner, prepared) FROM pg_catalog.pg_prepared_xacts"
            " WHERE database = $1 ORDER BY prepared LIMIT 10",
            error);
    if (!rows || PQntuples(rows) == 0)
        return rows != NULL;
    g_autofree char *list = preflight_list(rows);
    preflight_refuse(p, OT_RESTORE,
                     "a prepared transaction is open in %s, and keeps it from being renamed or dropped: %s. End it, "
                     "connected to %s: COMMIT PREPARED or ROLLBACK PREPARED with that name",
                     p->live, list, p->live);
    return TRUE;
}

/* ---- what does not go along ---- */

gboolean preflight_live_slots(struct preflight *p, GError **error)
{
    g_autoptr(PGresult) rows = ask(p,
                                   "SELECT slot_name FROM pg_catalog.pg_replication_slots WHERE database = $1"
                                   " AND NOT temporary ORDER BY 1",
                                   error);
    if (!rows || PQntuples(rows) == 0)
        return rows != NULL;
    g_autofree char *list = preflight_list(rows);
    gboolean dropped = p->q->restore->in_place || p->q->restore->drop_replaced;
    preflight_note(p, "Logical replication slots of %s %s: %s. Who reads from them gets no changes of the restored one",
                   p->live, dropped ? "are dropped with it" : "stay with the replaced database", list);
    return TRUE;
}

gboolean preflight_live_subscriptions(struct preflight *p, GError **error)
{
    g_autoptr(PGresult) rows = ask(p,
                                   "SELECT s.subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d"
                                   " ON d.oid = s.subdbid WHERE d.datname = $1 AND s.subenabled ORDER BY 1",
                                   error);
    if (!rows || PQntuples(rows) == 0)
        return rows != NULL;
    g_autofree char *list = preflight_list(rows);
    preflight_note(p, "Subscriptions of %s end with it: %s. The restored one receives nothing until they are enabled",
                   p->live, list);
    return TRUE;
}
