/* The comparison of a restored database with the proof. */
#include "engine/compare.h"

#include <string.h>

#include "base/pool.h"
#include "pg/copy.h"
#include "pg/facts.h"
#include "pg/largeobject.h"
#include "pg/pgdump.h"
#include "pg/plan.h"
#include "pg/snapshot.h"

#define MAX_NAMED 10

struct compare {
    const struct compare_request *request;
    const struct archive_contents *contents;
    struct report *report;
    guint jobs;
    GArray *pieces;
    struct session **sessions;
    struct fingerprint *found; /* per table */
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

static gboolean run_piece(guint worker, guint task, void *data, GError **error)
{
    struct compare *c = data;
    const struct plan_piece *piece = &g_array_index(c->pieces, struct plan_piece, task);
    const struct archive_table *t = c->contents->tables->pdata[piece->table];
    struct piece_run run = {0};
    g_autofree char *sql = plan_copy_out_sql(c->sessions[worker], t->def, piece);
    if (!copy_out(c->sessions[worker], sql, take_row, &run, error)) {
        g_prefix_error(error, "cannot read back %s.%s: ", t->def->schema, t->def->name);
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
 * that load into the same one. */
static void compare_sums(struct compare *c)
{
    const GPtrArray *tables = c->contents->tables;
    g_autoptr(GHashTable) done = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < tables->len; i++) {
        const struct archive_table *t = tables->pdata[i];
        if (!g_hash_table_add(done, t->def->copy_sql))
            continue;
        struct fingerprint proof = {0}, found = {0};
        for (guint j = i; j < tables->len; j++) {
            const struct archive_table *other = tables->pdata[j];
            if (!g_str_equal(other->def->copy_sql, t->def->copy_sql))
                continue;
            fingerprint_merge(&proof, &other->proof);
            fingerprint_merge(&found, &c->found[j]);
        }
        if (proof.rows != found.rows)
            differ(c, "%s.%s has %" G_GUINT64_FORMAT " rows, the backup %" G_GUINT64_FORMAT, t->def->schema,
                   t->def->name, found.rows, proof.rows);
        else if (!fingerprint_equal(&proof, &found))
            differ(c, "the rows of %s.%s are not those of the backup", t->def->schema, t->def->name);
    }
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
    if (ok)
        compare_sums(c);
    return ok;
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
    if (!pgdump_large_objects(s, c->request->bindir, NULL, 0, feed_filter, filter, error) ||
        !lo_filter_finish(filter, &found, error))
        return FALSE;
    if (!fingerprint_equal(&found, &c->contents->large_objects))
        differ(c, "large objects: %" G_GUINT64_FORMAT " found, %" G_GUINT64_FORMAT " in the backup, or their content",
               found.rows, c->contents->large_objects.rows);
    return TRUE;
}

/* ---- schema and sequences ---- */

/* Everything that makes an object what it is, as one text. The database itself has another name here. */
static char *entry_text(const struct toc_entry *e, gboolean tablespaces)
{
    if (g_str_has_prefix(e->desc, "DATABASE") || g_str_has_prefix(e->tag, "DATABASE ") ||
        g_str_equal(e->desc, "TABLE DATA") || g_str_equal(e->desc, "BLOBS") || g_str_equal(e->desc, "STATISTICS DATA"))
        return NULL;
    return g_strdup_printf("%s\n%s\n%s\n%s\n%s\n%s\n%s", e->desc, e->schema ? e->schema : "", e->tag,
                           e->owner ? e->owner : "", tablespaces && e->tablespace ? e->tablespace : "",
                           e->access_method ? e->access_method : "", e->definition ? e->definition : "");
}

/* "schema\ntag" of what is known to differ: whatever is there under that name is not compared. */
static GHashTable *left_out_names(const struct compare *c, const struct toc *t)
{
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; c->request->left_out && i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_hash_table_contains(c->request->left_out, GINT_TO_POINTER(e->dump_id)))
            g_hash_table_add(names, g_strdup_printf("%s\n%s", e->schema ? e->schema : "", e->tag));
    }
    return names;
}

/* An object of that name, or one that belongs to a table of that name: its tag is "table object". */
static gboolean is_left_out(GHashTable *names, const struct toc_entry *e)
{
    g_autofree char *name = g_strdup_printf("%s\n%s", e->schema ? e->schema : "", e->tag);
    if (g_hash_table_size(names) == 0 || g_hash_table_contains(names, name))
        return g_hash_table_size(names) > 0;
    char *space = strchr(name, ' ');
    if (space && g_str_equal(e->desc, "CHECK CONSTRAINT")) {
        *space = '\0';
        return g_hash_table_contains(names, name);
    }
    return FALSE;
}

/* Counts of entry texts: an object may be there twice (comments, ACLs of the same name). */
static void count_entries(GHashTable *counts, const struct toc *t, int step, gboolean tablespaces, GHashTable *left_out)
{
    for (guint i = 0; i < t->entries->len; i++) {
        if (is_left_out(left_out, t->entries->pdata[i]))
            continue;
        char *text = entry_text(t->entries->pdata[i], tablespaces);
        if (!text)
            continue;
        int count = GPOINTER_TO_INT(g_hash_table_lookup(counts, text)) + step;
        g_hash_table_replace(counts, text, GINT_TO_POINTER(count));
    }
}

static void name_schema_differences(struct compare *c, GHashTable *counts)
{
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, counts);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        int count = GPOINTER_TO_INT(value);
        if (count == 0)
            continue;
        g_auto(GStrv) parts = g_strsplit(key, "\n", 4);
        g_autofree char *valid = g_utf8_make_valid(parts[2], -1);
        differ(c, "%s %s%s%s %s", parts[0], parts[1], *parts[1] ? "." : "", valid,
               count > 0 ? "is not as in the backup" : "is not in the backup, or not so");
    }
}

static gboolean compare_schema(struct compare *c, struct session *s, const struct toc *t, GError **error)
{
    g_autoptr(toc) restored = pgdump_toc(s, c->request->bindir, NULL, 0, error);
    if (!restored)
        return FALSE;
    g_autoptr(GHashTable) counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) left_out = left_out_names(c, t);
    count_entries(counts, t, 1, c->request->tablespaces, left_out);
    count_entries(counts, restored, -1, c->request->tablespaces, left_out);
    name_schema_differences(c, counts);
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
           (!c->request->schema || compare_schema(c, s, t, error));
}

gboolean compare_with_proof(const struct compare_request *request, const struct archive_contents *contents,
                            const struct toc *t, struct report *report, GError **error)
{
    struct compare c = {.request = request, .contents = contents, .report = report};
    c.jobs = pool_default_jobs(request->jobs);
    c.sessions = g_new0(struct session *, c.jobs);
    c.found = g_new0(struct fingerprint, contents->tables->len + 1);
    g_mutex_init(&c.mutex);
    gboolean ok = run(&c, t, error);
    for (guint i = 0; i < c.jobs; i++)
        session_free(c.sessions[i]);
    if (ok && c.differences > 0)
        ok =
            ot_fail(error, OT_MISMATCH, "the restored database differs from the backup's proof in %u points, first: %s",
                    c.differences, c.first);
    g_free(c.sessions);
    g_free(c.found);
    g_free(c.first);
    if (c.pieces)
        g_array_unref(c.pieces);
    g_mutex_clear(&c.mutex);
    return ok;
}
