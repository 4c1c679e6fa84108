/*
 * A small backup file is written, read back and checked; then the damage table: however the file is damaged, opening
 * or checking it must say so.
 */
#include "archive/check.h"
#include "archive/plain.h"
#include "archive/trailer.h"
#include "archive/writer.h"

#include <string.h>

#include "base/files.h"
#include "base/pool.h"

#define COPY_A "COPY public.a (id, note) FROM stdin;"
#define COPY_B "COPY \"odd schema\".\"b b\" (x) FROM stdin;"
#define TAIL "CREATE INDEX i ON public.a (id);\n--\n-- PostgreSQL database dump complete\n--\n\n"

static char *folder;

/* ---- writing ---- */

static void add_table(struct archive_contents *c, const char *schema, const char *name, const char *copy_sql)
{
    struct table_def *def = table_def_new();
    def->schema = g_strdup(schema);
    def->name = g_strdup(name);
    def->copy_sql = g_strdup(copy_sql);
    archive_contents_add_table(c, def);
}

/* Rows FIRST to END - 1 of a table, as one piece of it. */
static void put_rows(struct member_builder *b, struct archive_contents *c, guint table, guint first, guint end,
                     const char *note)
{
    struct archive_table *t = c->tables->pdata[table];
    struct fingerprint proof = {0};
    member_builder_begin_rows(b, table, t->def->copy_sql, &proof);
    for (guint i = first; i < end; i++) {
        g_autofree char *row = g_strdup_printf("%u\t%s %u\n", i, note, i * 7);
        g_assert_true(member_builder_add_row(b, row, strlen(row), NULL));
        t->plain_bytes += strlen(row);
    }
    g_assert_true(member_builder_end_rows(b, NULL));
    fingerprint_merge(&t->proof, &proof);
}

static void put_text(struct member_builder *b, enum member_kind kind, const char *text)
{
    g_assert_true(member_builder_put(b, kind, text, strlen(text), NULL));
}

/* Eight members: head, three pieces of table a, two of b, sequences, tail. note varies the rows. c is empty before, and
 * afterwards what was written. */
static GByteArray *write_contents(struct archive_contents *c, const char *note, int level, char **ret_sha256)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(file_sink) sink = file_sink_new(folder, "small.sql.gz", &error);
    g_autoptr(archive_writer) w = archive_writer_new(file_sink_stream(sink), c);
    g_autoptr(member_builder) b = member_builder_new(w, level, ARCHIVE_MEMBER_BYTES);
    add_table(c, "public", "a", COPY_A);
    add_table(c, "odd schema", "b b", COPY_B);
    add_table(c, "public", "empty", "COPY public.empty (x) FROM stdin;");
    c->toc = g_bytes_new("PGDMP", 5);
    put_text(b, MEMBER_HEAD, ARCHIVE_FIRST_LINE "CREATE TABLE public.a (id int, note text);\n");
    for (guint i = 0; i < 3; i++)
        put_rows(b, c, 0, i * 10, i * 10 + 10, note);
    put_rows(b, c, 1, 0, 5, "b");
    put_rows(b, c, 2, 0, 0, "none");
    put_rows(b, c, 1, 5, 10, "b");
    put_text(b, MEMBER_SEQUENCES, "SELECT pg_catalog.setval('public.s', 7, true);\n");
    put_text(b, MEMBER_TAIL, TAIL);
    g_autofree char *sha256 = NULL;
    g_assert_true(archive_writer_finish(w, &sha256, &error));
    g_assert_no_error(error);
    char *text = NULL;
    gsize length = 0;
    g_assert_true(files_read(file_sink_path(sink), 1u << 20, &text, &length, &error));
    if (ret_sha256)
        *ret_sha256 = g_steal_pointer(&sha256);
    return g_byte_array_new_take((guint8 *)text, length);
}

static GByteArray *write_archive(const char *note, int level, char **ret_sha256)
{
    g_autoptr(archive_contents) c = archive_contents_new();
    return write_contents(c, note, level, ret_sha256);
}

