/*
 * Tests of the trailer: of one size whatever it says, read back as written, and no changed byte is accepted.
 */
#include "archive/trailer.h"

#include <string.h>

#include "archive/gzip.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct archive_trailer trailers[] = {
    {0, 0, 0, SHA},
    {1, 2, 3, SHA},
    {12345678901234, 98765, 4321, "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
    {G_MAXUINT64, G_MAXUINT64, G_MAXUINT64, "0000000000000000000000000000000000000000000000000000000000000000"},
};

static void test_round_trip(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(trailers); i++) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        struct archive_trailer back = {0};
        archive_trailer_print(&trailers[i], out);
        g_assert_cmpuint(out->len, ==, archive_trailer_size());
        g_assert_true(archive_trailer_parse(out->data, &back));
        g_assert_cmpuint(back.contents_offset, ==, trailers[i].contents_offset);
        g_assert_cmpuint(back.contents_size, ==, trailers[i].contents_size);
        g_assert_cmpuint(back.contents_plain_size, ==, trailers[i].contents_plain_size);
        g_assert_cmpstr(back.sha256, ==, trailers[i].sha256);
    }
}

/* A gzip member that holds one SQL comment. */
static void test_is_a_member(void)
{
    g_autoptr(GByteArray) packed = g_byte_array_new(), plain = g_byte_array_new();
    g_autoptr(gzip_unpacker) unpacker = gzip_unpacker_new();
    archive_trailer_print(&trailers[1], packed);
    g_assert_true(gzip_unpack(unpacker, packed->data, packed->len, packed->len - 23, plain, NULL));
    g_assert_cmpint(memcmp(plain->data, "-- OpsTower trailer: ", 21), ==, 0);
    g_assert_cmpuint(plain->data[plain->len - 1], ==, '\n');
    g_assert_true(memchr(plain->data, '\n', plain->len - 1) == NULL);
}

static gboolean accepted(const guint8 *data)
{
    g_autofree guint8 *exact = g_memdup2(data, archive_trailer_size());
    struct archive_trailer t = {.contents_offset = 77};
    gboolean result = archive_trailer_parse(exact, &t);
    if (!result)
        g_assert_cmpuint(t.contents_offset, ==, 77);
    return result;
}

static void test_every_byte(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    archive_trailer_print(&trailers[2], out);
    for (guint i = 0; i < out->len; i++)
        for (int value = 1; value < 256; value++) {
            out->data[i] = (guint8)(out->data[i] ^ value);
            g_assert_false(accepted(out->data));
            out->data[i] = (guint8)(out->data[i] ^ value);
        }
    g_assert_true(accepted(out->data));
}

/* Other ways to write the same, wrapped as correct members: there is only one. */
static const char *const spellings[] = {
    "-- OpsTower trailer: contents at %020d packed %020d plain %020d sha256 " SHA " ",
    "-- OpsTower trailer: contents at %19d  packed %020d plain %020d sha256 " SHA "\n",
    "-- OpsTower trailer: contents at +%019d packed %020d plain %020d sha256 " SHA "\n",
    "-- opstower trailer: contents at %020d packed %020d plain %020d sha256 " SHA "\n",
    "-- OpsTower trailer: contents at %020d packed %020d plain %020d sha256 "
    "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF\n",
    "-- OpsTower trailer: contents at %020d packed %020d plain %020d sha256 "
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde \n",
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void test_spellings(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(spellings); i++) {
        g_autofree char *text = g_strdup_printf(spellings[i], 1, 2, 3);
        g_autoptr(GByteArray) out = g_byte_array_new();
        gzip_store(text, (guint16)strlen(text), out);
        g_assert_cmpuint(out->len, ==, archive_trailer_size());
        g_assert_false(accepted(out->data));
    }
}
#pragma GCC diagnostic pop

static void test_junk(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    g_autofree guint8 *junk = g_malloc0(archive_trailer_size());
    g_assert_false(accepted(junk));
    for (int i = 0; i < 10000; i++) {
        for (guint k = 0; k < archive_trailer_size(); k++)
            junk[k] = (guint8)g_rand_int(random);
        g_assert_false(accepted(junk));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trailer/round_trip", test_round_trip);
    g_test_add_func("/trailer/is_a_member", test_is_a_member);
    g_test_add_func("/trailer/every_byte", test_every_byte);
    g_test_add_func("/trailer/spellings", test_spellings);
    g_test_add_func("/trailer/junk", test_junk);
    return g_test_run();
}
