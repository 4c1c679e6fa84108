/* The checks of a backup file, in the guide's order. */
#include "engine/verify.h"

#include <string.h>
#include <unistd.h>

#include "archive/check.h"
#include "archive/plain.h"
#include "base/text.h"
#include "catalog/inuse.h"
#include "catalog/names.h"
#include "engine/s3check.h"
#include "engine/slot.h"
#include "pg/facts.h"
#include "pg/largeobject.h"

struct verify {
    const struct verify_request *request;
    struct report *report;
    struct verify_result *result;
    struct source *file; /* until a reader takes it */
    struct archive_reader *reader;
    enum archive_kind kind;
    char *sha256;
    struct meta *meta;
    int tested_on;          /* the major version of a full test that was passed, if it was not the backup's; else 0 */
    gboolean meta_is_wrong; /* it is not this file's: nothing may be written into it */
};

const char *check_state_name(enum check_state state)
{
    static const char *const names[] = {"PASS", "FAIL", "WARN", "NOT DONE"};
    return names[state];
}

void verify_result_clear(struct verify_result *r)
{
    if (r->checks)
        g_array_unref(r->checks);
    json_decref(r->left_out);
    memset(r, 0, sizeof *r);
}

static void check_clear(gpointer data)
{
    g_free(((struct verify_check *)data)->detail);
}

static void note(struct verify *v, const char *name, enum check_state state, const char *detail)
{
    struct verify_check check = {name, state, g_strdup(detail)};
    g_array_append_val(v->result->checks, check);
    report_info(v->report, "%s: %s%s%s%s", name, check_state_name(state), detail ? " (" : "", detail ? detail : "",
                detail ? ")" : "");
}

