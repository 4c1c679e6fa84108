/*
 * Tests of dumps that are not ours: what pg_dump writes is accepted, plain and packed; a cut one is not.
 */
#include "archive/plain.h"

#include <string.h>

#include "archive/gzip.h"

#define HEADER                                                                                                         \
    "--\n-- PostgreSQL database dump\n--\n\n"                                                                          \
    "-- Dumped from database version 15.3 (Debian 15.3-1)\n-- Dumped by pg_dump version 15.3\n\n"                      \
    "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\n\n"
#define TABLES                                                                                                         \
    "CREATE TABLE public.a (\n    id integer,\n    note text\n);\n\n\nALTER TABLE public.a OWNER TO app;\n\n"          \
    "CREATE UNLOGGED TABLE public.b (\n);\n\n\nALTER TABLE public.b OWNER TO \"o p s\";\n\n"
#define ROWS                                                                                                           \
    "COPY public.a (id, note) FROM stdin;\n1\tone\n2\t-- PostgreSQL database dump complete\n3\t\\\\.\n\\.\n\n\n"
#define REST                                                                                                           \
    "COPY public.b  FROM stdin;\n\n\n\\.\n\n\nALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_pkey PRIMARY KEY "       \
    "(id);\n\n\n"
#define GRANTS "GRANT SELECT ON TABLE public.a TO reader;\nGRANT ALL ON SCHEMA public TO PUBLIC;\n\n\n"
#define COMPLETE "--\n-- PostgreSQL database dump complete\n--\n\n"
#define DUMP HEADER TABLES ROWS REST GRANTS COMPLETE

/* As written by pg_dump of 2025 and later. */
#define KEY "abcdefABCDEF0123456789"
#define RESTRICTED                                                                                                     \
    "--\n-- PostgreSQL database dump\n--\n\n\\restrict " KEY "\n\n"                                                    \
    "-- Dumped from database version 17.6\n-- Dumped by pg_dump version 17.6\n\n" TABLES ROWS REST GRANTS COMPLETE     \
    "\\unrestrict " KEY "\n\n"

/* What is run of it. */
#define GIVEN                                                                                                          \
    "CREATE TABLE public.a (\n    id integer,\n    note text\n);\nALTER TABLE public.a OWNER TO app;\n"                \
    "CREATE UNLOGGED TABLE public.b (\n);\nALTER TABLE public.b OWNER TO \"o p s\";\n"                                 \
    "COPY public.a (id, note) FROM stdin; <1\tone\n2\t-- PostgreSQL database dump complete\n3\t\\\\.\n> 3\n"           \
    "COPY public.b  FROM stdin; <\n\n> 2\nALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_pkey PRIMARY KEY (id);\n"    \
    "GRANT SELECT ON TABLE public.a TO reader;\nGRANT ALL ON SCHEMA public TO PUBLIC;\n"

struct memory_source {
    struct source base;
    guint8 *data;
};

static gboolean memory_read_at(struct source *self, guint64 offset, void *data, gsize length, GError **error)
{
    if (offset > self->size_bytes || length > self->size_bytes - offset)
        return ot_fail(error, OT_CORRUPT, "%s ends too early", self->name);
    memcpy(data, ((struct memory_source *)self)->data + offset, length);
    return TRUE;
}

static void memory_free(struct source *self)
{
    g_free(((struct memory_source *)self)->data);
}

static struct source *memory_source(const void *data, gsize length)
{
    struct memory_source *s = g_new0(struct memory_source, 1);
    s->base = (struct source){memory_read_at, memory_free, length, g_strdup("memory")};
    s->data = g_memdup2(data, length ? length : 1);
    return &s->base;
}

/* What a taker was given: statements each on a line of its own, rows as they are. */
static gboolean gather_statement(const char *sql, guint64 line, gboolean is_copy, void *data, GError **error)
{
    (void)line;
    (void)error;
    g_string_append_printf(data, "%s%s", sql, is_copy ? " <" : "\n");
    return TRUE;
}

