/*
 * Tests of the fingerprint: what it must not notice (order, cutting), and what it must (every change of the rows).
 */
#include "base/fingerprint.h"

#include <string.h>

#define ROWS 1000

/* Rows of 1 to about 600 bytes, each with its newline; some are equal. */
static GPtrArray *make_rows(void)
{
    GPtrArray *rows = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    for (int i = 0; i < ROWS; i++) {
        g_autofree char *fill = g_strnfill((gsize)g_rand_int_range(random, 0, 600), (char)('a' + i % 26));
        g_ptr_array_add(rows, i % 10 == 0 ? g_strdup("\n") : g_strdup_printf("%d\t%s\n", i, fill));
    }
    return rows;
}

static struct fingerprint sum_of(const GPtrArray *rows)
{
    struct fingerprint f = {0};
    for (guint i = 0; i < rows->len; i++)
        fingerprint_add_row(&f, rows->pdata[i], strlen(rows->pdata[i]));
    return f;
}

static GString *join(const GPtrArray *rows)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < rows->len; i++)
        g_string_append(text, rows->pdata[i]);
    return text;
}

static void shuffle(GPtrArray *rows, GRand *random)
{
    for (guint i = rows->len - 1; i > 0; i--) {
        guint k = (guint)g_rand_int_range(random, 0, (gint32)i + 1);
        gpointer kept = rows->pdata[i];
        rows->pdata[i] = rows->pdata[k];
        rows->pdata[k] = kept;
    }
}

static void test_order(void)
{
    g_autoptr(GPtrArray) rows = make_rows();
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    struct fingerprint before = sum_of(rows);
    g_assert_cmpuint(before.rows, ==, ROWS);
    for (int i = 0; i < 20; i++) {
        shuffle(rows, random);
        struct fingerprint after = sum_of(rows);
        g_assert_true(fingerprint_equal(&before, &after));
    }
}

static void test_lines_are_rows(void)
{
    g_autoptr(GPtrArray) rows = make_rows();
    g_autoptr(GString) text = join(rows);
    struct fingerprint one_by_one = sum_of(rows), block = {0};
    fingerprint_add_lines(&block, text->str, text->len);
    g_assert_true(fingerprint_equal(&one_by_one, &block));
    fingerprint_add_lines(&block, text->str, 0);
    g_assert_true(fingerprint_equal(&one_by_one, &block));
}

/* Cut into chunks at row boundaries, summed apart and merged in any order. */
static void test_chunks(void)
{
    g_autoptr(GPtrArray) rows = make_rows();
    g_autoptr(GRand) random = g_rand_new_with_seed(2);
    struct fingerprint whole = sum_of(rows);
    for (int round = 0; round < 50; round++) {
        struct fingerprint parts[4] = {0}, merged = {0};
        for (guint i = 0; i < rows->len; i++)
            fingerprint_add_row(&parts[g_rand_int_range(random, 0, 4)], rows->pdata[i], strlen(rows->pdata[i]));
        for (int i = 3; i >= 0; i--)
            fingerprint_merge(&merged, &parts[i]);
        g_assert_true(fingerprint_equal(&whole, &merged));
    }
}

static void expect_other(const struct fingerprint *expected, const char *text, gsize length)
{
    struct fingerprint f = {0};
    fingerprint_add_lines(&f, text, length);
    g_assert_false(fingerprint_equal(expected, &f));
}

/* Each bit of a text with several rows, every cut of it. */
static void test_changes(void)
{
    static const char text[] = "1\tabc\t\\N\n2\tx\ty\n\n3\tabc\t\\N\n";
    gsize length = strlen(text);
    struct fingerprint f = {0};
    fingerprint_add_lines(&f, text, length);
    g_assert_cmpuint(f.rows, ==, 4);
    for (gsize bit = 0; bit < length * 8; bit++) {
        g_autofree char *changed = g_memdup2(text, length);
        changed[bit / 8] = (char)(changed[bit / 8] ^ (1 << bit % 8));
        expect_other(&f, changed, length);
    }
    for (gsize cut = 0; cut < length; cut++)
        expect_other(&f, text, cut);
}

