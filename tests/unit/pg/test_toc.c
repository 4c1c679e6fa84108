/*
 * Tests of the table of contents: archives of each known version are built in memory as PostgreSQL's
 * pg_backup_archiver.c (WriteHead, WriteToc) writes them; read back, cut, and damaged.
 */
#include "pg/toc.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define INT_SIZE 4
#define OFFSET_SIZE 8

/* ---- writing ---- */

static void put_byte(GByteArray *a, int byte)
{
    guint8 b = (guint8)byte;
    g_byte_array_append(a, &b, 1);
}

static void put_int(GByteArray *a, int value)
{
    put_byte(a, value < 0);
    guint rest = value < 0 ? 0u - (guint)value : (guint)value;
    for (int i = 0; i < INT_SIZE; i++)
        put_byte(a, (int)(rest >> (8 * i) & 0xff));
}

static void put_text(GByteArray *a, const char *text)
{
    put_int(a, text ? (int)strlen(text) : -1);
    if (text)
        g_byte_array_append(a, (const guint8 *)text, (guint)strlen(text));
}

struct entry {
    const char *tag, *desc, *definition, *copy_sql, *schema, *tablespace, *access_method, *owner, *oid;
    enum toc_section section;
    const char *depends[4];
};

static const struct entry entries[] = {
    {"ENCODING", "ENCODING", "SET client_encoding = 'UTF8';\n", NULL, NULL, NULL, NULL, NULL, "0", TOC_PRE_DATA, {0}},
    {"t",
     "TABLE",
     "CREATE TABLE public.t (\n    id integer\n);\n",
     NULL,
     "public",
     "",
     "heap",
     "app",
     "16385",
     TOC_PRE_DATA,
     {"5", "2147483647"}},
    {"na\"me\n\xff",
     "TABLE DATA",
     NULL,
     "COPY \"S\".\"na\"\"me\n\xff\" (id) FROM stdin;\n",
     "S",
     NULL,
     NULL,
     "o wner",
     "4294967295",
     TOC_DATA,
     {"2"}},
    {"i",
     "INDEX",
     "CREATE INDEX i ON public.t (id);\n",
     "",
     "public",
     "fast disk",
     "",
     "app",
     "16390",
     TOC_POST_DATA,
     {"2", "3", "4"}},
    {"", "COMMENT", "", NULL, "", NULL, NULL, "", NULL, TOC_NONE, {0}},
};

static void put_head(GByteArray *a, int major, int minor)
{
    g_byte_array_append(a, (const guint8 *)"PGDMP", 5);
    put_byte(a, major);
    put_byte(a, minor);
    put_byte(a, 0);
    put_byte(a, INT_SIZE);
    put_byte(a, OFFSET_SIZE);
    put_byte(a, 1); /* custom format */
    if (minor >= 15)
        put_byte(a, 1); /* gzip */
    else
        put_int(a, -1); /* zlib's default */
    for (int i = 0; i < 7; i++)
        put_int(a, i * 9);
    put_text(a, "opstower");
    put_text(a, "15.3 (Debian 15.3-1)");
    put_text(a, "15.3");
}

static void put_entry(GByteArray *a, int minor, int dump_id, const struct entry *e)
{
    put_int(a, dump_id);
    put_int(a, e->section == TOC_DATA);
    put_text(a, "1259");
    put_text(a, e->oid);
    put_text(a, e->tag);
    put_text(a, e->desc);
    put_int(a, (int)e->section);
    put_text(a, e->definition);
    put_text(a, "DROP x;\n");
    put_text(a, e->copy_sql);
    put_text(a, e->schema);
    put_text(a, e->tablespace);
    put_text(a, e->access_method);
    if (minor >= 16)
        put_int(a, 'r');
    put_text(a, e->owner);
    put_text(a, "false");
    for (int i = 0; i < 4 && e->depends[i]; i++)
        put_text(a, e->depends[i]);
    put_text(a, NULL);
    put_byte(a, 2); /* K_OFFSET_POS_SET */
    for (int i = 0; i < OFFSET_SIZE; i++)
        put_byte(a, 0x81 + i);
}

