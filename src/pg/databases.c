/* The databases of a server, by its catalog. */
#include "pg/databases.h"

/* datconnlimit is -2 where a DROP DATABASE did not come to its end. The second column: it is one that a restore or a
 * full test of ours made, or left in place of what it replaced. */
static const char sql[] = "SELECT datname, datname ~ '_(restoring|replaced)_[0-9]{8}_[0-9]{6}$'"
                          " OR datname ~ '^opstower_test_[0-9]+_[0-9]+$' FROM pg_catalog.pg_database"
                          " WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2"
                          " ORDER BY datname COLLATE \"C\"";

/* Any database shows them all: that of the settings may not be there, "postgres" may be shut. */
static struct session *open_any(const struct pg_target *t, GError **error)
{
    struct session *s = session_open(t, NULL, NULL);
    return s ? s : session_open(t, "postgres", error);
}

GPtrArray *databases_list(const struct pg_target *t, GPtrArray *side, GError **error)
{
    g_autoptr(session) s = open_any(t, error);
    g_autoptr(PGresult) found = s ? session_query(s, error, sql, 0, NULL) : NULL;
    if (!found)
        return NULL;
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; i < PQntuples(found); i++)
        g_ptr_array_add(PQgetvalue(found, i, 1)[0] == 't' ? side : names, g_strdup(PQgetvalue(found, i, 0)));
    return names;
}
