/* The whole-file check: members are unpacked and counted in parallel. A file of which nothing is known is also
 * digested, its members in their order; one that was just written is held against the hashes of what was written. */
#include "archive/check.h"

#include <string.h>

#include "archive/writer.h"
#include "base/digest.h"
#include "base/interrupt.h"
#include "base/pool.h"

#define LINES_STEP 240 /* at most 255, so that they can be counted in a byte */
#define TAIL_LAST_LINE "-- PostgreSQL database dump complete"

struct check {
    struct archive_reader *reader;
    const struct archive_check_options *options;
    struct member_reader **readers; /* one per worker */
    struct fingerprint *sums;       /* one per table */
    struct digest *digest;
    guint turn;      /* the member that is digested next */
    gboolean failed; /* nobody need wait for a turn any longer */
    GCond turned;
    char *sealed_sha256, *sha256; /* of the bytes before the trailer; of the whole file */
    guint64 done_bytes;
    GMutex mutex;
};

/* Members come in any order, but each byte is read only once: from far away, that is what counts. Tasks are begun in
 * order, so whoever has the turn is at work. */
static void digest_in_turn(struct check *c, guint i, const GByteArray *packed)
{
    g_mutex_lock(&c->mutex);
    while (c->turn != i && !c->failed)
        g_cond_wait(&c->turned, &c->mutex);
    gboolean mine = c->turn == i;
    g_mutex_unlock(&c->mutex);
    if (!mine)
        return;
    digest_add(c->digest, packed->data, packed->len);
    g_mutex_lock(&c->mutex);
    c->turn++;
    g_cond_broadcast(&c->turned);
    g_mutex_unlock(&c->mutex);
}

static void give_up_turns(void *data)
{
    struct check *c = data;
    g_mutex_lock(&c->mutex);
    c->failed = TRUE;
    g_cond_broadcast(&c->turned);
    g_mutex_unlock(&c->mutex);
}

/* Contents and trailer, which follow the members. */
static gboolean digest_end(struct check *c, GError **error)
{
    struct archive_reader *r = c->reader;
    if (!digest_add_source(c->digest, r->source, r->contents_offset, r->sealed_bytes, error))
        return FALSE;
    c->sealed_sha256 = digest_text(c->digest);
    if (!digest_add_source(c->digest, r->source, r->sealed_bytes, r->source->size_bytes, error))
        return FALSE;
    c->sha256 = digest_text(c->digest);
    return TRUE;
}

/* After the members: where one of them is damaged, that says more. */
static gboolean compare_digest(struct check *c, GError **error)
{
    if (!digest_end(c, error))
        return FALSE;
    return g_str_equal(c->sealed_sha256, c->reader->sealed_sha256) ||
           ot_fail(error, OT_CORRUPT, "the SHA-256 in the trailer is not that of the file");
}

static gboolean has_written_contents(const struct archive_reader *r, const struct archive_contents *written,
                                     GError **error)
{
    gsize size = (gsize)(r->sealed_bytes - r->contents_offset);
    g_autofree guint8 *packed = g_malloc(size);
    if (!r->source->read_at(r->source, r->contents_offset, packed, size, error))
        return FALSE;
    return fingerprint_of_bytes(packed, size) == written->packed_hash ||
           ot_fail(error, OT_CORRUPT, "its contents are not those that were written");
}

static gboolean is_as_written(const struct check *c, guint i, const GByteArray *packed, GError **error)
{
    const struct archive_member *m = &g_array_index(c->options->written->members, struct archive_member, i);
    return fingerprint_of_bytes(packed->data, packed->len) == m->packed_hash ||
           ot_fail(error, OT_CORRUPT, "member %u at byte %" G_GUINT64_FORMAT " is not the one that was written", i,
                   m->offset);
}

/* Rows are short: counting all bytes, which the compiler does many at a time, is faster than searching for each end. A
 * count that fits into a byte lets it do most at a time. */
static guint64 count_lines(const char *text, gsize length)
{
    guint64 lines = 0;
    for (gsize start = 0; start < length; start += LINES_STEP) {
        gsize end = MIN(length, start + LINES_STEP);
        guint8 few = 0;
        for (gsize i = start; i < end; i++)
            few = (guint8)(few + (text[i] == '\n'));
        lines += few;
    }
    return lines;
}

static gboolean check_rows(struct check *c, struct member_reader *reader, guint i, GError **error)
{
    const struct archive_member *m = &g_array_index(c->reader->contents->members, struct archive_member, i);
    const char *rows;
    gsize length;
    if (!member_reader_get_rows(reader, i, &rows, &length, error))
        return FALSE;
    struct fingerprint sum = {0};
    if (!c->options->written)
        fingerprint_add_lines(&sum, rows, length);
    else
        sum.rows = count_lines(rows, length);
    if (sum.rows != m->rows || (length > 0 && rows[length - 1] != '\n'))
        return ot_fail(error, OT_CORRUPT,
                       "member %u has %" G_GUINT64_FORMAT " rows, the contents say %" G_GUINT64_FORMAT, i, sum.rows,
                       m->rows);
    g_mutex_lock(&c->mutex);
    fingerprint_merge(&c->sums[m->table], &sum);
    g_mutex_unlock(&c->mutex);
    return TRUE;
}