static GByteArray *make_toc(int minor)
{
    GByteArray *a = g_byte_array_new();
    put_head(a, 1, minor);
    put_int(a, G_N_ELEMENTS(entries));
    for (gsize i = 0; i < G_N_ELEMENTS(entries); i++)
        put_entry(a, minor, (int)i + 1, &entries[i]);
    return a;
}

/* ---- reading ---- */

static struct toc *parse(const guint8 *data, gsize length, GError **error)
{
    g_autoptr(GBytes) exact = g_bytes_new(data, length);
    return toc_parse(exact, error);
}

static void expect_error(const guint8 *data, gsize length, const char *message)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(parse(data, length, &error));
    g_assert_error(error, OT_ERROR, OT_DUMP);
    if (message)
        g_assert_nonnull(strstr(error->message, message));
}

static void expect_entry(const struct toc_entry *got, int dump_id, const struct entry *e)
{
    g_assert_cmpint(got->dump_id, ==, dump_id);
    g_assert_cmpint((int)got->section, ==, (int)e->section);
    g_assert_cmpstr(got->tag, ==, e->tag);
    g_assert_cmpstr(got->desc, ==, e->desc);
    g_assert_cmpstr(got->definition, ==, e->definition);
    g_assert_cmpstr(got->copy_sql, ==, e->copy_sql);
    g_assert_cmpstr(got->schema, ==, e->schema);
    g_assert_cmpstr(got->tablespace, ==, e->tablespace);
    g_assert_cmpstr(got->access_method, ==, e->access_method);
    g_assert_cmpstr(got->owner, ==, e->owner);
    g_assert_cmpuint(got->oid, ==, e->oid ? g_ascii_strtoull(e->oid, NULL, 10) : 0);
    guint n = 0;
    for (; n < 4 && e->depends[n]; n++)
        g_assert_cmpint(g_array_index(got->depends, int, n), ==, (int)g_ascii_strtoll(e->depends[n], NULL, 10));
    g_assert_cmpuint(got->depends->len, ==, n);
}

static void expect_toc(const struct toc *t, const GByteArray *bytes)
{
    g_assert_cmpstr(t->server_version, ==, "15.3 (Debian 15.3-1)");
    g_assert_cmpuint(t->entries->len, ==, G_N_ELEMENTS(entries));
    for (gsize i = 0; i < G_N_ELEMENTS(entries); i++)
        expect_entry(t->entries->pdata[i], (int)i + 1, &entries[i]);
    gsize length;
    const guint8 *kept = g_bytes_get_data(t->bytes, &length);
    g_assert_cmpuint(length, ==, bytes->len);
    g_assert_cmpint(memcmp(kept, bytes->data, length), ==, 0);
}

static void test_versions(gconstpointer data)
{
    g_autoptr(GByteArray) bytes = make_toc(GPOINTER_TO_INT(data));
    g_autoptr(GError) error = NULL;
    g_autoptr(toc) t = parse(bytes->data, bytes->len, &error);
    g_assert_no_error(error);
    expect_toc(t, bytes);
}

/* Data follows in an archive; only the table of contents is kept. */
static void test_data_follows(void)
{
    g_autoptr(GByteArray) bytes = make_toc(14);
    g_autoptr(GByteArray) more = g_byte_array_new();
    g_byte_array_append(more, bytes->data, bytes->len);
    g_byte_array_append(more, (const guint8 *)"\x01\0\0\0\0data", 9);
    g_autoptr(toc) t = parse(more->data, more->len, NULL);
    expect_toc(t, bytes);
}

/* From a pipe that gives a byte or two at a time, and more after the end than is read. */
static void *feed(void *data)
{
    const struct {
        int fd;
        const GByteArray *bytes;
    } *f = data;
    for (guint at = 0; at < f->bytes->len; at += 2)
        g_assert_cmpint(write(f->fd, f->bytes->data + at, MIN(2, f->bytes->len - at)), >, 0);
    close(f->fd);
    return NULL;
}

