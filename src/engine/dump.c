/* One dump: who reads what, and where it is written. */
#include "engine/dump.h"

#include <string.h>

#include "archive/writer.h"
#include "base/interrupt.h"
#include "base/pool.h"
#include "base/stages.h"
#include "base/text.h"
#include "engine/sections.h"
#include "pg/facts.h"
#include "pg/largeobject.h"
#include "pg/omitted.h"
#include "pg/order.h"
#include "pg/pgdump.h"
#include "pg/plan.h"
#include "pg/reader.h"
#include "pg/said.h"
#include "pg/snapshot.h"
#include "pg/system.h"

#define PROGRESS_STEP (1u << 20)

struct dump;
typedef gboolean (*side_task)(struct dump *d, guint worker, GError **error);

struct dump {
    const struct dump_request *request;
    struct report *report;
    guint jobs;
    struct snapshot *snapshot;
    struct toc *toc;

    GArray *pieces;
    gint *pieces_left;     /* per table */
    guint *table_stages;   /* which tables lie before which in the file */
    struct stages *stages; /* of the tasks */
    guint64 large_objects; /* how many the server has */
    struct archive_contents *contents;
    struct archive_writer *writer;
    side_task sides[2]; /* what is done beside the pieces, before them */
    guint n_sides;
    GString *tail;           /* the post-data section, made meanwhile */
    GPtrArray *omitted;      /* the result's */
    GPtrArray *warnings;     /* of pg_dump and pg_restore; under the mutex while workers run */
    struct reader **readers; /* one per worker */
    struct member_builder **builders;
    gboolean short_of_connections, large_objects_first;
    GMutex mutex;
    gint stop; /* set when the others failed: whoever still works ends */
};

void dump_result_clear(struct dump_result *r)
{
    archive_contents_free(r->contents);
    g_free(r->sha256);
    g_free(r->globals_sql);
    g_clear_pointer(&r->omitted, g_ptr_array_unref);
    memset(r, 0, sizeof *r);
}

static void cancel_workers(void *data)
{
    struct dump *d = data;
    g_atomic_int_set(&d->stop, 1);
    stages_stop(d->stages);
    for (guint i = 0; i < d->jobs; i++)
        if (d->readers[i])
            session_cancel(reader_session(d->readers[i]));
}

static gboolean go_on(struct dump *d, GError **error)
{
    return (!g_atomic_int_get(&d->stop) && !snapshot_is_lost(d->snapshot)) || ot_fail(error, OT_DUMP, "given up");
}

/* ---- plan ---- */

static gboolean take_facts(struct dump *d, struct session *s, GError **error)
{
    g_autofree char *when = text_iso_time(snapshot_time(d->snapshot));
    g_autofree char *version = pgdump_restore_version(d->toc, d->request->bindir, session_version(s) / 10000, error);
    struct pg_system system = {0};
    json_t *facts = version && pg_system_read(s, &system, error) ? facts_read(s, d->toc, error) : NULL;
    if (!facts) {
        pg_system_clear(&system);
        return FALSE;
    }
    json_object_set_new(facts, "pg_restore_version", json_string(version));
    json_object_set_new(facts, "snapshot_time", json_string(when));
    json_object_set_new(facts, "system_identifier", system.identifier ? json_string(system.identifier) : json_null());
    pg_system_clear(&system);
    json_decref(d->contents->facts);
    d->contents->facts = facts;
    return TRUE;
}

static gint lower_stage_first(gconstpointer a, gconstpointer b, gpointer data)
{
    const guint *of_tables = data;
    guint x = of_tables[((const struct plan_piece *)a)->table], y = of_tables[((const struct plan_piece *)b)->table];
    return x < y ? -1 : x > y ? 1 : 0;
}

/* The file is restored from front to back: what must be filled first is read first. Within a stage the heaviest come
 * first, as they are (the sort is stable). */
static void order_pieces(struct dump *d, const GPtrArray *tables)
{
    d->table_stages = order_stages(d->toc, tables);
    g_array_sort_with_data(d->pieces, lower_stage_first, d->table_stages);
}

