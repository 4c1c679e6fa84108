/* A database's properties, read and put back. */
#include "pg/facts.h"

#include <string.h>

/* Columns of pg_database differ by version: the row is taken as JSON and read by name. */
#define FACTS_SQL                                                                                                      \
    "SELECT jsonb_build_object("                                                                                       \
    " 'database', d.datname, 'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding),"         \
    " 'properties', to_jsonb(d) - 'datacl' - 'datfrozenxid' - 'datminmxid',"                                           \
    " 'acl', (SELECT jsonb_agg(jsonb_build_object('grantee', CASE WHEN a.grantee = 0 THEN NULL"                        \
    "   ELSE pg_get_userbyid(a.grantee) END, 'privilege', a.privilege_type, 'grantable', a.is_grantable))"             \
    "   FROM aclexplode(d.datacl) a),"                                                                                 \
    " 'settings', (SELECT jsonb_agg(jsonb_build_object('role', CASE WHEN s.setrole = 0 THEN NULL"                      \
    "   ELSE pg_get_userbyid(s.setrole) END, 'config', to_jsonb(s.setconfig)))"                                        \
    "   FROM pg_db_role_setting s WHERE s.setdatabase = d.oid),"                                                       \
    " 'bootstrap_superuser', pg_get_userbyid(10),"                                                                     \
    " 'comment', shobj_description(d.oid, 'pg_database'),"                                                             \
    " 'size', pg_database_size(d.oid), 'size_text', pg_size_pretty(pg_database_size(d.oid)),"                          \
    " 'server_version', current_setting('server_version'),"                                                            \
    " 'server_version_num', current_setting('server_version_num')::int,"                                               \
    " 'tables', (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                        \
    "   WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),"                 \
    " 'extensions', (SELECT jsonb_agg(jsonb_build_object('name', extname, 'version', extversion) ORDER BY extname)"    \
    "   FROM pg_extension),"                                                                                           \
    " 'tablespaces', (SELECT jsonb_agg(DISTINCT t.spcname) FROM pg_class c JOIN pg_tablespace t"                       \
    "   ON t.oid = c.reltablespace WHERE t.spcname !~ '^pg_'),"                                                        \
    " 'roles', (SELECT jsonb_agg(jsonb_build_object('name', r.rolname, 'superuser', r.rolsuper) ORDER BY r.rolname)"   \
    "   FROM pg_roles r WHERE r.rolname !~ '^pg_' AND (r.oid = d.datdba OR r.rolname = ANY ($1::text[]) OR r.oid IN"   \
    "   (SELECT refobjid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND (dbid = d.oid OR"               \
    "   (dbid = 0 AND classid = 'pg_database'::regclass AND objid = d.oid))))))"                                       \
    " FROM pg_database d WHERE d.datname = current_database()"

static void append_array_element(GString *array, const char *text)
{
    g_string_append(array, array->len > 1 ? ",\"" : "\"");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            g_string_append_c(array, '\\');
        g_string_append_c(array, *c);
    }
    g_string_append_c(array, '"');
}

static char *owners_array(const struct toc *t)
{
    GString *array = g_string_new("{");
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; t && i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (e->owner && *e->owner && g_hash_table_add(seen, e->owner))
            append_array_element(array, e->owner);
    }
    return g_string_free(g_string_append_c(array, '}'), FALSE);
}

/* Names in another encoding than UTF-8 are asked for in UTF-8 here, for JSON knows nothing else. */
json_t *facts_read(struct session *s, const struct toc *t, GError **error)
{
    g_autofree char *owners = owners_array(t);
    const char *params[] = {owners};
    g_autofree char *text = NULL;
    g_autofree char *sql = g_strdup("SET search_path = pg_catalog; SET client_encoding = 'UTF8'");
    gboolean convertible = session_can_utf8(s);
    gboolean ok = session_exec(s, convertible ? sql : "SET search_path = pg_catalog", error) &&
                  session_get_text(s, error, FACTS_SQL, 1, params, &text);
    ok = ok && session_exec(s,
                            "SELECT pg_catalog.set_config('search_path', '', false);"
                            "SELECT pg_catalog.set_config('client_encoding', pg_catalog.getdatabaseencoding(), false)",
                            error);
    if (!ok)
        return NULL;
    json_error_t problem;
    g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;
    json_t *facts = valid ? json_loads(valid, 0, &problem) : NULL;
    if (!facts)
        ot_fail(error, OT_DUMP, "cannot read the database's properties");
    if (facts && t)
        json_object_set_new(facts, "tables", json_integer(toc_count(t, "TABLE")));
    return facts;
}

