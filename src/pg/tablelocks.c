/* Lists of tables, held against lists of locks. */
#include "pg/tablelocks.h"

#include <string.h>

#define LOCKS_PER_STATEMENT 200

/* The third column, whether we may read (and so lock) it, looks at the present and not at the snapshot: it is null for
 * a table that was dropped since. */
#define TABLES_SQL                                                                                                     \
    "SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname),"                                           \
    " pg_catalog.has_table_privilege(c.oid, 'SELECT'), c.relfilenode"                                                  \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                             \
    " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1"

const char *const tablelocks_held_sql =
    "SELECT DISTINCT relation FROM pg_catalog.pg_locks WHERE locktype = 'relation' AND granted AND pid = $1::int"
    " AND mode = 'AccessShareLock' AND database ="
    " (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

const char *const tablelocks_identity_sql =
    "SELECT c.oid, c.relfilenode || ' ' || c.xmin::text || ' ' || (SELECT string_agg(a.attnum || ':' || a.xmin::text,"
    " ' ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid)"
    " FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[]) ORDER BY 1";

const char *const tablelocks_filenodes_sql =
    "SELECT oid, relfilenode FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p')";

static guint32 oid_of(const PGresult *rows, int row)
{
    return (guint32)g_ascii_strtoull(PQgetvalue(rows, row, 0), NULL, 10);
}

static void seen_table_free(struct seen_table *t)
{
    g_free(t->name);
    g_free(t->filenode);
    g_free(t);
}

GPtrArray *tablelocks_list(struct session *s, GError **error)
{
    g_autoptr(PGresult) rows = session_query(s, error, TABLES_SQL, 0, NULL);
    if (!rows)
        return NULL;
    GPtrArray *tables = g_ptr_array_new_with_free_func((GDestroyNotify)seen_table_free);
    for (int i = 0; i < PQntuples(rows); i++) {
        struct seen_table *t = g_new0(struct seen_table, 1);
        t->oid = oid_of(rows, i);
        t->name = g_strdup(PQgetvalue(rows, i, 1));
        t->readable = PQgetvalue(rows, i, 2)[0] == 't';
        t->gone = PQgetisnull(rows, i, 2);
        t->filenode = g_strdup(PQgetvalue(rows, i, 3));
        g_ptr_array_add(tables, t);
    }
    return tables;
}

/* Tables that a dump holds but this role may not read: pg_dump would only say "permission denied". */
gboolean tablelocks_check_readable(struct session *s, GError **error)
{
    g_autofree char *table = NULL;
    if (!session_get_text(s, error,
                          "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_catalog.pg_class c"
                          " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                          " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
                          " AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') AND NOT EXISTS"
                          " (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_class'::regclass"
                          " AND objid = c.oid AND deptype = 'e') LIMIT 1",
                          0, NULL, &table))
        return FALSE;
    return !table || ot_fail(error, OT_PREREQUISITE,
                             "the role %s may not read table %s: GRANT pg_read_all_data TO it (and GRANT USAGE on the "
                             "schema before version 14)",
                             PQuser(session_pg(s)), table);
}

/* ---- locks ---- */

/* A table or schema that was dropped, or a name that stands for something else by now, is no reason to give up. */
static gboolean lock_some(struct session *s, const GString *names, gboolean *ret_gone, GError **error)
{
    static const char *const gone[] = {"42P01", "3F000", "42809", NULL};
    g_autofree char *sql = g_strdup_printf("LOCK TABLE %s IN ACCESS SHARE MODE", names->str);
    g_autoptr(PGresult) result = session_run(s, sql);
    if (PQresultStatus(result) == PGRES_COMMAND_OK)
        return TRUE;
    session_fail(s, result, OT_DUMP, "cannot lock the tables for reading", error);
    *ret_gone = g_strv_contains(gone, session_sqlstate(s));
    return FALSE;
}

gboolean tablelocks_take(struct session *s, const GPtrArray *tables, GHashTable *held, gboolean *ret_gone,
                         GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    int n = 0;
    for (guint i = 0; i < tables->len; i++) {
        const struct seen_table *t = tables->pdata[i];
        if (!t->readable || (held && g_hash_table_contains(held, GUINT_TO_POINTER(t->oid))))
            continue;
        g_string_append_printf(names, "%sONLY %s", names->len ? ", " : "", t->name);
        if (++n % LOCKS_PER_STATEMENT != 0)
            continue;
        if (!lock_some(s, names, ret_gone, error))
            return FALSE;
        g_string_truncate(names, 0);
    }
    return names->len == 0 || lock_some(s, names, ret_gone, error);
}

GHashTable *tablelocks_set(const PGresult *rows)
{
    GHashTable *set = g_hash_table_new(g_direct_hash, g_direct_equal);
    for (int i = 0; i < PQntuples(rows); i++)
        g_hash_table_add(set, GUINT_TO_POINTER(oid_of(rows, i)));
    return set;
}

GHashTable *tablelocks_held(struct session *s, const char *pid, GError **error)
{
    const char *params[] = {pid};
    g_autoptr(PGresult) rows = session_query(s, error, tablelocks_held_sql, 1, params);
    return rows ? tablelocks_set(rows) : NULL;
}

GPtrArray *tablelocks_missing(const GPtrArray *tables, GHashTable *held)
{
    GPtrArray *missing = g_ptr_array_new();
    for (guint i = 0; i < tables->len; i++) {
        struct seen_table *t = tables->pdata[i];
        if (t->readable && !g_hash_table_contains(held, GUINT_TO_POINTER(t->oid)))
            g_ptr_array_add(missing, t);
    }
    return missing;
}

/* ---- whether they are the same ---- */

char *tablelocks_oids(const GPtrArray *tables)
{
    GString *list = g_string_new("{");
    for (guint i = 0; i < tables->len; i++)
        g_string_append_printf(list, "%s%u", i ? "," : "", ((struct seen_table *)tables->pdata[i])->oid);
    return g_string_free(g_string_append_c(list, '}'), FALSE);
}

gboolean tablelocks_same(const PGresult *a, const PGresult *b)
{
    if (PQntuples(a) != PQntuples(b))
        return FALSE;
    for (int i = 0; i < PQntuples(a); i++)
        for (int column = 0; column < 2; column++)
            if (strcmp(PQgetvalue(a, i, column), PQgetvalue(b, i, column)) != 0)
                return FALSE;
    return TRUE;
}

gboolean tablelocks_check_filenodes(const GPtrArray *tables, const PGresult *now, GError **error)
{
    g_autoptr(GHashTable) by_oid = g_hash_table_new(g_direct_hash, g_direct_equal);
    for (int i = 0; i < PQntuples(now); i++)
        g_hash_table_insert(by_oid, GUINT_TO_POINTER(oid_of(now, i)), PQgetvalue(now, i, 1));
    for (guint i = 0; i < tables->len; i++) {
        const struct seen_table *t = tables->pdata[i];
        const char *filenode = g_hash_table_lookup(by_oid, GUINT_TO_POINTER(t->oid));
        if (t->readable && g_strcmp0(filenode, t->filenode) != 0)
            return ot_fail(error, OT_LOCK_TIMEOUT, "table %s was %s while the backup was taken: its lock did not hold",
                           t->name, filenode ? "rewritten or truncated" : "dropped");
    }
    return TRUE;
}
