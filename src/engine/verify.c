/* The checks of a backup file, in the guide's order. */
#include "engine/verify.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/check.h"
#include "archive/plain.h"
#include "base/lock.h"
#include "base/text.h"
#include "catalog/catalog.h"
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
    gboolean meta_is_wrong; /* it is not this file's: nothing may be written into it */
};

const char *check_state_name(enum check_state state)
{
    static const char *const names[] = {"PASS", "FAIL", "NOT DONE"};
    return names[state];
}

void verify_result_clear(struct verify_result *r)
{
    if (r->checks)
        g_array_unref(r->checks);
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

/* ---- the file ---- */

static gboolean check_file(struct verify *v, GError **error)
{
    const char *path = v->request->path;
    struct stat st;
    GError *problem = NULL;
    if (stat(path, &st) != 0) {
        ot_fail_errno(&problem, errno == ENOENT ? OT_NOT_FOUND : OT_IO, "cannot find %s", path);
        return fail(v, "File existence", "", problem, error);
    }
    note(v, "File existence", CHECK_PASS, NULL);
    v->file = source_open_file(path, &problem);
    if (!v->file)
        return fail(v, "File readability", "", problem, error);
    note(v, "File readability", CHECK_PASS, NULL);
    if (!archive_detect(v->file, &v->kind, &problem))
        return fail(v, "File not empty", "the file is empty", problem, error);
    g_autofree char *size = text_size(v->file->size_bytes, "B");
    note(v, "File not empty", CHECK_PASS, size);
    return TRUE;
}

/* ---- ours ---- */

#define GZIP_TEST "Gzip integrity"
#define DUMP_TEST "PostgreSQL dump validation"

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
        .fingerprints = TRUE,
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
    v->result->tables = c->tables->len;
    g_autofree char *detail =
        g_strdup_printf("%u tables, %" G_GUINT64_FORMAT " rows, every count and fingerprint as in the proof",
                        c->tables->len, v->result->rows);
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
    if (!ok)
        return fail(v, DUMP_TEST, "dump validation failed", problem, error);
    v->result->rows = sum.rows;
    v->result->tables = sum.tables;
    v->sha256 = g_strdup(sum.sha256);
    g_autofree char *detail =
        g_strdup_printf("a plain dump of others, whole as far as it can show: %" G_GUINT64_FORMAT
                        " tables, %" G_GUINT64_FORMAT " rows; it carries no proof to hold them against",
                        sum.tables, sum.rows);
    plain_summary_clear(&sum);
    note(v, DUMP_TEST, CHECK_PASS, detail);
    return TRUE;
}

/* ---- metadata ---- */

#define META_TEST "Metadata file validation"

static gboolean meta_fits(struct verify *v, GError **error)
{
    const struct meta *m = v->meta;
    g_autofree char *file = g_path_get_basename(v->request->path);
    if (!g_str_equal(m->backup_file, file))
        return ot_fail(error, OT_CORRUPT, "the metadata is that of %s", m->backup_file);
    if (m->sha256 && g_strcmp0(m->sha256, v->sha256) != 0)
        return ot_fail(error, OT_CORRUPT, "its SHA-256 is not that of the file");
    if (!v->reader)
        return TRUE;
    const struct archive_contents *c = v->reader->contents;
    g_autofree char *database = g_utf8_make_valid(facts_text(c->facts, "database"), -1);
    json_t *tables = meta_tables(c);
    gboolean same = m->tables && json_equal(tables, m->tables);
    json_decref(tables);
    if (!g_str_equal(m->database, database))
        return ot_fail(error, OT_CORRUPT, "it is of database %s, the file of %s", m->database, database);
    if (!m->sha256 || m->size_bytes != v->reader->source->size_bytes || m->rows != v->result->rows || !same)
        return ot_fail(error, OT_CORRUPT, "its sizes, rows or fingerprints are not those of the file");
    return TRUE;
}

