/* Single tables: recovered in one transaction, compared, then put back in another if that is asked. */
#include "engine/tablerestore.h"

#include <string.h>

#include "base/interrupt.h"
#include "base/text.h"
#include "engine/putback.h"
#include "engine/recreate.h"
#include "engine/rowround.h"
#include "pg/copy.h"
#include "pg/eventtriggers.h"
#include "pg/facts.h"
#include "pg/plan.h"
#include "pg/snapshot.h"

struct recovered {
    struct putback_table back; /* first: a struct recovered is one */
    guint index;               /* in the contents */
    char *name;                /* quoted and qualified, in the recovery schema */
    char *live;                /* quoted and qualified */
};

struct tablerestore {
    const struct restore_request *request;
    struct archive_reader *reader;
    const struct toc *toc;
    struct report *report;
    struct session *session;
    char *schema;      /* recovered_TIMESTAMP */
    GPtrArray *tables; /* struct recovered * */
    GPtrArray *asked;  /* const struct toc_entry *: their TABLE entries, and those of partitioned tables above them */
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

static void add_entry(struct tablerestore *r, const struct toc_entry *e)
{
    if (e && !g_ptr_array_find(r->asked, e, NULL))
        g_ptr_array_add(r->asked, (gpointer)e);
}

static void add_table(struct tablerestore *r, guint index, const struct toc_entry *root)
{
    for (guint i = 0; i < r->tables->len; i++)
        if (((struct recovered *)r->tables->pdata[i])->index == index)
            return;
    struct recovered *t = g_new0(struct recovered, 1);
    t->index = index;
    t->back.table = r->reader->contents->tables->pdata[index];
    t->back.root = root;
    g_ptr_array_add(r->tables, t);
    add_entry(r, recreate_find(r->toc, t->back.table->def->schema, t->back.table->def->name));
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

static guint add_named(struct tablerestore *r, const char *schema, const char *name, const struct toc_entry *root);

/* A partitioned table has no rows of its own: its partitions are meant. TABLE ATTACH entries name the child and
 * depend on both. */
static guint add_partitions(struct tablerestore *r, const struct toc_entry *parent, const struct toc_entry *root)
{
    const char *encoding = facts_text(r->reader->contents->facts, "encoding");
    guint found = 0;
    add_entry(r, parent);
    for (guint i = 0; i < r->toc->entries->len; i++) {
        const struct toc_entry *e = r->toc->entries->pdata[i];
        gboolean is_own = g_str_equal(e->tag, parent->tag) && g_strcmp0(e->schema, parent->schema) == 0;
        if (!g_str_equal(e->desc, "TABLE ATTACH") || !toc_entry_depends_on(e, parent->dump_id) || is_own)
            continue;
        g_autofree char *schema = text_to_utf8(e->schema ? e->schema : "", encoding);
        g_autofree char *name = text_to_utf8(e->tag, encoding);
        found += add_named(r, schema, name, root);
    }
    return found;
}

static guint add_named(struct tablerestore *r, const char *schema, const char *name, const struct toc_entry *root)
{
    const GPtrArray *tables = r->reader->contents->tables;
    for (guint i = 0; i < tables->len; i++) {
        const struct archive_table *t = tables->pdata[i];
        if (is_name(r, t->def->schema, schema) && is_name(r, t->def->name, name)) {
            add_table(r, i, root);
            return 1;
        }
    }
    const struct toc_entry *parent = find_entry(r, schema, name);
    return parent ? add_partitions(r, parent, root ? root : parent) : 0;
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
    if (add_named(r, schema, PQgetvalue(parts, n - 1, 0), NULL) > 0)
        return TRUE;
    return ot_fail(error, OT_NOT_FOUND,
                   "the backup holds no data of a table %s (names are given as in SQL: "
                   "schema.table, \"Quoted\".\"Name\")",
                   asked);
}

static void name_all(struct tablerestore *r)
{
    g_autoptr(GHashTable) used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < r->tables->len; i++) {
        struct recovered *t = r->tables->pdata[i];
        const struct table_def *def = t->back.table->def;
        g_autofree char *name = g_strdup(def->name);
        if (!g_hash_table_add(used, g_strdup(name))) {
            g_free(name);
            name = g_strdup_printf("%s_%s", def->schema, def->name);
            g_hash_table_add(used, g_strdup(name));
        }
        t->name = session_quote_pair(r->session, r->schema, name);
        t->live = session_quote_pair(r->session, def->schema, def->name);
        t->back.recovered = t->name;
    }
}

/* A table's rows are its own: those of tables that inherit from it are theirs. */
static void name_children(struct tablerestore *r)
{
    for (guint i = 0; i < r->toc->entries->len; i++) {
        const struct toc_entry *e = r->toc->entries->pdata[i];
        if (!g_str_equal(e->desc, "TABLE") || !e->definition || !strstr(e->definition, "\nINHERITS (") ||
            g_ptr_array_find(r->asked, e, NULL))
            continue;
        for (guint k = 0; k < r->asked->len; k++) {
            const struct toc_entry *parent = r->asked->pdata[k];
            if (toc_entry_depends_on(e, parent->dump_id))
                report_warn(r->report,
                            "%s.%s inherits from %s.%s, and its rows are not among those: they come with "
                            "--table %s.%s",
                            e->schema, e->tag, parent->schema, parent->tag, e->schema, e->tag);
        }
    }
}

/* ---- recovery ---- */

static gboolean create_table(struct tablerestore *r, const struct recovered *t, GError **error)
{
    g_autoptr(GString) sql = g_string_new(NULL);
    const GPtrArray *columns = t->back.table->def->columns;
    g_string_printf(sql, "CREATE TABLE %s (", t->name);
    for (guint i = 0; i < columns->len; i++) {
        const struct table_column *c = columns->pdata[i];
        g_autofree char *name = session_quote_name(r->session, c->name);
        g_string_append_printf(sql, "%s%s %s", i ? ", " : "", name, t->back.as_text ? "pg_catalog.text" : c->type);
    }
    g_string_append_c(sql, ')');
    return session_exec(r->session, sql->str, error);
}

static char *column_list(struct session *s, const struct table_def *def)
{
    GString *list = g_string_new(NULL);
    for (guint i = 0; i < def->columns->len; i++) {
        const struct table_column *c = def->columns->pdata[i];
        g_autofree char *name = session_quote_name(s, c->name);
        g_string_append_printf(list, "%s%s", i ? ", " : "", name);
    }
    return g_string_free(list, FALSE);
}

static gboolean fill_table(struct tablerestore *r, const struct recovered *t, GError **error)
{
    g_autofree char *columns = column_list(r->session, t->back.table->def);
    gboolean some = t->back.table->def->columns->len > 0;
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

/* Whether the rows are what one dump and restore makes of the backup's. */
static gboolean is_as_restored(struct tablerestore *r, const struct recovered *t, char *copy_sql, gboolean *ret_equal,
                               GError **error)
{
    g_autoptr(GArray) tables = g_array_new(FALSE, FALSE, sizeof(guint));
    g_autoptr(GPtrArray) read_sqls = g_ptr_array_new();
    g_array_append_val(tables, t->index);
    g_ptr_array_add(read_sqls, copy_sql);
    struct rowround round = {r->session, r->reader, tables, t->name, read_sqls};
    g_autofree char *changing = NULL;
    if (!rowround_compare(&round, ret_equal, &changing, error))
        return FALSE;
    if (*ret_equal)
        report_warn(r->report, "%s: " ROWROUND_WARNING, t->live, changing);
    return TRUE;
}

static gboolean check_table(struct tablerestore *r, const struct recovered *t, GError **error)
{
    g_autofree char *columns = column_list(r->session, t->back.table->def);
    g_autofree char *sql = g_strdup_printf("COPY (SELECT %s FROM %s) TO stdout", columns, t->name);
    struct fingerprint found = {0};
    if (!copy_out(r->session, sql, take_row, &found, error))
        return FALSE;
    if (fingerprint_equal(&found, &t->back.table->proof))
        return TRUE;
    gboolean equal;
    if (!is_as_restored(r, t, sql, &equal, error))
        return FALSE;
    return equal ||
           ot_fail(error, OT_MISMATCH, "the recovered rows of %s are not those of the backup's proof", t->live);
}

static gboolean recover_one(struct tablerestore *r, const struct recovered *t, GError **error)
{
    return create_table(r, t, error) && fill_table(r, t, error) && check_table(r, t, error);
}

/* Types, domains and enums of the live database may have been dropped, or refuse by now what they took then. */
static gboolean is_about_types(struct tablerestore *r)
{
    static const char *const states[] = {"22", "42704", "3F000", "23514", "23502", NULL}; /* prefixes */
    for (gsize i = 0; states[i]; i++)
        if (g_str_has_prefix(session_sqlstate(r->session), states[i]))
            return TRUE;
    return FALSE;
}

static gboolean recover_somehow(struct tablerestore *r, struct recovered *t, GError **error)
{
    g_autoptr(GError) first = NULL;
    if (!session_exec(r->session, "SAVEPOINT recover", error))
        return FALSE;
    if (recover_one(r, t, &first))
        return TRUE;
    gboolean by_server = g_error_matches(first, OT_ERROR, OT_FAILED) || g_error_matches(first, OT_ERROR, OT_DUMP);
    if (!by_server || !is_about_types(r) || !session_exec(r->session, "ROLLBACK TO recover", NULL)) {
        g_propagate_error(error, g_steal_pointer(&first));
        return FALSE;
    }
    t->back.as_text = TRUE;
    if (!recover_one(r, t, error))
        return FALSE;
    report_warn(r->report, "The columns of %s are text: the live database has not all types that the values need (%s)",
                t->name, first->message);
    return TRUE;
}

static gboolean recover_each(struct tablerestore *r, GError **error)
{
    g_autofree char *schema = session_quote_name(r->session, r->schema);
    if (!session_exec(r->session, "BEGIN", error) || !session_execf(r->session, error, "CREATE SCHEMA %s", schema))
        return FALSE;
    for (guint i = 0; i < r->tables->len; i++) {
        struct recovered *t = r->tables->pdata[i];
        if (!recover_somehow(r, t, error)) {
            g_prefix_error(error, "table %s: ", t->live);
            return FALSE;
        }
        report_info(r->report, "Recovered %s: %" G_GUINT64_FORMAT " rows, equal to the backup's proof, into %s",
                    t->live, t->back.table->proof.rows, t->name);
    }
    return interrupt_check(error) && session_exec(r->session, "COMMIT", error);
}

static gboolean recover_all(struct tablerestore *r, GError **error)
{
    g_autofree char *heard = NULL;
    if (!eventtriggers_quiet(r->session, &heard, error))
        return FALSE;
    if (recover_each(r, error))
        return eventtriggers_loud(r->session, error);
    eventtriggers_explain(heard, error);
    return FALSE;
}

/* So that the plans for what compares them with the live tables fit. */
static gboolean analyze_all(struct tablerestore *r, GError **error)
{
    for (guint i = 0; i < r->tables->len; i++)
        if (!session_execf(r->session, error, "ANALYZE %s", ((struct recovered *)r->tables->pdata[i])->name))
            return FALSE;
    return TRUE;
}

static gboolean print_all(struct tablerestore *r, GError **error)
{
    for (guint i = 0; i < r->tables->len; i++)
        if (!putback_print(r->session, r->tables->pdata[i], r->report, error))
            return FALSE;
    return TRUE;
}

/* ---- the whole ---- */

static gboolean connect(struct tablerestore *r, GError **error)
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
    return session_execf(r->session, error, "SET client_encoding = %s", literal);
}

static void report_read(struct tablerestore *r)
{
    g_autofree char *read = text_size(r->bytes_read, "B");
    g_autofree char *whole = text_size(r->reader->source->size_bytes, "B");
    report_info(r->report, "Read %s of the backup's %s", read, whole);
}

static gboolean run(struct tablerestore *r, GError **error)
{
    g_autoptr(putback) back = NULL;
    if (!connect(r, error))
        return FALSE;
    name_all(r);
    if (r->request->put_back &&
        !(back = putback_prepare(r->session, r->toc, r->request->bindir, r->tables, r->asked, r->report, error)))
        return FALSE;
    report_progress_start(r->report, "recovering", 0, 0);
    gboolean ok = recover_all(r, error);
    report_progress_end(r->report);
    if (!ok || !analyze_all(r, error))
        return FALSE;
    report_read(r);
    name_children(r);
    return back ? putback_run(back, error) : print_all(r, error);
}

gboolean tablerestore_run(const struct restore_request *request, struct archive_reader *reader, const struct toc *t,
                          const char *timestamp, struct report *report, guint64 *ret_tables, guint64 *ret_rows,
                          GError **error)
{
    struct tablerestore r = {.request = request, .reader = reader, .toc = t, .report = report};
    r.schema = g_strdup_printf("recovered_%s", timestamp);
    r.tables = g_ptr_array_new_with_free_func(recovered_free);
    r.asked = g_ptr_array_new();
    gboolean ok = run(&r, error);
    *ret_tables = r.tables->len;
    for (guint i = 0; i < r.tables->len; i++)
        *ret_rows += ((struct recovered *)r.tables->pdata[i])->back.table->proof.rows;
    g_ptr_array_unref(r.tables);
    g_ptr_array_unref(r.asked);
    session_free(r.session);
    g_free(r.schema);
    return ok;
}