/* ---- sources ---- */

struct memory_source {
    struct source base;
    guint8 *data;
};

static gboolean memory_read_at(struct source *self, guint64 offset, void *data, gsize length, GError **error)
{
    if (offset > self->size_bytes || length > self->size_bytes - offset)
        return ot_fail(error, OT_CORRUPT, "%s ends too early", self->name);
    if (length > 0)
        memcpy(data, ((struct memory_source *)self)->data + offset, length);
    return TRUE;
}

static void memory_free(struct source *self)
{
    g_free(((struct memory_source *)self)->data);
}

static struct source *memory_source(const guint8 *data, gsize length)
{
    struct memory_source *s = g_new0(struct memory_source, 1);
    s->base = (struct source){memory_read_at, memory_free, length, g_strdup("memory")};
    s->data = g_memdup2(data, length ? length : 1);
    return &s->base;
}

/* ---- the judge ---- */

static gboolean check(struct archive_reader *r, GError **error)
{
    struct archive_check_options options = {.jobs = 1};
    return archive_check(r, &options, error);
}

/* What a backup does with the file it has just written. */
static gboolean check_written(struct archive_reader *r, const struct archive_contents *written, GError **error)
{
    struct archive_check_options options = {.jobs = 1, .written = written};
    return archive_check(r, &options, error);
}

/* What `verify` does with a file that nothing else is known of. */
static gboolean is_whole(const guint8 *data, gsize length, GError **error)
{
    g_autoptr(source) s = memory_source(data, length);
    enum archive_kind kind;
    if (!archive_detect(s, &kind, error))
        return FALSE;
    if (kind != ARCHIVE_OURS) {
        struct plain_summary summary = {0};
        gboolean ok = plain_scan(s, kind, NULL, NULL, &summary, error);
        plain_summary_clear(&summary);
        return ok;
    }
    g_autoptr(archive_reader) r = archive_reader_open(s, error);
    if (!r)
        return FALSE;
    s = NULL; /* the reader's now */
    return check(r, error);
}

static void expect_damage(const guint8 *data, gsize length, const char *what)
{
    g_autoptr(GError) error = NULL;
    if (is_whole(data, length, &error))
        g_error("not noticed: %s", what);
    g_assert_error(error, OT_ERROR, OT_CORRUPT);
}

static struct archive_reader *open_whole(const GByteArray *file)
{
    g_autoptr(GError) error = NULL;
    struct archive_reader *r = archive_reader_open(memory_source(file->data, file->len), &error);
    g_assert_no_error(error);
    return r;
}

/* ---- whole files ---- */

static void test_round_trip(void)
{
    for (int level = 0; level <= 12; level += 6) {
        g_autoptr(GError) error = NULL;
        g_autofree char *sha256 = NULL;
        g_autoptr(GByteArray) file = write_archive("note", level, &sha256);
        g_assert_true(is_whole(file->data, file->len, &error));
        g_autoptr(archive_reader) r = open_whole(file);
        g_assert_cmpuint(r->contents->members->len, ==, 8);
        g_assert_cmpuint(archive_contents_rows(r->contents), ==, 40);
        g_assert_true(check(r, &error));
        g_assert_no_error(error);
    }
}

static void test_round_trip_written(void)
{
    for (int level = 0; level <= 12; level += 6) {
        g_autoptr(GError) error = NULL;
        g_autoptr(archive_contents) c = archive_contents_new();
        g_autoptr(GByteArray) file = write_contents(c, "note", level, NULL);
        g_autoptr(archive_reader) r = open_whole(file);
        g_assert_true(check_written(r, c, &error));
        g_assert_no_error(error);
    }
}