/* A row twice is not that row once, nor two rows that are lacking both: a sum, not an exclusive or. */
static void test_double_rows(void)
{
    struct fingerprint none = {0}, once = {0}, twice = {0}, thrice = {0};
    fingerprint_add_lines(&once, "a\n", 2);
    fingerprint_add_lines(&twice, "a\na\n", 4);
    fingerprint_add_lines(&thrice, "a\na\na\n", 6);
    g_assert_true(twice.sum != none.sum);
    g_assert_true(thrice.sum != once.sum);
    g_assert_false(fingerprint_equal(&once, &thrice));
}

/* Values that move from one row or column to another are a change. */
static void test_moved_values(void)
{
    static const char *const texts[] = {"1\t2\n3\t4\n", "1\t4\n3\t2\n", "2\t1\n3\t4\n", "1\t2\t3\t4\n", "12\t\n3\t4\n"};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        for (gsize k = i + 1; k < G_N_ELEMENTS(texts); k++) {
            struct fingerprint f = {0};
            fingerprint_add_lines(&f, texts[i], strlen(texts[i]));
            expect_other(&f, texts[k], strlen(texts[k]));
        }
}

static void test_rows_count(void)
{
    struct fingerprint a = {.sum = 5, .rows = 1}, b = {.sum = 5, .rows = 2};
    g_assert_false(fingerprint_equal(&a, &b));
}

/* The sum is modulo 2^128. */
static void test_overflow(void)
{
    struct fingerprint a = {.sum = ~(unsigned __int128)0, .rows = 1}, b = {.sum = 2, .rows = 1};
    fingerprint_merge(&a, &b);
    g_assert_true(a.sum == 1);
    g_assert_cmpuint(a.rows, ==, 2);
}

/* Backups live long: the hash of a row is what it was when they were taken. Value of XXH3_128bits("a\n"). */
static void test_stays_the_same(void)
{
    struct fingerprint empty = {0}, f = {0};
    g_autofree char *nothing = fingerprint_text(&empty);
    g_assert_cmpstr(nothing, ==, "00000000000000000000000000000000");
    fingerprint_add_lines(&f, "a\n", 2);
    g_autofree char *text = fingerprint_text(&f);
    g_assert_cmpstr(text, ==, "5c73e7e3dcbb0395e841f27363849a18");
    fingerprint_add_lines(&f, "1\ttwo\t\\N\n", 9);
    g_autofree char *both = fingerprint_text(&f);
    g_assert_cmpstr(both, ==, "c7809f986e5768be5ef9f0a04dc63bb5");
}

static void test_hexadecimal(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    for (int i = 0; i < 1000; i++) {
        struct fingerprint f = {.rows = 9}, back = {.rows = 4};
        for (int k = 0; k < 4; k++)
            f.sum = f.sum << 32 | g_rand_int(random);
        if (i % 3 == 0)
            f.sum >>= g_rand_int_range(random, 0, 128);
        g_autofree char *text = fingerprint_text(&f);
        g_assert_cmpuint(strlen(text), ==, FINGERPRINT_TEXT_LENGTH);
        g_assert_true(fingerprint_parse(&back, text));
        g_assert_true(back.sum == f.sum);
        g_assert_cmpuint(back.rows, ==, 4);
    }
}

static const char *const not_hexadecimal[] = {
    "",
    "0",
    "0000000000000000000000000000000",
    "000000000000000000000000000000000",
    "0000000000000000000000000000000g",
    "0000000000000000000000000000000A",
    " 0000000000000000000000000000000",
    "-0000000000000000000000000000001",
    "0x000000000000000000000000000001",
};

static void test_not_hexadecimal(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(not_hexadecimal); i++) {
        struct fingerprint f = {.sum = 3, .rows = 4};
        g_assert_false(fingerprint_parse(&f, not_hexadecimal[i]));
        g_assert_true(f.sum == 3);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fingerprint/order", test_order);
    g_test_add_func("/fingerprint/lines_are_rows", test_lines_are_rows);
    g_test_add_func("/fingerprint/chunks", test_chunks);
    g_test_add_func("/fingerprint/changes", test_changes);
    g_test_add_func("/fingerprint/double_rows", test_double_rows);
    g_test_add_func("/fingerprint/moved_values", test_moved_values);
    g_test_add_func("/fingerprint/rows_count", test_rows_count);
    g_test_add_func("/fingerprint/overflow", test_overflow);
    g_test_add_func("/fingerprint/stays_the_same", test_stays_the_same);
    g_test_add_func("/fingerprint/hexadecimal", test_hexadecimal);
    g_test_add_func("/fingerprint/not_hexadecimal", test_not_hexadecimal);
    return g_test_run();
}
