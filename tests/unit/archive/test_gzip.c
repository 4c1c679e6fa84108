/*
 * Tests of single gzip members: every level and many sizes, gzip(1) and we read each other's, damage is noticed.
 */
#include "archive/gzip.h"

#include <glib/gstdio.h>
#include <libdeflate.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/subprocess.h"

#define LAST_LEVEL 12

static void assert_bytes(const void *got, gsize length, const void *expected, gsize expected_length)
{
    g_assert_cmpuint(length, ==, expected_length);
    g_assert_true(length == 0 || memcmp(got, expected, length) == 0);
}

enum kind { ZEROES, TEXT, RANDOM, MIXED, KINDS };

static guint8 *make_plain(enum kind kind, gsize length)
{
    guint8 *plain = g_malloc0(length + 1);
    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)length);
    for (gsize i = 0; i < length && kind != ZEROES; i++) {
        gboolean noise = kind == RANDOM || (kind == MIXED && (i >> 15) % 2);
        plain[i] = (guint8)(noise ? g_rand_int_range(random, 0, 256) : "12\tsome text\t\\N\n"[(i + i / 100) % 15]);
    }
    return plain;
}

static void expect_unpacked(const GByteArray *packed, const guint8 *plain, gsize length)
{
    g_autoptr(gzip_unpacker) unpacker = gzip_unpacker_new();
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_assert_true(gzip_unpack(unpacker, packed->data, packed->len, length, out, &error));
    g_assert_no_error(error);
    assert_bytes(out->data, out->len, plain, length);
}

static GByteArray *pack(int level, const guint8 *plain, gsize length)
{
    g_autoptr(gzip_packer) packer = gzip_packer_new(level);
    GByteArray *packed = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    guint32 crc = 0;
    g_assert_true(gzip_pack(packer, plain, length, packed, &crc, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(crc, ==, libdeflate_crc32(0, plain, length));
    g_assert_cmpuint(crc, ==, gzip_footer_crc(packed->data, packed->len));
    g_assert_cmpuint(packed->len, >=, GZIP_HEADER_SIZE + GZIP_FOOTER_SIZE);
    g_assert_cmpuint(packed->len, <=, length + length / 1000 + 200);
    return packed;
}

static const gsize sizes[] = {0,     1,     2,     3,     7,     15,    100,    1000,    4095,   4096,
                              32767, 32768, 65534, 65535, 65536, 65537, 131071, 1000000, 4194303};

static void test_round_trip(gconstpointer data)
{
    int level = GPOINTER_TO_INT(data);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++)
        for (int kind = ZEROES; kind < KINDS; kind++) {
            if (level > 9 && sizes[i] > 200000 && kind != TEXT)
                continue; /* slow, and no other code */
            g_autofree guint8 *plain = make_plain((enum kind)kind, sizes[i]);
            g_autoptr(GByteArray) packed = pack(level, plain, sizes[i]);
            expect_unpacked(packed, plain, sizes[i]);
        }
}

/* A table's row can be of hundreds of megabytes; some dozens show that nothing is cut at a power of two. */
static void test_large(void)
{
    gsize length = (40u << 20) + 11;
    g_autofree guint8 *plain = make_plain(MIXED, length);
    for (int level = 0; level <= 1; level++) {
        g_autoptr(GByteArray) packed = pack(level, plain, length);
        expect_unpacked(packed, plain, length);
    }
}

/* One packer and one buffer for members of all sizes, as a worker uses them. */
static void test_reuse(void)
{
    for (int level = 0; level <= 6; level += 3) {
        g_autoptr(gzip_packer) packer = gzip_packer_new(level);
        g_autoptr(gzip_unpacker) unpacker = gzip_unpacker_new();
        g_autoptr(GByteArray) packed = g_byte_array_new(), out = g_byte_array_new();
        for (gsize i = 0; i < 3 * G_N_ELEMENTS(sizes); i++) {
            gsize length = sizes[i * 7 % G_N_ELEMENTS(sizes)];
            g_autofree guint8 *plain = make_plain((enum kind)(i % KINDS), length);
            guint32 crc;
            g_assert_true(gzip_pack(packer, plain, length, packed, &crc, NULL));
            g_assert_true(gzip_unpack(unpacker, packed->data, packed->len, length, out, NULL));
            assert_bytes(out->data, out->len, plain, length);
        }
    }
}

/* ---- gzip(1) ---- */

static GString *run_with_input(const char *const *argv, const guint8 *input, gsize length)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("gzip-XXXXXX", &path, NULL);
    g_assert_true(files_write_all(fd, input, length, path, NULL));
    lseek(fd, 0, SEEK_SET);
    struct subprocess_options options = {.stdin_fd = fd};
    g_autoptr(GError) error = NULL;
    GString *out = NULL;
    g_assert_true(subprocess_run(argv, &options, 100u << 20, &out, &error));
    g_assert_no_error(error);
    close(fd);
    g_unlink(path);
    return out;
}

/* All levels' members, stored ones too, one behind the other: one file for gzip(1). */
static void test_gzip_reads_ours(void)
{
    static const char *const argv[] = {"gzip", "-dc", NULL};
    g_autoptr(GByteArray) file = g_byte_array_new(), expected = g_byte_array_new(), stored = g_byte_array_new();
    for (int level = 0; level <= LAST_LEVEL; level++)
        for (gsize i = 0; i < G_N_ELEMENTS(sizes) - 2; i++) {
            g_autofree guint8 *plain = make_plain((enum kind)(i % KINDS), sizes[i]);
            g_autoptr(GByteArray) packed = pack(level, plain, sizes[i]);
            g_byte_array_append(file, packed->data, packed->len);
            g_byte_array_append(expected, plain, (guint)sizes[i]);
        }
    gzip_store("the last\n", 9, stored);
    g_byte_array_append(file, stored->data, stored->len);
    g_byte_array_append(expected, (const guint8 *)"the last\n", 9);
    GString *out = run_with_input(argv, file->data, file->len);
    assert_bytes(out->str, out->len, expected->data, expected->len);
    g_string_free(out, TRUE);
}