static void test_ret_sha256(void)
{
    g_autofree char *sha256 = NULL, *found = NULL;
    g_autoptr(GByteArray) file = write_archive("note", 0, &sha256);
    g_autoptr(archive_reader) r = open_whole(file);
    struct archive_check_options options = {.jobs = 3, .ret_sha256 = &found};
    g_assert_true(archive_check(r, &options, NULL));
    g_assert_cmpstr(found, ==, sha256);
    g_autofree char *expected = g_compute_checksum_for_data(G_CHECKSUM_SHA256, file->data, file->len);
    g_assert_cmpstr(found, ==, expected);
}

static void expect_member(struct member_reader *m, guint i, const char *expected)
{
    const char *text;
    gsize length;
    g_assert_true(member_reader_get(m, i, &text, &length, NULL));
    g_autofree char *got = g_strndup(text, length);
    g_assert_cmpstr(got, ==, expected);
}

/* Each member alone is whole SQL. */
static void test_members(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    g_autoptr(archive_reader) r = open_whole(file);
    g_autoptr(member_reader) m = member_reader_new(r);
    expect_member(m, 7, TAIL);
    expect_member(m, 4, COPY_B "\n0\tb 0\n1\tb 7\n2\tb 14\n3\tb 21\n4\tb 28\n\\.\n\n");
    expect_member(m, 0, ARCHIVE_FIRST_LINE "CREATE TABLE public.a (id int, note text);\n");
    const char *rows;
    gsize length;
    g_assert_true(member_reader_get_rows(m, 5, &rows, &length, NULL));
    g_autofree char *got = g_strndup(rows, length);
    g_assert_cmpstr(got, ==, "5\tb 35\n6\tb 42\n7\tb 49\n8\tb 56\n9\tb 63\n");
    g_autoptr(GError) error = NULL;
    g_assert_false(member_reader_get_rows(m, 7, &rows, &length, &error));
    g_assert_error(error, OT_ERROR, OT_CORRUPT);
}