static gboolean gather_rows(const char *text, gsize length, void *data, GError **error)
{
    (void)error;
    g_string_append_len(data, text, (gssize)length);
    return TRUE;
}

static gboolean gather_end(guint64 rows, void *data, GError **error)
{
    (void)error;
    g_string_append_printf(data, "> %" G_GUINT64_FORMAT "\n", rows);
    return TRUE;
}

static const struct plain_taker gatherer = {gather_statement, gather_rows, gather_end};

/* The text in gzip members of STEP plain bytes. */
static GByteArray *pack(const char *text, gsize length, gsize step)
{
    GByteArray *file = g_byte_array_new();
    g_autoptr(GByteArray) member = g_byte_array_new();
    g_autoptr(gzip_packer) packer = gzip_packer_new(6);
    guint32 crc;
    for (gsize at = 0; at < length; at += step) {
        g_assert_true(gzip_pack(packer, text + at, MIN(step, length - at), member, &crc, NULL));
        g_byte_array_append(file, member->data, member->len);
    }
    return file;
}

static gboolean scan(const void *data, gsize length, enum archive_kind kind, GString *text,
                     struct plain_summary *ret_summary, GError **error)
{
    g_autoptr(source) s = memory_source(data, length);
    return plain_scan(s, kind, text ? &gatherer : NULL, text, ret_summary, error);
}

static void expect_copied(const struct plain_summary *sum, const char *table, guint64 rows)
{
    const guint64 *found = g_hash_table_lookup(sum->copied, table);
    g_assert_nonnull(found);
    g_assert_cmpuint(*found, ==, rows);
}

static void expect_summary(const struct plain_summary *sum, const void *file, gsize length)
{
    g_autofree char *sha256 = g_compute_checksum_for_data(G_CHECKSUM_SHA256, file, length);
    g_assert_cmpstr(sum->sha256, ==, sha256);
    g_assert_cmpuint(sum->rows, ==, 5);
    g_assert_cmpuint(sum->tables, ==, 2);
    g_assert_cmpuint(g_hash_table_size(sum->copied), ==, 2);
    expect_copied(sum, "public.a", 3);
    expect_copied(sum, "public.b", 2);
    g_assert_cmpuint(sum->roles->len, ==, 3);
    g_assert_cmpstr(sum->roles->pdata[0], ==, "app");
    g_assert_cmpstr(sum->roles->pdata[1], ==, "\"o p s\"");
    g_assert_cmpstr(sum->roles->pdata[2], ==, "reader");
}

static void expect_whole(const char *dump, const char *version, const char *expected)
{
    gsize length = strlen(dump);
    for (gsize step = 10; step <= 10000; step *= 10) {
        g_autoptr(GByteArray) packed = pack(dump, length, step);
        for (int as_gzip = 0; as_gzip < 2; as_gzip++) {
            const void *file = as_gzip ? (const void *)packed->data : dump;
            gsize file_length = as_gzip ? packed->len : length;
            g_autoptr(GError) error = NULL;
            g_autoptr(GString) text = g_string_new(NULL);
            struct plain_summary sum = {0};
            g_assert_true(
                scan(file, file_length, as_gzip ? ARCHIVE_PLAIN_GZIP : ARCHIVE_PLAIN_SQL, text, &sum, &error));
            g_assert_no_error(error);
            g_assert_cmpstr(text->str, ==, expected);
            g_assert_cmpuint(sum.plain_bytes, ==, length);
            g_assert_cmpstr(sum.server_version, ==, version);
            expect_summary(&sum, file, file_length);
            plain_summary_clear(&sum);
        }
    }
}

static void test_whole(void)
{
    expect_whole(DUMP, "15.3 (Debian 15.3-1)", "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\n" GIVEN);
    expect_whole(RESTRICTED, "17.6", GIVEN);
}

