/* Rows that go through their types' input and output once more. */
#include "engine/rowround.h"

#include "base/fingerprint.h"
#include "pg/copy.h"

/* The session's own, so that nothing of it stays. */
#define ROUND "pg_temp.opstower_round"

/* For each column: its type if the text of that type, or of one that it is made of, may change; else null. Of the
 * system's types these are known; any type of others goes by its own rules. multirange types: from version 14 on. */
#define COLUMNS_SQL                                                                                                    \
    "WITH RECURSIVE part (attnum, type) AS ("                                                                          \
    " SELECT attnum, atttypid FROM pg_catalog.pg_attribute"                                                            \
    " WHERE attrelid = $1::pg_catalog.regclass AND attnum > 0 AND NOT attisdropped"                                    \
    " UNION SELECT p.attnum, x.type FROM part p JOIN pg_catalog.pg_type t ON t.oid = p.type CROSS JOIN LATERAL ("      \
    "  SELECT t.typbasetype UNION ALL SELECT t.typelem WHERE t.typcategory = 'A'"                                      \
    "  UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid"   \
    "   AND a.attnum > 0 AND NOT a.attisdropped"                                                                       \
    "  UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.typtype IN ('r', 'm') AND t.oid IN"            \
    "   (r.rngtypid, (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid)) AS x (type) WHERE x.type <> 0)"    \
    " SELECT a.attname, CASE WHEN EXISTS (SELECT FROM part p JOIN pg_catalog.pg_type t ON t.oid = p.type"              \
    "  WHERE p.attnum = a.attnum AND t.typtype = 'b' AND t.typcategory <> 'A'"                                         \
    "  AND (t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace OR t.typname = 'xml' OR t.typname ~ '^reg'))"      \
    "  THEN pg_catalog.format_type(a.atttypid, NULL) END"                                                              \
    " FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.regclass AND a.attnum > 0"                      \
    " AND NOT a.attisdropped"

static const struct table_def *columns_of(const struct rowround *r)
{
    guint table = g_array_index(r->tables, guint, 0);
    return ((struct archive_table *)r->reader->contents->tables->pdata[table])->def;
}

static const char *type_of(const PGresult *columns, const char *name)
{
    for (int i = 0; i < PQntuples(columns); i++)
        if (g_str_equal(PQgetvalue(columns, i, 0), name))
            return PQgetisnull(columns, i, 1) ? NULL : PQgetvalue(columns, i, 1);
    return NULL;
}

/* The columns in the backup's order, text where the text is not to change. */
static char *columns_sql(const struct rowround *r, const PGresult *columns, GString *ret_changing)
{
    const struct table_def *def = columns_of(r);
    GString *sql = g_string_new(NULL);
    for (guint i = 0; i < def->columns->len; i++) {
        const struct table_column *c = def->columns->pdata[i];
        const char *type = type_of(columns, c->name);
        g_string_append_printf(sql, "%sc%u %s", i ? ", " : "", i, type ? type : "pg_catalog.text");
        if (type)
            g_string_append_printf(ret_changing, "%s%s", ret_changing->len ? ", " : "", c->name);
    }
    return g_string_free(sql, FALSE);
}

static gboolean take_row(const char *row, gsize length, void *data, GError **error)
{
    (void)error;
    fingerprint_add_row(data, row, length);
    return TRUE;
}

/* A member at a time, so that a large table needs no second place on disk. */
static gboolean send_round(const struct rowround *r, const char *rows, gsize length, guint64 count,
                           struct fingerprint *sum, GError **error)
{
    if (!copy_in_begin(r->session, "COPY " ROUND " FROM stdin", error))
        return FALSE;
    if (!copy_in_put(r->session, rows, length, error)) {
        copy_in_abort(r->session);
        return FALSE;
    }
    return copy_in_end(r->session, count, error) &&
           copy_out(r->session, "COPY " ROUND " TO stdout", take_row, sum, error) &&
           session_exec(r->session, "TRUNCATE " ROUND, error);
}

static gboolean is_asked_for(const struct rowround *r, const struct archive_member *m)
{
    for (guint i = 0; i < r->tables->len; i++)
        if (m->kind == MEMBER_DATA && g_array_index(r->tables, guint, i) == m->table)
            return TRUE;
    return FALSE;
}

static gboolean backup_becomes(const struct rowround *r, struct fingerprint *sum, GError **error)
{
    g_autoptr(member_reader) members = member_reader_new(r->reader);
    const GArray *all = r->reader->contents->members;
    for (guint i = 0; i < all->len; i++) {
        const struct archive_member *m = &g_array_index(all, struct archive_member, i);
        const char *rows;
        gsize length;
        if (is_asked_for(r, m) && (!member_reader_get_rows(members, i, &rows, &length, error) ||
                                   !send_round(r, rows, length, m->rows, sum, error)))
            return FALSE;
    }
    return TRUE;
}

/* Read again, now that our own table is there: a number of a table that is gone may be its. */
static gboolean read_restored(const struct rowround *r, struct fingerprint *sum, GError **error)
{
    for (guint i = 0; i < r->read_sqls->len; i++)
        if (!copy_out(r->session, r->read_sqls->pdata[i], take_row, sum, error))
            return FALSE;
    return TRUE;
}

gboolean rowround_compare(const struct rowround *r, gboolean *ret_equal, char **ret_columns, GError **error)
{
    *ret_equal = FALSE;
    *ret_columns = NULL;
    const char *params[] = {r->relation};
    g_autoptr(PGresult) columns = session_query(r->session, error, COLUMNS_SQL, 1, params);
    if (!columns)
        return FALSE;
    g_autoptr(GString) changing = g_string_new(NULL);
    g_autofree char *sql = columns_sql(r, columns, changing);
    if (changing->len == 0)
        return TRUE;
    struct fingerprint backup = {0}, restored = {0};
    if (!session_execf(r->session, error, "CREATE TEMPORARY TABLE opstower_round (%s)", sql) ||
        !backup_becomes(r, &backup, error) || !read_restored(r, &restored, error) ||
        !session_exec(r->session, "DROP TABLE " ROUND, error))
        return FALSE;
    *ret_equal = fingerprint_equal(&backup, &restored) && backup.rows == restored.rows;
    *ret_columns = g_string_free(g_steal_pointer(&changing), FALSE);
    return TRUE;
}
