/* Properties as SQL. */
#include "pg/properties.h"

#include <string.h>

#include "pg/facts.h"

static const char *property(const json_t *facts, const char *key)
{
    return facts_text(json_object_get(facts, "properties"), key);
}

/* ---- making a database ---- */

static void append_option(GString *sql, struct session *s, const char *option, const char *value)
{
    if (!value)
        return;
    g_autofree char *literal = session_quote_literal(s, value);
    g_string_append_printf(sql, " %s = %s", option, literal);
}

static void append_name(GString *sql, struct session *s, const char *option, const char *name)
{
    if (!name)
        return;
    g_autofree char *quoted = session_quote_name(s, name);
    g_string_append_printf(sql, " %s = %s", option, quoted);
}

/* datlocprovider: 'c' libc, 'i' ICU, 'b' builtin; the ICU locale's column was renamed in version 17. A server that knows
 * providers takes template0's if none is named: a backup without the column is of a libc database. */
static void append_locale(GString *sql, struct session *s, const json_t *facts)
{
    const char *provider = property(facts, "datlocprovider");
    const char *locale = property(facts, "daticulocale");
    if (!locale)
        locale = property(facts, "datlocale");
    append_option(sql, s, "LC_COLLATE", property(facts, "datcollate"));
    append_option(sql, s, "LC_CTYPE", property(facts, "datctype"));
    if (g_strcmp0(provider, "i") == 0) {
        g_string_append(sql, " LOCALE_PROVIDER = icu");
        append_option(sql, s, "ICU_LOCALE", locale);
        append_option(sql, s, "ICU_RULES", property(facts, "daticurules"));
    } else if (g_strcmp0(provider, "b") == 0) {
        g_string_append(sql, " LOCALE_PROVIDER = builtin");
        append_option(sql, s, "BUILTIN_LOCALE", locale);
    } else if (property(facts, "datcollate") && session_version(s) >= 150000) {
        g_string_append(sql, " LOCALE_PROVIDER = libc");
    }
}

char *properties_create_sql(struct session *s, const json_t *facts, const char *name, const char *owner,
                            gboolean tablespaces)
{
    g_autofree char *quoted = session_quote_name(s, name);
    GString *sql = g_string_new(NULL);
    g_string_append_printf(sql, "CREATE DATABASE %s TEMPLATE = template0", quoted);
    append_name(sql, s, "OWNER", owner);
    append_option(sql, s, "ENCODING", facts_text(facts, "encoding"));
    append_locale(sql, s, facts);
    /* pg_default is where it comes from template0 anyway, and to name it takes a right of its own. */
    const char *tablespace = facts_text(facts, "tablespace");
    if (tablespaces && g_strcmp0(tablespace, "pg_default") != 0)
        append_name(sql, s, "TABLESPACE", tablespace);
    return g_string_free(sql, FALSE);
}

/* ---- rights ---- */

static gboolean is_privilege(const char *text)
{
    return text && *text && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") == strlen(text);
}

/* Whose grant it is says who may take it back; a superuser can grant in anybody's name. */
static void append_grant(GString *sql, struct session *s, const char *quoted, const json_t *entry, const char *grantor)
{
    const char *grantee = facts_text(entry, "grantee");
    g_autofree char *to = grantee ? session_quote_name(s, grantee) : g_strdup("PUBLIC");
    if (grantor) {
        g_autofree char *in_name_of = session_quote_name(s, grantor);
        g_string_append_printf(sql, "SET LOCAL ROLE %s;", in_name_of);
    }
    g_string_append_printf(sql, "GRANT %s ON DATABASE %s TO %s%s;", facts_text(entry, "privilege"), quoted, to,
                           json_is_true(json_object_get(entry, "grantable")) ? " WITH GRANT OPTION" : "");
    if (grantor)
        g_string_append(sql, "RESET ROLE;");
}

static const char *foreign_grantor(const json_t *entry, const char *owner)
{
    const char *grantor = facts_text(entry, "grantor");
    return grantor && g_strcmp0(grantor, owner) != 0 ? grantor : NULL;
}

