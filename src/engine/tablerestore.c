/* Single tables: recovered in one transaction, compared, then put back in another if that is asked. */
#include "engine/tablerestore.h"

#include <string.h>

#include "base/interrupt.h"
#include "base/text.h"
#include "engine/recreate.h"
#include "pg/copy.h"
#include "pg/facts.h"
#include "pg/plan.h"
#include "pg/snapshot.h"

struct recovered {
    const struct archive_table *table;
    guint index;     /* in the contents */
    char *name;      /* quoted and qualified, in the recovery schema */
    char *live;      /* quoted and qualified */
    gboolean exists; /* the live table is there */
};

struct tablerestore {
    const struct restore_request *request;
    struct archive_reader *reader;
    const struct toc *toc;
    struct report *report;
    struct session *session;
    char *schema;      /* recovered_TIMESTAMP */
    GPtrArray *tables; /* struct recovered * */
    guint64 bytes_read;
};

static void recovered_free(gpointer data)
{
    struct recovered *t = data;
    g_free(t->name);
    g_free(t->live);
    g_free(t);
}

/* ---- which tables ---- */

static void add_table(struct tablerestore *r, guint index)
{
    for (guint i = 0; i < r->tables->len; i++)
        if (((struct recovered *)r->tables->pdata[i])->index == index)
            return;
    struct recovered *t = g_new0(struct recovered, 1);
    t->index = index;
    t->table = r->reader->contents->tables->pdata[index];
    g_ptr_array_add(r->tables, t);
}

/* Names in the backup are in its database's encoding, what a person writes is UTF-8. */
static gboolean is_name(struct tablerestore *r, const char *in_backup, const char *asked)
{
    const char *encoding = facts_text(r->reader->contents->facts, "encoding");
    g_autofree char *name = text_to_utf8(in_backup ? in_backup : "", encoding);
    return g_str_equal(name, asked);
}

static const struct toc_entry *find_entry(struct tablerestore *r, const char *schema, const char *name)
{
    for (guint i = 0; i < r->toc->entries->len; i++) {
        const struct toc_entry *e = r->toc->entries->pdata[i];
        if (g_str_equal(e->desc, "TABLE") && is_name(r, e->schema, schema) && is_name(r, e->tag, name))
            return e;
    }
    return NULL;
}

static guint add_named(struct tablerestore *r, const char *schema, const char *name);

/* A partitioned table has no rows of its own: its partitions are meant. TABLE ATTACH entries name the child and
 * depend on both. */
static guint add_partitions(struct tablerestore *r, const struct toc_entry *parent)
{
    const char *encoding = facts_text(r->reader->contents->facts, "encoding");
    guint found = 0;
    for (guint i = 0; i < r->toc->entries->len; i++) {
        const struct toc_entry *e = r->toc->entries->pdata[i];
        gboolean is_own = g_str_equal(e->tag, parent->tag) && g_strcmp0(e->schema, parent->schema) == 0;
        if (!g_str_equal(e->desc, "TABLE ATTACH") || !toc_entry_depends_on(e, parent->dump_id) || is_own)
            continue;
        g_autofree char *schema = text_to_utf8(e->schema ? e->schema : "", encoding);
        g_autofree char *name = text_to_utf8(e->tag, encoding);
        found += add_named(r, schema, name);
    }
    return found;
}

static guint add_named(struct tablerestore *r, const char *schema, const char *name)
{
    const GPtrArray *tables = r->reader->contents->tables;
    for (guint i = 0; i < tables->len; i++) {
        const struct archive_table *t = tables->pdata[i];
        if (is_name(r, t->def->schema, schema) && is_name(r, t->def->name, name)) {
            add_table(r, i);
            return 1;
        }
    }
    const struct toc_entry *parent = find_entry(r, schema, name);
    return parent ? add_partitions(r, parent) : 0;
}