static gboolean make_plan(struct dump *d, GError **error)
{
    const struct dump_request *q = d->request;
    struct session *s = snapshot_session(d->snapshot);
    d->toc = snapshot_toc(d->snapshot, q->bindir, d->warnings, error);
    if (!d->toc)
        return FALSE;
    g_autoptr(GPtrArray) tables = plan_tables(s, d->toc, snapshot_guards(d->snapshot), error);
    if (!tables || !(d->pieces = plan_pieces(s, tables, d->jobs, error)))
        return FALSE;
    order_pieces(d, tables);
    if (!take_facts(d, s, error) ||
        !omitted_read(s, d->toc, facts_text(d->contents->facts, "encoding"), d->omitted, error))
        return FALSE;
    d->contents->toc = g_bytes_ref(d->toc->bytes);
    d->pieces_left = g_new0(gint, tables->len + 1);
    for (guint i = 0; i < d->pieces->len; i++)
        d->pieces_left[g_array_index(d->pieces, struct plan_piece, i).table]++;
    for (guint i = 0; i < tables->len; i++)
        archive_contents_add_table(d->contents, tables->pdata[i]);
    g_ptr_array_set_free_func(tables, NULL);
    gint64 large_objects = 0;
    gboolean ok = session_get_number(s, error, "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata", 0, NULL,
                                     &large_objects);
    d->large_objects = (guint64)large_objects;
    return ok;
}

static guint64 total_weight(const GArray *pieces)
{
    guint64 total = 0;
    for (guint i = 0; i < pieces->len; i++)
        total += g_array_index(pieces, struct plan_piece, i).weight_bytes;
    return total;
}

/* ---- rows ---- */

struct piece_run {
    struct dump *dump;
    struct member_builder *builder;
    guint64 bytes, unreported;
};

static gboolean take_row(const char *row, gsize length, void *data, GError **error)
{
    struct piece_run *run = data;
    run->bytes += length;
    run->unreported += length;
    if (run->unreported >= PROGRESS_STEP) {
        report_progress_add(run->dump->report, run->unreported);
        run->unreported = 0;
        if (!go_on(run->dump, error))
            return FALSE;
    }
    return member_builder_add_row(run->builder, row, length, error);
}

static gboolean dump_piece(struct dump *d, guint worker, const struct plan_piece *piece, GError **error)
{
    struct archive_table *t = d->contents->tables->pdata[piece->table];
    struct fingerprint proof = {0};
    struct piece_run run = {.dump = d, .builder = d->builders[worker]};
    member_builder_begin_rows(run.builder, piece->table, t->def->copy_sql, &proof);
    struct reader *r = d->readers[worker];
    if (!reader_copy(r, t->def, piece, take_row, &run, error) || !member_builder_end_rows(run.builder, error)) {
        gboolean refused = g_str_equal(session_sqlstate(reader_session(r)), "42501");
        g_prefix_error(error, "table %s.%s: %s", t->def->schema, t->def->name,
                       refused
                           ? "the role may not read all of it (it needs pg_read_all_data, and BYPASSRLS where there "
                             "is row-level security): "
                           : "");
        return FALSE;
    }
    report_progress_add(d->report, run.unreported);
    g_mutex_lock(&d->mutex);
    fingerprint_merge(&t->proof, &proof);
    t->plain_bytes += run.bytes;
    g_mutex_unlock(&d->mutex);
    if (g_atomic_int_dec_and_test(&d->pieces_left[piece->table]))
        report_progress_table(d->report);
    return TRUE;
}

/* ---- what is left out ---- */

static gboolean has_text(const GPtrArray *texts, const char *text)
{
    return g_ptr_array_find_with_equal_func((GPtrArray *)texts, text, g_str_equal, NULL);
}

/* Of a worker: pg_dump says of large objects once more what it said of the whole. */
static void keep_warnings(struct dump *d, const GPtrArray *warnings)
{
    g_mutex_lock(&d->mutex);
    for (guint i = 0; i < warnings->len; i++)
        if (!has_text(d->warnings, warnings->pdata[i]))
            g_ptr_array_add(d->warnings, g_strdup(warnings->pdata[i]));
    g_mutex_unlock(&d->mutex);
}

