/* What pg_locks says of a pg_dump that waits on its full pipe. */
#include "pg/dumpholder.h"

#include "pg/tablelocks.h"

gboolean dumpholder_find(struct dumpholder *h, struct watch *w, const char *own_pid, GError **error)
{
    const char *params[] = {session_run_name(), own_pid};
    g_autoptr(PGresult) found =
        watch_query(w, error,
                    "SELECT l.pid, l.virtualtransaction FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a"
                    " ON a.pid = l.pid WHERE l.locktype = 'virtualxid' AND l.granted AND a.application_name = $1"
                    " AND a.pid <> $2::int AND a.pid <> pg_catalog.pg_backend_pid()",
                    2, params);
    if (!found)
        return FALSE;
    if (PQntuples(found) != 1)
        return ot_fail(error, OT_LOCK_TIMEOUT, "pg_dump ended before its locks were of use");
    h->pid = g_strdup(PQgetvalue(found, 0, 0));
    h->transaction = g_strdup(PQgetvalue(found, 0, 1));
    return TRUE;
}

GHashTable *dumpholder_held(const struct dumpholder *h, struct watch *w, GError **error)
{
    const char *params[] = {h->pid};
    g_autoptr(PGresult) rows = watch_query(w, error, tablelocks_held_sql, 1, params);
    return rows ? tablelocks_set(rows) : NULL;
}

gboolean dumpholder_lives(const struct dumpholder *h, struct watch *w, GError **error)
{
    const char *params[] = {h->pid, h->transaction};
    g_autoptr(PGresult) found = watch_query(w, error,
                                            "SELECT 1 FROM pg_catalog.pg_locks WHERE pid = $1::int"
                                            " AND virtualtransaction = $2 AND locktype = 'virtualxid' AND granted",
                                            2, params);
    return found && (PQntuples(found) > 0 || ot_fail(error, OT_DUMP, "pg_dump, which holds the table locks, is at an end"));
}

void dumpholder_clear(struct dumpholder *h)
{
    g_clear_pointer(&h->child, subprocess_free);
    g_clear_pointer(&h->pid, g_free);
    g_clear_pointer(&h->transaction, g_free);
}