static void test_pipe(void)
{
    g_autoptr(GByteArray) bytes = make_toc(16);
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    struct {
        int fd;
        const GByteArray *bytes;
    } f = {ends[1], bytes};
    GThread *writer = g_thread_new("feed", feed, &f);
    g_autoptr(GError) error = NULL;
    g_autoptr(toc) t = toc_read(ends[0], &error);
    g_thread_join(writer);
    close(ends[0]);
    g_assert_no_error(error);
    expect_toc(t, bytes);
}

static void test_unreadable(void)
{
    g_autoptr(GError) error = NULL;
    int fd = open("/", O_RDONLY | O_CLOEXEC);
    g_assert_null(toc_read(fd, &error));
    g_assert_error(error, OT_ERROR, OT_DUMP);
    close(fd);
}

/* More than any buffer: long SQL, many entries. */
static void test_large(void)
{
    g_autofree char *sql = g_strnfill(3000000, 's');
    g_autoptr(GByteArray) a = g_byte_array_new();
    put_head(a, 1, 14);
    put_int(a, 5001);
    struct entry e = entries[1];
    e.definition = sql;
    put_entry(a, 14, 1, &e);
    for (int i = 2; i <= 5001; i++)
        put_entry(a, 14, i, &entries[3]);
    g_autoptr(toc) t = parse(a->data, a->len, NULL);
    g_assert_cmpuint(t->entries->len, ==, 5001);
    g_assert_cmpstr(((struct toc_entry *)t->entries->pdata[0])->definition, ==, sql);
    expect_entry(t->entries->pdata[5000], 5001, &entries[3]);
}

static void test_label(void)
{
    static const char *const labels[] = {"ENCODING ENCODING", "TABLE public.t", "TABLE DATA S.na\"me\n\xff",
                                         "INDEX public.i", "COMMENT "};
    g_autoptr(GByteArray) bytes = make_toc(14);
    g_autoptr(toc) t = parse(bytes->data, bytes->len, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(labels); i++) {
        g_autofree char *label = toc_entry_label(t->entries->pdata[i]);
        g_assert_cmpstr(label, ==, labels[i]);
    }
    toc_free(NULL);
}

/* ---- damage ---- */

static void test_every_cut(gconstpointer data)
{
    g_autoptr(GByteArray) bytes = make_toc(GPOINTER_TO_INT(data));
    for (guint cut = 0; cut < bytes->len; cut++)
        expect_error(bytes->data, cut, NULL);
}