/* Subscriptions are named already, each by its name. */
static void sort_warnings(struct dump *d)
{
    guint known = d->omitted->len;
    for (guint i = 0; i < d->warnings->len; i++) {
        const char *text = d->warnings->pdata[i];
        if (known > 0 && g_str_has_prefix(text, "subscriptions not dumped"))
            continue;
        if (said_is_loss(text))
            g_ptr_array_add(d->omitted, g_strconcat("pg_dump: ", text, NULL));
        else
            report_info(d->report, "pg_dump says: %s (nothing is left out for it)", text);
    }
}

static void put_omitted_into_facts(struct dump *d)
{
    json_t *list = json_array();
    sort_warnings(d);
    for (guint i = 0; i < d->omitted->len; i++)
        json_array_append_new(list, json_string(d->omitted->pdata[i]));
    json_object_set_new(d->contents->facts, "omitted", list);
}

/* ---- large objects ---- */

struct lo_run {
    struct dump *dump;
    struct member_builder *builder;
    GString *text;
};

static gboolean put_large_objects(struct lo_run *run, GError **error)
{
    gboolean ok = go_on(run->dump, error) &&
                  (run->text->len == 0 ||
                   member_builder_put(run->builder, MEMBER_LARGE_OBJECTS, run->text->str, run->text->len, error));
    g_string_truncate(run->text, 0);
    return ok;
}

static gboolean take_lo_line(const char *line, gsize length, void *data, GError **error)
{
    struct lo_run *run = data;
    g_string_append_len(run->text, line, (gssize)length);
    return run->text->len < ARCHIVE_MEMBER_BYTES || put_large_objects(run, error);
}

static gboolean feed_filter(const char *text, gsize length, void *data, GError **error)
{
    return lo_filter_feed(data, text, length, error);
}

static gboolean dump_large_objects(struct dump *d, guint worker, GError **error)
{
    struct lo_run run = {d, d->builders[worker], g_string_new(NULL)};
    g_autoptr(lo_filter) filter = lo_filter_new(take_lo_line, &run);
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    gboolean ok = pgdump_large_objects(snapshot_session(d->snapshot), d->request->bindir, snapshot_id(d->snapshot),
                                       d->request->lock_timeout_ms, feed_filter, filter, warnings, error) &&
                  lo_filter_finish(filter, &d->contents->large_objects, error) && put_large_objects(&run, error);
    g_string_free(run.text, TRUE);
    keep_warnings(d, warnings);
    if (ok && d->contents->large_objects.rows != d->large_objects)
        return ot_fail(error, OT_DUMP,
                       "pg_dump wrote %" G_GUINT64_FORMAT " large objects, the server has %" G_GUINT64_FORMAT,
                       d->contents->large_objects.rows, d->large_objects);
    return ok;
}

/* ---- workers ---- */

static gboolean open_reader(struct dump *d, guint worker, GError **error)
{
    d->readers[worker] = reader_open(d->snapshot, d->request->target, d->contents->tables->len, error);
    return d->readers[worker] != NULL;
}

/* A role, a database or a server may allow fewer connections than there are workers. */
static gboolean open_readers(struct dump *d, GError **error)
{
    for (guint i = 0; i < d->jobs; i++) {
        GError *problem = NULL;
        if (open_reader(d, i, &problem))
            continue;
        gboolean refused = g_error_matches(problem, OT_ERROR, OT_CONNECT);
        if (i == 0 && refused)
            g_prefix_error(&problem, "a backup takes 3 connections at a time, even with --jobs 1: ");
        if (i == 0 || !refused) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        report_warn(d->report,
                    "%u of %u workers: the server allows no more connections (%s); --jobs %u asks for no more", i,
                    d->jobs, problem->message, i);
        g_error_free(problem);
        d->jobs = i;
        d->short_of_connections = TRUE;
    }
    return TRUE;
}

/* pg_dump, which reads the large objects, needs a connection too: a worker's, if need be the only one's before it has
 * anything to do. */
