/* The comparison of a restored database with the proof. */
#include "engine/compare.h"

#include <string.h>

#include "base/pool.h"
#include "engine/compare_schema.h"
#include "engine/rowround.h"
#include "pg/copy.h"
#include "pg/eventtriggers.h"
#include "pg/facts.h"
#include "pg/largeobject.h"
#include "pg/pgdump.h"
#include "pg/plan.h"
#include "pg/snapshot.h"

#define MAX_NAMED 10

struct compare {
    const struct compare_request *request;
    struct archive_reader *reader;
    const struct archive_contents *contents; /* the reader's */
    struct report *report;
    guint jobs;
    GArray *pieces;
    struct session **sessions;
    struct fingerprint *found; /* per table */
    gboolean *absent;          /* per table: it, or a column of it, is not in the restored database */
    GMutex mutex;
    guint differences;
    char *first;
};

static void differ(struct compare *c, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void differ(struct compare *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    if (c->differences++ < MAX_NAMED)
        report_warn(c->report, "Differs from the proof: %s", text);
    if (!c->first)
        c->first = g_steal_pointer(&text);
}

/* ---- rows ---- */

struct piece_run {
    struct fingerprint sum;
    guint64 bytes;
};

static gboolean take_row(const char *row, gsize length, void *data, GError **error)
{
    (void)error;
    struct piece_run *run = data;
    fingerprint_add_row(&run->sum, row, length);
    run->bytes += length;
    return TRUE;
}

/* Whether the worker's last statement failed because there is no such table or column; that is a difference. */
static gboolean note_absent(struct compare *c, guint worker, guint table)
{
    const char *state = session_sqlstate(c->sessions[worker]);
    if (!g_str_equal(state, "42P01") && !g_str_equal(state, "42703") && !g_str_equal(state, "3F000"))
        return FALSE;
    const struct table_def *def = ((struct archive_table *)c->contents->tables->pdata[table])->def;
    g_mutex_lock(&c->mutex);
    if (!c->absent[table])
        differ(c, "table %s.%s, or a column of it, is not in the restored database", def->schema, def->name);
    c->absent[table] = TRUE;
    g_mutex_unlock(&c->mutex);
    return TRUE;
}

static gboolean run_piece(guint worker, guint task, void *data, GError **error)
{
    struct compare *c = data;
    const struct plan_piece *piece = &g_array_index(c->pieces, struct plan_piece, task);
    const struct archive_table *t = c->contents->tables->pdata[piece->table];
    struct piece_run run = {0};
    g_autofree char *sql = plan_copy_out_sql(c->sessions[worker], t->def, piece);
    GError *problem = NULL;
    if (!copy_out(c->sessions[worker], sql, take_row, &run, &problem)) {
        if (note_absent(c, worker, piece->table)) {
            g_error_free(problem);
            return TRUE;
        }
        g_propagate_prefixed_error(error, problem, "cannot read back %s.%s: ", t->def->schema, t->def->name);
        return FALSE;
    }
    report_progress_add(c->report, run.bytes);
    g_mutex_lock(&c->mutex);
    fingerprint_merge(&c->found[piece->table], &run.sum);
    g_mutex_unlock(&c->mutex);
    return TRUE;
}

static void cancel_workers(void *data)
{
    struct compare *c = data;
    for (guint i = 0; i < c->jobs; i++)
        session_cancel(c->sessions[i]);
}

/* Rows that pg_dump loads through a root may lie in another partition now: what is compared is the sum of all tables
 * that load into the same one. Groups of guint, in the order of their first tables. */
static GPtrArray *groups_of(const GPtrArray *tables)
{
    g_autoptr(GHashTable) by_target = g_hash_table_new(g_str_hash, g_str_equal);
    GPtrArray *groups = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
    for (guint i = 0; i < tables->len; i++) {
        char *copy_sql = ((struct archive_table *)tables->pdata[i])->def->copy_sql;
        GArray *group = g_hash_table_lookup(by_target, copy_sql);
        if (!group) {
            group = g_array_new(FALSE, FALSE, sizeof(guint));
            g_ptr_array_add(groups, group);
            g_hash_table_insert(by_target, copy_sql, group);
        }
        g_array_append_val(group, i);
    }
    return groups;
}

/* The rows are as many, and their text differs: it may be what one dump and restore makes of it. */
static gboolean compare_round(struct compare *c, const GArray *group, const struct table_def *def, GError **error)
{
    struct session *s = c->sessions[0];
    g_autoptr(GPtrArray) read_sqls = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < group->len; i++) {
        struct plan_piece whole = {.table = g_array_index(group, guint, i), .whole = TRUE};
        const struct archive_table *t = c->contents->tables->pdata[whole.table];
        g_ptr_array_add(read_sqls, plan_copy_out_sql(s, t->def, &whole));
    }
    g_autofree char *relation = session_quote_pair(s, def->schema, def->name);
    struct rowround round = {s, c->reader, group, relation, read_sqls};
    g_autofree char *columns = NULL, *heard = NULL;
    gboolean equal;
    if (!eventtriggers_quiet(s, &heard, error))
        return FALSE;
    if (!rowround_compare(&round, &equal, &columns, error)) {
        eventtriggers_explain(heard, error);
        g_prefix_error(error, "cannot compare the rows of %s.%s: ", def->schema, def->name);
        return FALSE;
    }
    if (equal)
        report_warn(c->report, "%s.%s: " ROWROUND_WARNING, def->schema, def->name, columns);
    else
        differ(c, "the rows of %s.%s are not those of the backup", def->schema, def->name);
    return TRUE;
}

