/*
 * Tests of the streaming reader: files of gzip(1), ISA-L and libdeflate, of one member and of many, given in pieces of
 * any size; every cut and every damaged byte is noticed.
 */
#include "archive/gunzip.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "archive/gzip.h"
#include "base/files.h"
#include "base/subprocess.h"

#define NEVER_ENDS 100000000

static void assert_bytes(const void *got, gsize length, const void *expected, gsize expected_length)
{
    g_assert_cmpuint(length, ==, expected_length);
    g_assert_true(length == 0 || memcmp(got, expected, length) == 0);
}

/* Unpacks all of it, fed in pieces of STEP bytes, read with a buffer of ROOM bytes. FALSE: damaged or cut. */
static gboolean unpack(const guint8 *packed, gsize length, gsize step, gsize room, GByteArray *plain, GError **error)
{
    g_autoptr(gunzip) unzip = gunzip_new();
    g_autofree guint8 *buffer = g_malloc(room);
    g_byte_array_set_size(plain, 0);
    for (gsize at = 0; at < length; at += step) {
        gsize n = MIN(step, length - at);
        g_autofree guint8 *piece = g_memdup2(packed + at, n); /* of exactly that size, and gone afterwards */
        gunzip_feed(unzip, piece, n);
        for (gsize made = 1; made > 0;) {
            if (!gunzip_read(unzip, buffer, room, &made, error))
                return FALSE;
            g_assert_cmpuint(made, <=, room);
            g_byte_array_append(plain, buffer, (guint)made);
            g_assert_cmpuint(plain->len, <, NEVER_ENDS);
        }
    }
    return gunzip_at_end(unzip) || ot_fail(error, OT_CORRUPT, "cut");
}

static void expect_plain(const GByteArray *packed, const GByteArray *expected, gsize step, gsize room)
{
    g_autoptr(GByteArray) plain = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_assert_true(unpack(packed->data, packed->len, step, room, plain, &error));
    g_assert_no_error(error);
    assert_bytes(plain->data, plain->len, expected->data, expected->len);
}

/* ---- files ---- */

struct file {
    GByteArray *packed, *plain;
    GArray *ends; /* gsize: where members end */
};

static struct file *file_new(void)
{
    struct file *f = g_new0(struct file, 1);
    f->packed = g_byte_array_new();
    f->plain = g_byte_array_new();
    f->ends = g_array_new(FALSE, FALSE, sizeof(gsize));
    return f;
}

static void file_free(struct file *f)
{
    g_byte_array_unref(f->packed);
    g_byte_array_unref(f->plain);
    g_array_unref(f->ends);
    g_free(f);
}
typedef struct file file;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(file, file_free)

static void file_add(struct file *f, const void *packed, gsize size, const void *plain, gsize length)
{
    g_byte_array_append(f->packed, packed, (guint)size);
    g_byte_array_append(f->plain, plain, (guint)length);
    gsize end = f->packed->len;
    g_array_append_val(f->ends, end);
}

static guint8 *make_plain(gsize length, guint32 seed)
{
    guint8 *plain = g_malloc(length + 1);
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    for (gsize i = 0; i < length; i++)
        plain[i] = (guint8)((i >> 12) % 3 == 2 ? g_rand_int_range(random, 0, 256)
                                               : "7\ttext of a row\t\\N\n"[(i + i / 90) % 18]);
    return plain;
}