static void expect_damage(const void *data, gsize length, enum archive_kind kind)
{
    g_autoptr(GError) error = NULL;
    struct plain_summary sum = {0};
    g_assert_false(scan(data, length, kind, NULL, &sum, &error));
    g_assert_error(error, OT_ERROR, OT_CORRUPT);
    g_assert_null(sum.sha256);
}

/* Up to its last line but comments, every line of a dump matters. */
static void expect_cuts_noticed(const char *dump)
{
    gsize needed = (gsize)(g_strrstr(dump, "-- PostgreSQL database dump complete") - dump) +
                   strlen("-- PostgreSQL database dump complete");
    for (gsize cut = 0; cut < needed; cut++) {
        expect_damage(dump, cut, ARCHIVE_PLAIN_SQL);
        if (cut > 0 && dump[cut - 1] != '\n')
            continue;
        g_autoptr(GByteArray) packed = pack(dump, cut, 10000); /* a whole gzip file of a cut dump */
        expect_damage(packed->data, packed->len, ARCHIVE_PLAIN_GZIP);
    }
}

static void test_cut_dump(void)
{
    expect_cuts_noticed(DUMP);
    expect_cuts_noticed(RESTRICTED);
}

static void test_cut_gzip(void)
{
    for (gsize step = 100; step <= 10000; step *= 10) {
        g_autoptr(GByteArray) packed = pack(DUMP, strlen(DUMP), step);
        for (gsize cut = 0; cut < packed->len; cut++)
            expect_damage(packed->data, cut, ARCHIVE_PLAIN_GZIP);
    }
}

/* A gzip file checks itself: of a changed one nothing passes but the same text (packed text ends within a byte, the
 * rest of which means nothing). */
static void test_changed_gzip(void)
{
    g_autoptr(GByteArray) packed = pack(DUMP, strlen(DUMP), 10000);
    guint passed = 0;
    for (gsize bit = GZIP_HEADER_SIZE * 8; bit < packed->len * 8; bit++) {
        packed->data[bit / 8] ^= (guint8)(1 << bit % 8);
        g_autoptr(GString) text = g_string_new(NULL);
        struct plain_summary sum = {0};
        if (scan(packed->data, packed->len, ARCHIVE_PLAIN_GZIP, text, &sum, NULL)) {
            g_assert_cmpstr(text->str, ==, "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\n" GIVEN);
            passed++;
        }
        plain_summary_clear(&sum);
        packed->data[bit / 8] ^= (guint8)(1 << bit % 8);
    }
    g_assert_cmpuint(passed, <, 8);
}

static const char *const not_dumps[] = {
    "",
    "\n",
    COMPLETE,
    HEADER,
    HEADER TABLES,
    HEADER ROWS "DROP TABLE x;\n",
    HEADER "COPY public.a FROM stdin;\n" COMPLETE,
    DUMP "COPY public.a FROM stdin;\n1\n",
    HEADER "COMMENT ON TABLE public.a IS '\n" COMPLETE,
    HEADER "CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $$\n" COMPLETE,
    "--\n-- PostgreSQL database cluster dump\n--\n",
};

/* Whole as far as can be seen, but something else. */
static const char *const others[] = {
    TABLES ROWS COMPLETE,
    HEADER COMPLETE "DROP TABLE public.a;\n",
    "SELECT 1;\n",
    "--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE x;\n\n--\n-- PostgreSQL database cluster dump "
    "complete\n--\n",
};

static void test_others(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autoptr(GError) error = NULL;
        struct plain_summary sum = {0};
        g_assert_false(scan(others[i], strlen(others[i]), ARCHIVE_PLAIN_SQL, NULL, &sum, &error));
        g_assert_error(error, OT_ERROR, OT_REFUSED);
    }
}

static void test_not_dumps(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(not_dumps); i++) {
        expect_damage(not_dumps[i], strlen(not_dumps[i]), ARCHIVE_PLAIN_SQL);
        if (*not_dumps[i]) {
            g_autoptr(GByteArray) packed = pack(not_dumps[i], strlen(not_dumps[i]), 10000);
            expect_damage(packed->data, packed->len, ARCHIVE_PLAIN_GZIP);
        }
    }
}

