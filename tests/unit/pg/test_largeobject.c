/*
 * Tests of the large object filter: it keeps what fills the objects, in pieces of any size; it refuses everything that
 * it does not know; its fingerprint sees each object's bytes and not the order of objects.
 */
#include "pg/largeobject.h"

#include <string.h>

#define HEADER                                                                                                         \
    "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped from database version 15.3\n\n"                \
    "SET statement_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\nSET row_security = off;\n\n" \
    "--\n-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -\n--\n\n"
#define FOOTER "\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"
#define OPEN(oid) "SELECT pg_catalog.lo_open('" oid "', 131072);\n"
#define WRITE(hex) "SELECT pg_catalog.lowrite(0, '\\x" hex "');\n"
#define CLOSE "SELECT pg_catalog.lo_close(0);\n"
#define A OPEN("16400") WRITE("00ff") WRITE("0a") CLOSE
#define B OPEN("16401") WRITE("00ff") CLOSE
#define EMPTY OPEN("16402") CLOSE

static gboolean gather(const char *line, gsize length, void *data, GError **error)
{
    (void)error;
    g_assert_true(length > 0 && line[length - 1] == '\n');
    g_string_append_len(data, line, (gssize)length);
    return TRUE;
}

static gboolean filter(const char *text, gsize step, GString *kept, struct fingerprint *ret_proof, GError **error)
{
    g_autoptr(lo_filter) f = lo_filter_new(kept ? gather : NULL, kept);
    gsize length = strlen(text);
    for (gsize at = 0; at < length; at += step) {
        gsize n = MIN(step, length - at);
        g_autofree char *piece = g_memdup2(text + at, n);
        if (!lo_filter_feed(f, piece, n, error))
            return FALSE;
    }
    return lo_filter_finish(f, ret_proof, error);
}

static struct fingerprint proof_of(const char *text)
{
    g_autoptr(GError) error = NULL;
    struct fingerprint proof = {0};
    g_assert_true(filter(text, 4096, NULL, &proof, &error));
    g_assert_no_error(error);
    return proof;
}

static void test_keeps(void)
{
    static const char text[] = HEADER "BEGIN;\n\n" A "\n" B EMPTY "\nCOMMIT;\n" FOOTER;
    static const gsize steps[] = {1, 2, 7, 64, 100000};
    struct fingerprint first = proof_of(text);
    g_assert_cmpuint(first.rows, ==, 3);
    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GString) kept = g_string_new(NULL);
        struct fingerprint proof = {0};
        g_assert_true(filter(text, steps[i], kept, &proof, &error));
        g_assert_no_error(error);
        g_assert_cmpstr(kept->str, ==, "BEGIN;\n" A B EMPTY "COMMIT;\n");
        g_assert_true(fingerprint_equal(&proof, &first));
    }
}

static void test_none(void)
{
    struct fingerprint nothing = proof_of(""), header = proof_of(HEADER FOOTER);
    g_assert_cmpuint(nothing.rows, ==, 0);
    g_assert_cmpuint(header.rows, ==, 0);
    g_assert_true(fingerprint_equal(&nothing, &header));
    lo_filter_free(NULL);
}

static void test_order(void)
{
    struct fingerprint one = proof_of(A B EMPTY),
                       other = proof_of("BEGIN;\n" EMPTY A "COMMIT;\nBEGIN;\n" B "COMMIT;\n");
    g_assert_true(fingerprint_equal(&one, &other));
}

static void test_changes(void)
{
    static const char *const texts[] = {
        A B,
        A,
        A A,
        A EMPTY,
        OPEN("16409") WRITE("00ff") WRITE("0a") CLOSE B,
        OPEN("16400") WRITE("00fe") WRITE("0a") CLOSE B,
        OPEN("16400") WRITE("0a") WRITE("00ff") CLOSE B,
        OPEN("16400") WRITE("00ff0a") CLOSE B,
        OPEN("16400") WRITE("00ff") CLOSE B,
        OPEN("16400") WRITE("00ff") CLOSE OPEN("16401") WRITE("00ff") WRITE("0a") CLOSE,
    };
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        for (gsize k = i + 1; k < G_N_ELEMENTS(texts); k++) {
            struct fingerprint x = proof_of(texts[i]), y = proof_of(texts[k]);
            g_assert_false(fingerprint_equal(&x, &y));
        }
}

/* An object of any size needs no memory of its size, and a line of pg_dump's is of at most some 32 KiB. */
static void test_large_object(void)
{
    g_autoptr(GString) text = g_string_new(OPEN("16400"));
    g_autofree char *hex = g_strnfill(32768, 'a');
    for (int i = 0; i < 500; i++)
        g_string_append_printf(text, "SELECT pg_catalog.lowrite(0, '\\x%s');\n", hex);
    g_string_append(text, CLOSE);
    struct fingerprint proof = proof_of(text->str);
    g_assert_cmpuint(proof.rows, ==, 1);
}

static const struct {
    const char *name, *text;
} refused[] = {
    {"cut_in_object", HEADER OPEN("16400")},
    {"cut_in_data", OPEN("16400") WRITE("00")},
    {"cut_in_line", A "SELECT pg_cat"},
    {"unknown_statement", "DROP TABLE t;\n"},
    {"unknown_function", "SELECT pg_catalog.pg_sleep(1);\n"},
    {"copy", HEADER "COPY public.t (id) FROM stdin;\n1\n\\.\n" FOOTER},
    {"meta_command", "\\! rm -rf x\n"},
    {"comment_in_object", OPEN("16400") "-- text\n" CLOSE},
    {"set_in_object", OPEN("16400") "SET x = 1;\n" CLOSE},
};

static void test_refused(gconstpointer data)
{
    const char *text = refused[GPOINTER_TO_SIZE(data)].text;
    for (gsize step = 1; step <= 10000; step *= 10) {
        g_autoptr(GError) error = NULL;
        struct fingerprint proof = {0};
        g_assert_false(filter(text, step, NULL, &proof, &error));
        g_assert_error(error, OT_ERROR, OT_DUMP);
    }
}

static void test_endless_line(void)
{
    g_autofree char *line = g_strnfill(2u << 20, 'x');
    g_autofree char *text = g_strconcat("SELECT pg_catalog.lowrite(0, '\\x", line, NULL);
    g_autoptr(GError) error = NULL;
    struct fingerprint proof = {0};
    g_assert_false(filter(text, 4096, NULL, &proof, &error));
    g_assert_error(error, OT_ERROR, OT_DUMP);
}

static gboolean refuse(const char *line, gsize length, void *data, GError **error)
{
    (void)line;
    (void)length;
    (void)data;
    return ot_fail(error, OT_SPACE, "no more");
}

static void test_taker_fails(void)
{
    g_autoptr(lo_filter) f = lo_filter_new(refuse, NULL);
    g_autoptr(GError) error = NULL;
    g_assert_false(lo_filter_feed(f, A, strlen(A), &error));
    g_assert_error(error, OT_ERROR, OT_SPACE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/largeobject/keeps", test_keeps);
    g_test_add_func("/largeobject/none", test_none);
    g_test_add_func("/largeobject/order", test_order);
    g_test_add_func("/largeobject/changes", test_changes);
    g_test_add_func("/largeobject/large_object", test_large_object);
    g_test_add_func("/largeobject/endless_line", test_endless_line);
    g_test_add_func("/largeobject/taker_fails", test_taker_fails);
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strconcat("/largeobject/refused/", refused[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_refused);
    }
    return g_test_run();
}