static void test_detect(void)
{
    static const char plain[] = "--\n-- PostgreSQL database dump\n--\n";
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    g_autoptr(GByteArray) other = g_byte_array_new();
    gzip_store(plain, (guint16)strlen(plain), other);
    struct {
        const guint8 *data;
        gsize length;
        enum archive_kind kind;
    } cases[] = {
        {file->data, file->len, ARCHIVE_OURS},         {file->data, file->len - 1, ARCHIVE_OURS}, /* by its beginning */
        {file->data + 1, file->len - 1, ARCHIVE_OURS},                                            /* by its end */
        {other->data, other->len, ARCHIVE_PLAIN_GZIP}, {(const guint8 *)plain, strlen(plain), ARCHIVE_PLAIN_SQL},
        {(const guint8 *)"x", 1, ARCHIVE_PLAIN_SQL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(source) s = memory_source(cases[i].data, cases[i].length);
        enum archive_kind kind;
        g_assert_true(archive_detect(s, &kind, NULL));
        g_assert_cmpint((int)kind, ==, (int)cases[i].kind);
    }
    g_autoptr(source) empty = memory_source(NULL, 0);
    g_autoptr(GError) error = NULL;
    enum archive_kind kind;
    g_assert_false(archive_detect(empty, &kind, &error));
    g_assert_error(error, OT_ERROR, OT_CORRUPT);
}

/* Rows of more than a member's size are cut at row boundaries into several members, and one row may be larger. */
static void test_large_rows(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(archive_contents) c = archive_contents_new();
    g_autoptr(file_sink) sink = file_sink_new(folder, "large.sql.gz", &error);
    g_autoptr(archive_writer) w = archive_writer_new(file_sink_stream(sink), c);
    g_autoptr(member_builder) b = member_builder_new(w, 0, ARCHIVE_MEMBER_BYTES);
    add_table(c, "public", "a", COPY_A);
    put_text(b, MEMBER_HEAD, ARCHIVE_FIRST_LINE);
    g_autofree char *half = g_strnfill(ARCHIVE_MEMBER_BYTES / 2, 'h');
    put_rows(b, c, 0, 0, 9, half);
    g_autofree char *huge = g_strnfill(3 * ARCHIVE_MEMBER_BYTES, 'x');
    put_rows(b, c, 0, 9, 10, huge);
    put_text(b, MEMBER_TAIL, TAIL);
    g_assert_cmpuint(c->members->len, ==, 1 + 5 + 1 + 1);
    guint64 plain = 0, size = 0;
    archive_writer_totals(w, &plain, &size);
    g_assert_cmpuint(plain, >, 7 * ARCHIVE_MEMBER_BYTES);
    g_autofree char *sha256 = NULL;
    g_assert_true(archive_writer_finish(w, &sha256, &error));
    g_autoptr(archive_reader) r = archive_reader_open(source_open_file(file_sink_path(sink), NULL), &error);
    g_assert_no_error(error);
    g_assert_true(check(r, &error));
    g_assert_no_error(error);
}

/* Four threads add members at once: the contents still tile the file. */
static gboolean add_piece(guint worker, guint task, void *data, GError **error)
{
    struct archive_writer *w = data;
    (void)worker;
    g_autoptr(member_builder) b = member_builder_new(w, 0, ARCHIVE_MEMBER_BYTES);
    g_autofree char *text = g_strdup_printf("SELECT %u;\n", task);
    return member_builder_put(b, MEMBER_LARGE_OBJECTS, text, strlen(text), error);
}

static void test_threads(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(archive_contents) c = archive_contents_new();
    g_autoptr(file_sink) sink = file_sink_new(folder, "threads.sql.gz", &error);
    g_autoptr(archive_writer) w = archive_writer_new(file_sink_stream(sink), c);
    g_autoptr(member_builder) b = member_builder_new(w, 0, ARCHIVE_MEMBER_BYTES);
    put_text(b, MEMBER_HEAD, ARCHIVE_FIRST_LINE);
    g_assert_true(pool_run(4, 500, add_piece, NULL, w, &error));
    put_text(b, MEMBER_TAIL, TAIL);
    g_autofree char *sha256 = NULL;
    g_assert_true(archive_writer_finish(w, &sha256, &error));
    g_autoptr(archive_reader) r = archive_reader_open(source_open_file(file_sink_path(sink), NULL), &error);
    g_assert_no_error(error);
    g_assert_cmpuint(r->contents->members->len, ==, 502);
    g_assert_true(check(r, &error));
    g_assert_no_error(error);
}

/* ---- damage ---- */

static void test_every_cut(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    for (gsize cut = 0; cut < file->len; cut++) {
        g_autofree char *what = g_strdup_printf("cut to %" G_GSIZE_FORMAT " bytes", cut);
        expect_damage(file->data, cut, what);
        if (cut > 0) {
            g_autofree char *front = g_strdup_printf("the first %" G_GSIZE_FORMAT " bytes missing", cut);
            expect_damage(file->data + cut, file->len - cut, front);
        }
    }
}

static void test_every_byte(void)
{
    static const guint8 changes[] = {0x01, 0x80, 0xff};
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    for (gsize at = 0; at < file->len; at++)
        for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
            g_autofree char *what = g_strdup_printf("byte %" G_GSIZE_FORMAT " changed by %02x", at, changes[i]);
            file->data[at] ^= changes[i];
            expect_damage(file->data, file->len, what);
            file->data[at] ^= changes[i];
        }
    g_assert_true(is_whole(file->data, file->len, NULL));
}

static void test_lengthened(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    gsize length = file->len;
    static const struct {
        const char *bytes;
        guint length;
    } tails[] = {{"", 1}, {"\n", 1}, {"x", 1}, {"\x1f\x8b", 2}, {"garbage after the end of the file", 33}};
    for (gsize i = 0; i < G_N_ELEMENTS(tails); i++) {
        g_byte_array_set_size(file, (guint)length);
        g_byte_array_append(file, (const guint8 *)tails[i].bytes, tails[i].length);
        expect_damage(file->data, file->len, "lengthened");
    }
    g_byte_array_set_size(file, (guint)length);
    g_autoptr(GByteArray) twice = g_byte_array_new();
    g_byte_array_append(twice, file->data, file->len);
    g_byte_array_append(twice, file->data, file->len);
    expect_damage(twice->data, twice->len, "the file twice");
}