/* Dumps that went through a Windows machine, without an end of line in the end, with rows as INSERT. */
static const char *const good_dumps[] = {
    HEADER COMPLETE,
    "--\r\n-- PostgreSQL database dump\r\n--\r\n\r\nCOPY a FROM stdin;\r\n1\r\n\\.\r\n\r\n--\r\n"
    "-- PostgreSQL database dump complete\r\n--\r\n\r\n",
    HEADER "COPY a FROM stdin;\n1\n\\.\n--\n-- PostgreSQL database dump complete",
    HEADER "INSERT INTO a VALUES (1);\n" COMPLETE,
    HEADER COMPLETE "\\unrestrict x\n\n",
    HEADER "CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $$\nCOPY public.a FROM stdin;\n$$;\n" COMPLETE,
    HEADER "COMMENT ON TABLE public.a IS '\nCOPY public.a FROM stdin;\n';\n" COMPLETE,
    DUMP DUMP,
};

static void test_good_dumps(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(good_dumps); i++) {
        g_autoptr(GError) error = NULL;
        struct plain_summary sum = {0};
        g_assert_true(scan(good_dumps[i], strlen(good_dumps[i]), ARCHIVE_PLAIN_SQL, NULL, &sum, &error));
        g_assert_no_error(error);
        plain_summary_clear(&sum);
    }
}

/* Lines of any length, at any place of the buffers. */
static void test_long_lines(void)
{
    static const gsize lengths[] = {1, 262143, 262144, 262145, 600000, 3000000};
    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GString) dump = g_string_new(HEADER "COPY a FROM stdin;\n");
        for (int rows = 0; rows < 3; rows++) {
            g_autofree char *row = g_strnfill(lengths[i], 'x');
            g_string_append_printf(dump, "%s\n", row);
        }
        gsize cut = dump->len;
        g_autofree char *rows = g_strdup_printf("%s> 3\n", strstr(dump->str, "stdin;\n") + strlen("stdin;\n"));
        g_string_append(dump, "\\.\n\n" COMPLETE);
        g_autoptr(GByteArray) packed = pack(dump->str, dump->len, 1u << 20);
        g_autoptr(GString) text = g_string_new(NULL);
        struct plain_summary sum = {0};
        g_assert_true(scan(packed->data, packed->len, ARCHIVE_PLAIN_GZIP, text, &sum, NULL));
        g_assert_cmpuint(sum.rows, ==, 3);
        g_assert_cmpstr(strstr(text->str, " <") + 2, ==, rows);
        plain_summary_clear(&sum);
        expect_damage(dump->str, cut, ARCHIVE_PLAIN_SQL);
    }
}

/* The message says where: in a table's data, or elsewhere. */
static void test_messages(void)
{
    static const struct {
        const char *dump, *message;
    } cuts[] = {
        {HEADER TABLES, "does not end with"},
        {HEADER TABLES "COPY public.a (id, note) FROM stdin;\n1\to", "inside a table's data"},
        {TABLES, "header is missing"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cuts); i++) {
        g_autoptr(GError) error = NULL;
        struct plain_summary sum = {0};
        g_assert_false(scan(cuts[i].dump, strlen(cuts[i].dump), ARCHIVE_PLAIN_SQL, NULL, &sum, &error));
        g_assert_nonnull(strstr(error->message, cuts[i].message));
    }
}

static gboolean refuse(const char *text, gsize length, void *data, GError **error)
{
    (void)text;
    (void)length;
    (void)data;
    return ot_fail(error, OT_RESTORE, "no more");
}

