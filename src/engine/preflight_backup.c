/* Whether the server lets us make what the backup holds. */
#include "engine/preflight_backup.h"

#include <string.h>

#include "pg/facts.h"
#include "pg/plan.h"

static const char *property(const struct preflight *p, const char *key)
{
    return facts_text(json_object_get(p->q->facts, "properties"), key);
}

/* ---- roles ---- */

/* Objects that pg_restore gives to their owner (_printTocEntry in pg_backup_archiver.c), and what is said in a role's
 * name. */
static const char *const owned[] = {
    "AGGREGATE", "BLOB", "BLOB METADATA", "COLLATION", "CONVERSION", "DEFAULT ACL", "DOMAIN", "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER", "FOREIGN TABLE", "FUNCTION", "MATERIALIZED VIEW", "OPERATOR", "OPERATOR CLASS",
    "OPERATOR FAMILY", "PROCEDURE", "PROCEDURAL LANGUAGE", "PUBLICATION", "SCHEMA", "SEQUENCE", "SERVER", "STATISTICS",
    "SUBSCRIPTION", "TABLE", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TYPE", "VIEW", NULL};

/* NULL: not known, or one of the server's own. */
static const char *owner_of(const struct toc_entry *e)
{
    return e->owner && *e->owner && !g_str_has_prefix(e->owner, "pg_") && g_strv_contains(owned, e->desc) ? e->owner
                                                                                                         : NULL;
}

static gboolean is_lost(const struct preflight *p, const struct toc_entry *e)
{
    return g_hash_table_contains(p->lost, GINT_TO_POINTER(e->dump_id));
}

static gboolean may_act_as(const struct preflight *p, const char *role, gboolean *ret_may, GError **error)
{
    /* Since version 16 membership says separately whether one may become the role. */
    const char *sql = session_version(p->q->admin) >= 160000
                          ? "SELECT pg_catalog.pg_has_role(oid, 'SET') FROM pg_catalog.pg_roles WHERE rolname = $1"
                          : "SELECT pg_catalog.pg_has_role(oid, 'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = $1";
    const char *params[] = {role};
    g_autofree char *may = NULL;
    if (!session_get_text(p->q->admin, error, sql, 1, params, &may))
        return FALSE;
    *ret_may = g_strcmp0(may, "f") != 0; /* one that is not there is missing, which is told elsewhere */
    return TRUE;
}

static gboolean add_role(struct preflight *p, GHashTable *seen, GString *list, const char *role, GError **error)
{
    gboolean may = TRUE;
    if (!role || !g_hash_table_add(seen, (gpointer)role))
        return TRUE;
    if (!may_act_as(p, role, &may, error))
        return FALSE;
    g_autofree char *quoted = session_quote_name(p->q->admin, role);
    if (!may)
        g_string_append_printf(list, "%s%s", list->len ? ", " : "", quoted);
    return TRUE;
}

gboolean preflight_backup_roles(struct preflight *p, GError **error)
{
    if (p->superuser)
        return TRUE;
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GString) list = g_string_new(NULL);
    if (!add_role(p, seen, list, facts_text(p->q->facts, "owner"), error))
        return FALSE;
    for (guint i = 0; p->q->toc && i < p->q->toc->entries->len; i++) {
        const struct toc_entry *e = p->q->toc->entries->pdata[i];
        if (!is_lost(p, e) && !add_role(p, seen, list, owner_of(e), error))
            return FALSE;
    }
    g_autofree char *user = session_quote_name(p->q->admin, p->user);
    if (list->len)
        preflight_refuse(p, OT_PREREQUISITE,
                         "user %s is not a member of the roles that the database and its objects belong to: GRANT %s TO "
                         "%s",
                         p->user, list->str, user);
    return TRUE;
}

/* ---- locale ---- */

/* Each of the server's locale settings is checked against what its machine has; this one means nothing to us. */
static gboolean check_libc_locale(struct preflight *p, const char *locale, GError **error)
{
    const char *params[] = {locale};
    g_autoptr(GError) problem = NULL;
    g_autofree char *unused = NULL;
    if (!locale || session_get_text(p->q->admin, &problem, "SELECT pg_catalog.set_config('lc_monetary', $1, true)", 1,
                                    params, &unused))
        return TRUE;
    if (!g_str_equal(session_sqlstate(p->q->admin), "22023")) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    preflight_refuse(p, OT_PREREQUISITE,
                     "the server's machine has no locale %s, which the database sorts by: install it there (Debian: "
                     "locale-gen) and restart the server",
                     locale);
    return TRUE;
}