/* First what the owner granted: the others' right to grant comes from there. */
static gboolean append_grants(GString *sql, struct session *s, const char *quoted, const json_t *facts,
                              gboolean superuser, GError **error)
{
    const char *owner = facts_text(facts, "owner");
    size_t i;
    json_t *entry;
    for (int foreign = 0; foreign < 2; foreign++) {
        json_array_foreach(json_object_get(facts, "acl"), i, entry)
        {
            if (!is_privilege(facts_text(entry, "privilege")))
                return ot_fail(error, OT_CORRUPT, "the backup names an unknown privilege on its database");
            const char *grantor = foreign_grantor(entry, owner);
            if ((grantor != NULL) == foreign)
                append_grant(sql, s, quoted, entry, superuser ? grantor : NULL);
        }
    }
    return TRUE;
}

gboolean properties_append_acl(GString *sql, struct session *s, const json_t *facts, const char *name,
                               gboolean superuser, GError **error)
{
    g_autofree char *quoted = session_quote_name(s, name);
    g_autofree char *owner = session_quote_name(s, facts_text(facts, "owner"));
    g_string_append_printf(sql, "REVOKE ALL ON DATABASE %s FROM PUBLIC, %s;", quoted, owner);
    return append_grants(sql, s, quoted, facts, superuser, error);
}

/* ---- settings and labels ---- */

/* A list of names as the server stores it ("", "A b", public), as literals: given as it stands it would be read as SQL,
 * and given as one literal it would become one name with commas (as pg_dump's makeAlterConfigCommand has it). */
static char *list_value(struct session *s, const char *value)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GString) name = g_string_new(NULL);
    gboolean quoted = FALSE;
    for (const char *c = value;; c++) {
        if (*c == '"' && quoted && c[1] == '"') {
            g_string_append_c(name, *c++);
        } else if (*c == '"') {
            quoted = !quoted;
        } else if (*c == '\0' || (*c == ',' && !quoted)) {
            g_autofree char *literal = session_quote_literal(s, name->str);
            g_string_append_printf(out, "%s%s", out->len ? ", " : "", literal);
            g_string_truncate(name, 0);
            if (*c == '\0')
                return g_string_free(g_steal_pointer(&out), FALSE);
        } else if (*c != ' ' || quoted) {
            g_string_append_c(name, *c);
        }
    }
}

/* The server's settings that are lists of names (GUC_LIST_QUOTE in its guc_tables.c). */
static char *setting_value(struct session *s, const char *name, const char *value)
{
    static const char *const lists[] = {"local_preload_libraries",  "search_path",      "session_preload_libraries",
                                        "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"};
    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
        if (g_ascii_strcasecmp(name, lists[i]) == 0)
            return list_value(s, value);
    return session_quote_literal(s, value);
}

/* NULL: it is no setting. */
static char *setting_sql(struct session *s, const char *role, const char *config, const char *quoted)
{
    const char *equals = config ? strchr(config, '=') : NULL;
    if (!equals)
        return NULL;
    g_autofree char *name = g_strndup(config, (gsize)(equals - config));
    g_auto(GStrv) parts = g_strsplit(name, ".", -1);
    for (char **part = parts; *part; part++) {
        char *quoted_part = session_quote_name(s, *part);
        g_free(*part);
        *part = quoted_part;
    }
    g_autofree char *quoted_setting = g_strjoinv(".", parts);
    g_autofree char *value = setting_value(s, name, equals + 1);
    if (!role)
        return g_strdup_printf("ALTER DATABASE %s SET %s TO %s", quoted, quoted_setting, value);
    g_autofree char *quoted_role = session_quote_name(s, role);
    return g_strdup_printf("ALTER ROLE %s IN DATABASE %s SET %s TO %s", quoted_role, quoted, quoted_setting, value);
}

