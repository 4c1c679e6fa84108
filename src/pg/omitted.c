/* The database's catalogs, which every role can read, against the table of contents. */
#include "pg/omitted.h"

#include "base/text.h"

/* In each query, the first column is the text. The second, where toc_kind is given, is the tag of the entry with which
 * the object is in the backup after all. */

#define SUBSCRIPTIONS                                                                                                  \
    "SELECT pg_catalog.format('subscription %I (only a superuser can read it)', subname), subname"                     \
    " FROM pg_catalog.pg_subscription WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database"                         \
    " WHERE datname = pg_catalog.current_database()) ORDER BY subname"

/* Which options a role sees is what the view pg_user_mappings says, and what pg_dump reads. */
#define MAPPING_IS_HIDDEN                                                                                              \
    "NOT ((m.umuser <> 0 AND m.usename = current_user AND (pg_catalog.pg_has_role(s.srvowner, 'USAGE')"                \
    " OR pg_catalog.has_server_privilege(s.oid, 'USAGE'))) OR (m.umuser = 0 AND pg_catalog.pg_has_role(s.srvowner,"    \
    " 'USAGE')) OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))"

#define MAPPING_NAMES "CASE WHEN m.umuser = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(m.usename) END, m.srvname"

/* pg_read_all_data may read the options themselves, so that a mapping without any is none. */
#define MAPPINGS_READABLE                                                                                              \
    "SELECT pg_catalog.format('options of the user mapping of %s for server %I (the role does not see them)',"         \
    " " MAPPING_NAMES ") FROM pg_catalog.pg_user_mappings m JOIN pg_catalog.pg_foreign_server s"                       \
    " ON s.oid = m.srvid JOIN pg_catalog.pg_user_mapping u ON u.oid = m.umid"                                          \
    " WHERE u.umoptions IS NOT NULL AND " MAPPING_IS_HIDDEN " ORDER BY 1"

#define MAPPINGS                                                                                                       \
    "SELECT pg_catalog.format('options, if there are any, of the user mapping of %s for server %I (the role does not"  \
    " see them)', " MAPPING_NAMES ") FROM pg_catalog.pg_user_mappings m JOIN pg_catalog.pg_foreign_server s"           \
    " ON s.oid = m.srvid WHERE " MAPPING_IS_HIDDEN " ORDER BY 1"

#define UNLOGGED_ON_A_STANDBY                                                                                          \
    "SELECT pg_catalog.format('%s unlogged %s %I.%I (a standby does not have %s)',"                                    \
    " CASE c.relkind WHEN 'S' THEN 'value of' ELSE 'rows of' END,"                                                     \
    " CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname, c.relname,"                                 \
    " CASE c.relkind WHEN 'S' THEN 'it' ELSE 'them' END)"                                                              \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                             \
    " WHERE pg_catalog.pg_is_in_recovery() AND c.relpersistence = 'u' AND c.relkind IN ('r', 'S')"                     \
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::"                    \
    "pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')"                                                     \
    " ORDER BY n.nspname, c.relname"

/* pg_dump takes whatever lies in the system's schemas for the system's own. */
#define IN_SYSTEM_SCHEMAS                                                                                              \
    "SELECT pg_catalog.format('%s (pg_dump leaves out what lies in schema %I)',"                                       \
    " pg_catalog.pg_describe_object(o.classid, o.oid, 0), n.nspname) FROM ("                                           \
    "SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, oid, relnamespace AS space"                         \
    " FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') UNION ALL"                              \
    " SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, pronamespace FROM pg_catalog.pg_proc UNION ALL"           \
    " SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, oprnamespace FROM pg_catalog.pg_operator UNION ALL"   \
    " SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typnamespace FROM pg_catalog.pg_type"                     \
    " WHERE typtype IN ('d', 'e', 'r') OR (typtype = 'b' AND typelem = 0)) o"                                          \
    " JOIN pg_catalog.pg_namespace n ON n.oid = o.space"                                                               \
    " WHERE o.oid >= 16384 AND n.nspname IN ('pg_catalog', 'information_schema') AND NOT EXISTS ("                     \
    "SELECT FROM pg_catalog.pg_depend d WHERE d.classid = o.classid AND d.objid = o.oid"                               \
    " AND d.deptype IN ('e', 'i')) ORDER BY 1"

struct query {
    const char *sql, *toc_kind;
};

static gboolean is_in_toc(const struct toc *t, const char *kind, const char *tag)
{
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, kind) && g_strcmp0(e->tag, tag) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean add_rows(struct session *s, const struct query *q, const struct toc *t, const char *encoding,
                         GPtrArray *omitted, GError **error)
{
    g_autoptr(PGresult) rows = session_query(s, error, q->sql, 0, NULL);
    int found = 0;
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        if (q->toc_kind && is_in_toc(t, q->toc_kind, PQgetvalue(rows, i, 1)))
            continue;
        if (found++ < OMITTED_MAX)
            g_ptr_array_add(omitted, text_to_utf8(PQgetvalue(rows, i, 0), encoding));
    }
    if (found > OMITTED_MAX)
        g_ptr_array_add(omitted, g_strdup_printf("%d more of this kind", found - OMITTED_MAX));
    return rows != NULL;
}

/* Whoever may not read the table itself cannot tell a mapping without options from one with them. */
static gboolean may_read_mappings(struct session *s, gboolean *ret_may, GError **error)
{
    g_autofree char *may = NULL;
    gboolean ok = session_get_text(
        s, error, "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_user_mapping', 'SELECT')", 0, NULL, &may);
    *ret_may = g_strcmp0(may, "t") == 0;
    return ok;
}

gboolean omitted_read(struct session *s, const struct toc *t, const char *encoding, GPtrArray *omitted, GError **error)
{
    gboolean readable = FALSE;
    if (!may_read_mappings(s, &readable, error))
        return FALSE;
    const struct query queries[] = {
        {SUBSCRIPTIONS, "SUBSCRIPTION"},
        {readable ? MAPPINGS_READABLE : MAPPINGS, NULL},
        {UNLOGGED_ON_A_STANDBY, NULL},
        {IN_SYSTEM_SCHEMAS, NULL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(queries); i++)
        if (!add_rows(s, &queries[i], t, encoding, omitted, error))
            return FALSE;
    return TRUE;
}