static void test_we_read_gzips(void)
{
    static const char *const levels[] = {"-1", "-6", "-9"};
    for (gsize i = 0; i < G_N_ELEMENTS(sizes) * 3; i++) {
        const char *const argv[] = {"gzip", "-nc", levels[i % 3], NULL};
        gsize length = sizes[i / 3];
        g_autofree guint8 *plain = make_plain((enum kind)(i % KINDS), length);
        GString *packed = run_with_input(argv, plain, length);
        GByteArray view = {(guint8 *)packed->str, (guint)packed->len};
        expect_unpacked(&view, plain, length);
        g_string_free(packed, TRUE);
    }
}

/* ---- stored members ---- */

static void test_store(void)
{
    static const guint16 lengths[] = {0, 1, 100, 32768, 65534, 65535};
    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autofree guint8 *plain = make_plain(RANDOM, lengths[i]);
        g_autoptr(GByteArray) packed = g_byte_array_new();
        gzip_store(plain, lengths[i], packed);
        g_assert_cmpuint(packed->len, ==, lengths[i] + 23u);
        expect_unpacked(packed, plain, lengths[i]);
    }
}

/* ---- damage ---- */

/* Held in a buffer of just that size, so that a sanitizer sees a read behind it. */
static void expect_corrupt(const guint8 *packed, gsize length, gsize plain_size)
{
    g_autofree guint8 *exact = g_memdup2(packed, length);
    g_autoptr(gzip_unpacker) unpacker = gzip_unpacker_new();
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_assert_false(gzip_unpack(unpacker, exact, length, plain_size, out, &error));
    g_assert_error(error, OT_ERROR, OT_CORRUPT);
}

/* Of a changed byte in the header that means nothing (time, level, system), only the plain text must stay right. */
static void flip(const GByteArray *packed, gsize bit, const guint8 *plain, gsize length)
{
    g_autofree guint8 *changed = g_memdup2(packed->data, packed->len);
    changed[bit / 8] = (guint8)(changed[bit / 8] ^ (1 << bit % 8));
    g_autoptr(gzip_unpacker) unpacker = gzip_unpacker_new();
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    if (!gzip_unpack(unpacker, changed, packed->len, length, out, &error))
        g_assert_error(error, OT_ERROR, OT_CORRUPT);
    else
        assert_bytes(out->data, out->len, plain, length);
    if (bit / 8 >= packed->len - GZIP_FOOTER_SIZE || bit / 8 < 3)
        g_assert_nonnull(error);
}

static void test_damage(gconstpointer data)
{
    int level = GPOINTER_TO_INT(data);
    gsize length = 2000;
    g_autofree guint8 *plain = make_plain(MIXED, length);
    g_autoptr(GByteArray) packed = pack(level, plain, length);
    for (gsize bit = 0; bit < packed->len * 8; bit++)
        flip(packed, bit, plain, length);
    for (gsize cut = 0; cut < packed->len; cut++)
        expect_corrupt(packed->data, cut, length);
}

static void test_wrong_sizes(void)
{
    g_autofree guint8 *plain = make_plain(TEXT, 5000);
    for (int level = 0; level <= 6; level += 6) {
        g_autoptr(GByteArray) packed = pack(level, plain, 5000);
        guint whole = packed->len;
        expect_corrupt(packed->data, whole, 4999);
        expect_corrupt(packed->data, whole, 5001);
        expect_corrupt(packed->data, whole, 0);
        expect_corrupt(packed->data, whole, 1u << 20);
        g_byte_array_append(packed, (const guint8 *)"", 1);
        expect_corrupt(packed->data, whole + 1, 5000);
        g_byte_array_set_size(packed, whole);
        g_autoptr(GByteArray) other = pack(level, plain, 10);
        g_byte_array_append(packed, other->data, other->len); /* two members where one belongs */
        expect_corrupt(packed->data, packed->len, 5000);
        expect_corrupt(packed->data, packed->len, 5010);
    }
}

static void test_garbage(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    for (int i = 0; i < 20000; i++) {
        gsize length = (gsize)g_rand_int_range(random, 0, 200);
        g_autofree guint8 *junk = g_malloc0(length + 4);
        for (gsize k = 0; k < length; k++)
            junk[k] = (guint8)g_rand_int(random);
        if (i % 2 && length > 4)
            memcpy(junk, "\x1f\x8b\x08\x00", 4);
        expect_corrupt(junk, length, 100);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int level = 0; level <= LAST_LEVEL; level++) {
        g_autofree char *round_trip = g_strdup_printf("/gzip/round_trip/%d", level);
        g_test_add_data_func(round_trip, GINT_TO_POINTER(level), test_round_trip);
        g_autofree char *damage = g_strdup_printf("/gzip/damage/%d", level);
        g_test_add_data_func(damage, GINT_TO_POINTER(level), test_damage);
    }
    g_test_add_func("/gzip/large", test_large);
    g_test_add_func("/gzip/reuse", test_reuse);
    g_test_add_func("/gzip/gzip_reads_ours", test_gzip_reads_ours);
    g_test_add_func("/gzip/we_read_gzips", test_we_read_gzips);
    g_test_add_func("/gzip/store", test_store);
    g_test_add_func("/gzip/wrong_sizes", test_wrong_sizes);
    g_test_add_func("/gzip/garbage", test_garbage);
    return g_test_run();
}