static gboolean check_provider(struct preflight *p, GError **error)
{
    int version = session_version(p->q->admin);
    const char *provider = property(p, "datlocprovider");
    gint64 icu = 1;
    if (g_strcmp0(provider, "b") == 0 && version < 170000)
        preflight_refuse(p, OT_PREREQUISITE,
                         "the database's locale provider is builtin, which servers have since version 17");
    if (g_strcmp0(provider, "i") != 0)
        return TRUE;
    if (version >= 150000 &&
        !session_get_number(p->q->admin, error,
                            "SELECT count(*) FROM pg_catalog.pg_collation WHERE collprovider = 'i'", 0, NULL, &icu))
        return FALSE;
    if (version < 150000)
        preflight_refuse(p, OT_PREREQUISITE, "the database's locale provider is ICU, which databases have since version 15");
    else if (!icu)
        preflight_refuse(p, OT_PREREQUISITE, "the database's locale provider is ICU, which this server is built without");
    return TRUE;
}

static gboolean check_encoding(struct preflight *p, GError **error)
{
    const char *encoding = facts_text(p->q->facts, "encoding");
    const char *params[] = {encoding};
    gint64 number = 0;
    if (!encoding)
        return TRUE;
    if (!session_get_number(p->q->admin, error, "SELECT pg_catalog.pg_char_to_encoding($1)", 1, params, &number))
        return FALSE;
    if (number < 0)
        preflight_refuse(p, OT_PREREQUISITE, "the server does not know the database's encoding %s", encoding);
    return TRUE;
}

gboolean preflight_backup_locale(struct preflight *p, GError **error)
{
    const char *collate = property(p, "datcollate"), *ctype = property(p, "datctype");
    return check_encoding(p, error) && check_provider(p, error) && check_libc_locale(p, collate, error) &&
           (g_strcmp0(collate, ctype) == 0 || check_libc_locale(p, ctype, error));
}

/* ---- extensions ---- */

static const struct toc_entry *extension_entry(const struct toc *t, const char *name)
{
    for (guint i = 0; t && i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, "EXTENSION") && g_str_equal(e->tag, name))
            return e;
    }
    return NULL;
}

static gboolean look_at_extension(struct preflight *p, const char *name, const char *version, GError **error)
{
    const char *params[] = {name};
    g_autoptr(PGresult) row =
        session_query(p->q->admin, error,
                      "SELECT e.default_version, EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions v"
                      " WHERE v.name = e.name AND v.version = e.default_version AND v.superuser"
                      " AND NOT coalesce((pg_catalog.to_jsonb(v) ->> 'trusted')::boolean, false))"
                      " FROM pg_catalog.pg_available_extensions e WHERE e.name = $1",
                      1, params);
    if (!row || PQntuples(row) == 0)
        return row != NULL; /* missing: told elsewhere */
    const char *here = PQgetvalue(row, 0, 0);
    if (version && !g_str_equal(here, version))
        preflight_note(p, "Extension %s has version %s in the backup; this server makes version %s", name, version, here);
    if (*PQgetvalue(row, 0, 1) == 't')
        preflight_needs_superuser(p, "extension", name, extension_entry(p->q->toc, name));
    return TRUE;
}

gboolean preflight_backup_extensions(struct preflight *p, GError **error)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(p->q->facts, "extensions"), i, entry)
    {
        const char *name = facts_text(entry, "name");
        if (name && !g_str_equal(name, "plpgsql") &&
            !look_at_extension(p, name, facts_text(entry, "version"), error))
            return FALSE;
    }
    return TRUE;
}

/* ---- what only a superuser can make ---- */

/* Roles of managed servers that may do what elsewhere only a superuser may. */
#define MANAGED_SQL                                                                                                    \
    "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname IN ('rds_superuser', 'cloudsqlsuperuser',"                 \
    " 'alloydbsuperuser', 'azure_pg_admin', 'neon_superuser', 'supabase_admin', 'avnadmin', 'doadmin')"                \
    " AND pg_catalog.pg_has_role(oid, 'MEMBER')"

static gboolean depends_on_lost(const struct preflight *p, const struct toc_entry *e)
{
    for (guint i = 0; i < e->depends->len; i++)
        if (g_hash_table_contains(p->lost, GINT_TO_POINTER(g_array_index(e->depends, int, i))))
            return TRUE;
    return FALSE;
}

/* With it whatever depends on it, which comes behind it. Returns a table whose rows have no place then; NULL: none. */
static const struct toc_entry *lose(struct preflight *p, const struct toc_entry *lost)
{
    const struct toc_entry *table = NULL;
    g_hash_table_add(p->lost, GINT_TO_POINTER(lost->dump_id));
    for (guint i = 0; i < p->q->toc->entries->len; i++) {
        const struct toc_entry *e = p->q->toc->entries->pdata[i];
        if (is_lost(p, e) || !depends_on_lost(p, e))
            continue;
        if (!table && (g_str_equal(e->desc, "TABLE") || plan_has_rows(e)))
            table = e;
        g_hash_table_add(p->lost, GINT_TO_POINTER(e->dump_id));
    }
    return table;
}