/* Every byte in between is taken out or put in: what a broken copy does. */
static void test_shifted(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    for (guint at = 0; at < file->len; at++) {
        g_autoptr(GByteArray) changed = g_byte_array_new();
        g_byte_array_append(changed, file->data, file->len);
        g_byte_array_remove_index(changed, at);
        expect_damage(changed->data, changed->len, "a byte missing");
        g_byte_array_set_size(changed, at);
        g_byte_array_append(changed, file->data + at, 1);
        g_byte_array_append(changed, file->data + at, file->len - at);
        expect_damage(changed->data, changed->len, "a byte doubled");
    }
}

static void test_zeroed(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    for (guint block = 16; block <= 1024; block *= 4)
        for (guint at = 0; at < file->len; at += block / 2) {
            g_autoptr(GByteArray) changed = g_byte_array_new();
            g_byte_array_append(changed, file->data, file->len);
            memset(changed->data + at, 0, MIN(block, file->len - at));
            if (memcmp(changed->data, file->data, file->len) == 0)
                continue;
            expect_damage(changed->data, changed->len, "a block of zeroes");
        }
}

/* ---- damage by whole members ---- */

/* A backup file in parts, to be put together otherwise. */
struct parts {
    struct archive_contents *contents;
    GPtrArray *members; /* GBytes *: as they stand in the file */
    GBytes *end;        /* contents and trailer as they stand in the file */
};

static void parts_open(struct parts *p, const GByteArray *file)
{
    g_autoptr(archive_reader) r = open_whole(file);
    p->contents = g_steal_pointer(&r->contents);
    p->members = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    gsize at = 0;
    for (guint i = 0; i < p->contents->members->len; i++) {
        const struct archive_member *m = &g_array_index(p->contents->members, struct archive_member, i);
        g_ptr_array_add(p->members, g_bytes_new(file->data + m->offset, m->size));
        at = m->offset + m->size;
    }
    p->end = g_bytes_new(file->data + at, file->len - at);
}

static void parts_clear(struct parts *p)
{
    archive_contents_free(p->contents);
    g_ptr_array_unref(p->members);
    g_bytes_unref(p->end);
}

static void append_bytes(GByteArray *to, GBytes *bytes)
{
    gsize length;
    const guint8 *data = g_bytes_get_data(bytes, &length);
    g_byte_array_append(to, data, (guint)length);
}

static struct archive_member *member_at(const struct parts *p, guint i)
{
    return &g_array_index(p->contents->members, struct archive_member, i);
}

/* As it is on disk after members moved: nobody told the contents. */
static GByteArray *join_as_is(const struct parts *p)
{
    GByteArray *file = g_byte_array_new();
    for (guint i = 0; i < p->members->len; i++)
        append_bytes(file, p->members->pdata[i]);
    append_bytes(file, p->end);
    return file;
}

/* Offsets and sizes in the contents are made to fit, and contents and trailer are sealed again: only the proof, the
 * CRCs and the order of statements can show that something is wrong. */
static GByteArray *join_adjusted(const struct parts *p)
{
    GByteArray *file = g_byte_array_new();
    for (guint i = 0; i < p->members->len; i++) {
        if (i < p->contents->members->len) {
            member_at(p, i)->offset = file->len;
            member_at(p, i)->size = g_bytes_get_size(p->members->pdata[i]);
        }
        append_bytes(file, p->members->pdata[i]);
    }
    g_autofree char *text = archive_contents_print(p->contents);
    g_autoptr(gzip_packer) packer = gzip_packer_new(6);
    g_autoptr(GByteArray) packed = g_byte_array_new();
    guint32 crc;
    g_assert_true(gzip_pack(packer, text, strlen(text), packed, &crc, NULL));
    struct archive_trailer trailer = {file->len, packed->len, strlen(text), ""};
    g_byte_array_append(file, packed->data, packed->len);
    g_autofree char *sealed = g_compute_checksum_for_data(G_CHECKSUM_SHA256, file->data, file->len);
    g_strlcpy(trailer.sha256, sealed, sizeof trailer.sha256);
    archive_trailer_print(&trailer, packed);
    g_byte_array_append(file, packed->data, packed->len);
    return file;
}