static gboolean check_meta(struct verify *v, GError **error)
{
    GError *problem = NULL;
    v->meta = catalog_meta_of(v->request->path, &problem);
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

/* ---- full test ---- */

#define FULL_TEST "Full restoration test"
#define META_LOCK_TRIES 200 /* of 50 ms */

static gboolean check_full(struct verify *v, GError **error)
{
    GError *problem = NULL;
    if (!v->request->full_test) {
        note(v, FULL_TEST, CHECK_NOT_DONE, "--full-test asks for it");
        return TRUE;
    }
    gint64 start = g_get_monotonic_time();
    g_autofree char *doubt = NULL;
    gboolean ok = v->reader ? fulltest_backup(&v->request->test, v->reader, v->report, &doubt, &problem)
                            : fulltest_plain(&v->request->test, v->file, v->kind, v->report, &problem);
    if (!ok)
        return fail(v, FULL_TEST, "test restore failed", problem, error);
    g_autofree char *took = text_duration((g_get_monotonic_time() - start) / G_USEC_PER_SEC);
    const char *outcome = !v->reader ? "restored without an error; each table has the rows of its COPY data"
                          : doubt    ? "restored; every row, sequence and object as in the backup"
                                     : "restored; every row, sequence, object and statement as in the backup";
    g_autofree char *detail = g_strdup_printf("%s, in %s%s%s", outcome, took, doubt ? "; " : "", doubt ? doubt : "");
    note(v, FULL_TEST, CHECK_PASS, detail);
    return TRUE;
}

/* ---- what is remembered ---- */

/* Several may verify one backup at once: they write its metadata one after the other. */
static struct lock *wait_for_lock(const char *folder, const char *id, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/.%s.meta.lock", folder, id);
    for (int tries = 0;; tries++) {
        GError *problem = NULL;
        struct lock *held = lock_take(path, "verification", &problem);
        if (held || tries == META_LOCK_TRIES || !g_error_matches(problem, OT_ERROR, OT_BUSY)) {
            if (problem)
                g_propagate_error(error, problem);
            return held;
        }
        g_error_free(problem);
        g_usleep(50000);
    }
}

static gboolean remember(struct verify *v, gboolean ok, const GError *problem, GError **error)
{
    gboolean damaged =
        problem && problem->domain == OT_ERROR && (problem->code == OT_CORRUPT || problem->code == OT_MISMATCH);
    if (!v->meta && damaged)
        v->meta = catalog_meta_of(v->request->path, NULL);
    g_autofree char *file = g_path_get_basename(v->request->path);
    if (!v->request->remember || !v->meta || v->meta_is_wrong || (!ok && !damaged) || !v->result->ours ||
        !g_str_equal(v->meta->backup_file, file))
        return TRUE;
    g_autofree char *now = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
    g_autofree char *folder = g_path_get_dirname(v->request->path);
    struct meta *m = v->meta;
    if (ok) {
        g_free(m->verified_at);
        m->verified_at = g_strdup(now);
    }
    if (ok && v->request->full_test) {
        g_free(m->proven_at);
        m->proven_at = g_strdup(now);
    }
    m->state = !ok ? META_FAILED : m->proven_at ? META_PROVEN : META_VERIFIED;
    if (access(folder, W_OK) != 0) {
        report_warn(v->report, "The outcome is not kept: %s cannot be written", folder);
        return TRUE;
    }
    g_autoptr(lock) held = wait_for_lock(folder, m->id, error);
    return held && meta_save(m, folder, TRUE, error);
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
    g_autofree char *timestamp = slot_take(dir, "verification", NULL, v->report, &problem);
    if (!timestamp)
        report_warn(v->report, "There will be no log: %s", problem->message);
}

gboolean verify_run(const struct verify_request *request, struct report *report, struct verify_result *ret_result,
                    GError **error)
{
    struct verify v = {.request = request, .report = report, .result = ret_result};
    GError *problem = NULL;
    ret_result->checks = g_array_new(FALSE, TRUE, sizeof(struct verify_check));
    g_array_set_clear_func(ret_result->checks, check_clear);
    open_log(&v);
    report_info(report, "OpsTower Backup Verification - Started");
    report_info(report, "Verifying backup: %s", request->path);
    gboolean ok = check_file(&v, &problem) && (v.kind == ARCHIVE_OURS ? check_ours : check_plain)(&v, &problem) &&
                  check_meta(&v, &problem) && check_full(&v, &problem);
    ok = remember(&v, ok, problem, ok ? &problem : NULL) && ok;
    report_info(report, "OpsTower Backup Verification - %s", ok ? "Completed Successfully" : "FAILED");
    if (problem)
        g_propagate_error(error, problem);
    source_free(v.file);
    archive_reader_free(v.reader);
    meta_free(v.meta);
    g_free(v.sha256);
    return ok;
}