static gboolean check_text(struct check *c, struct member_reader *reader, guint i, GError **error)
{
    const struct archive_member *m = &g_array_index(c->reader->contents->members, struct archive_member, i);
    const char *text;
    gsize length;
    if (!member_reader_get(reader, i, &text, &length, error))
        return FALSE;
    gsize first = strlen(ARCHIVE_FIRST_LINE);
    if (m->kind == MEMBER_HEAD && i == 0 && (length < first || memcmp(text, ARCHIVE_FIRST_LINE, first) != 0))
        return ot_fail(error, OT_CORRUPT, "the file does not begin as a backup");
    if (m->kind == MEMBER_TAIL && i == c->reader->contents->members->len - 1 &&
        !g_strrstr_len(text, (gssize)length, TAIL_LAST_LINE))
        return ot_fail(error, OT_CORRUPT, "the dump does not end with \"%s\"", TAIL_LAST_LINE);
    if (length == 0 || text[length - 1] != '\n')
        return ot_fail(error, OT_CORRUPT, "member %u ends in the middle of a statement", i);
    return TRUE;
}

static gboolean run_task(guint worker, guint i, void *data, GError **error)
{
    struct check *c = data;
    const struct archive_member *m = &g_array_index(c->reader->contents->members, struct archive_member, i);
    if (!(m->kind == MEMBER_DATA ? check_rows : check_text)(c, c->readers[worker], i, error))
        return FALSE;
    const GByteArray *packed = member_reader_packed(c->readers[worker]);
    if (!c->options->written)
        digest_in_turn(c, i, packed);
    else if (!is_as_written(c, i, packed, error))
        return FALSE;
    g_mutex_lock(&c->mutex);
    guint64 done = c->done_bytes += m->size;
    g_mutex_unlock(&c->mutex);
    if (c->options->progress)
        c->options->progress(done, c->options->progress_data);
    return TRUE;
}

static gboolean compare_tables(struct check *c, GError **error)
{
    const GPtrArray *tables = c->reader->contents->tables;
    for (guint i = 0; i < tables->len; i++) {
        const struct archive_table *t = tables->pdata[i];
        if (c->sums[i].rows != t->proof.rows)
            return ot_fail(error, OT_CORRUPT,
                           "%s.%s has %" G_GUINT64_FORMAT " rows in the file, its proof says %" G_GUINT64_FORMAT,
                           t->def->schema, t->def->name, c->sums[i].rows, t->proof.rows);
        if (!c->options->written && !fingerprint_equal(&c->sums[i], &t->proof))
            return ot_fail(error, OT_CORRUPT, "the rows of %s.%s in the file are not those of its proof",
                           t->def->schema, t->def->name);
    }
    return TRUE;
}

/* First the head, last the tail, data between: what psql needs to run the file from front to back. */
static gboolean check_order(const struct archive_contents *c, GError **error)
{
    enum member_kind last = MEMBER_HEAD;
    for (guint i = 0; i < c->members->len; i++) {
        const struct archive_member *m = &g_array_index(c->members, struct archive_member, i);
        gboolean loose = m->kind > MEMBER_HEAD && m->kind < MEMBER_TAIL && last > MEMBER_HEAD && last < MEMBER_TAIL;
        if (m->kind < last && !loose)
            return ot_fail(error, OT_CORRUPT, "member %u is out of order", i);
        last = m->kind;
    }
    if (g_array_index(c->members, struct archive_member, 0).kind != MEMBER_HEAD || last != MEMBER_TAIL)
        return ot_fail(error, OT_CORRUPT, "the file lacks its beginning or its end");
    return TRUE;
}

gboolean archive_check(struct archive_reader *r, const struct archive_check_options *options, GError **error)
{
    if (!check_order(r->contents, error) || (options->written && !has_written_contents(r, options->written, error)))
        return FALSE;
    guint workers = pool_default_jobs(options->jobs);
    struct check c = {.reader = r, .options = options};
    g_mutex_init(&c.mutex);
    g_cond_init(&c.turned);
    c.digest = digest_new();
    c.sums = g_new0(struct fingerprint, r->contents->tables->len + 1);
    c.readers = g_new0(struct member_reader *, workers);
    for (guint i = 0; i < workers; i++)
        c.readers[i] = member_reader_new(r);
    gboolean ok = pool_run(workers, r->contents->members->len, run_task, give_up_turns, &c, error) &&
                  compare_tables(&c, error) && (options->written || compare_digest(&c, error));
    for (guint i = 0; i < workers; i++)
        member_reader_free(c.readers[i]);
    if (ok && options->ret_sha256)
        *options->ret_sha256 = g_steal_pointer(&c.sha256);
    g_free(c.sha256);
    g_free(c.sealed_sha256);
    g_free(c.readers);
    g_free(c.sums);
    digest_free(c.digest);
    g_cond_clear(&c.turned);
    g_mutex_clear(&c.mutex);
    return ok;
}