static gboolean spare_connection(struct dump *d, GError **error)
{
    if (!d->short_of_connections || d->large_objects == 0)
        return TRUE;
    reader_free(g_steal_pointer(&d->readers[d->jobs - 1]));
    if (d->jobs > 1) {
        member_builder_free(g_steal_pointer(&d->builders[--d->jobs]));
        return TRUE;
    }
    d->large_objects_first = TRUE;
    return dump_large_objects(d, 0, error) && open_reader(d, 0, error);
}

static gboolean open_workers(struct dump *d, GError **error)
{
    gsize member_bytes = archive_member_bytes(total_weight(d->pieces));
    if (!open_readers(d, error))
        return FALSE;
    for (guint i = 0; i < d->jobs; i++)
        d->builders[i] = member_builder_new(d->writer, d->request->compress_level, member_bytes);
    return TRUE;
}

static void close_workers(struct dump *d)
{
    for (guint i = 0; i < d->jobs; i++)
        reader_free(g_steal_pointer(&d->readers[i]));
}

/* ---- beside the rows: while a child works, the processors have rows to work on ---- */

static gboolean make_tail(struct dump *d, guint worker, GError **error)
{
    (void)worker;
    int major = session_version(snapshot_session(d->snapshot)) / 10000;
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    d->tail = pgdump_section_sql(d->toc, d->request->bindir, major, "post-data", NULL, warnings, error);
    keep_warnings(d, warnings);
    return d->tail != NULL;
}

static void list_sides(struct dump *d)
{
    if (d->large_objects > 0 && !d->large_objects_first)
        d->sides[d->n_sides++] = dump_large_objects;
    d->sides[d->n_sides++] = make_tail;
}

static void stage_tasks(struct dump *d)
{
    g_autoptr(GArray) of_tasks = g_array_new(FALSE, TRUE, sizeof(guint));
    g_array_set_size(of_tasks, d->n_sides); /* in stage 0 */
    for (guint i = 0; i < d->pieces->len; i++)
        g_array_append_val(of_tasks, d->table_stages[g_array_index(d->pieces, struct plan_piece, i).table]);
    d->stages = stages_new(of_tasks);
}

static gboolean do_task(struct dump *d, guint worker, guint task, GError **error)
{
    if (!go_on(d, error))
        return FALSE;
    if (task < d->n_sides)
        return d->sides[task](d, worker, error);
    return dump_piece(d, worker, &g_array_index(d->pieces, struct plan_piece, task - d->n_sides), error);
}

static gboolean run_task(guint worker, guint task, void *data, GError **error)
{
    struct dump *d = data;
    gboolean ok = stages_enter(d->stages, task) ? do_task(d, worker, task, error) : go_on(d, error);
    stages_done(d->stages, task);
    return ok;
}

/* ---- sections ---- */

static gboolean put_text(struct dump *d, enum member_kind kind, const char *text, GError **error)
{
    return member_builder_put(d->builders[0], kind, text, strlen(text), error);
}

static gboolean put_sequences(struct dump *d, GError **error)
{
    g_autofree char *sql = sections_sequences(d->toc);
    return !*sql || put_text(d, MEMBER_SEQUENCES, sql, error);
}

/* What was read is what was planned, and nobody could touch it meanwhile. */
static gboolean prove_all_read(struct dump *d, GError **error)
{
    for (guint i = 0; i < d->jobs; i++)
        if (!reader_prove(d->readers[i], error))
            return FALSE;
    return snapshot_prove(d->snapshot, error);
}

static gboolean write_all(struct dump *d, GError **error)
{
    int major = session_version(snapshot_session(d->snapshot)) / 10000;
    g_autoptr(GString) pre =
        pgdump_section_sql(d->toc, d->request->bindir, major, "pre-data", NULL, d->warnings, error);
    if (!pre)
        return FALSE;
    g_autofree char *head = sections_head(pre->str);
    if (!put_text(d, MEMBER_HEAD, head, error) || !spare_connection(d, error))
        return FALSE;
    list_sides(d);
    stage_tasks(d);
    if (!pool_run(d->jobs, d->n_sides + d->pieces->len, run_task, cancel_workers, d, error))
        return FALSE;
    g_autofree char *tail = sections_tail(d->tail->str, pre->str);
    if (!prove_all_read(d, error))
        return FALSE;
    /* Nobody need wait for us any longer. */
    close_workers(d);
    return snapshot_end(d->snapshot, error) && put_sequences(d, error) && put_text(d, MEMBER_TAIL, tail, error);
}