const char *facts_text(const json_t *facts, const char *key)
{
    return json_string_value(json_object_get(facts, key));
}

int facts_major(const json_t *facts)
{
    return (int)(json_integer_value(json_object_get(facts, "server_version_num")) / 10000);
}

static const char *property(const json_t *facts, const char *key)
{
    return facts_text(json_object_get(facts, "properties"), key);
}

/* ---- what is missing ---- */

static gboolean add_missing(struct session *s, const json_t *list, const char *name_key, const char *what,
                            const char *exists_sql, GPtrArray *missing, GError **error)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        const char *name = name_key ? facts_text(entry, name_key) : json_string_value(entry);
        if (!name)
            continue;
        const char *params[] = {name};
        gint64 found = 0;
        if (!session_get_number(s, error, exists_sql, 1, params, &found))
            return FALSE;
        if (!found)
            g_ptr_array_add(missing, g_strdup_printf("%s %s", what, name));
    }
    return TRUE;
}

GPtrArray *facts_missing(struct session *s, const json_t *facts, GError **error)
{
    g_autoptr(GPtrArray) missing = g_ptr_array_new_with_free_func(g_free);
    if (add_missing(s, json_object_get(facts, "roles"), "name", "role",
                    "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = $1", missing, error) &&
        add_missing(s, json_object_get(facts, "extensions"), "name", "extension",
                    "SELECT count(*) FROM pg_catalog.pg_available_extensions WHERE name = $1", missing, error) &&
        add_missing(s, json_object_get(facts, "tablespaces"), NULL, "tablespace",
                    "SELECT count(*) FROM pg_catalog.pg_tablespace WHERE spcname = $1", missing, error))
        return g_steal_pointer(&missing);
    return NULL;
}

/* ---- making a database ---- */

static void append_option(GString *sql, struct session *s, const char *option, const char *value)
{
    if (!value)
        return;
    g_autofree char *literal = session_quote_literal(s, value);
    g_string_append_printf(sql, " %s = %s", option, literal);
}

/* From the beginning: the owner owns schema public through pg_database_owner, and so may put objects there. */
static void append_owner(GString *sql, struct session *s, const json_t *facts)
{
    const char *owner = facts_text(facts, "owner");
    g_autofree char *quoted = session_quote_name(s, owner ? owner : "");
    if (owner)
        g_string_append_printf(sql, " OWNER = %s", quoted);
}

/* datlocprovider: 'c' libc, 'i' ICU, 'b' builtin; the ICU locale's column was renamed in version 17. */
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
    }
}

gboolean facts_create_database(struct session *s, const json_t *facts, const char *name, const char *comment,
                               GError **error)
{
    g_autofree char *quoted = session_quote_name(s, name);
    g_autofree char *mark = session_quote_literal(s, comment);
    g_autoptr(GString) sql = g_string_new(NULL);
    g_string_append_printf(sql, "CREATE DATABASE %s TEMPLATE = template0", quoted);
    append_owner(sql, s, facts);
    append_option(sql, s, "ENCODING", facts_text(facts, "encoding"));
    append_locale(sql, s, facts);
    return session_exec(s, sql->str, error) && session_execf(s, error, "COMMENT ON DATABASE %s IS %s", quoted, mark);
}