static void expect_whole(const GByteArray *file)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(is_whole(file->data, file->len, &error));
    g_assert_no_error(error);
}

/* The test's own tools make whole files when nothing is wrong. */
static void test_join(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    struct parts p;
    parts_open(&p, file);
    g_autoptr(GByteArray) same = join_as_is(&p), sealed = join_adjusted(&p);
    expect_whole(same);
    expect_whole(sealed);
    parts_clear(&p);
}

static void swap_bytes(struct parts *p, guint i, guint k)
{
    gpointer kept = p->members->pdata[i];
    p->members->pdata[i] = p->members->pdata[k];
    p->members->pdata[k] = kept;
}

static void test_swapped(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    for (guint i = 0; i < 8; i++)
        for (guint k = i + 1; k < 8; k++) {
            g_autofree char *what = g_strdup_printf("members %u and %u swapped", i, k);
            struct parts p;
            parts_open(&p, file);
            swap_bytes(&p, i, k);
            g_autoptr(GByteArray) as_is = join_as_is(&p), adjusted = join_adjusted(&p);
            expect_damage(as_is->data, as_is->len, what);
            expect_damage(adjusted->data, adjusted->len, what);
            parts_clear(&p);
        }
}

/* The entries go along with the members: head and tail must still be where they belong; rows may be in any order. */
static void test_swapped_with_entries(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    for (guint i = 0; i < 8; i++)
        for (guint k = i + 1; k < 8; k++) {
            struct parts p;
            parts_open(&p, file);
            swap_bytes(&p, i, k);
            struct archive_member kept = *member_at(&p, i);
            *member_at(&p, i) = *member_at(&p, k);
            *member_at(&p, k) = kept;
            g_autoptr(GByteArray) adjusted = join_adjusted(&p);
            if (i == 0 || k == 7)
                expect_damage(adjusted->data, adjusted->len, "head or tail elsewhere");
            else
                expect_whole(adjusted);
            parts_clear(&p);
        }
}

static void test_dropped(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    for (guint i = 0; i < 8; i++) {
        g_autofree char *what = g_strdup_printf("member %u dropped", i);
        struct parts p;
        parts_open(&p, file);
        g_autoptr(GBytes) kept = g_bytes_ref(p.members->pdata[i]);
        g_ptr_array_remove_index(p.members, i);
        g_autoptr(GByteArray) as_is = join_as_is(&p);
        expect_damage(as_is->data, as_is->len, what);
        enum member_kind kind = member_at(&p, i)->kind;
        g_array_remove_index(p.contents->members, i);
        g_autoptr(GByteArray) adjusted = join_adjusted(&p);
        if (kind != MEMBER_SEQUENCES) /* the contents' own proof says nothing of sequences */
            expect_damage(adjusted->data, adjusted->len, what);
        parts_clear(&p);
    }
}

static void test_doubled(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    for (guint i = 0; i < 8; i++) {
        g_autofree char *what = g_strdup_printf("member %u doubled", i);
        struct parts p;
        parts_open(&p, file);
        g_ptr_array_insert(p.members, (int)i, g_bytes_ref(p.members->pdata[i]));
        g_autoptr(GByteArray) as_is = join_as_is(&p);
        expect_damage(as_is->data, as_is->len, what);
        struct archive_member entry = *member_at(&p, i);
        g_array_insert_val(p.contents->members, i, entry);
        g_autoptr(GByteArray) adjusted = join_adjusted(&p);
        if (entry.kind == MEMBER_DATA)
            expect_damage(adjusted->data, adjusted->len, what);
        parts_clear(&p);
    }
}