/* "schema.table" as SQL reads it; without a schema, public. */
static gboolean add_asked(struct tablerestore *r, const char *asked, GError **error)
{
    const char *params[] = {asked};
    g_autoptr(PGresult) parts = session_query(r->session, NULL, "SELECT unnest(parse_ident($1, true))", 1, params);
    int n = parts ? PQntuples(parts) : 0;
    if (n < 1 || n > 2)
        return ot_fail(error, OT_USAGE, "--table takes SCHEMA.TABLE, not %s", asked);
    const char *schema = n == 2 ? PQgetvalue(parts, 0, 0) : "public";
    if (add_named(r, schema, PQgetvalue(parts, n - 1, 0)) > 0)
        return TRUE;
    return ot_fail(error, OT_NOT_FOUND,
                   "the backup holds no data of a table %s (names are given as in SQL: "
                   "schema.table, \"Quoted\".\"Name\")",
                   asked);
}

static gboolean name_tables(struct tablerestore *r, GError **error)
{
    g_autoptr(GHashTable) used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < r->tables->len; i++) {
        struct recovered *t = r->tables->pdata[i];
        const struct table_def *def = t->table->def;
        g_autofree char *name = g_strdup(def->name);
        if (!g_hash_table_add(used, g_strdup(name))) {
            g_free(name);
            name = g_strdup_printf("%s_%s", def->schema, def->name);
            g_hash_table_add(used, g_strdup(name));
        }
        t->name = session_quote_pair(r->session, r->schema, name);
        t->live = session_quote_pair(r->session, def->schema, def->name);
        const char *params[] = {t->live};
        gint64 found = 0;
        if (!session_get_number(r->session, error, "SELECT (pg_catalog.to_regclass($1) IS NOT NULL)::int", 1, params,
                                &found))
            return FALSE;
        t->exists = found != 0;
    }
    return TRUE;
}

/* ---- recovery ---- */

static gboolean create_table(struct tablerestore *r, const struct recovered *t, GError **error)
{
    g_autoptr(GString) sql = g_string_new(NULL);
    g_string_printf(sql, "CREATE TABLE %s (", t->name);
    for (guint i = 0; i < t->table->def->columns->len; i++) {
        const struct table_column *c = t->table->def->columns->pdata[i];
        g_autofree char *name = session_quote_name(r->session, c->name);
        g_string_append_printf(sql, "%s%s %s", i ? ", " : "", name, c->type);
    }
    g_string_append_c(sql, ')');
    return session_exec(r->session, sql->str, error);
}

static char *column_list(struct session *s, const struct table_def *def, const char *prefix)
{
    GString *list = g_string_new(NULL);
    for (guint i = 0; i < def->columns->len; i++) {
        const struct table_column *c = def->columns->pdata[i];
        g_autofree char *name = session_quote_name(s, c->name);
        g_string_append_printf(list, "%s%s%s", i ? ", " : "", prefix, name);
    }
    return g_string_free(list, FALSE);
}

static gboolean fill_table(struct tablerestore *r, const struct recovered *t, GError **error)
{
    g_autofree char *columns = column_list(r->session, t->table->def, "");
    gboolean some = t->table->def->columns->len > 0;
    g_autofree char *sql =
        g_strdup_printf("COPY %s %s%s%s FROM stdin", t->name, some ? "(" : "", columns, some ? ")" : "");
    g_autoptr(member_reader) members = member_reader_new(r->reader);
    const GArray *all = r->reader->contents->members;
    guint64 rows = 0;
    if (!copy_in_begin(r->session, sql, error))
        return FALSE;
    for (guint i = 0; i < all->len; i++) {
        const struct archive_member *m = &g_array_index(all, struct archive_member, i);
        const char *text;
        gsize length;
        if (m->kind != MEMBER_DATA || m->table != t->index)
            continue;
        if (!member_reader_get_rows(members, i, &text, &length, error) ||
            !copy_in_put(r->session, text, length, error)) {
            copy_in_abort(r->session);
            return FALSE;
        }
        r->bytes_read += m->size;
        rows += m->rows;
        report_progress_add(r->report, length);
    }
    return copy_in_end(r->session, rows, error);
}

static gboolean take_row(const char *row, gsize length, void *data, GError **error)
{
    (void)error;
    fingerprint_add_row(data, row, length);
    return TRUE;
}