static gboolean compare_group(struct compare *c, const GArray *group, GError **error)
{
    const GPtrArray *tables = c->contents->tables;
    const struct archive_table *t = tables->pdata[g_array_index(group, guint, 0)];
    struct fingerprint proof = {0}, found = {0};
    for (guint i = 0; i < group->len; i++) {
        guint table = g_array_index(group, guint, i);
        if (c->absent[table])
            return TRUE;
        fingerprint_merge(&proof, &((struct archive_table *)tables->pdata[table])->proof);
        fingerprint_merge(&found, &c->found[table]);
    }
    if (proof.rows != found.rows)
        differ(c, "%s.%s has %" G_GUINT64_FORMAT " rows, the backup %" G_GUINT64_FORMAT, t->def->schema, t->def->name,
               found.rows, proof.rows);
    else if (!fingerprint_equal(&proof, &found))
        return compare_round(c, group, t->def, error);
    return TRUE;
}

static gboolean compare_sums(struct compare *c, GError **error)
{
    g_autoptr(GPtrArray) groups = groups_of(c->contents->tables);
    for (guint i = 0; i < groups->len; i++)
        if (!compare_group(c, groups->pdata[i], error))
            return FALSE;
    return TRUE;
}

static gboolean open_workers(struct compare *c, GError **error)
{
    const char *encoding = facts_text(c->contents->facts, "encoding");
    for (guint i = 0; i < c->jobs; i++) {
        c->sessions[i] = snapshot_open_for_rows(c->request->target, c->request->dbname, encoding, error);
        if (!c->sessions[i])
            return FALSE;
    }
    return TRUE;
}

static gboolean compare_rows(struct compare *c, GError **error)
{
    g_autoptr(GPtrArray) defs = g_ptr_array_new();
    guint64 total = 0;
    for (guint i = 0; i < c->contents->tables->len; i++) {
        const struct archive_table *t = c->contents->tables->pdata[i];
        g_ptr_array_add(defs, t->def);
        total += t->plain_bytes;
    }
    if (!open_workers(c, error) || !(c->pieces = plan_pieces(c->sessions[0], defs, c->jobs, error)))
        return FALSE;
    report_progress_start(c->report, "comparing with the proof", total, 0);
    gboolean ok = pool_run(c->jobs, c->pieces->len, run_piece, cancel_workers, c, error);
    report_progress_end(c->report);
    return ok && compare_sums(c, error);
}