/* A member that the contents do not name would be run by psql. */
static void test_unnamed(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL), extra = g_byte_array_new();
    gzip_store("DROP TABLE public.a;\n", 21, extra);
    struct parts p;
    parts_open(&p, file);
    g_ptr_array_add(p.members, g_bytes_new(extra->data, extra->len));
    g_autoptr(GByteArray) adjusted = join_adjusted(&p);
    expect_damage(adjusted->data, adjusted->len, "a member without an entry");
    parts_clear(&p);
}

static void expect_not_as_written(const GByteArray *file, const struct archive_contents *written, const char *message)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(archive_reader) r = archive_reader_open(memory_source(file->data, file->len), &error);
    if (r && check_written(r, written, &error))
        g_error("not noticed: %s", message);
    g_assert_error(error, OT_ERROR, OT_CORRUPT);
    if (!strstr(error->message, message))
        g_error("\"%s\" instead of \"%s\"", error->message, message);
}

/* Whole files, but not what was written: only who knows what was written can tell. */
static void test_not_as_written(void)
{
    g_autoptr(archive_contents) c = archive_contents_new();
    g_autoptr(GByteArray) file = write_contents(c, "note", 0, NULL);
    g_autoptr(GByteArray) other = write_archive("mote", 0, NULL);
    expect_not_as_written(other, c, "its contents are not those that were written");
    struct parts p;
    parts_open(&p, file);
    g_bytes_unref(g_ptr_array_steal_index(p.members, 2));
    g_array_remove_index(p.contents->members, 2);
    g_autoptr(GByteArray) dropped = join_adjusted(&p);
    expect_not_as_written(dropped, c, "its contents are not those that were written");
    parts_clear(&p);
    g_array_index(c->members, struct archive_member, 1).packed_hash ^= 1;
    expect_not_as_written(file, c, "is not the one that was written");
}

static void test_every_byte_written(void)
{
    g_autoptr(archive_contents) c = archive_contents_new();
    g_autoptr(GByteArray) file = write_contents(c, "note", 0, NULL);
    for (guint i = 0; i < file->len; i++) {
        file->data[i] = (guint8)(file->data[i] ^ 1u << i % 8);
        expect_not_as_written(file, c, "");
        file->data[i] = (guint8)(file->data[i] ^ 1u << i % 8);
    }
}

/* One piece of a table in place of another of the same table. */
static void test_repeated(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    struct parts p;
    parts_open(&p, file);
    g_bytes_unref(p.members->pdata[2]);
    p.members->pdata[2] = g_bytes_ref(p.members->pdata[1]);
    struct archive_member entry = *member_at(&p, 1);
    *member_at(&p, 2) = entry;
    g_autoptr(GByteArray) adjusted = join_adjusted(&p);
    expect_damage(adjusted->data, adjusted->len, "a piece twice, another not at all: counts are right");
    parts_clear(&p);
}

/* Rows of one table said to be another's. */
static void test_other_table(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    struct parts p;
    parts_open(&p, file);
    member_at(&p, 1)->table = 1;
    g_autoptr(GByteArray) adjusted = join_adjusted(&p);
    expect_damage(adjusted->data, adjusted->len, "another table's COPY statement");
    parts_clear(&p);
}

/* Another backup's members, or its contents and trailer, of the same layout and sizes. */
static void test_mixed(void)
{
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    g_autoptr(GByteArray) other = write_archive("mote", 0, NULL);
    for (guint i = 0; i <= 8; i++) {
        struct parts p, q;
        parts_open(&p, file);
        parts_open(&q, other);
        GBytes **mine = i < 8 ? (GBytes **)&p.members->pdata[i] : &p.end;
        GBytes **theirs = i < 8 ? (GBytes **)&q.members->pdata[i] : &q.end;
        gboolean differ = !g_bytes_equal(*mine, *theirs);
        GBytes *kept = *mine;
        *mine = *theirs;
        *theirs = kept;
        g_autoptr(GByteArray) as_is = join_as_is(&p), adjusted = join_adjusted(&p);
        g_assert_true(differ == ((i >= 1 && i <= 3) || i == 8));
        if (differ)
            expect_damage(as_is->data, as_is->len, "a part of another backup");
        if (differ && i < 8)
            expect_damage(adjusted->data, adjusted->len, "a member of another backup");
        parts_clear(&p);
        parts_clear(&q);
    }
}