/* gzip(1), with the file's name and time in the header as `gzip FILE` writes them. */
static void add_by_gzip(struct file *f, const guint8 *plain, gsize length, const char *name)
{
    g_autofree char *folder = g_dir_make_tmp("gunzip-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, name, NULL);
    const char *const argv[] = {"gzip", "-c", "-N", "-5", path, NULL};
    GString *out = NULL;
    g_assert_true(g_file_set_contents(path, (const char *)plain, (gssize)length, NULL));
    g_assert_true(subprocess_run(argv, NULL, 100u << 20, &out, NULL));
    g_assert_cmpint(out->str[3] & 8, ==, 8); /* FNAME */
    file_add(f, out->str, out->len, plain, length);
    g_string_free(out, TRUE);
    g_assert_true(files_remove_tree(folder, NULL));
}

static void add_ours(struct file *f, const guint8 *plain, gsize length, int level)
{
    g_autoptr(GByteArray) packed = g_byte_array_new();
    g_autoptr(gzip_packer) packer = gzip_packer_new(level);
    guint32 crc;
    g_assert_true(gzip_pack(packer, plain, length, packed, &crc, NULL));
    file_add(f, packed->data, packed->len, plain, length);
}

static void add_stored(struct file *f, const guint8 *plain, guint16 length)
{
    g_autoptr(GByteArray) packed = g_byte_array_new();
    gzip_store(plain, length, packed);
    file_add(f, packed->data, packed->len, plain, length);
}

/* Members of all makers in turn, of the given size; some empty. */
static struct file *make_file(guint n_members, gsize length)
{
    struct file *f = file_new();
    for (guint i = 0; i < n_members; i++) {
        gsize n = i % 11 == 9 ? 0 : length + i;
        g_autofree guint8 *plain = make_plain(n, i);
        if (i % 4 == 0)
            add_by_gzip(f, plain, n, "a name of a file.sql");
        else if (i % 4 == 1)
            add_ours(f, plain, n, 0);
        else if (i % 4 == 2)
            add_ours(f, plain, n, 6);
        else
            add_stored(f, plain, (guint16)MIN(n, 60000));
        if (i % 4 == 3)
            g_assert_cmpuint(n, <=, 60000);
    }
    return f;
}

/* ---- whole files ---- */

static const gsize steps[] = {1, 2, 3, 7, 17, 19, 64, 4096, 65536, G_MAXUINT32};
static const gsize rooms[] = {1, 13, 4096, 262144};

static void expect_all_ways(const struct file *f)
{
    for (gsize s = 0; s < G_N_ELEMENTS(steps); s++)
        for (gsize r = 0; r < G_N_ELEMENTS(rooms); r++)
            expect_plain(f->packed, f->plain, steps[s], rooms[r]);
}

static void test_one_member(void)
{
    for (int maker = 0; maker < 4; maker++)
        for (gsize length = 0; length < 50000; length = length * 5 + 1) {
            g_autoptr(file) f = file_new();
            g_autofree guint8 *plain = make_plain(length, 1);
            if (maker == 0)
                add_by_gzip(f, plain, length, "x");
            else if (maker == 3)
                add_stored(f, plain, (guint16)length);
            else
                add_ours(f, plain, length, maker == 1 ? 0 : 12);
            expect_all_ways(f);
        }
}

static void test_many_members(void)
{
    g_autoptr(file) small = make_file(60, 100);
    expect_all_ways(small);
    g_autoptr(file) middle = make_file(8, 20000);
    expect_all_ways(middle);
}

static void test_large(void)
{
    g_autoptr(file) f = file_new();
    for (int i = 0; i < 4; i++) {
        g_autofree guint8 *plain = make_plain(5000000, (guint32)i);
        if (i % 2)
            add_by_gzip(f, plain, 5000000, "large.sql");
        else
            add_ours(f, plain, 5000000, 0);
    }
    expect_plain(f->packed, f->plain, G_MAXUINT32, 262144);
    expect_plain(f->packed, f->plain, 262144, 262144);
    expect_plain(f->packed, f->plain, 4099, 997);
}

/* gzip(1)'s name may be long; a header may also have a comment, further fields and a CRC of its own (RFC 1952). */
static void test_headers(void)
{
    static const guint8 plain[] = "some text\n";
    g_autoptr(GByteArray) stored = g_byte_array_new();
    gzip_store(plain, 10, stored);
    for (guint flags = 0; flags < 32; flags++) {
        g_autoptr(file) f = file_new();
        if (flags & 2)
            continue; /* the header's CRC: below */
        g_autoptr(GByteArray) member = g_byte_array_new();
        g_byte_array_append(member, stored->data, GZIP_HEADER_SIZE);
        member->data[3] = (guint8)flags;
        if (flags & 4)
            g_byte_array_append(member, (const guint8 *)"\x05\0ab\0cd", 7);
        if (flags & 8)
            g_byte_array_append(member, (const guint8 *)"a name", 7);
        if (flags & 16)
            g_byte_array_append(member, (const guint8 *)"a comment", 10);
        g_byte_array_append(member, stored->data + GZIP_HEADER_SIZE, stored->len - GZIP_HEADER_SIZE);
        for (int times = 0; times < 2; times++)
            file_add(f, member->data, member->len, plain, 10);
        expect_all_ways(f);
    }
}

static void test_long_name(void)
{
    g_autoptr(file) f = file_new();
    g_autofree char *name = g_strnfill(240, 'n');
    for (int i = 0; i < 2; i++)
        add_by_gzip(f, (const guint8 *)"text\n", 5, name);
    expect_all_ways(f);
}

static void test_empty_file(void)
{
    g_autoptr(gunzip) unzip = gunzip_new();
    g_assert_false(gunzip_at_end(unzip));
    gunzip_feed(unzip, "", 0);
    char buffer[10];
    gsize made = 1;
    g_assert_true(gunzip_read(unzip, buffer, sizeof buffer, &made, NULL));
    g_assert_cmpuint(made, ==, 0);
    g_assert_false(gunzip_at_end(unzip));
    gunzip_free(NULL);
}

/* ---- damage ---- */

static gboolean is_member_end(const struct file *f, gsize at)
{
    for (guint i = 0; i < f->ends->len; i++)
        if (g_array_index(f->ends, gsize, i) == at)
            return TRUE;
    return FALSE;
}

/* A cut is noticed at every byte but where a member ends; and there nothing but the missing members is. */
static void test_every_cut(void)
{
    static const gsize some_steps[] = {1, 7, 4096};
    g_autoptr(file) f = make_file(9, 300);
    for (gsize cut = 0; cut < f->packed->len; cut++)
        for (gsize s = 0; s < G_N_ELEMENTS(some_steps); s++) {
            g_autoptr(GByteArray) plain = g_byte_array_new();
            g_autoptr(GError) error = NULL;
            gboolean whole = unpack(f->packed->data, cut, some_steps[s], 1000, plain, &error);
            g_assert_true(whole == is_member_end(f, cut));
            g_assert_true(whole == (error == NULL));
            g_assert_cmpuint(plain->len, <=, f->plain->len);
            g_assert_cmpint(memcmp(plain->data ? plain->data : (guint8 *)"", f->plain->data, plain->len), ==, 0);
        }
}

/* Whatever bit is changed: an error, or the same text (a bit of a header's name, time or system). */
static void test_every_bit(void)
{
    static const gsize some_steps[] = {5, G_MAXUINT32};
    g_autoptr(file) f = make_file(5, 200);
    guint noticed = 0;
    for (gsize bit = 0; bit < f->packed->len * 8; bit++)
        for (gsize s = 0; s < G_N_ELEMENTS(some_steps); s++) {
            g_autofree guint8 *changed = g_memdup2(f->packed->data, f->packed->len);
            changed[bit / 8] = (guint8)(changed[bit / 8] ^ (1 << bit % 8));
            g_autoptr(GByteArray) plain = g_byte_array_new();
            if (unpack(changed, f->packed->len, some_steps[s], 1000, plain, NULL))
                assert_bytes(plain->data, plain->len, f->plain->data, f->plain->len);
            else
                noticed++;
        }
    g_assert_cmpuint(noticed, >, f->packed->len * 8 * G_N_ELEMENTS(some_steps) * 3 / 4);
}

static const struct {
    const char *bytes;
    gsize length;
} tails[] = {
    {"x", 1},
    {"\x1f", 1},
    {"\x1f\x8b", 2},
    {"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", 10},
    {"garbage garbage garbage", 23},
    {"-- PostgreSQL database dump complete\n", 37},
};

static void test_garbage_after(void)
{
    g_autoptr(file) f = make_file(3, 100);
    for (gsize t = 0; t < G_N_ELEMENTS(tails); t++)
        for (gsize s = 0; s < G_N_ELEMENTS(steps); s++) {
            g_autoptr(GByteArray) with_tail = g_byte_array_new();
            g_autoptr(GByteArray) plain = g_byte_array_new();
            g_autoptr(GError) error = NULL;
            g_byte_array_append(with_tail, f->packed->data, f->packed->len);
            g_byte_array_append(with_tail, (const guint8 *)tails[t].bytes, (guint)tails[t].length);
            g_assert_false(unpack(with_tail->data, with_tail->len, steps[s], 1000, plain, &error));
            g_assert_error(error, OT_ERROR, OT_CORRUPT);
        }
}

static void test_not_gzip(void)
{
    for (gsize t = 0; t < G_N_ELEMENTS(tails); t++)
        for (gsize s = 0; s < G_N_ELEMENTS(steps); s++) {
            g_autoptr(GByteArray) plain = g_byte_array_new();
            g_autoptr(GError) error = NULL;
            g_assert_false(unpack((const guint8 *)tails[t].bytes, tails[t].length, steps[s], 1000, plain, &error));
            g_assert_error(error, OT_ERROR, OT_CORRUPT);
        }
}

static void test_junk(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(11);
    for (int i = 0; i < 20000; i++) {
        gsize length = (gsize)g_rand_int_range(random, 11, 200);
        g_autofree guint8 *junk = g_malloc(length);
        for (gsize k = 0; k < length; k++)
            junk[k] = (guint8)g_rand_int(random);
        memcpy(junk, "\x1f\x8b\x08", 3);
        junk[3] &= 0x1f;
        g_autoptr(GByteArray) plain = g_byte_array_new();
        g_assert_false(unpack(junk, length, steps[(gsize)i % G_N_ELEMENTS(steps)], 100, plain, NULL));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gunzip/one_member", test_one_member);
    g_test_add_func("/gunzip/many_members", test_many_members);
    g_test_add_func("/gunzip/large", test_large);
    g_test_add_func("/gunzip/headers", test_headers);
    g_test_add_func("/gunzip/long_name", test_long_name);
    g_test_add_func("/gunzip/empty_file", test_empty_file);
    g_test_add_func("/gunzip/every_cut", test_every_cut);
    g_test_add_func("/gunzip/every_bit", test_every_bit);
    g_test_add_func("/gunzip/garbage_after", test_garbage_after);
    g_test_add_func("/gunzip/not_gzip", test_not_gzip);
    g_test_add_func("/gunzip/junk", test_junk);
    return g_test_run();
}
