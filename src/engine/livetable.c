/* What the system catalogs say of a live table, and whether a backup's rows fit into it. */
#include "engine/livetable.h"

#include <string.h>

#define KEYS_SQL                                                                                                       \
    "SELECT i.indexrelid, a.attname, a.attnotnull, onsp.nspname, o.oprname, cnsp.nspname, c.collname"                  \
    " FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[])"           \
    " WITH ORDINALITY AS k(attnum, opclass, coll, position)"                                                           \
    " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"                                          \
    " LEFT JOIN pg_opclass oc ON oc.oid = k.opclass"                                                                   \
    " LEFT JOIN pg_am am ON am.oid = oc.opcmethod AND am.amname = 'btree'"                                             \
    " LEFT JOIN pg_amop ao ON am.oid IS NOT NULL AND ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3"             \
    " AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype"                                          \
    " LEFT JOIN pg_operator o ON o.oid = ao.amopopr LEFT JOIN pg_namespace onsp ON onsp.oid = o.oprnamespace"          \
    " LEFT JOIN pg_collation c ON c.oid = k.coll LEFT JOIN pg_namespace cnsp ON cnsp.oid = c.collnamespace"            \
    " WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indislive AND i.indpred IS NULL"             \
    " AND i.indexprs IS NULL AND k.position <= i.indnkeyatts ORDER BY i.indisprimary DESC, i.indexrelid, k.position"

#define COLUMNS_SQL                                                                                                    \
    "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',"                         \
    " a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND t.typdefault IS NULL"                                \
    " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"                                                        \
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"

static void column_free(gpointer data)
{
    struct live_column *c = data;
    g_free(c->name);
    g_free(c->type);
    g_free(c);
}

static void key_column_free(gpointer data)
{
    struct live_key_column *c = data;
    g_free(c->name);
    g_free(c->equal);
    g_free(c->collate);
    g_free(c);
}

void live_table_free(struct live_table *t)
{
    if (!t)
        return;
    g_free(t->oid);
    g_free(t->name);
    g_free(t->bound);
    g_ptr_array_unref(t->columns);
    g_ptr_array_unref(t->keys);
    g_free(t);
}

static gboolean is_true(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}

static gboolean read_columns(struct session *s, struct live_table *t, GError **error)
{
    const char *params[] = {t->oid};
    g_autoptr(PGresult) rows = session_query(s, error, COLUMNS_SQL, 1, params);
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        struct live_column *c = g_new0(struct live_column, 1);
        c->name = g_strdup(PQgetvalue(rows, i, 0));
        c->type = g_strdup(PQgetvalue(rows, i, 1));
        c->generated = is_true(rows, i, 2);
        c->needed = is_true(rows, i, 3);
        g_ptr_array_add(t->columns, c);
    }
    return rows != NULL;
}

static struct live_key_column *key_column(struct session *s, const PGresult *rows, int i)
{
    struct live_key_column *c = g_new0(struct live_key_column, 1);
    c->name = g_strdup(PQgetvalue(rows, i, 1));
    c->not_null = is_true(rows, i, 2);
    g_autofree char *schema = session_quote_name(s, PQgetvalue(rows, i, 3));
    c->equal = PQgetisnull(rows, i, 4) ? g_strdup("OPERATOR(pg_catalog.=)")
                                       : g_strdup_printf("OPERATOR(%s.%s)", schema, PQgetvalue(rows, i, 4));
    g_autofree char *collation = session_quote_pair(s, PQgetvalue(rows, i, 5), PQgetvalue(rows, i, 6));
    c->collate = PQgetisnull(rows, i, 6) ? g_strdup("") : g_strdup_printf(" COLLATE %s", collation);
    return c;
}

static gboolean read_keys(struct session *s, struct live_table *t, GError **error)
{
    const char *params[] = {t->oid};
    g_autoptr(PGresult) rows = session_query(s, error, KEYS_SQL, 1, params);
    GPtrArray *key = NULL;
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        if (i == 0 || strcmp(PQgetvalue(rows, i, 0), PQgetvalue(rows, i - 1, 0)) != 0) {
            key = g_ptr_array_new_with_free_func(key_column_free);
            g_ptr_array_add(t->keys, key);
        }
        g_ptr_array_add(key, key_column(s, rows, i));
    }
    return rows != NULL;
}

gboolean live_table_look(struct session *s, const char *schema, const char *name, struct live_table **ret,
                         GError **error)
{
    g_autofree char *pair = session_quote_pair(s, schema, name);
    const char *params[] = {pair};
    g_autoptr(PGresult) found =
        session_query(s, error,
                      "SELECT oid, relkind, CASE WHEN relispartition THEN pg_catalog.pg_get_expr(relpartbound, oid) END"
                      " FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)",
                      1, params);
    *ret = NULL;
    if (!found || PQntuples(found) == 0)
        return found != NULL;
    g_autoptr(live_table) t = g_new0(struct live_table, 1);
    t->oid = g_strdup(PQgetvalue(found, 0, 0));
    t->name = g_steal_pointer(&pair);
    t->kind = PQgetvalue(found, 0, 1)[0];
    t->bound = PQgetisnull(found, 0, 2) ? NULL : g_strdup(PQgetvalue(found, 0, 2));
    t->columns = g_ptr_array_new_with_free_func(column_free);
    t->keys = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    if (!read_columns(s, t, error) || !read_keys(s, t, error))
        return FALSE;
    *ret = g_steal_pointer(&t);
    return TRUE;
}