static gboolean check_table(struct tablerestore *r, const struct recovered *t, GError **error)
{
    g_autofree char *columns = column_list(r->session, t->table->def, "");
    g_autofree char *sql = g_strdup_printf("COPY (SELECT %s FROM %s) TO stdout", columns, t->name);
    struct fingerprint found = {0};
    if (!copy_out(r->session, sql, take_row, &found, error))
        return FALSE;
    if (fingerprint_equal(&found, &t->table->proof))
        return TRUE;
    return ot_fail(error, OT_MISMATCH, "the recovered rows of %s are not those of the backup's proof", t->live);
}

static gboolean recover_all(struct tablerestore *r, GError **error)
{
    g_autofree char *schema = session_quote_name(r->session, r->schema);
    if (!session_exec(r->session, "BEGIN", error) || !session_execf(r->session, error, "CREATE SCHEMA %s", schema))
        return FALSE;
    for (guint i = 0; i < r->tables->len; i++) {
        const struct recovered *t = r->tables->pdata[i];
        if (!create_table(r, t, error) || !fill_table(r, t, error) || !check_table(r, t, error)) {
            g_prefix_error(error, "table %s: ", t->live);
            return FALSE;
        }
        report_info(r->report, "Recovered %s: %" G_GUINT64_FORMAT " rows, equal to the backup's proof, into %s",
                    t->live, t->table->proof.rows, t->name);
    }
    return interrupt_check(error) && session_exec(r->session, "COMMIT", error);
}

/* ---- putting rows back ---- */

/* With a primary key, rows whose key is not there. Without one, rows are counted by their whole text, so that of three
 * equal rows of which one is left, two are put back. */
static char *put_back_sql(struct session *s, const struct recovered *t)
{
    const struct table_def *def = t->table->def;
    g_autofree char *columns = column_list(s, def, "");
    if (def->columns->len == 0)
        return g_strdup_printf("INSERT INTO %s SELECT FROM %s OFFSET (SELECT count(*) FROM %s)", t->live, t->name,
                               t->live);
    if (def->key->len > 0)
        return g_strdup_printf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s ON CONFLICT DO NOTHING",
                               t->live, columns, columns, t->name);
    g_autofree char *prefixed = column_list(s, def, "r.");
    return g_strdup_printf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM"
                           " (SELECT *, row_number() OVER (PARTITION BY ROW(%s)::text) AS opstower_copy FROM %s) AS r"
                           " WHERE (ROW(%s)::text, r.opstower_copy) NOT IN (SELECT ROW(%s)::text,"
                           " row_number() OVER (PARTITION BY ROW(%s)::text) FROM %s)",
                           t->live, columns, prefixed, columns, t->name, prefixed, columns, columns, t->live);
}

static gboolean is_foreign_key_violation(const PGresult *result)
{
    return g_strcmp0(PQresultErrorField(result, PG_DIAG_SQLSTATE), "23503") == 0;
}

/* *ret_later: another table's rows must come first. */
static gboolean put_back_one(struct tablerestore *r, const struct recovered *t, gboolean *ret_later, GError **error)
{
    g_autofree char *sql = put_back_sql(r->session, t);
    *ret_later = FALSE;
    if (!session_exec(r->session, "SAVEPOINT put_back", error))
        return FALSE;
    g_autoptr(PGresult) result = PQexec(session_pg(r->session), sql);
    if (PQresultStatus(result) == PGRES_COMMAND_OK) {
        report_info(r->report, "Put back %s rows into %s", PQcmdTuples(result), t->live);
        return TRUE;
    }
    *ret_later = is_foreign_key_violation(result);
    session_fail(r->session, result, OT_RESTORE, sql, error);
    if (*ret_later)
        session_exec(r->session, "ROLLBACK TO put_back", NULL);
    return FALSE;
}