static gboolean add_settings(GPtrArray *list, struct session *s, const json_t *facts, const char *quoted,
                             GError **error)
{
    size_t i, j;
    json_t *entry, *config;
    json_array_foreach(json_object_get(facts, "settings"), i, entry)
    {
        json_array_foreach(json_object_get(entry, "config"), j, config)
        {
            char *sql = setting_sql(s, facts_text(entry, "role"), json_string_value(config), quoted);
            if (!sql)
                return ot_fail(error, OT_CORRUPT, "the backup names a database setting without a value");
            g_ptr_array_add(list, sql);
        }
    }
    return TRUE;
}

static void add_labels(GPtrArray *list, struct session *s, const json_t *facts, const char *quoted)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(facts, "labels"), i, entry)
    {
        const char *provider = facts_text(entry, "provider"), *label = facts_text(entry, "label");
        if (!provider || !label)
            continue;
        g_autofree char *by = session_quote_name(s, provider);
        g_autofree char *text = session_quote_literal(s, label);
        g_ptr_array_add(list, g_strdup_printf("SECURITY LABEL FOR %s ON DATABASE %s IS %s", by, quoted, text));
    }
}

GPtrArray *properties_settings_sql(struct session *s, const json_t *facts, const char *name, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *quoted = session_quote_name(s, name);
    if (!add_settings(list, s, facts, quoted, error))
        return NULL;
    add_labels(list, s, facts, quoted);
    return g_steal_pointer(&list);
}

/* In a transaction. Only the server's refusal of the statement itself is one; its loss is an error. */
static gboolean try_statement(struct session *s, const char *sql, char **ret_refusal, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (!session_exec(s, "SAVEPOINT property", error))
        return FALSE;
    if (session_exec(s, sql, &problem))
        return session_exec(s, "RELEASE property", error);
    if (PQstatus(session_pg(s)) != CONNECTION_OK || g_error_matches(problem, OT_ERROR, OT_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    const char *reason = strstr(problem->message, "ERROR:");
    *ret_refusal = g_strdup(reason ? reason : problem->message);
    return session_exec(s, "ROLLBACK TO property", error);
}

gboolean properties_apply_settings(struct session *s, const json_t *facts, const char *name, const char *final_name,
                                   GPtrArray *refused, GError **error)
{
    g_autoptr(GPtrArray) list = properties_settings_sql(s, facts, name, error);
    g_autoptr(GPtrArray) final = list ? properties_settings_sql(s, facts, final_name, error) : NULL;
    if (!final)
        return FALSE;
    for (guint i = 0; i < list->len; i++) {
        g_autofree char *refusal = NULL;
        if (!try_statement(s, list->pdata[i], &refusal, error))
            return FALSE;
        if (refusal)
            g_ptr_array_add(refused, g_strdup_printf("%s; (%s)", (char *)final->pdata[i], refusal));
    }
    return TRUE;
}

/* ---- the rest ---- */

static void append_comment(GString *sql, struct session *s, const json_t *facts, const char *quoted)
{
    const char *comment = facts_text(facts, "comment");
    g_autofree char *literal = comment ? session_quote_literal(s, comment) : g_strdup("NULL");
    g_string_append_printf(sql, "COMMENT ON DATABASE %s IS %s;", quoted, literal);
}

void properties_append_marks(GString *sql, struct session *s, const json_t *facts, const char *name)
{
    const json_t *properties = json_object_get(facts, "properties");
    const json_t *limit = json_object_get(properties, "datconnlimit");
    g_autofree char *quoted = session_quote_name(s, name);
    g_string_append_printf(sql, "ALTER DATABASE %s CONNECTION LIMIT %d;", quoted,
                           json_is_integer(limit) && json_integer_value(limit) >= 0 ? (int)json_integer_value(limit)
                                                                                    : -1);
    if (json_is_true(json_object_get(properties, "datistemplate")))
        g_string_append_printf(sql, "ALTER DATABASE %s IS_TEMPLATE true;", quoted);
    append_comment(sql, s, facts, quoted);
}
