/* One restore from verification to the swap. */
#include "engine/restore.h"

#include <string.h>

#include "archive/plain.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "catalog/inuse.h"
#include "catalog/names.h"
#include "engine/aftercare.h"
#include "engine/compare.h"
#include "engine/gate.h"
#include "engine/ownname.h"
#include "engine/outcome.h"
#include "engine/plainload.h"
#include "engine/preflight.h"
#include "engine/preview.h"
#include "engine/restore_target.h"
#include "engine/side.h"
#include "engine/slot.h"
#include "engine/tablerestore.h"
#include "pg/facts.h"
#include "pg/snapshot.h"
#include "pg/swap.h"

struct restore {
    const struct restore_request *request;
    struct report *report;
    gint64 started_us;
    char *timestamp;
    struct archive_reader *reader; /* ours */
    struct source *plain;          /* others' */
    enum archive_kind kind;
    struct plain_summary plain_sum;
    struct toc *toc;
    struct session *admin;
    json_t *facts; /* the result's: of the backup, else of the database it replaces; may be NULL */
    char *live;    /* the name that the result will have */
    char *side;    /* the name while it is loaded; NULL: not made yet, or no longer there under it */
    struct side made;
    struct restore_preview preview;
    struct replaced old;
    struct prebackup pre;
    gboolean exists;
    struct load_outcome *outcome; /* what the server refused */
    gboolean own_name;            /* side is live already; old.name is what stepped aside */
    gboolean no_folder;    /* BACKUP_DIR cannot be written */
    guint64 rows, tables;  /* restored */
    gboolean no_prebackup; /* it was wanted, and failed: the code says how */
    struct inuse *reading; /* keeps retention off */
    struct restore_target target;
};

void restore_result_clear(struct restore_result *r)
{
    g_free(r->database);
    g_free(r->replaced);
    json_decref(r->left_out);
    memset(r, 0, sizeof *r);
}

static void restore_clear(struct restore *r)
{
    archive_reader_free(r->reader);
    source_free(r->plain);
    plain_summary_clear(&r->plain_sum);
    toc_free(r->toc);
    session_free(r->admin);
    inuse_free(r->reading);
    restore_target_clear(&r->target);
    load_outcome_free(r->outcome);
    json_decref(r->facts);
    side_clear(&r->made);
    g_free(r->timestamp);
    g_free(r->live);
    g_free(r->side);
    preview_clear(&r->preview);
    replaced_clear(&r->old);
    prebackup_clear(&r->pre);
}

/* ---- the backup ---- */

static gboolean verify_first(struct restore *r, GError **error)
{
    struct verify_request verify = {.copy = r->request->copy, .test = {.jobs = r->request->jobs}};
    struct verify_result result = {0};
    if (!r->request->copy->path && !r->request->in_place) {
        /* Reading all of it twice would double the time that production waits. Nothing is lost by reading it once: each
         * member is checked when it is loaded, and the swap comes after the comparison with the proof. */
        report_info(r->report, "Each part of the backup is checked when it is read from S3");
        return TRUE;
    }
    report_info(r->report, "Verifying backup file...");
    gint64 start = g_get_monotonic_time();
    gboolean ok = verify_run(&verify, r->report, &result, error);
    report_phase(r->report, "verify", start);
    verify_result_clear(&result);
    return ok;
}

/* What is known of it without reading all of it. */
static gboolean open_backup(struct restore *r, GError **error)
{
    g_autoptr(source) file = copy_open(r->request->copy, error);
    if (!file || !archive_detect(file, &r->kind, error))
        return FALSE;
    if (r->kind != ARCHIVE_OURS) {
        r->plain = g_steal_pointer(&file);
        return TRUE;
    }
    r->reader = archive_reader_open(file, error);
    if (!r->reader)
        return FALSE;
    file = NULL; /* the reader's now */
    r->facts = json_incref(r->reader->contents->facts);
    r->toc = toc_parse(r->reader->contents->toc, error);
    return r->toc != NULL;
}

