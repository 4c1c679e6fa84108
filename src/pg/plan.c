/* Tables from the table of contents, pieces from their sizes. */
#include "pg/plan.h"

#include <string.h>

#define MIN_PIECE_BYTES (16ull << 20)
#define MAX_PIECE_BYTES (1ull << 30)
#define PIECES_PER_JOB 24 /* at the end, workers wait for the last piece: the smaller, the shorter */
#define FIRST_VERSION_WITH_TID_RANGES 140000

/* ---- tables ---- */

gboolean plan_has_rows(const struct toc_entry *e)
{
    return g_str_equal(e->desc, "TABLE DATA") && e->copy_sql && *e->copy_sql;
}

static GPtrArray *tables_of(const struct toc *t, gboolean guarded, GHashTable *by_oid)
{
    GPtrArray *tables = g_ptr_array_new_with_free_func((GDestroyNotify)table_def_free);
    for (guint i = 0; i < t->entries->len; i++) {
        struct toc_entry *e = t->entries->pdata[i];
        if (!plan_has_rows(e))
            continue;
        struct table_def *def = table_def_new();
        def->oid = e->oid;
        def->unguarded = !guarded;
        def->schema = g_strdup(e->schema ? e->schema : "");
        def->name = g_strdup(e->tag);
        def->copy_sql = g_strchomp(g_strdup(e->copy_sql));
        g_ptr_array_add(tables, def);
        g_hash_table_insert(by_oid, g_memdup2(&e->oid, sizeof(gint64)), def);
    }
    return tables;
}

static struct table_def *row_table(GHashTable *by_oid, const PGresult *rows, int row)
{
    gint64 oid = g_ascii_strtoll(PQgetvalue(rows, row, 0), NULL, 10);
    return g_hash_table_lookup(by_oid, &oid);
}

static gboolean add_columns(struct session *s, GHashTable *by_oid, GError **error)
{
    g_autoptr(PGresult) rows =
        session_query(s, error,
                      "SELECT attrelid, attname, pg_catalog.format_type(atttypid, atttypmod)"
                      " FROM pg_catalog.pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attgenerated = ''"
                      " ORDER BY attrelid, attnum",
                      0, NULL);
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        struct table_def *t = row_table(by_oid, rows, i);
        if (t)
            table_def_add_column(t, PQgetvalue(rows, i, 1), PQgetvalue(rows, i, 2));
    }
    return rows != NULL;
}

static gboolean add_keys(struct session *s, GHashTable *by_oid, GError **error)
{
    g_autoptr(PGresult) rows =
        session_query(s, error,
                      "SELECT i.indrelid, a.attname FROM pg_catalog.pg_index i"
                      " CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)"
                      " JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
                      " WHERE i.indisprimary ORDER BY i.indrelid, k.position",
                      0, NULL);
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        struct table_def *t = row_table(by_oid, rows, i);
        if (t)
            g_ptr_array_add(t->key, g_strdup(PQgetvalue(rows, i, 1)));
    }
    return rows != NULL;
}

/* pg_dump dumps only those rows of an extension's configuration table that the extension asks for; the table of
 * contents does not show that condition. */
static gboolean add_filters(struct session *s, GHashTable *by_oid, GError **error)
{
    g_autoptr(PGresult) rows = session_query(
        s, error, "SELECT unnest(extconfig)::oid, unnest(extcondition) FROM pg_catalog.pg_extension", 0, NULL);
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        struct table_def *t = row_table(by_oid, rows, i);
        if (t) {
            g_free(t->filter);
            t->filter = g_strdup(PQgetvalue(rows, i, 1));
        }
    }
    return rows != NULL;
}

GPtrArray *plan_tables(struct session *s, const struct toc *t, gboolean guarded, GError **error)
{
    g_autoptr(GHashTable) by_oid = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GPtrArray) tables = tables_of(t, guarded, by_oid);
    if (!add_columns(s, by_oid, error) || !add_keys(s, by_oid, error) || !add_filters(s, by_oid, error))
        return NULL;
    return g_steal_pointer(&tables);
}

/* ---- COPY statements ---- */

static const char *skip_name(const char *at)
{
    for (gboolean quoted = FALSE; *at && (quoted || (*at != ' ' && *at != '(')); at++)
        if (*at == '"')
            quoted = !quoted;
    return at;
}

static char *copy_columns(const char *copy_sql)
{
    const char *end = skip_name(copy_sql + strlen("COPY "));
    const char *rest = end + strspn(end, " ");
    const char *from = g_strrstr(rest, " FROM stdin;");
    return *rest == '(' && from ? g_strndup(rest, (gsize)(from - rest)) : g_strdup("");
}

/* Reads one SQL name, quoted or not, and moves *at behind it. */
static char *read_name(const char **at)
{
    GString *name = g_string_new(NULL);
    const char *c = *at;
    gboolean quoted = *c == '"';
    for (c += quoted; *c; c++) {
        if (quoted && *c == '"' && c[1] != '"')
            break;
        if (!quoted && (*c == '.' || *c == ' ' || *c == '('))
            break;
        c += quoted && *c == '"';
        g_string_append_c(name, *c);
    }
    *at = c + (quoted && *c == '"');
    return g_string_free(name, FALSE);
}

gboolean plan_loads_into_itself(const struct table_def *t)
{
    const char *at = t->copy_sql + strlen("COPY ");
    g_autofree char *schema = read_name(&at);
    at += *at == '.';
    g_autofree char *name = read_name(&at);
    return g_str_equal(schema, t->schema) && g_str_equal(name, t->name);
}