/* In passes: a table whose rows refer to others' waits for them. A pass without progress ends it. */
static gboolean put_back_passes(struct tablerestore *r, GError **error)
{
    g_autoptr(GPtrArray) waiting = g_ptr_array_copy(r->tables, NULL, NULL);
    g_ptr_array_set_free_func(waiting, NULL);
    while (waiting->len > 0) {
        g_autoptr(GPtrArray) later = g_ptr_array_new();
        g_autoptr(GError) last = NULL;
        for (guint i = 0; i < waiting->len; i++) {
            gboolean wait = FALSE;
            g_clear_error(&last);
            if (put_back_one(r, waiting->pdata[i], &wait, &last))
                continue;
            if (!wait || later->len + 1 == waiting->len) {
                g_propagate_error(error, g_steal_pointer(&last));
                return FALSE;
            }
            g_ptr_array_add(later, waiting->pdata[i]);
        }
        g_ptr_array_unref(waiting);
        waiting = g_steal_pointer(&later);
    }
    return TRUE;
}

typedef gboolean (*recreate_step)(struct session *s, const struct toc *t, const char *bindir, const char *schema,
                                  const char *name, struct report *report, GError **error);

static gboolean recreate(struct tablerestore *r, recreate_step step, GError **error)
{
    for (guint i = 0; i < r->tables->len; i++) {
        const struct recovered *t = r->tables->pdata[i];
        const struct table_def *def = t->table->def;
        if (!t->exists && !step(r->session, r->toc, r->request->bindir, def->schema, def->name, r->report, error)) {
            g_prefix_error(error, "cannot make %s again: ", t->live);
            return FALSE;
        }
    }
    return TRUE;
}

/* All or nothing, in one transaction. A live table that is gone is made again from the backup's definition first, and
 * gets its indexes and constraints after its rows. */
static gboolean put_back_all(struct tablerestore *r, GError **error)
{
    return session_exec(r->session, "BEGIN", error) && recreate(r, recreate_table, error) &&
           put_back_passes(r, error) && recreate(r, recreate_indexes, error) && recreate(r, recreate_links, error) &&
           report_check_log(r->report, error) && interrupt_check(error) && session_exec(r->session, "COMMIT", error);
}

static void print_statements(struct tablerestore *r)
{
    for (guint i = 0; i < r->tables->len; i++) {
        const struct recovered *t = r->tables->pdata[i];
        g_autofree char *sql = put_back_sql(r->session, t);
        if (t->exists)
            report_info(r->report, "To put back the rows that are missing in %s: %s;", t->live, sql);
        else
            report_warn(r->report, "%s does not exist any more; its rows are in %s; --put-back makes it again", t->live,
                        t->name);
    }
}

/* ---- the whole ---- */

static gboolean run(struct tablerestore *r, GError **error)
{
    const char *encoding = facts_text(r->reader->contents->facts, "encoding");
    r->session = session_open(r->request->target, r->request->target_db, error);
    if (!r->session)
        return FALSE;
    g_autofree char *literal = session_quote_literal(r->session, encoding ? encoding : "UTF8");
    if (session_can_utf8(r->session) && !session_exec(r->session, "SET client_encoding = 'UTF8'", error))
        return FALSE;
    for (char **asked = r->request->tables; *asked; asked++)
        if (!add_asked(r, *asked, error))
            return FALSE;
    if (!session_execf(r->session, error, "SET client_encoding = %s", literal))
        return FALSE;
    report_progress_start(r->report, "recovering", 0, 0);
    gboolean ok = name_tables(r, error) && recover_all(r, error);
    report_progress_end(r->report);
    if (!ok)
        return FALSE;
    g_autofree char *read = text_size(r->bytes_read, "B");
    g_autofree char *whole = text_size(r->reader->source->size_bytes, "B");
    report_info(r->report, "Read %s of the backup's %s", read, whole);
    if (r->request->put_back)
        return put_back_all(r, error);
    print_statements(r);
    return TRUE;
}

gboolean tablerestore_run(const struct restore_request *request, struct archive_reader *reader, const struct toc *t,
                          const char *timestamp, struct report *report, GError **error)
{
    struct tablerestore r = {.request = request, .reader = reader, .toc = t, .report = report};
    r.schema = g_strdup_printf("recovered_%s", timestamp);
    r.tables = g_ptr_array_new_with_free_func(recovered_free);
    gboolean ok = run(&r, error);
    g_ptr_array_unref(r.tables);
    session_free(r.session);
    g_free(r.schema);
    return ok;
}
