/*
 * The table of settings, and how they are set: in one query, only where the value differs and the role may. What a
 * server does not know is left out, for the query starts from its own list.
 */
#include "pg/prepare.h"

#include <string.h>

enum scope {
    OURS,    /* of our sessions; pg_dump and pg_restore set their own, a dump of others sets what it was made with */
    ALL,     /* and of children's */
    ALL_MUST /* and a role that may not set it is refused */
};

static const struct setting {
    const char *name, *value;
    enum scope scope;
    gboolean privileged; /* a superuser's, or whom it is granted */
} settings[] = {
    /* whether a session lives */
    {"statement_timeout", "0", ALL, FALSE},
    {"lock_timeout", "0", ALL, FALSE},
    {"idle_in_transaction_session_timeout", "0", ALL, FALSE},
    {"idle_session_timeout", "0", ALL, FALSE},
    {"transaction_timeout", "0", ALL, FALSE},
    {"exit_on_error", "off", ALL, FALSE},
    {"temp_file_limit", "-1", ALL, TRUE},
    /* what a transaction may do */
    {"default_transaction_read_only", "off", ALL, FALSE},
    {"default_transaction_isolation", "read committed", ALL, FALSE},
    {"default_transaction_deferrable", "off", ALL, FALSE},
    {"session_replication_role", "origin", ALL, TRUE},
    {"default_tablespace", "", ALL, FALSE},
    {"temp_tablespaces", "", ALL, FALSE},
    {"default_table_access_method", "heap", OURS, FALSE},
    {"check_function_bodies", "off", OURS, FALSE},
    /* which rows are read; the first two show damaged pages as empty, or as sound */
    {"zero_damaged_pages", "off", ALL_MUST, TRUE},
    {"ignore_checksum_failure", "off", ALL_MUST, TRUE},
    {"row_security", "off", OURS, FALSE},
    {"restrict_nonsystem_relation_kind", "", ALL, FALSE},
    {"gin_fuzzy_search_limit", "0", ALL, FALSE},
    {"synchronize_seqscans", "off", OURS, FALSE},
    {"enable_tidscan", "on", ALL, FALSE},
    {"force_parallel_mode", "off", ALL, FALSE},
    {"debug_parallel_query", "off", ALL, FALSE},
    {"jit", "off", OURS, FALSE},
    {"vacuum_cost_delay", "0", OURS, FALSE},
    /* how values are written, and read */
    {"datestyle", "ISO", OURS, FALSE},
    {"intervalstyle", "postgres", OURS, FALSE},
    {"extra_float_digits", "3", OURS, FALSE},
    {"timezone", "UTC", OURS, FALSE},
    {"lc_monetary", "C", ALL, FALSE},
    {"bytea_output", "hex", ALL, FALSE},
    {"xmloption", "content", ALL, FALSE},
    {"xmlbinary", "base64", ALL, FALSE},
    {"array_nulls", "on", ALL, FALSE},
    {"quote_all_identifiers", "off", ALL, FALSE},
    {"standard_conforming_strings", "on", ALL, FALSE},
    {"backslash_quote", "safe_encoding", ALL, FALSE},
    {"transform_null_equals", "off", ALL, FALSE},
    /* what is said about it */
    {"client_min_messages", "warning", ALL, FALSE},
    {"lc_messages", "C", ALL, TRUE},
};

/* A superuser that the server lets act as another role by default acts as itself. Others act as the role they are
 * given: without it they may have no rights at all. */
#define OWN_ROLE_SQL                                                                                                   \
    "SELECT pg_catalog.set_config('role', 'none', false) FROM pg_catalog.pg_roles"                                     \
    " WHERE rolname = session_user AND rolsuper AND session_user <> current_user"

/* ---- */

