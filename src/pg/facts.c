/* A database's properties, read and put back. */
#include "pg/facts.h"

#include <string.h>

/* Columns of pg_database differ by version: the row is taken as JSON and read by name. */
#define FACTS_SQL                                                                                                      \
    "SELECT jsonb_build_object("                                                                                       \
    " 'database', d.datname, 'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding),"         \
    " 'properties', to_jsonb(d) - 'datacl' - 'datfrozenxid' - 'datminmxid',"                                           \
    " 'acl', CASE WHEN d.datacl IS NOT NULL THEN coalesce((SELECT jsonb_agg(jsonb_build_object("                       \
    "   'grantee', CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END,"                             \
    "   'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable))"           \
    "   FROM aclexplode(d.datacl) a), '[]') END,"                                                                      \
    " 'tablespace', (SELECT t.spcname FROM pg_tablespace t WHERE t.oid = d.dattablespace),"                            \
    " 'labels', (SELECT jsonb_agg(jsonb_build_object('provider', l.provider, 'label', l.label) ORDER BY l.provider)"   \
    "   FROM pg_shseclabel l WHERE l.classoid = 'pg_database'::regclass AND l.objoid = d.oid),"                        \
    " 'settings', (SELECT jsonb_agg(jsonb_build_object('role', CASE WHEN s.setrole = 0 THEN NULL"                      \
    "   ELSE pg_get_userbyid(s.setrole) END, 'config', to_jsonb(s.setconfig)))"                                        \
    "   FROM pg_db_role_setting s WHERE s.setdatabase = d.oid),"                                                       \
    " 'bootstrap_superuser', pg_get_userbyid(10),"                                                                     \
    " 'comment', shobj_description(d.oid, 'pg_database'),"                                                             \
    " 'shared_preload_libraries', (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'),"          \
    " 'size', pg_database_size(d.oid), 'size_text', pg_size_pretty(pg_database_size(d.oid)),"                          \
    " 'server_version', current_setting('server_version'),"                                                            \
    " 'server_version_num', current_setting('server_version_num')::int,"                                               \
    " 'tables', (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                        \
    "   WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),"                 \
    " 'extensions', (SELECT jsonb_agg(jsonb_build_object('name', extname, 'version', extversion) ORDER BY extname)"    \
    "   FROM pg_extension),"                                                                                           \
    " 'subscriptions', coalesce((SELECT jsonb_agg(jsonb_build_object('name', s.subname, 'enabled', s.subenabled)"       \
    "   ORDER BY s.subname) FROM pg_subscription s WHERE s.subdbid = d.oid), '[]'),"                                   \
    " 'tablespaces', (SELECT jsonb_agg(DISTINCT t.spcname) FROM pg_class c JOIN pg_tablespace t"                       \
    "   ON t.oid = c.reltablespace WHERE t.spcname !~ '^pg_'),"                                                        \
    " 'roles', (SELECT jsonb_agg(jsonb_build_object('name', r.rolname, 'superuser', r.rolsuper) ORDER BY r.rolname)"   \
    "   FROM pg_roles r WHERE r.rolname !~ '^pg_' AND (r.oid = d.datdba OR r.rolname = ANY ($1::text[]) OR r.oid IN"   \
    "   (SELECT setrole FROM pg_db_role_setting WHERE setdatabase = d.oid) OR r.oid IN"                                \
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
        g_autofree char *sentence = g_strdup_printf("%s %s", what, name);
        if (!found && !g_ptr_array_find_with_equal_func(missing, sentence, g_str_equal, NULL))
            g_ptr_array_add(missing, g_steal_pointer(&sentence));
    }
    return TRUE;
}

#define ROLE_SQL "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = $1"

/* Backups from before "roles" named them have those of settings and ACL all the same. */
static const struct {
    const char *list, *name;
} role_lists[] = {{"roles", "name"}, {"settings", "role"}, {"acl", "grantee"}, {"acl", "grantor"}};

static gboolean add_missing_roles(struct session *s, const json_t *facts, GPtrArray *missing, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(role_lists); i++)
        if (!add_missing(s, json_object_get(facts, role_lists[i].list), role_lists[i].name, "role", ROLE_SQL, missing,
                         error))
            return FALSE;
    return TRUE;
}

/* The database's own, beside those of its tables. */
static gboolean add_missing_tablespaces(struct session *s, const json_t *facts, GPtrArray *missing, GError **error)
{
    static const char sql[] = "SELECT count(*) FROM pg_catalog.pg_tablespace WHERE spcname = $1";
    json_t *own = json_pack("[s*]", facts_text(facts, "tablespace"));
    gboolean ok = add_missing(s, own, NULL, "tablespace", sql, missing, error) &&
                  add_missing(s, json_object_get(facts, "tablespaces"), NULL, "tablespace", sql, missing, error);
    json_decref(own);
    return ok;
}

GPtrArray *facts_missing(struct session *s, const json_t *facts, GError **error)
{
    g_autoptr(GPtrArray) missing = g_ptr_array_new_with_free_func(g_free);
    if (add_missing_roles(s, facts, missing, error) &&
        add_missing(s, json_object_get(facts, "extensions"), "name", "extension",
                    "SELECT count(*) FROM pg_catalog.pg_available_extensions WHERE name = $1", missing, error) &&
        add_missing_tablespaces(s, facts, missing, error))
        return g_steal_pointer(&missing);
    return NULL;
}

/* ---- roles ---- */

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

static gboolean create_roles_of(struct session *s, const json_t *list, const char *key, gboolean with_attributes,
                                GPtrArray *created, GError **error)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        const char *name = facts_text(entry, key);
        gboolean superuser = with_attributes && json_is_true(json_object_get(entry, "superuser"));
        /* Names with pg_ are the server's own. */
        if (name && !g_str_has_prefix(name, "pg_") && !create_role(s, name, superuser, created, error))
            return FALSE;
    }
    return TRUE;
}

gboolean facts_create_roles(struct session *s, const json_t *facts, gboolean with_attributes, GPtrArray *created,
                            GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(role_lists); i++)
        if (!create_roles_of(s, json_object_get(facts, role_lists[i].list), role_lists[i].name, with_attributes,
                             created, error))
            return FALSE;
    return TRUE;
}