/* Notes a failed check and makes its error the whole run's. */
static gboolean fail(struct verify *v, const char *name, const char *summary, GError *problem, GError **error)
{
    note(v, name, CHECK_FAIL, problem->message);
    if (g_error_matches(problem, OT_ERROR, OT_CORRUPT)) {
        g_autofree char *text = g_strdup(problem->message);
        const char *detail = g_str_has_prefix(text, summary) ? text + strlen(summary) : text;
        detail += strspn(detail, ": ");
        ot_fail(error, OT_CORRUPT, "Backup file is corrupted (%s)%s%s", summary, *detail ? ": " : "", detail);
        g_error_free(problem);
        return FALSE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

#define GZIP_TEST "Gzip integrity"
#define DUMP_TEST "PostgreSQL dump validation"

/* Another kind of file is no damage; unless metadata says that a backup of ours is to lie here. */
static void judge_kind(struct verify *v, GError *problem)
{
    g_autoptr(meta) m = g_error_matches(problem, OT_ERROR, OT_REFUSED) ? copy_meta(v->request->copy, NULL) : NULL;
    if (m && m->sha256)
        problem->code = OT_CORRUPT;
}

/* ---- the file ---- */

static gboolean check_file(struct verify *v, GError **error)
{
    GError *problem = NULL;
    v->file = copy_open(v->request->copy, &problem);
    if (!v->file && (g_error_matches(problem, OT_ERROR, OT_NOT_FOUND) || g_error_matches(problem, OT_ERROR, OT_S3)))
        return fail(v, "File existence", "", problem, error);
    note(v, "File existence", CHECK_PASS, NULL);
    if (!v->file)
        return fail(v, "File readability", "", problem, error);
    note(v, "File readability", CHECK_PASS, NULL);
    if (!archive_detect(v->file, &v->kind, &problem)) {
        gboolean empty = v->file->size_bytes == 0;
        judge_kind(v, problem);
        return fail(v, empty ? "File not empty" : DUMP_TEST, empty ? "the file is empty" : "it is another kind of file",
                    problem, error);
    }
    g_autofree char *size = text_size(v->file->size_bytes, "B");
    note(v, "File not empty", CHECK_PASS, size);
    return TRUE;
}

/* ---- ours ---- */

static gboolean is_gzip_failure(const GError *e)
{
    return strstr(e->message, "gzip test failed") != NULL;
}

/* The file does not even open as a backup: is it at least whole as gzip? */
static gboolean fail_unopened(struct verify *v, GError *problem, GError **error)
{
    struct plain_summary sum = {0};
    g_autoptr(GError) scan = NULL;
    gboolean whole = plain_scan(v->file, ARCHIVE_PLAIN_GZIP, NULL, NULL, &sum, &scan) || !is_gzip_failure(scan);
    plain_summary_clear(&sum);
    if (!whole) {
        g_error_free(problem);
        return fail(v, GZIP_TEST, "gzip test failed", g_steal_pointer(&scan), error);
    }
    note(v, GZIP_TEST, CHECK_PASS, NULL);
    return fail(v, DUMP_TEST, "dump validation failed", problem, error);
}

static void show_progress(guint64 done_bytes, void *data)
{
    struct report *r = data;
    __atomic_store_n(&r->progress.done_bytes, (gint64)done_bytes, __ATOMIC_RELAXED);
}

/* The statements in the file against the proof, object by object. */
static gboolean check_large_objects(struct archive_reader *r, GError **error)
{
    g_autoptr(member_reader) reader = member_reader_new(r);
    g_autoptr(lo_filter) filter = lo_filter_new(NULL, NULL);
    struct fingerprint found = {0};
    for (guint i = 0; i < r->contents->members->len; i++) {
        const char *text;
        gsize length;
        if (g_array_index(r->contents->members, struct archive_member, i).kind == MEMBER_LARGE_OBJECTS &&
            (!member_reader_get(reader, i, &text, &length, error) || !lo_filter_feed(filter, text, length, error)))
            return FALSE;
    }
    if (lo_filter_finish(filter, &found, NULL) && fingerprint_equal(&found, &r->contents->large_objects))
        return TRUE;
    return ot_fail(error, OT_CORRUPT, "the large objects in the file are not those of its proof");
}

static gboolean count_tables(struct verify *v, GError **error)
{
    g_autoptr(toc) t = toc_parse(v->reader->contents->toc, error);
    v->result->tables = t ? toc_count(t, "TABLE") : 0;
    return t != NULL;
}

static gboolean check_ours(struct verify *v, GError **error)
{
    GError *problem = NULL;
    v->result->ours = TRUE;
    v->reader = archive_reader_open(v->file, &problem);
    if (!v->reader)
        return fail_unopened(v, problem, error);
    v->file = NULL; /* the reader's now */
    struct archive_check_options options = {
        .jobs = v->request->test.jobs,
        .ret_sha256 = &v->sha256,
        .progress = show_progress,
        .progress_data = v->report,
    };
    report_progress_start(v->report, "verifying", v->reader->source->size_bytes, 0);
    gboolean ok = archive_check(v->reader, &options, &problem) && check_large_objects(v->reader, &problem);
    report_progress_end(v->report);
    if (!ok && is_gzip_failure(problem))
        return fail(v, GZIP_TEST, "gzip test failed", problem, error);
    note(v, GZIP_TEST, CHECK_PASS, NULL);
    if (!ok)
        return fail(v, DUMP_TEST, "dump validation failed", problem, error);
    const struct archive_contents *c = v->reader->contents;
    v->result->rows = archive_contents_rows(c);
    if (!count_tables(v, &problem))
        return fail(v, DUMP_TEST, "dump validation failed", problem, error);
    g_autofree char *detail =
        g_strdup_printf("%u tables, %" G_GUINT64_FORMAT " rows, every count and fingerprint as in the proof",
                        (guint)v->result->tables, v->result->rows);
    note(v, DUMP_TEST, CHECK_PASS, detail);
    return TRUE;
}

/* ---- others' ---- */

static gboolean check_plain(struct verify *v, GError **error)
{
    struct plain_summary sum = {0};
    GError *problem = NULL;
    gboolean ok = plain_scan(v->file, v->kind, NULL, NULL, &sum, &problem);
    if (v->kind == ARCHIVE_PLAIN_SQL)
        note(v, GZIP_TEST, CHECK_NOT_DONE, "the file is not compressed");
    else if (!ok && is_gzip_failure(problem))
        return fail(v, GZIP_TEST, "gzip test failed", problem, error);
    else
        note(v, GZIP_TEST, CHECK_PASS, NULL);
    if (!ok) {
        judge_kind(v, problem);
        return fail(v, DUMP_TEST, "dump validation failed", problem, error);
    }
    v->result->rows = sum.rows;
    v->result->tables = sum.tables;
    v->sha256 = g_strdup(sum.sha256);
    g_autofree char *inserts =
        sum.inserts ? g_strdup_printf(" and %" G_GUINT64_FORMAT " INSERT statements", sum.inserts) : g_strdup("");
    g_autofree char *detail =
        g_strdup_printf("a plain dump of others, whole as far as it can show: %" G_GUINT64_FORMAT
                        " tables, %" G_GUINT64_FORMAT " rows%s; it carries no proof to hold them against",
                        sum.tables, sum.rows, inserts);
    plain_summary_clear(&sum);
    note(v, DUMP_TEST, CHECK_PASS, detail);
    return TRUE;
}

/* ---- metadata ---- */

#define META_TEST "Metadata file validation"

/* A backup of ours; the metadata may be of others and say nothing of rows. */
static gboolean proof_fits(struct verify *v, const struct meta *m, GError **error)
{
    const struct archive_contents *c = v->reader->contents;
    g_autofree char *database = g_utf8_make_valid(facts_text(c->facts, "database"), -1);
    json_t *tables = meta_tables(c);
    gboolean same = m->tables && json_equal(tables, m->tables);
    json_decref(tables);
    if (!g_str_equal(m->database, database))
        return ot_fail(error, OT_CORRUPT, "it is of database %s, the file of %s", m->database, database);
    gboolean ours = m->sha256 || m->format || m->tables;
    if (ours && (!m->sha256 || m->rows != v->result->rows || !same))
        return ot_fail(error, OT_CORRUPT, "its rows or fingerprints are not those of the file");
    return TRUE;
}

static gboolean meta_fits(struct verify *v, GError **error)
{
    const struct meta *m = v->meta;
    if (!g_str_equal(m->backup_file, v->request->copy->file))
        return ot_fail(error, OT_CORRUPT, "the metadata is that of %s", m->backup_file);
    if (m->sha256 && g_strcmp0(m->sha256, v->sha256) != 0)
        return ot_fail(error, OT_CORRUPT, "its SHA-256 is not that of the file");
    guint64 size = v->reader ? v->reader->source->size_bytes : v->file->size_bytes;
    if (m->size_bytes != size)
        return ot_fail(error, OT_CORRUPT,
                       "the metadata says that the file has %" G_GUINT64_FORMAT " bytes, but it has %" G_GUINT64_FORMAT,
                       m->size_bytes, size);
    if (m->table_count != v->result->tables)
        return ot_fail(error, OT_CORRUPT,
                       "the metadata says that there are %u tables, but the dump makes %" G_GUINT64_FORMAT,
                       m->table_count, v->result->tables);
    return !v->reader || proof_fits(v, m, error);
}

static gboolean check_meta(struct verify *v, GError **error)
{
    GError *problem = NULL;
    v->meta = copy_meta(v->request->copy, &problem);
    if (!v->meta && !problem) {
        note(v, META_TEST, CHECK_NOT_DONE,
             v->result->ours ? "there is none beside the file; the file's own contents were used" : "there is none");
        return TRUE;
    }
    v->meta_is_wrong = !v->meta || !meta_fits(v, &problem);
    if (v->meta_is_wrong)
        return fail(v, META_TEST, "metadata validation failed", problem, error);
    note(v, META_TEST, CHECK_PASS, NULL);
    return TRUE;
}

/* ---- the copy in S3 ---- */

#define S3_TEST "S3 backup verification"

/* Its failure does not keep the full test of this copy from being done. */
static gboolean check_s3(struct verify *v, GError **error)
{
    const struct offsite *o = v->request->offsite;
    const char *state = v->meta ? meta_s3_text(v->meta, "state") : NULL;
    GError *problem = NULL;
    if (!o)
        note(v, S3_TEST, CHECK_NOT_DONE, "BACKUP_S3_BUCKET is not set");
    if (o && v->request->copy->path && !state)
        note(v, S3_TEST, CHECK_NOT_DONE, "this backup is kept on this machine only");
    if (!o || (v->request->copy->path && !state))
        return TRUE;
    g_autofree char *detail = s3check_copy(o, v->request->copy, v->meta, v->meta != NULL, &problem);
    if (!detail)
        return fail(v, S3_TEST, "S3 verification failed", problem, error);
    note(v, S3_TEST, CHECK_PASS, detail);
    g_autofree char *versions = NULL;
    enum check_state versioning = s3check_versioning(o->client, &versions);
    note(v, "S3 bucket versioning", versioning, versions);
    return TRUE;
}

/* ---- full test ---- */

#define FULL_TEST "Full restoration test"

/* "; left out: ..."; "" if the backup does not say. */
static char *left_out(const struct verify *v)
{
    const json_t *omitted = json_object_get(v->reader->contents->facts, "omitted");
    GString *text =
        g_string_new(json_is_array(omitted) && json_array_size(omitted) == 0 ? "; left out: nothing" : NULL);
    size_t i;
    json_t *what;
    json_array_foreach(omitted, i, what)
    {
        const char *name = json_string_value(what);
        if (name)
            g_string_append_printf(text, "%s%s", text->len ? ", " : "; left out: ", name);
    }
    return g_string_free(text, FALSE);
}

static char *full_detail(const struct verify *v, const struct fulltest_result *tested, const char *took)
{
    if (!v->reader)
        return g_strdup_printf("restored without an error; each table has the rows of its COPY data, in %s", took);
    g_autofree char *omitted = left_out(v);
    if (v->tested_on)
        return g_strdup_printf("tested on version %d, which proves nothing for version %d: restored in %s; as in the "
                               "backup: every row%s",
                               v->tested_on, facts_major(v->reader->contents->facts), took, omitted);
    return g_strdup_printf("restored in %s; as in the backup: every row, every sequence%s, every object that the "
                           "backup holds%s%s%s",
                           took, tested->doubt ? "" : ", every statement", omitted, tested->doubt ? "; " : "",
                           tested->doubt ? tested->doubt : "");
}

/* The backup is good; what it was taken of is not as its own rules say. */
static char *warn_of(const struct load_outcome *left)
{
    g_autofree char *out = load_outcome_text(left->left_out);
    g_autofree char *helped = load_outcome_text(left->helped);
    if (left->left_out->len > 0)
        return g_strdup_printf("the backup is not damaged, and every row of it is proven, but the server refused %u "
                               "objects, and a restore will leave them out: %s. Correct them in the live database",
                               left->left_out->len, out);
    return g_strdup_printf("restored; every row and object as in the backup, but psql alone could not restore it: %s",
                           helped);
}

static gboolean check_full(struct verify *v, GError **error)
{
    GError *problem = NULL;
    if (!v->request->full_test) {
        note(v, FULL_TEST, CHECK_NOT_DONE, "--full-test asks for it");
        return TRUE;
    }
    gint64 start = g_get_monotonic_time();
    struct fulltest_result tested = {0};
    g_autoptr(load_outcome) left = load_outcome_new();
    gboolean ok = v->reader ? fulltest_backup(&v->request->test, v->reader, v->report, left, &tested, &problem)
                            : fulltest_plain(&v->request->test, v->file, v->kind, v->report, &problem);
    if (!ok) {
        fulltest_result_clear(&tested);
        return fail(v, FULL_TEST, "test restore failed", problem, error);
    }
    v->tested_on = v->reader && !tested.same_major ? tested.major : 0;
    g_autofree char *took = text_duration((g_get_monotonic_time() - start) / G_USEC_PER_SEC);
    g_autofree char *detail = full_detail(v, &tested, took);
    fulltest_result_clear(&tested);
    v->result->left_out = load_outcome_json(left);
    if (left->left_out->len == 0 && left->helped->len == 0) {
        note(v, FULL_TEST, v->tested_on ? CHECK_WARN : CHECK_PASS, detail);
        return TRUE;
    }
    g_autofree char *warning = warn_of(left);
    note(v, FULL_TEST, CHECK_WARN, warning);
    return TRUE;
}

/* ---- what is remembered ---- */

/* What a verification found out, for the metadata. */
struct outcome {
    gboolean ok, proven;
    int tested_on; /* as in struct verify */
    char *now, *sha256;
    const char *key; /* in its place */
};

static void set_state(struct meta *m, const struct outcome *o)
{
    if (o->ok) {
        g_free(m->verified_at);
        m->verified_at = g_strdup(o->now);
    }
    if (o->ok && o->proven) {
        g_free(m->proven_at);
        m->proven_at = g_strdup(o->now);
    }
    if (o->ok && o->tested_on) {
        g_free(m->tested_at);
        m->tested_at = g_strdup(o->now);
        m->tested_on = o->tested_on;
    }
    m->state = !o->ok ? META_FAILED : m->proven_at ? META_PROVEN : m->tested_on ? META_TESTED : META_VERIFIED;
}

static void set_s3_state(struct meta *m, const struct outcome *o)
{
    meta_set_s3_text(m, "state", o->ok ? "uploaded" : "failed");
    if (o->ok)
        meta_set_s3_text(m, "verified_at", o->now);
    if (o->ok && o->proven)
        meta_set_s3_text(m, "proven_at", o->now);
}

static void change_here(struct meta *m, void *data)
{
    set_state(m, data);
}

static void change_in_s3(struct meta *m, void *data)
{
    set_state(m, data);
    set_s3_state(m, data);
}

/* Of the file in the folder, only how its copy in S3 is; and only if it is the same backup, and that copy: there may be
 * another in the monthly archive. */
static void change_record(struct meta *m, void *data)
{
    const struct outcome *o = data;
    if (g_strcmp0(m->sha256, o->sha256) == 0 && g_strcmp0(meta_s3_text(m, "key"), o->key) == 0)
        set_s3_state(m, o);
    /* The same bytes, by their SHA-256, as were read back here. */
    if (o->ok && o->proven && g_strcmp0(m->sha256, o->sha256) == 0 && m->state == META_VERIFIED) {
        g_free(m->proven_at);
        m->proven_at = g_strdup(o->now);
        m->state = META_PROVEN;
    }
}

static gboolean remember_here(struct verify *v, struct outcome *o, GError **error)
{
    const char *folder = v->request->copy->place->name;
    if (access(folder, W_OK) == 0)
        return copy_update_meta(v->request->copy, change_here, o, error);
    report_warn(v->report, "The outcome is not kept: %s cannot be written", folder);
    return TRUE;
}

/* If this machine knows the backup too, it learns how its copy in S3 is. */
static gboolean tell_folder(struct verify *v, struct outcome *o, GError **error)
{
    g_autofree char *path = v->request->dir ? g_build_filename(v->request->dir, v->request->copy->file, NULL) : NULL;
    if (!path || !g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return TRUE;
    g_autoptr(copy) here = copy_local(path);
    return copy_update_meta(here, change_record, o, error);
}

/* Who may only read the bucket can verify all the same. */
static gboolean remember_in_s3(struct verify *v, struct outcome *o)
{
    g_autoptr(GError) problem = NULL;
    if (!copy_update_meta(v->request->copy, change_in_s3, o, &problem) || !tell_folder(v, o, &problem))
        report_warn(v->report, "The outcome is not kept: %s", problem->message);
    return TRUE;
}

static gboolean remember(struct verify *v, gboolean ok, const GError *problem, GError **error)
{
    gboolean damaged =
        problem && problem->domain == OT_ERROR && (problem->code == OT_CORRUPT || problem->code == OT_MISMATCH);
    if (!v->meta && damaged)
        v->meta = copy_meta(v->request->copy, NULL);
    gboolean ours = v->result->ours || (v->meta && v->meta->sha256);
    if (!v->request->remember || !v->meta || v->meta_is_wrong || (!ok && !damaged) || !ours ||
        !g_str_equal(v->meta->backup_file, v->request->copy->file))
        return TRUE;
    g_autofree char *now = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
    struct outcome o = {
        .ok = ok,
        .proven = v->request->full_test && !v->tested_on && json_array_size(v->result->left_out) == 0,
        .tested_on = v->tested_on,
        .now = now,
        .sha256 = v->meta->sha256,
        .key = v->request->copy->key,
    };
    return v->request->copy->path ? remember_here(v, &o, error) : remember_in_s3(v, &o);
}

static void open_log(struct verify *v)
{
    g_autoptr(GError) problem = NULL;
    const char *dir = v->request->dir;
    if (!dir)
        return;
    if (!g_file_test(dir, G_FILE_TEST_IS_DIR)) {
        report_warn(v->report, "There will be no log: the folder %s is not there", dir);
        return;
    }
    g_autofree char *timestamp = slot_take(dir, "verification", NULL, NULL, v->report, &problem);
    if (!timestamp)
        report_warn(v->report, "There will be no log: %s", problem->message);
}

/* Whoever may not write into the folder can verify all the same. */
static struct inuse *protect(struct verify *v)
{
    g_autoptr(GError) problem = NULL;
    struct inuse *u = NULL;
    if (v->request->dir && !inuse_share_copy(v->request->copy, v->request->dir, &u, &problem))
        report_warn(v->report, "Retention cannot see that this backup is read: %s", problem->message);
    return u;
}

/* The names of the checks that did not pass. */
static json_t *failed_checks(const struct verify *v)
{
    json_t *names = json_array();
    for (guint i = 0; i < v->result->checks->len; i++) {
        const struct verify_check *c = &g_array_index(v->result->checks, struct verify_check, i);
        if (c->state == CHECK_FAIL)
            json_array_append_new(names, json_string(c->name));
    }
    return names;
}

/* What the journal is to say of it. */
static void note_facts(struct verify *v)
{
    const struct verify_request *q = v->request;
    struct report *r = v->report;
    g_autofree char *id = names_id_of_file(q->copy->file, NAMES_DUMP);
    report_fact_text(r, "id", id);
    report_fact_text(r, "database", v->meta ? v->meta->database : NULL);
    report_fact_text(r, "of", q->copy->name);
    report_fact_text(r, "place", q->copy->place->kind);
    report_fact(r, "checks_failed", failed_checks(v));
    report_fact(r, "full_test", json_boolean(q->full_test));
    if (v->tested_on)
        report_fact(r, "tested_on", json_integer(v->tested_on));
    if (json_array_size(v->result->left_out) > 0)
        report_fact(r, "left_out", json_incref(v->result->left_out));
    report_fact(r, "tables", json_integer((json_int_t)v->result->tables));
    report_fact(r, "rows", json_integer((json_int_t)v->result->rows));
    if (v->meta)
        report_fact(r, "uncompressed_size", json_integer((json_int_t)v->meta->plain_bytes));
}

static gboolean is_complete(const struct verify *v, GError **error)
{
    if (json_array_size(v->result->left_out) == 0)
        return TRUE;
    const struct verify_check *last =
        &g_array_index(v->result->checks, struct verify_check, v->result->checks->len - 1);
    return ot_fail(error, OT_INCOMPLETE, "%s", last->detail);
}

gboolean verify_run(const struct verify_request *request, struct report *report, struct verify_result *ret_result,
                    GError **error)
{
    struct verify v = {.request = request, .report = report, .result = ret_result};
    GError *problem = NULL;
    ret_result->checks = g_array_new(FALSE, TRUE, sizeof(struct verify_check));
    g_array_set_clear_func(ret_result->checks, check_clear);
    open_log(&v);
    g_autoptr(inuse) reading = protect(&v);
    report_info(report, "OpsTower Backup Verification - Started");
    report_info(report, "Verifying backup: %s", request->copy->name);
    GError *s3_problem = NULL;
    gboolean ok = check_file(&v, &problem) && (v.kind == ARCHIVE_OURS ? check_ours : check_plain)(&v, &problem) &&
                  check_meta(&v, &problem) && (check_s3(&v, &s3_problem) || TRUE) && check_full(&v, &problem);
    ok = remember(&v, ok, problem, ok ? &problem : NULL) && ok;
    if (ok && s3_problem) {
        g_propagate_error(&problem, g_steal_pointer(&s3_problem));
        ok = FALSE;
    }
    g_clear_error(&s3_problem);
    gboolean incomplete = ok && !is_complete(&v, &problem);
    ok = ok && !incomplete;
    if (request->dir) /* else it is a part of another act */
        note_facts(&v);
    report_info(report, "OpsTower Backup Verification - %s",
                ok           ? "Completed Successfully"
                : incomplete ? "Completed: the backup is good, but a restore of it will lack objects"
                             : "FAILED");
    if (problem)
        g_propagate_error(error, problem);
    source_free(v.file);
    archive_reader_free(v.reader);
    meta_free(v.meta);
    g_free(v.sha256);
    return ok;
}