/* The table's own name, not the one in copy_sql: pg_dump lets some partitions be loaded through their root. Where the
 * server cannot refuse a view (before 12.20, 13.16, ...), the statement must: COPY of a name does, and so does a sample,
 * here of all rows. */
char *plan_copy_out_from_sql(const char *name, const struct table_def *t, const struct plan_piece *piece)
{
    g_autofree char *columns = copy_columns(t->copy_sql);
    if (piece->whole && !t->filter)
        return g_strdup_printf("COPY %s %s TO stdout", name, columns);
    /* "(a, b)" without its parentheses: SELECT (a, b) would be one row value. */
    g_autofree char *list = *columns ? g_strndup(columns + 1, strlen(columns) - 2) : g_strdup("");
    if (piece->whole)
        return g_strdup_printf("COPY (SELECT %s FROM ONLY %s%s %s) TO stdout", list, name,
                               t->unguarded ? " TABLESAMPLE SYSTEM (100)" : "", t->filter);
    g_autofree char *to =
        piece->end_page ? g_strdup_printf(" AND ctid < '(%" G_GUINT64_FORMAT ",0)'", piece->end_page) : g_strdup("");
    return g_strdup_printf("COPY (SELECT %s FROM ONLY %s WHERE ctid >= '(%" G_GUINT64_FORMAT ",0)'%s) TO stdout", list,
                           name, piece->first_page, to);
}

char *plan_copy_out_sql(struct session *s, const struct table_def *t, const struct plan_piece *piece)
{
    g_autofree char *name = session_quote_pair(s, t->schema, t->name);
    return plan_copy_out_from_sql(name, t, piece);
}

/* ---- pieces ---- */

struct size {
    guint64 bytes, pages;
    gboolean ranges; /* can be read by ctid ranges */
};

/* Asked by name, so that it works for tables of a backup in the database they were restored to. A query looks at a
 * table's indexes too, and would wait for one that is being built anew (REINDEX); COPY of the whole does not. */
static gboolean read_sizes(struct session *s, const GPtrArray *tables, struct size *sizes, GError **error)
{
    g_autoptr(GHashTable) by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < tables->len; i++) {
        const struct table_def *t = tables->pdata[i];
        g_hash_table_insert(by_name, g_strdup_printf("%s\n%s", t->schema, t->name), &sizes[i]);
    }
    g_autoptr(PGresult) rows = session_query(
        s, error,
        "SELECT n.nspname, c.relname, pg_catalog.pg_table_size(c.oid), pg_catalog.pg_relation_size(c.oid) /"
        " pg_catalog.current_setting('block_size')::int, a.amname = 'heap' AND c.oid NOT IN (SELECT i.indrelid"
        " FROM pg_catalog.pg_index i WHERE i.indexrelid IN (SELECT relation FROM pg_catalog.pg_locks"
        " WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND database = (SELECT oid"
        " FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())))"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam WHERE c.relkind = 'r' AND n.nspname !~ '^pg_(toast|temp)'",
        0, NULL);
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        g_autofree char *key = g_strdup_printf("%s\n%s", PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
        struct size *size = g_hash_table_lookup(by_name, key);
        if (!size)
            continue;
        size->bytes = g_ascii_strtoull(PQgetvalue(rows, i, 2), NULL, 10);
        size->pages = g_ascii_strtoull(PQgetvalue(rows, i, 3), NULL, 10);
        size->ranges = PQgetvalue(rows, i, 4)[0] == 't' && session_version(s) >= FIRST_VERSION_WITH_TID_RANGES;
    }
    return rows != NULL;
}

static void cut_table(GArray *pieces, guint table, const struct size *size, guint64 piece_bytes)
{
    guint64 n = size->bytes / piece_bytes + 1;
    if (!size->ranges || n > size->pages)
        n = 1;
    for (guint64 i = 0; i < n; i++) {
        struct plan_piece piece = {
            .table = table,
            .whole = n == 1,
            .first_page = size->pages * i / n,
            .end_page = i + 1 < n ? size->pages * (i + 1) / n : 0,
            .weight_bytes = size->bytes / n,
        };
        g_array_append_val(pieces, piece);
    }
}

#define SMALL_BYTES (1ull << 20) /* what is smaller takes no time: tables of one schema are better read together */

static gint heavier_first(gconstpointer a, gconstpointer b)
{
    guint64 x = MAX(((const struct plan_piece *)a)->weight_bytes, SMALL_BYTES);
    guint64 y = MAX(((const struct plan_piece *)b)->weight_bytes, SMALL_BYTES);
    return x > y ? -1 : x < y ? 1 : 0;
}

GArray *plan_pieces(struct session *s, const GPtrArray *tables, guint n_jobs, GError **error)
{
    g_autofree struct size *sizes = g_new0(struct size, tables->len + 1);
    if (!read_sizes(s, tables, sizes, error))
        return NULL;
    guint64 total = 0;
    for (guint i = 0; i < tables->len; i++)
        total += sizes[i].bytes;
    guint64 piece_bytes = CLAMP(total / (n_jobs * PIECES_PER_JOB), MIN_PIECE_BYTES, MAX_PIECE_BYTES);
    GArray *pieces = g_array_new(FALSE, TRUE, sizeof(struct plan_piece));
    for (guint i = 0; i < tables->len; i++) {
        const struct table_def *t = tables->pdata[i];
        if (t->filter || t->unguarded)
            sizes[i].ranges = FALSE;
        cut_table(pieces, i, &sizes[i], piece_bytes);
    }
    g_array_sort(pieces, heavier_first);
    return pieces;
}