static gboolean read_plain(struct restore *r, GError **error)
{
    return !r->plain || (plain_scan(r->plain, r->kind, NULL, NULL, &r->plain_sum, error) &&
                         plain_check_refusal(&r->plain_sum, error));
}

/* A damaged backup is told of as `verify` does. */
static gboolean open_or_explain(struct restore *r, GError **error)
{
    GError *problem = NULL;
    if (open_backup(r, &problem))
        return TRUE;
    if (!g_error_matches(problem, OT_ERROR, OT_CORRUPT) || verify_first(r, error)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_error_free(problem);
    return FALSE;
}

static guint64 plain_bytes(const struct restore *r)
{
    guint64 bytes = r->plain_sum.plain_bytes;
    for (guint i = 0; r->reader && i < r->reader->contents->members->len; i++)
        bytes += g_array_index(r->reader->contents->members, struct archive_member, i).plain_size;
    return bytes;
}

/* ---- before anything is changed ---- */

/* Before the backup is read: what stands in the way is told in seconds, with the preview. */
static gboolean look_ahead(struct restore *r, GError **error)
{
    if (!preview_gather(r->request, r->admin, r->live, r->facts, &r->preview, error))
        return FALSE;
    r->exists = r->preview.exists;
    r->preview.needed_bytes = r->preview.backup_bytes ? r->preview.backup_bytes : plain_bytes(r);
    struct preflight_request preflight = {
        .restore = r->request,
        .admin = r->admin,
        .preview = &r->preview,
        .facts = r->facts,
        .toc = r->toc,
    };
    GError *problem = NULL;
    if (preflight_run(&preflight, r->preview.notes, &problem))
        return interrupt_check(error);
    preview_add_backup(&r->preview, r->request, plain_bytes(r), r->reader ? r->reader->contents : NULL);
    preview_report(&r->preview, r->report);
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean preview_and_confirm(struct restore *r, GError **error)
{
    if (r->no_folder && r->request->pre_backup && r->preview.exists)
        return ot_fail(error, OT_PREREQUISITE,
                       "there is no place for the backup before the restore: %s cannot be written. Set BACKUP_DIR to a "
                       "folder that can and name the backup by its path, or give --no-pre-backup",
                       r->request->dir);
    preview_add_backup(&r->preview, r->request, plain_bytes(r), r->reader ? r->reader->contents : NULL);
    preview_report(&r->preview, r->report);
    return r->request->confirm(&r->preview, r->request->confirm_data, error) && interrupt_check(error);
}

/* ---- the side database ---- */

/* A plain dump does not say what its database was like: the one that it replaces does. */
static gboolean learn_from_live(struct restore *r, GError **error)
{
    if (r->facts || !r->exists)
        return TRUE;
    g_autoptr(session) s = session_open(r->request->target, r->live, error);
    return s && (r->facts = facts_read(s, NULL, error)) != NULL;
}

static gboolean make_side(struct restore *r, GError **error)
{
    const struct restore_request *q = r->request;
    g_autofree char *suffix = g_strdup_printf("_restoring_%s", r->timestamp);
    if (q->create_roles && r->facts && !facts_create_roles(r->admin, r->facts, FALSE, NULL, error))
        return FALSE;
    r->side = swap_name(r->live, suffix);
    g_autofree char *mark = gate_side_mark(r->live, r->side);
    report_info(r->report, "Restoring into side database %s...", r->side);
    r->made = (struct side){
        .target = q->target,
        .admin = r->admin,
        .facts = r->facts,
        .live = r->live,
        .tablespaces = q->tablespaces,
    };
    return side_make(&r->made, r->side, mark, r->report, error);
}

static gboolean before_rows(void *data, GError **error)
{
    return side_has_schema(data, error);
}

static gboolean before_indexes(struct session *s, void *data, GError **error)
{
    return side_hand_over(data, s, error);
}

static double seconds(gint64 ms)
{
    return (double)ms / 1000;
}

static gboolean load_ours(struct restore *r, GError **error)
{
    const struct restore_request *q = r->request;
    struct load_request load = {
        .target = q->target,
        .dbname = r->side,
        .bindir = q->bindir,
        .jobs = q->jobs,
        .tablespaces = q->tablespaces,
        .before_rows = before_rows,
        .before_indexes = before_indexes,
        .data = &r->made,
    };
    struct load_times t;
    gint64 load_start = g_get_monotonic_time();
    if (!load_backup(&load, r->reader, r->toc, r->report, &t, r->outcome, error))
        return FALSE;
    report_phase(r->report, "load", load_start);
    report_info(r->report, "Loaded in %.1f s (schema %.1f s, rows %.1f s, indexes and constraints %.1f s)",
                seconds(t.schema_ms + t.rows_ms + t.indexes_ms), seconds(t.schema_ms), seconds(t.rows_ms),
                seconds(t.indexes_ms));
    gint64 start = g_get_monotonic_time();
    struct compare_request compare = {
        .target = q->target,
        .dbname = r->side,
        .bindir = q->bindir,
        .jobs = q->jobs,
        .tablespaces = q->tablespaces,
    };
    if (!compare_with_proof(&compare, r->reader, r->toc, r->report, error))
        return FALSE;
    report_phase(r->report, "compare", start);
    report_info(r->report,
                "Compared with the backup's proof in %.1f s: %u tables, %" G_GUINT64_FORMAT " rows, all equal",
                seconds((g_get_monotonic_time() - start) / 1000), toc_count(r->toc, "TABLE"),
                archive_contents_rows(r->reader->contents));
    return TRUE;
}

static gboolean load_plain(struct restore *r, GError **error)
{
    struct plain_summary sum = {0};
    gint64 start = g_get_monotonic_time();
    if (!plainload_run(r->request->target, r->side, r->plain, r->kind, r->report, &sum, error))
        return FALSE;
    plain_summary_clear(&sum);
    report_phase(r->report, "load", start);
    report_info(r->report, "Loaded without an error (a plain dump: it carries no proof to compare with)");
    return TRUE;
}

static gboolean fill_side(struct restore *r, GError **error)
{
    const struct restore_request *q = r->request;
    if (!(r->reader ? load_ours : load_plain)(r, error) || !side_apply_settings(&r->made, error))
        return FALSE;
    gint64 start = g_get_monotonic_time();
    report_info(r->report, "Optimizing restored database (ANALYZE)...");
    if (!aftercare_analyze(q->target, r->side, q->jobs, r->report, error))
        return FALSE;
    report_phase(r->report, "analyze", start);
    report_info(r->report, "Analysed in %.1f s", seconds((g_get_monotonic_time() - start) / 1000));
    return aftercare_report(q->target, r->side, q->critical_tables, r->report, error) && interrupt_check(error);
}

/* After an error or an interrupt; with a session of its own, for the other may be broken or cancelled. */
static void drop_side(struct restore *r)
{
    if (!r->side)
        return;
    g_autoptr(session) s = swap_admin(r->request->target, r->live, NULL);
    g_autoptr(GError) problem = NULL;
    if (r->own_name) {
        if (!s || !ownname_take_back(r->request->target, s, r->live, r->old.name, &problem))
            report_warn(r->report, "The database %s could not be put back in its place now (%s); the next restore does",
                        r->old.name ? r->old.name : r->live, problem ? problem->message : "no connection");
        else
            g_clear_pointer(&r->old.name, g_free);
        return;
    }
    if (!s || !swap_discard(r->request->target, s, r->side, &problem))
        report_warn(r->report, "The side database %s could not be removed now (%s); the next restore removes it",
                    r->side, problem ? problem->message : "the server cannot be reached");
}

/* ---- the swap ---- */

/* Some extensions can be created only in a database of one name. */
static gboolean step_aside(struct restore *r, GError **error)
{
    report_warn(r->report, "The server lets an extension be created only in a database named %s: it is loaded under "
                           "that name, and nobody can connect to it until it is restored", r->live);
    drop_side(r);
    load_outcome_free(r->outcome);
    r->outcome = load_outcome_new();
    side_clear(&r->made);
    g_clear_pointer(&r->side, g_free);
    if (!make_side(r, error))
        return FALSE;
    g_autofree char *old = r->exists && !r->old.dropped ? replaced_name(r->live, r->timestamp) : NULL;
    if (!ownname_begin(r->request->target, r->admin, r->live, r->side, old, error))
        return FALSE;
    r->own_name = TRUE;
    r->old.name = g_steal_pointer(&old);
    g_free(r->side);
    r->side = g_strdup(r->live);
    return side_renamed(&r->made, r->live, error);
}

static gboolean fill(struct restore *r, GError **error)
{
    GError *problem = NULL;
    if (fill_side(r, &problem))
        return TRUE;
    if (r->outcome->extension_refused && ownname_is_bound(r->admin, r->live)) {
        g_error_free(problem);
        return step_aside(r, error) && fill_side(r, error);
    }
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean open_in_place(struct restore *r, const char *open, GError **error)
{
    if (!session_exec(r->admin, "BEGIN", error))
        return FALSE;
    if (!session_exec(r->admin, open, error) || !session_exec(r->admin, "COMMIT", error)) {
        session_exec(r->admin, "ROLLBACK", NULL);
        return FALSE;
    }
    g_clear_pointer(&r->side, g_free);
    report_info(r->report, "Database %s is in place", r->live);
    return TRUE;
}

static gboolean swap(struct restore *r, GError **error)
{
    g_autofree char *open = side_open_sql(&r->made, error);
    if (!open)
        return FALSE;
    if (r->own_name)
        return open_in_place(r, open, error);
    g_autofree char *replaced = r->old.dropped || !r->exists ? NULL : replaced_name(r->live, r->timestamp);
    if (replaced)
        report_info(r->report, "Terminating connections and swapping names...");
    gint64 start = g_get_monotonic_time();
    if (!swap_names(r->request->target, r->admin, r->live, r->side, replaced, open, error))
        return FALSE;
    r->old.name = g_steal_pointer(&replaced);
    g_clear_pointer(&r->side, g_free);
    report_phase(r->report, "swap", start);
    report_info(r->report, "Database %s is in place", r->live);
    return TRUE;
}

/* What came back without some of its objects does not take the live database's place unasked. It is kept: its rows are
 * all there, and loading them may have taken hours. */
static gboolean keep_beside(struct restore *r, GError **error)
{
    g_autofree char *suffix = g_strdup_printf("_incomplete_%s", r->timestamp);
    g_autofree char *name = swap_name(r->live, suffix);
    g_autofree char *text = load_outcome_text(r->outcome->left_out);
    g_autofree char *open = side_open_sql(&r->made, error);
    /* Loaded under its own name, it makes way for the one that stepped aside. */
    if (!open || !(r->own_name ? swap_names(r->request->target, r->admin, r->live, r->old.name, name, open, error)
                               : swap_names(r->request->target, r->admin, name, r->side, NULL, open, error)))
        return FALSE;
    g_clear_pointer(&r->side, g_free);
    if (r->own_name)
        g_clear_pointer(&r->old.name, g_free);
    report_fact_text(r->report, "kept_as", name);
    return ot_fail(error, OT_INCOMPLETE,
                   "all rows are back, in database %s, but the server refused %u objects: %s. The live database %s was "
                   "not replaced; --accept-incomplete would have done it",
                   name, r->outcome->left_out->len, text, r->live);
}

static gboolean may_take_place(const struct restore *r)
{
    return r->outcome->left_out->len == 0 || r->request->accept_incomplete || !r->exists ||
           r->old.dropped;
}

/* ---- the whole ---- */

/* Before the swap whatever failed left the live database as it was, and OT_RESTORE says so; unless it was dropped. */
static void judge_failure(struct restore *r, GError **error)
{
    if (!error || !*error || (*error)->domain != OT_ERROR || r->no_prebackup)
        return;
    if (r->old.dropped) {
        g_prefix_error(error, "THE DATABASE %s IS GONE (--in-place): opstower restore %s brings it back. ", r->live,
                       r->pre.id);
        (*error)->code = OT_FAILED;
    } else if (r->old.name) {
        (*error)->code = OT_FAILED; /* out of use: the message says so */
    } else if ((*error)->code == OT_SPACE) {
        g_prefix_error(error, "the live database was not changed: ");
    } else if ((*error)->code == OT_FAILED || (*error)->code == OT_DUMP) {
        (*error)->code = OT_RESTORE;
    }
}

/* The side database comes first: what this server refuses it is known before the old one is touched. */
static gboolean take_away_old(struct restore *r, GError **error)
{
    if (!r->exists)
        return TRUE;
    if (!replaced_note(&r->old, error))
        return FALSE;
    r->no_prebackup = !prebackup_take(r->request, r->report, &r->pre, error);
    if (r->no_prebackup || !interrupt_check(error))
        return FALSE;
    return !r->request->in_place || replaced_drop_in_place(&r->old, error);
}

static gboolean replace_database(struct restore *r, GError **error)
{
    if (learn_from_live(r, error) && make_side(r, error) && take_away_old(r, error) && fill(r, error) &&
        report_check_log(r->report, error) && (may_take_place(r) ? swap(r, error) : keep_beside(r, error)))
        return TRUE;
    g_autofree char *side = g_strdup(r->side);
    drop_side(r);
    judge_failure(r, error);
    outcome_tell_state(&r->old, side);
    return FALSE;
}

static gboolean restore_database(struct restore *r, GError **error)
{
    report_info(r->report, "Checking prerequisites...");
    if (!open_or_explain(r, error))
        return FALSE;
    r->admin = gate_open(r->request->target, r->live, r->report, error);
    if (!r->admin || !look_ahead(r, error) || !verify_first(r, error) || !read_plain(r, error) ||
        !preview_and_confirm(r, error))
        return FALSE;
    r->old = (struct replaced){
        .request = r->request,
        .admin = r->admin,
        .report = r->report,
        .live = r->live,
        .timestamp = r->timestamp,
        .pre = &r->pre,
    };
    if (!replace_database(r, error))
        return FALSE;
    gboolean ok = !r->exists || replaced_settle(&r->old, error);
    outcome_tell_subscriptions(&r->old, r->facts, r->toc);
    for (guint i = 0; i < r->made.refused->len; i++)
        report_warn(r->report, "This setting of %s is not restored; a superuser may: %s", r->live,
                    (char *)r->made.refused->pdata[i]);
    outcome_tell_undo(&r->old, r->exists);
    return ok;
}

/* What the journal is to say of it, whatever becomes of it. */
static void note_facts(struct restore *r)
{
    const struct restore_request *q = r->request;
    g_autofree char *id = names_id_of_file(q->copy->file, NAMES_DUMP);
    g_autofree char *tables = q->tables ? g_strjoinv(", ", q->tables) : NULL;
    report_fact_text(r->report, "id", id);
    report_fact_text(r->report, "from", q->copy->name);
    report_fact_text(r->report, "place", q->copy->place->kind);
    report_fact_text(r->report, "only_tables", tables);
    report_fact(r->report, "in_place", json_boolean(q->in_place));
    report_fact(r->report, "put_back", json_boolean(q->put_back));
}

/* What was restored: of single tables (tablerestore_run counts them), or of the whole. */
static void count_result(struct restore *r)
{
    if (r->request->tables)
        return;
    r->rows = r->reader ? archive_contents_rows(r->reader->contents) : r->plain_sum.rows;
    r->tables = r->reader ? toc_count(r->toc, "TABLE") : r->plain_sum.tables;
}

static void note_result(struct restore *r)
{
    guint64 bytes = r->reader ? r->reader->source->size_bytes : r->plain ? r->plain->size_bytes : 0;
    if (r->request->tables)
        return;
    report_fact(r->report, "size", json_integer((json_int_t)bytes));
    report_fact(r->report, "uncompressed_size", json_integer((json_int_t)plain_bytes(r)));
    report_fact(r->report, "rows", json_integer((json_int_t)r->rows));
    if (r->outcome->left_out->len > 0)
        report_fact(r->report, "left_out", load_outcome_json(r->outcome));
}

/* From a folder that cannot be written (its disk failed and was mounted read-only, say) everything can be restored all
 * the same: only the log is missing, and retention, which cannot delete there either, is not kept off. */
static gboolean do_without_folder(struct restore *r, const GError *problem, GError **error)
{
    r->timestamp = text_timestamp(g_get_real_time() / G_USEC_PER_SEC);
    r->no_folder = TRUE;
    report_warn(r->report, "There will be no log: %s", problem->message);
    return interrupt_check(error);
}

static gboolean open_folder(struct restore *r, GError **error)
{
    const struct restore_request *q = r->request;
    GError *problem = NULL;
    if (!files_need_folder(q->dir, &problem)) {
        gboolean ok = do_without_folder(r, problem, error);
        g_error_free(problem);
        return ok;
    }
    r->timestamp = slot_take(q->dir, "restore", NULL, NULL, r->report, error);
    return r->timestamp && inuse_share_copy(q->copy, q->dir, &r->reading, error);
}

static gboolean run(struct restore *r, GError **error)
{
    const struct restore_request *q = r->request;
    if (!open_folder(r, error))
        return FALSE;
    report_info(r->report, "OpsTower Database Restore - Started");
    report_info(r->report, "Restoring from: %s", q->copy->name);
    note_facts(r);
    r->live = q->target_db ? g_strdup(q->target_db) : pg_target_database(q->target, error);
    report_fact_text(r->report, "database", r->live);
    if (!r->live || !report_check_log(r->report, error) ||
        !restore_target_check(q, r->live, r->report, &r->target, error))
        return FALSE;
    if (q->tables)
        return open_backup(r, error) &&
               (r->reader || ot_fail(error, OT_REFUSED, "--table needs a backup made by this program")) &&
               tablerestore_run(q, r->reader, r->toc, r->timestamp, r->report, &r->tables, &r->rows, error);
    return restore_database(r, error);
}

gboolean restore_run(const struct restore_request *request, struct report *report, struct restore_result *ret_result,
                     GError **error)
{
    struct restore r = {.request = request, .report = report, .started_us = g_get_monotonic_time()};
    r.outcome = load_outcome_new();
    gboolean ok = run(&r, error);
    if (ok) {
        gint64 took = (g_get_monotonic_time() - r.started_us) / G_USEC_PER_SEC;
        report_fact_text(report, "replaced", r.old.name);
        count_result(&r);
        note_result(&r);
        restore_target_offer(&r.target, report);
        report_info(report, "OpsTower Database Restore - Completed Successfully");
        report_info(report, "Duration: %" G_GINT64_FORMAT " seconds", took);
        *ret_result = (struct restore_result){
            .database = g_strdup(r.live),
            .replaced = g_strdup(r.old.name),
            .rows = r.rows,
            .tables = r.tables,
            .duration_s = took,
            .proven = r.reader != NULL,
            .left_out = r.outcome->left_out->len > 0 ? load_outcome_json(r.outcome) : NULL,
        };
    }
    restore_clear(&r);
    return ok;
}