const struct live_column *live_table_column(const struct live_table *t, const char *name)
{
    for (guint i = 0; i < t->columns->len; i++) {
        const struct live_column *c = t->columns->pdata[i];
        if (g_str_equal(c->name, name))
            return c;
    }
    return NULL;
}

gboolean live_table_is_below(struct session *s, const struct live_table *t, const struct live_table *root,
                             gboolean *ret_below, GError **error)
{
    const char *params[] = {t->oid, root->oid};
    gint64 n = 0;
    gboolean ok = session_get_number(s, error,
                                     "SELECT count(*) FROM pg_catalog.pg_partition_ancestors($1::oid::regclass) AS a"
                                     " WHERE a.relid = $2::oid",
                                     2, params, &n);
    *ret_below = n > 0;
    return ok;
}

/* ---- the key ---- */

static gboolean names_hold(const GPtrArray *names, const char *name)
{
    for (guint i = 0; i < names->len; i++)
        if (g_str_equal(names->pdata[i], name))
            return TRUE;
    return FALSE;
}

static gboolean def_has_column(const struct table_def *def, const char *name)
{
    for (guint i = 0; i < def->columns->len; i++)
        if (g_str_equal(((const struct table_column *)def->columns->pdata[i])->name, name))
            return TRUE;
    return FALSE;
}

static gboolean is_backups_key(const GPtrArray *key, const struct table_def *def)
{
    for (guint i = 0; i < key->len; i++)
        if (!names_hold(def->key, ((const struct live_key_column *)key->pdata[i])->name))
            return FALSE;
    return key->len == def->key->len;
}

static gboolean tells_rows_apart(const GPtrArray *key, const struct table_def *def)
{
    for (guint i = 0; i < key->len; i++) {
        const struct live_key_column *c = key->pdata[i];
        if (!c->not_null || !def_has_column(def, c->name))
            return FALSE;
    }
    return TRUE;
}

const GPtrArray *live_table_key(const struct live_table *t, const struct table_def *def)
{
    for (guint i = 0; i < t->keys->len; i++) {
        const GPtrArray *key = t->keys->pdata[i];
        if (def->key->len > 0 ? is_backups_key(key, def) : tells_rows_apart(key, def))
            return key;
    }
    return NULL;
}

/* ---- whether the rows fit ---- */

static gboolean columns_fit(const struct live_table *t, const struct table_def *def, GError **error)
{
    for (guint i = 0; i < def->columns->len; i++) {
        const struct table_column *wanted = def->columns->pdata[i];
        const struct live_column *c = live_table_column(t, wanted->name);
        if (!c)
            return ot_fail(
                error, OT_REFUSED,
                "rows cannot be put back into %s: its column \"%s\" was dropped or renamed since the backup. "
                "Add it again (ALTER TABLE ... ADD COLUMN ... %s), or restore without --put-back and take "
                "the rows from the recovered table",
                t->name, wanted->name, wanted->type);
        if (c->generated)
            return ot_fail(error, OT_REFUSED,
                           "rows cannot be put back into %s: its column \"%s\" is a generated one now. Restore without "
                           "--put-back and take the rows from the recovered table",
                           t->name, wanted->name);
    }
    for (guint i = 0; i < t->columns->len; i++) {
        const struct live_column *c = t->columns->pdata[i];
        if (c->needed && !c->generated && !def_has_column(def, c->name))
            return ot_fail(error, OT_REFUSED,
                           "rows cannot be put back into %s: its column \"%s\" is new since the backup, NOT NULL and "
                           "without a default. Give it a default for the time being (ALTER TABLE ... ALTER COLUMN ... "
                           "SET DEFAULT ...)",
                           t->name, c->name);
    }
    return TRUE;
}

gboolean live_table_fits(const struct live_table *t, const struct table_def *def, GError **error)
{
    if (t->kind != 'r' && t->kind != 'p')
        return ot_fail(
            error, OT_REFUSED,
            "rows cannot be put back into %s: it was a table in the backup, and is something else now. Rename "
            "it, so that --put-back can make the table again, or restore without --put-back",
            t->name);
    if (!columns_fit(t, def, error))
        return FALSE;
    if (def->key->len == 0 || live_table_key(t, def))
        return TRUE;
    g_autoptr(GString) columns = g_string_new(NULL);
    for (guint i = 0; i < def->key->len; i++)
        g_string_append_printf(columns, "%s\"%s\"", i ? ", " : "", (const char *)def->key->pdata[i]);
    return ot_fail(error, OT_REFUSED,
                   "rows cannot be put back into %s: it has no longer a primary or unique key over (%s), by which they "
                   "are told apart. Make the key again (ALTER TABLE %s ADD PRIMARY KEY (%s)), or restore without "
                   "--put-back and take the rows from the recovered table",
                   t->name, columns->str, t->name, columns->str);
}