static gboolean apply_acl(struct session *s, const json_t *acl, const char *quoted, GError **error)
{
    if (!json_is_array(acl))
        return TRUE; /* never changed: the default of a new database is right */
    if (!session_execf(s, error, "REVOKE ALL ON DATABASE %s FROM PUBLIC", quoted))
        return FALSE;
    size_t i;
    json_t *entry;
    json_array_foreach(acl, i, entry)
    {
        const char *grantee = facts_text(entry, "grantee"), *privilege = facts_text(entry, "privilege");
        if (!privilege || strspn(privilege, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") != strlen(privilege))
            return ot_fail(error, OT_CORRUPT, "the backup names a privilege that is none");
        g_autofree char *to = grantee ? session_quote_name(s, grantee) : g_strdup("PUBLIC");
        gboolean option = json_is_true(json_object_get(entry, "grantable"));
        if (!session_execf(s, error, "GRANT %s ON DATABASE %s TO %s%s", privilege, quoted, to,
                           option ? " WITH GRANT OPTION" : ""))
            return FALSE;
    }
    return TRUE;
}

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

static gboolean apply_setting(struct session *s, const char *role, const char *config, const char *quoted,
                              GError **error)
{
    const char *equals = strchr(config, '=');
    if (!equals)
        return ot_fail(error, OT_CORRUPT, "the backup names a database setting that is none");
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
        return session_execf(s, error, "ALTER DATABASE %s SET %s TO %s", quoted, quoted_setting, value);
    g_autofree char *quoted_role = session_quote_name(s, role);
    return session_execf(s, error, "ALTER ROLE %s IN DATABASE %s SET %s TO %s", quoted_role, quoted, quoted_setting,
                         value);
}

static gboolean apply_settings(struct session *s, const json_t *settings, const char *quoted, GError **error)
{
    size_t i, j;
    json_t *entry, *config;
    json_array_foreach(settings, i, entry)
        json_array_foreach(json_object_get(entry, "config"), j,
                           config) if (!apply_setting(s, facts_text(entry, "role"), json_string_value(config), quoted,
                                                      error)) return FALSE;
    return TRUE;
}

gboolean facts_apply_settings(struct session *s, const json_t *facts, const char *name, GError **error)
{
    g_autofree char *quoted = session_quote_name(s, name);
    return apply_settings(s, json_object_get(facts, "settings"), quoted, error);
}

gboolean facts_apply_rights(struct session *s, const json_t *facts, const char *name, GError **error)
{
    g_autofree char *quoted = session_quote_name(s, name);
    const json_t *properties = json_object_get(facts, "properties");
    const json_t *limit = json_object_get(properties, "datconnlimit");
    if (!apply_acl(s, json_object_get(facts, "acl"), quoted, error) ||
        (json_integer_value(limit) >= 0 && json_is_integer(limit) &&
         !session_execf(s, error, "ALTER DATABASE %s CONNECTION LIMIT %d", quoted, (int)json_integer_value(limit))) ||
        (json_is_true(json_object_get(properties, "datistemplate")) &&
         !session_execf(s, error, "ALTER DATABASE %s IS_TEMPLATE true", quoted)))
        return FALSE;
    return TRUE;
}

char *facts_comment_sql(struct session *s, const json_t *facts, const char *name)
{
    const char *comment = facts_text(facts, "comment");
    g_autofree char *quoted = session_quote_name(s, name);
    g_autofree char *literal = comment ? session_quote_literal(s, comment) : g_strdup("NULL");
    return g_strdup_printf("COMMENT ON DATABASE %s IS %s", quoted, literal);
}

static gboolean create_role(struct session *s, const char *name, gboolean superuser, GPtrArray *created, GError **error)
{
    const char *params[] = {name};
    gint64 found = 0;
    if (!session_get_number(s, error, "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = $1", 1, params, &found))
        return FALSE;
    g_autofree char *quoted = session_quote_name(s, name);
    if (found)
        return TRUE;
    if (!session_execf(s, error, "CREATE ROLE %s NOLOGIN%s", quoted, superuser ? " SUPERUSER" : ""))
        return FALSE;
    if (created)
        g_ptr_array_add(created, g_strdup(name));
    return TRUE;
}

gboolean facts_create_roles(struct session *s, const json_t *facts, gboolean with_attributes, GPtrArray *created,
                            GError **error)
{
    size_t i;
    json_t *role;
    json_array_foreach(json_object_get(facts, "roles"), i, role)
    {
        const char *name = facts_text(role, "name");
        gboolean superuser = with_attributes && json_is_true(json_object_get(role, "superuser"));
        if (!name || !create_role(s, name, superuser, created, error))
            return FALSE;
    }
    return TRUE;
}