/* What the contents say is changed, and sealed again. */
static void change_member_rows(struct archive_contents *c)
{
    g_array_index(c->members, struct archive_member, 2).rows++;
}

static void change_crc(struct archive_contents *c)
{
    g_array_index(c->members, struct archive_member, 2).crc ^= 1;
}

static void change_plain_size(struct archive_contents *c)
{
    g_array_index(c->members, struct archive_member, 0).plain_size--;
}

static void change_proof(struct archive_contents *c)
{
    ((struct archive_table *)c->tables->pdata[1])->proof.sum ^= 1;
}

static void change_rows(struct archive_contents *c)
{
    ((struct archive_table *)c->tables->pdata[2])->proof.rows++;
}

static void change_copy(struct archive_contents *c)
{
    struct table_def *def = ((struct archive_table *)c->tables->pdata[0])->def;
    def->copy_sql[5] ^= 1;
}

static void change_kind(struct archive_contents *c)
{
    g_array_index(c->members, struct archive_member, 6).kind = MEMBER_DATA;
}

static void test_wrong_contents(void)
{
    static void (*const changes[])(struct archive_contents *) = {
        change_member_rows, change_crc, change_plain_size, change_proof, change_rows, change_copy, change_kind,
    };
    g_autoptr(GByteArray) file = write_archive("note", 0, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
        struct parts p;
        parts_open(&p, file);
        changes[i](p.contents);
        g_autoptr(GByteArray) adjusted = join_adjusted(&p);
        expect_damage(adjusted->data, adjusted->len, "contents that do not fit the members");
        parts_clear(&p);
    }
}

/* ---- running ---- */

static const struct {
    const char *name;
    void (*test)(void);
} tests[] = {
    {"/archive/round_trip", test_round_trip},
    {"/archive/round_trip_written", test_round_trip_written},
    {"/archive/ret_sha256", test_ret_sha256},
    {"/archive/members", test_members},
    {"/archive/detect", test_detect},
    {"/archive/large_rows", test_large_rows},
    {"/archive/threads", test_threads},
    {"/archive/damage/every_cut", test_every_cut},
    {"/archive/damage/every_byte", test_every_byte},
    {"/archive/damage/lengthened", test_lengthened},
    {"/archive/damage/shifted", test_shifted},
    {"/archive/damage/zeroed", test_zeroed},
    {"/archive/damage/join", test_join},
    {"/archive/damage/swapped", test_swapped},
    {"/archive/damage/swapped_with_entries", test_swapped_with_entries},
    {"/archive/damage/dropped", test_dropped},
    {"/archive/damage/unnamed", test_unnamed},
    {"/archive/damage/not_as_written", test_not_as_written},
    {"/archive/damage/every_byte_written", test_every_byte_written},
    {"/archive/damage/doubled", test_doubled},
    {"/archive/damage/repeated", test_repeated},
    {"/archive/damage/other_table", test_other_table},
    {"/archive/damage/mixed", test_mixed},
    {"/archive/damage/wrong_contents", test_wrong_contents},
};

static void run_test(gconstpointer data)
{
    folder = g_dir_make_tmp("archive-XXXXXX", NULL);
    tests[GPOINTER_TO_SIZE(data)].test();
    g_assert_true(files_remove_tree(folder, NULL));
    g_clear_pointer(&folder, g_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_data_func(tests[i].name, GSIZE_TO_POINTER(i), run_test);
    return g_test_run();
}