/* The search path comes first: until it is set, a name in it could be anybody's. */
static gboolean set_first(struct session *s, gboolean *ret_own_role, GError **error)
{
    if (!session_exec(s,
                      "SET statement_timeout = 0; SET exit_on_error = off;"
                      "SELECT pg_catalog.set_config('search_path', '', false);"
                      "SELECT pg_catalog.set_config('client_encoding', pg_catalog.getdatabaseencoding(), false)",
                      error))
        return FALSE;
    g_autofree char *role = NULL;
    if (!session_get_text(s, error, OWN_ROLE_SQL, 0, NULL, &role))
        return FALSE;
    *ret_own_role = role != NULL;
    return TRUE;
}

static const struct setting *setting_find(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(settings); i++)
        if (g_str_equal(settings[i].name, name))
            return &settings[i];
    return NULL;
}

/* The names of what was not as it should be; the second column is null where the role may not set it. Not from
 * pg_settings: that is a file on the server's disk where work_mem is small, and may be over a limit. */
static char *settings_sql(int version)
{
    const char *granted = version >= 150000 ? " OR pg_catalog.has_parameter_privilege(w.name, 'SET')" : "";
    GString *sql = g_string_new(NULL);
    g_string_printf(sql,
                    "SELECT w.name, CASE WHEN NOT w.privileged"
                    " OR pg_catalog.current_setting('is_superuser') = 'on'%s"
                    " THEN pg_catalog.set_config(w.name, w.value, false) END FROM (VALUES ",
                    granted);
    for (gsize i = 0; i < G_N_ELEMENTS(settings); i++)
        g_string_append_printf(sql, "%s('%s', '%s', %s)", i ? ", " : "", settings[i].name, settings[i].value,
                               settings[i].privileged ? "true" : "false");
    g_string_append(sql, ") w (name, value, privileged) WHERE pg_catalog.current_setting(w.name, true) <> w.value");
    return g_string_free(sql, FALSE);
}

/* As in postgresql.conf's command line: a blank within a value is escaped. */
static void add_option(GString *options, const char *name, const char *value)
{
    g_string_append_printf(options, "%s-c %s=", options->len ? " " : "", name);
    for (const char *c = value; *c; c++)
        g_string_append_printf(options, "%s%c", *c == ' ' || *c == '\\' ? "\\" : "", *c);
}

static void add_first(GString *options, const char *const first[PREPARE_N_FIRST])
{
    static const char *const names[PREPARE_N_FIRST] = {PREPARE_FIRST};
    for (gsize i = 0; i < PREPARE_N_FIRST; i++) {
        const struct setting *setting = setting_find(names[i]);
        if (!g_str_equal(first[i], setting->value))
            add_option(options, setting->name, setting->value);
    }
}

static gboolean refused(struct session *s, const char *name, GError **error)
{
    return ot_fail(error, OT_PREREQUISITE,
                   "%s is on for the role %s, which may not turn it off: rows of damaged pages would be missing unseen;"
                   " turn it off for the role or the server, or use a role that may set it",
                   name, PQuser(session_pg(s)));
}

static gboolean take_changed(struct session *s, const PGresult *changed, GString *options, GError **error)
{
    for (int i = 0; i < PQntuples(changed); i++) {
        const struct setting *setting = setting_find(PQgetvalue(changed, i, 0));
        gboolean set = !PQgetisnull(changed, i, 1);
        if (!set && setting->scope == ALL_MUST)
            return refused(s, setting->name, error);
        if (set && setting->scope != OURS)
            add_option(options, setting->name, setting->value);
    }
    return TRUE;
}

gboolean prepare_session(struct session *s, const char *const first[PREPARE_N_FIRST], char **ret_child_options,
                         GError **error)
{
    gboolean own_role = FALSE;
    if (!set_first(s, &own_role, error))
        return FALSE;
    g_autofree char *sql = settings_sql(session_version(s));
    g_autoptr(PGresult) changed = session_query(s, error, sql, 0, NULL);
    g_autoptr(GString) options = g_string_new(NULL);
    add_first(options, first);
    if (own_role)
        add_option(options, "role", "none");
    if (!changed || !take_changed(s, changed, options, error))
        return FALSE;
    *ret_child_options = options->len ? g_strdup(options->str) : NULL;
    return TRUE;
}