/* ---- the whole ---- */

static void dump_clear(struct dump *d)
{
    for (guint i = 0; i < d->jobs; i++) {
        member_builder_free(d->builders[i]);
        reader_free(d->readers[i]);
    }
    g_free(d->builders);
    g_free(d->readers);
    g_free(d->pieces_left);
    g_free(d->table_stages);
    stages_free(d->stages);
    if (d->tail)
        g_string_free(d->tail, TRUE);
    if (d->pieces)
        g_array_unref(d->pieces);
    archive_writer_free(d->writer);
    snapshot_free(d->snapshot);
    g_ptr_array_unref(d->warnings);
    toc_free(d->toc);
    g_mutex_clear(&d->mutex);
}

static gboolean read_and_write(struct dump *d, struct sink *sink, GError **error)
{
    if (!make_plan(d, error))
        return FALSE;
    d->writer = archive_writer_new(sink, d->contents);
    report_progress_start(d->report, "dumping", total_weight(d->pieces), d->contents->tables->len);
    snapshot_planned(d->snapshot);
    return open_workers(d, error) && write_all(d, error);
}

/* The watch may have ended our sessions: then its reason is the error, not what they made of it. */
static gboolean read_politely(struct dump *d, struct sink *sink, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (read_and_write(d, sink, &problem))
        return TRUE;
    snapshot_explain(d->snapshot, &problem);
    if (!interrupt_signal() && !snapshot_end(d->snapshot, error))
        return FALSE;
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

static GString *read_globals(struct dump *d, GError **error)
{
    g_autoptr(session) s = session_open(d->request->target, NULL, error);
    return s ? pgdump_globals(s, d->request->bindir, d->warnings, error) : NULL;
}

/* Roles and tablespaces are a file of their own: what keeps us from them is told, and takes nothing from the rows. */
static gboolean take_globals(struct dump *d, struct dump_result *result, GError **error)
{
    GError *problem = NULL;
    GString *globals = read_globals(d, &problem);
    if (globals) {
        result->globals_sql = g_string_free(globals, FALSE);
        return TRUE;
    }
    if (!interrupt_check(error)) {
        g_error_free(problem);
        return FALSE;
    }
    report_warn(d->report, "The backup is without roles and tablespaces, which a new server would need: %s",
                problem->message);
    g_ptr_array_add(d->omitted, g_strdup("roles and tablespaces (pg_dumpall failed)"));
    g_error_free(problem);
    return TRUE;
}

static gboolean take(struct dump *d, struct sink *sink, struct dump_result *result, GError **error)
{
    d->snapshot = snapshot_begin(d->request->target, d->request->lock_timeout_ms, error);
    if (!d->snapshot)
        return FALSE;
    result->snapshot_time = snapshot_time(d->snapshot);
    if (!read_politely(d, sink, error) || (d->request->globals && !take_globals(d, result, error)))
        return FALSE;
    put_omitted_into_facts(d);
    guint64 unused;
    archive_writer_totals(d->writer, &result->plain_bytes, &unused);
    result->table_count = toc_count(d->toc, "TABLE");
    return archive_writer_finish(d->writer, &result->sha256, error);
}

gboolean dump_take(const struct dump_request *request, struct sink *sink, struct report *report,
                   struct dump_result *ret_result, GError **error)
{
    struct dump d = {.request = request, .report = report, .jobs = pool_default_jobs(request->jobs)};
    struct dump_result result = {.contents = archive_contents_new()};
    d.contents = result.contents;
    d.omitted = result.omitted = g_ptr_array_new_with_free_func(g_free);
    d.warnings = g_ptr_array_new_with_free_func(g_free);
    d.readers = g_new0(struct reader *, d.jobs);
    d.builders = g_new0(struct member_builder *, d.jobs);
    g_mutex_init(&d.mutex);
    gboolean ok = take(&d, sink, &result, error);
    report_progress_end(report);
    dump_clear(&d);
    if (ok)
        *ret_result = result;
    else
        dump_result_clear(&result);
    return ok;
}