/* ---- large objects ---- */

static gboolean feed_filter(const char *text, gsize length, void *data, GError **error)
{
    return lo_filter_feed(data, text, length, error);
}

static gboolean compare_large_objects(struct compare *c, struct session *s, GError **error)
{
    g_autoptr(lo_filter) filter = lo_filter_new(NULL, NULL);
    struct fingerprint found = {0};
    if (!pgdump_large_objects(s, c->request->bindir, NULL, 0, feed_filter, filter, NULL, error) ||
        !lo_filter_finish(filter, &found, error))
        return FALSE;
    if (!fingerprint_equal(&found, &c->contents->large_objects))
        differ(c, "large objects: %" G_GUINT64_FORMAT " found, %" G_GUINT64_FORMAT " in the backup, or their content",
               found.rows, c->contents->large_objects.rows);
    return TRUE;
}

/* ---- schema and sequences ---- */

static void take_difference(const char *text, void *data)
{
    differ(data, "%s", text);
}

static gboolean compare_objects(struct compare *c, const struct toc *t, GError **error)
{
    const struct compare_request *q = c->request;
    struct compare_schema schema = {
        .restored = c->sessions[0],
        .bindir = q->bindir,
        .reader = c->reader,
        .tablespaces = q->tablespaces,
        .open_empty = q->open_empty,
        .open_data = q->open_data,
        .left_out = q->left_out,
        .load_schema = q->load_schema,
        .differ = take_difference,
        .differ_data = c,
    };
    guint reworded;
    if (!compare_schema(&schema, t, &reworded, error))
        return FALSE;
    if (reworded > 0)
        report_info(
            c->report,
            "%u objects are worded otherwise after any restore: they read as the file's own statements make them",
            reworded);
    return TRUE;
}

/* ---- the whole ---- */

static gboolean run(struct compare *c, const struct toc *t, GError **error)
{
    if (!compare_rows(c, error))
        return FALSE;
    struct session *s = c->sessions[0];
    /* Where the backup has none, pg_dump would be started to find none. */
    gboolean has_large_objects = c->contents->large_objects.rows > 0;
    return (!has_large_objects || compare_large_objects(c, s, error)) &&
           (!c->request->open_empty || compare_objects(c, t, error));
}

/* What differs already is the verdict, even if the objects could not be compared. ok: everything could. */
static gboolean give_verdict(struct compare *c, gboolean ok, GError **error)
{
    if (!ok && c->differences > 0 && error && g_error_matches(*error, OT_ERROR, OT_RESTORE)) {
        report_warn(c->report, "The objects could not be compared: %s", (*error)->message);
        g_clear_error(error);
        ok = TRUE;
    }
    if (!ok || c->differences == 0)
        return ok;
    return ot_fail(error, OT_MISMATCH, "the restored database differs from the backup's proof in %u points, first: %s",
                   c->differences, c->first);
}

gboolean compare_with_proof(const struct compare_request *request, struct archive_reader *reader, const struct toc *t,
                            struct report *report, GError **error)
{
    const struct archive_contents *contents = reader->contents;
    struct compare c = {.request = request, .reader = reader, .contents = contents, .report = report};
    c.jobs = pool_default_jobs(request->jobs);
    c.sessions = g_new0(struct session *, c.jobs);
    c.found = g_new0(struct fingerprint, contents->tables->len + 1);
    c.absent = g_new0(gboolean, contents->tables->len + 1);
    g_mutex_init(&c.mutex);
    gboolean ok = run(&c, t, error);
    for (guint i = 0; i < c.jobs; i++)
        session_free(c.sessions[i]);
    ok = give_verdict(&c, ok, error);
    g_free(c.sessions);
    g_free(c.found);
    g_free(c.absent);
    g_free(c.first);
    if (c.pieces)
        g_array_unref(c.pieces);
    g_mutex_clear(&c.mutex);
    return ok;
}
