/* Version 17 has a setting for all of them; before, those that are not ENABLE ALWAYS heed session_replication_role. */
#include "pg/eventtriggers.h"

#define HEARD_SQL                                                                                                      \
    "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(evtname), ', ' ORDER BY evtname)"                             \
    " FROM pg_catalog.pg_event_trigger WHERE evtevent IN ('ddl_command_start', 'ddl_command_end')"                     \
    " AND coalesce(pg_catalog.current_setting('event_triggers', true), 'on') = 'on'"                                   \
    " AND evtenabled IN ('A', CASE pg_catalog.current_setting('session_replication_role')"                             \
    " WHEN 'replica' THEN 'R' ELSE 'O' END)"

static gboolean set(struct session *s, gboolean quiet, GError **error)
{
    gboolean newer = session_version(s) >= 170000;
    const char *name = newer ? "event_triggers" : "session_replication_role";
    const char *value = newer ? (quiet ? "off" : "on") : (quiet ? "replica" : "origin");
    const char *granted =
        session_version(s) >= 150000 ? " OR pg_catalog.has_parameter_privilege(w.name, 'SET')" : "";
    g_autofree char *sql =
        g_strdup_printf("SELECT pg_catalog.set_config(w.name, $2, false) FROM (VALUES ($1::text)) w (name)"
                        " WHERE pg_catalog.current_setting('is_superuser') = 'on'%s",
                        granted);
    const char *params[] = {name, value};
    g_autofree char *unused = NULL;
    return session_get_text(s, error, sql, 2, params, &unused);
}

gboolean eventtriggers_quiet(struct session *s, char **ret_heard, GError **error)
{
    *ret_heard = NULL;
    return set(s, TRUE, error) && session_get_text(s, error, HEARD_SQL, 0, NULL, ret_heard);
}

gboolean eventtriggers_loud(struct session *s, GError **error)
{
    return set(s, FALSE, error);
}

void eventtriggers_explain(const char *heard, GError **error)
{
    if (!heard || !error || !*error || g_error_matches(*error, OT_ERROR, OT_INTERRUPTED))
        return;
    GError *said = *error;
    *error = NULL;
    ot_fail(error, said->code == OT_FAILED ? OT_RESTORE : (enum ot_code)said->code,
            "%s (event triggers of the database fire on what is made: %s. If one of them refuses or alters it: ALTER EVENT"
            " TRIGGER ... DISABLE for the time being, or restore as a superuser)",
            said->message, heard);
    g_error_free(said);
}