/* Rows cut into pieces at each place, that the closing line among them is found. */
static void test_pieces(void)
{
    static const char dump[] = HEADER "COPY a FROM stdin;\n\\\\.\n\\.x\n.\n\n\\.\nCOPY b FROM stdin;\n\\.\n" COMPLETE;
    static const char expected[] = "COPY a FROM stdin; <\\\\.\n\\.x\n.\n\n> 4\nCOPY b FROM stdin; <> 0\n";
    for (gsize step = 1; step < 20; step++) {
        g_autoptr(GByteArray) packed = pack(dump, strlen(dump), step);
        g_autoptr(GString) text = g_string_new(NULL);
        struct plain_summary sum = {0};
        g_assert_true(scan(packed->data, packed->len, ARCHIVE_PLAIN_GZIP, text, &sum, NULL));
        g_assert_cmpstr(strstr(text->str, "COPY a"), ==, expected);
        plain_summary_clear(&sum);
    }
}

/* What psql would do by itself, and what reaches beyond the database, is never given to a taker. */
static void test_refusals(void)
{
    static const struct {
        const char *sql, *message;
    } refused[] = {
        {"\\restrict `id`\n", "psql"},
        {"\\restrict a b\n", "psql"},
        {"\\restrict :x\n", "psql"},
        {"\\restrict 'x'\n", "psql"},
        {" \\restrict x\n", "psql"},
        {"\\connect other\n", "psql"},
        {"\\! id\n", "psql"},
        {"SELECT 1 \\gexec\n", "psql"},
        {"CREATE TABLE t (a int) \\g | id\n", "psql"},
        {"SET standard_conforming_strings = off;\nCOMMENT ON TABLE a IS '\\' \\\\! id ';\n", NULL},
        {"drop database victim;\n", "line 11 acts beyond its own database (drop database victim)"},
        {"-- a\n/* b */ Drop\n -- c\n Database victim;\n", "beyond its own database (drop database victim)"},
        {"COPY a FROM stdin; DROP DATABASE x;\n", "behind COPY"},
        {"DO $$ BEGIN END $$;\n", "is not what pg_dump writes (do)"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *dump = g_strconcat(HEADER, refused[i].sql, COMPLETE, NULL);
        g_autoptr(GString) text = g_string_new(NULL);
        g_autoptr(GError) error = NULL;
        struct plain_summary sum = {0};
        gboolean ok = scan(dump, strlen(dump), ARCHIVE_PLAIN_SQL, text, &sum, &error);
        if (refused[i].message) {
            g_assert_false(ok);
            g_assert_error(error, OT_ERROR, OT_REFUSED);
            if (!strstr(error->message, refused[i].message))
                g_error("%s: %s", refused[i].sql, error->message);
        } else {
            g_assert_no_error(error);
        }
        plain_summary_clear(&sum);
    }
}

static void test_taker_fails(void)
{
    g_autoptr(source) s = memory_source(DUMP, strlen(DUMP));
    g_autoptr(GError) error = NULL;
    struct plain_summary sum = {0};
    static const struct plain_taker taker = {gather_statement, refuse, gather_end};
    g_autoptr(GString) text = g_string_new(NULL);
    g_assert_false(plain_scan(s, ARCHIVE_PLAIN_SQL, &taker, text, &sum, &error));
    g_assert_error(error, OT_ERROR, OT_RESTORE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plain/whole", test_whole);
    g_test_add_func("/plain/cut_dump", test_cut_dump);
    g_test_add_func("/plain/cut_gzip", test_cut_gzip);
    g_test_add_func("/plain/changed_gzip", test_changed_gzip);
    g_test_add_func("/plain/not_dumps", test_not_dumps);
    g_test_add_func("/plain/others", test_others);
    g_test_add_func("/plain/good_dumps", test_good_dumps);
    g_test_add_func("/plain/long_lines", test_long_lines);
    g_test_add_func("/plain/messages", test_messages);
    g_test_add_func("/plain/pieces", test_pieces);
    g_test_add_func("/plain/refusals", test_refusals);
    g_test_add_func("/plain/taker_fails", test_taker_fails);
    return g_test_run();
}