/* An unknown version is named, whatever comes after it. */
static void test_unknown_versions(void)
{
    static const struct {
        int major, minor;
        const char *message;
    } versions[] = {
        {1, 13, "archive version 1.13"}, {1, 17, "archive version 1.17"},   {0, 14, "archive version 0.14"},
        {2, 0, "archive version 2.0"},   {1, 255, "archive version 1.255"}, {255, 255, "archive version 255.255"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
        g_autoptr(GByteArray) a = make_toc(14);
        a->data[5] = (guint8)versions[i].major;
        a->data[6] = (guint8)versions[i].minor;
        expect_error(a->data, a->len, versions[i].message);
        expect_error(a->data, a->len, "1.14 to 1.16");
    }
}

/* Every pg_dump writes integers of 4 bytes: of 0 bytes, all would be 0, and an archive would have no entries. */
static void test_not_an_archive(void)
{
    static const struct {
        guint at;
        int byte;
    } changes[] = {{0, 'p'}, {4, 'Q'}, {8, 0},   {8, 1},  {8, 5},  {8, 8},
                   {8, 255}, {9, 9},   {9, 255}, {10, 0}, {10, 3}, {10, 5}};
    for (gsize i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(GByteArray) a = make_toc(14);
        a->data[changes[i].at] = (guint8)changes[i].byte;
        expect_error(a->data, a->len, "custom-format");
    }
    static const char text[] = "--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n";
    expect_error((const guint8 *)text, strlen(text), "custom-format");
}

/* Where lengths and counts stand, absurd ones are written: an error, soon, and not much memory. */
static void test_absurd_numbers(void)
{
    static const guint8 numbers[][5] = {
        {0, 0xff, 0xff, 0xff, 0x7f}, {0, 0xff, 0xff, 0xff, 0xff}, {1, 0xff, 0xff, 0xff, 0xff},
        {1, 0, 0, 0, 0x80},          {0, 0, 0, 0, 0x40},          {255, 1, 0, 0, 0x80},
    };
    g_autoptr(GByteArray) whole = make_toc(14);
    for (gsize n = 0; n < G_N_ELEMENTS(numbers); n++)
        for (guint at = 11; at + 5 <= whole->len; at++) {
            g_autoptr(GByteArray) a = g_byte_array_new();
            g_byte_array_append(a, whole->data, whole->len);
            memcpy(a->data + at, numbers[n], 5);
            g_autoptr(GError) error = NULL;
            g_autoptr(toc) t = parse(a->data, a->len, &error);
            g_assert_true((t == NULL) == (error != NULL));
        }
}

static void test_absurd_count(void)
{
    static const int counts[] = {-1, G_MININT, G_MAXINT, 50000001, 50000000, G_N_ELEMENTS(entries) + 1};
    for (gsize i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_autoptr(GByteArray) a = g_byte_array_new();
        put_head(a, 1, 14);
        put_int(a, counts[i]);
        for (gsize k = 0; k < G_N_ELEMENTS(entries); k++)
            put_entry(a, 14, (int)k + 1, &entries[k]);
        expect_error(a->data, a->len, NULL);
    }
}

static void test_absurd_text(void)
{
    static const int lengths[] = {G_MAXINT, (1 << 30) + 1, 1 << 30, 100000};
    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GByteArray) a = g_byte_array_new();
        put_head(a, 1, 14);
        put_int(a, 1);
        put_int(a, 1);
        put_int(a, 0);
        put_int(a, lengths[i]);
        expect_error(a->data, a->len, NULL);
    }
}

/* An entry must say what it is. */
static void test_no_name(void)
{
    for (int i = 0; i < 2; i++) {
        struct entry e = entries[1];
        if (i)
            e.tag = NULL;
        else
            e.desc = NULL;
        g_autoptr(GByteArray) a = g_byte_array_new();
        put_head(a, 1, 15);
        put_int(a, 1);
        put_entry(a, 15, 1, &e);
        expect_error(a->data, a->len, "without a name");
    }
}

static void test_random_bytes(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (int i = 0; i < 30000; i++) {
        g_autoptr(GByteArray) a = make_toc(14 + i % 3);
        for (int k = g_rand_int_range(random, 1, 5); k > 0; k--)
            a->data[g_rand_int_range(random, 11, (gint32)a->len)] = (guint8)g_rand_int(random);
        g_autoptr(GError) error = NULL;
        g_autoptr(toc) t = parse(a->data, a->len, &error);
        g_assert_true((t == NULL) == (error != NULL));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int minor = 14; minor <= 16; minor++) {
        g_autofree char *version = g_strdup_printf("/toc/version/1.%d", minor);
        g_test_add_data_func(version, GINT_TO_POINTER(minor), test_versions);
        g_autofree char *cut = g_strdup_printf("/toc/every_cut/1.%d", minor);
        g_test_add_data_func(cut, GINT_TO_POINTER(minor), test_every_cut);
    }
    g_test_add_func("/toc/data_follows", test_data_follows);
    g_test_add_func("/toc/pipe", test_pipe);
    g_test_add_func("/toc/unreadable", test_unreadable);
    g_test_add_func("/toc/large", test_large);
    g_test_add_func("/toc/label", test_label);
    g_test_add_func("/toc/unknown_versions", test_unknown_versions);
    g_test_add_func("/toc/not_an_archive", test_not_an_archive);
    g_test_add_func("/toc/absurd_numbers", test_absurd_numbers);
    g_test_add_func("/toc/absurd_count", test_absurd_count);
    g_test_add_func("/toc/absurd_text", test_absurd_text);
    g_test_add_func("/toc/no_name", test_no_name);
    g_test_add_func("/toc/random_bytes", test_random_bytes);
    return g_test_run();
}