static void leave_out(struct preflight *p, const char *kind, const char *name, const struct toc_entry *e)
{
    const struct toc_entry *table = e ? lose(p, e) : NULL;
    if (table)
        preflight_refuse(p, OT_PREREQUISITE,
                         "only a superuser can make %s %s of the backup, and table %s.%s needs it: run the restore as "
                         "one (user %s is none)",
                         kind, name, table->schema, table->tag, p->user);
    else
        preflight_note(p, "Will be left out: %s %s, which only a superuser can make (user %s is none)", kind, name,
                       p->user);
}

void preflight_needs_superuser(struct preflight *p, const char *kind, const char *name, const struct toc_entry *e)
{
    gint64 managed = 0;
    if (p->superuser)
        return;
    session_get_number(p->q->admin, NULL, MANAGED_SQL, 0, NULL, &managed);
    if (managed)
        preflight_note(p, "As a rule only a superuser can make %s %s of the backup; whether %s may is seen when it is made",
                       kind, name, p->user);
    else if (p->q->restore->accept_incomplete)
        leave_out(p, kind, name, e);
    else
        preflight_refuse(p, OT_PREREQUISITE,
                         "only a superuser can make %s %s of the backup: run the restore as one (user %s is none), or "
                         "give --accept-incomplete to do without",
                         kind, name, p->user);
}

static gboolean look_at_subscription(struct preflight *p, const struct toc_entry *e, GError **error)
{
    g_autofree char *may = NULL;
    if (session_version(p->q->admin) >= 160000) {
        if (!session_get_text(p->q->admin, error, "SELECT pg_catalog.pg_has_role('pg_create_subscription', 'USAGE')", 0,
                              NULL, &may))
            return FALSE;
        if (g_strcmp0(may, "t") == 0)
            return TRUE;
    }
    preflight_needs_superuser(p, "subscription", e->tag, e);
    return TRUE;
}

static const struct {
    const char *desc;
    const char *kind;
    const char *words; /* that its definition has; NULL: each of them */
} of_superusers[] = {
    {"EVENT TRIGGER", "event trigger", NULL},
    {"FOREIGN DATA WRAPPER", "foreign data wrapper", NULL},
    {"ACCESS METHOD", "access method", NULL},
    {"PUBLICATION", "publication for all tables", " FOR ALL TABLES"},
    {"PUBLICATION TABLES IN SCHEMA", "publication of a schema", NULL},
    {"PROCEDURAL LANGUAGE", "language", NULL},
    {"TYPE", "base type", "\n    INPUT = "},
    {"CAST", "cast", " WITHOUT FUNCTION"},
    {"OPERATOR CLASS", "operator class", NULL},
    {"OPERATOR FAMILY", "operator family", NULL},
    {"TEXT SEARCH PARSER", "text search parser", NULL},
    {"TEXT SEARCH TEMPLATE", "text search template", NULL},
};

/* In C, or one of the server's own. The first clause that begins like this is it: what a body has comes later. */
static gboolean is_untrusted_function(const struct toc_entry *e)
{
    static const char *const kinds[] = {"FUNCTION", "PROCEDURE", NULL};
    static const char *const languages[] = {"c", "internal", NULL};
    static const char clause[] = "\n    LANGUAGE ";
    const char *at = e->definition && g_strv_contains(kinds, e->desc) ? strstr(e->definition, clause) : NULL;
    if (!at)
        return FALSE;
    at += strlen(clause);
    g_autofree char *language = g_strndup(at, strcspn(at, " \n"));
    return g_strv_contains(languages, language);
}

static gboolean look_at_entry(struct preflight *p, const struct toc_entry *e, GError **error)
{
    const char *sql = e->definition ? e->definition : "";
    if (g_str_equal(e->desc, "SUBSCRIPTION"))
        return look_at_subscription(p, e, error);
    for (gsize i = 0; i < G_N_ELEMENTS(of_superusers); i++)
        if (g_str_equal(e->desc, of_superusers[i].desc) &&
            (!of_superusers[i].words || strstr(sql, of_superusers[i].words)))
            preflight_needs_superuser(p, of_superusers[i].kind, e->tag, e);
    if (is_untrusted_function(e))
        preflight_needs_superuser(p, "function in C", e->tag, e);
    return TRUE;
}

gboolean preflight_backup_objects(struct preflight *p, GError **error)
{
    for (guint i = 0; !p->superuser && p->q->toc && i < p->q->toc->entries->len; i++)
        if (!look_at_entry(p, p->q->toc->entries->pdata[i], error))
            return FALSE;
    return TRUE;
}
