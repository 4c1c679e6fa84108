/*
 * Tests of what an older server would refuse of a newer pg_restore's text, and of what its warnings mean.
 */
#include "pg/skew.h"

#include <string.h>

#include "pg/said.h"

#define HEAD_15                                                                                                        \
    "--\n-- PostgreSQL database dump\n--\n\n\\restrict k\n\n-- Dumped by pg_dump version 17.2\n\n"                     \
    "SET statement_timeout = 0;\nSET lock_timeout = 0;\nSET idle_in_transaction_session_timeout = 0;\n"
#define TIMEOUT "SET transaction_timeout = 0;\n"
#define REST                                                                                                           \
    "SET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);\n"                         \
    "SET row_security = off;\n\n"
#define BODY                                                                                                           \
    "CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $$\n" TIMEOUT "$$;\n\n" TIMEOUT                           \
    "SET default_table_access_method = heap;\n"

static const struct {
    const char *name;
    int major;
    const char *from, *to;
} texts[] = {
    {"older", 16, HEAD_15 TIMEOUT REST BODY, HEAD_15 REST BODY},
    {"oldest", 12, HEAD_15 TIMEOUT REST BODY, HEAD_15 REST BODY},
    {"same", 17, HEAD_15 TIMEOUT REST BODY, HEAD_15 TIMEOUT REST BODY},
    {"newer", 18, HEAD_15 TIMEOUT REST BODY, HEAD_15 TIMEOUT REST BODY},
    {"none", 15, HEAD_15 REST BODY, HEAD_15 REST BODY},
    {"first_line", 15, TIMEOUT REST BODY, REST BODY},
    {"only_line", 15, TIMEOUT, ""},
    {"cut", 15, HEAD_15 "SET transaction_timeout = 0;", HEAD_15},
    {"no_head", 15, "CREATE TABLE t ();\n", "CREATE TABLE t ();\n"},
    {"empty", 15, "", ""},
};

static void test_text(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autoptr(GString) sql = g_string_new(texts[i].from);
    skew_strip_settings(sql, texts[i].major);
    g_assert_cmpstr(sql->str, ==, texts[i].to);
    g_assert_cmpuint(sql->len, ==, strlen(sql->str));
}

#define IDENTITY(line)                                                                                                 \
    "ALTER TABLE public.t ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (\n    SEQUENCE NAME public.s\n" line       \
    "    START WITH 1\n    CACHE 1\n);\n"

static const struct {
    const char *desc;
    int major;
    const char *from, *to;
} definitions[] = {
    {"SEQUENCE", 14, IDENTITY("    LOGGED\n"), IDENTITY("")},
    {"SEQUENCE", 12, IDENTITY("    LOGGED\n"), IDENTITY("")},
    {"SEQUENCE", 15, IDENTITY("    LOGGED\n"), NULL},
    {"SEQUENCE", 14, IDENTITY(""), NULL},
    {"SEQUENCE", 0, IDENTITY("    LOGGED\n"), NULL},
    {"COMMENT", 14, IDENTITY("    LOGGED\n"), NULL},
    {"SEQUENCE", 14, "CREATE SEQUENCE s\n    LOGGED\n    START WITH 1;\n", NULL},
};

static void test_definitions(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(definitions); i++) {
        g_autofree char *sql = g_strdup(definitions[i].from);
        gboolean mended = skew_mend_definition(sql, definitions[i].desc, definitions[i].major);
        g_assert_cmpint(mended, ==, definitions[i].to != NULL);
        g_assert_cmpstr(sql, ==, mended ? definitions[i].to : definitions[i].from);
    }
}

static void test_connections(void)
{
    for (int client = 12; client <= 18; client++)
        for (int server = 12; server <= 18; server++)
            g_assert_cmpint(skew_can_connect(client, server), ==, client < 17 || server >= 17);
}

#define UNKNOWN "pg_restore: error: could not execute query: ERROR:  unrecognized parameter \"transaction_timeout\"\n"
#define SAID_MORE "Command was: SET transaction_timeout = 0;\npg_restore: warning: errors ignored on restore: 1\n"
#define OTHER "pg_restore: error: could not execute query: ERROR:  relation \"t\" does not exist\n"

static void test_complaints(void)
{
    g_autofree char *one = g_strdup("pg_restore: connecting\n" UNKNOWN SAID_MORE);
    g_assert_true(skew_strip_complaints(one, 15));
    g_autofree char *newer = g_strdup(UNKNOWN SAID_MORE);
    g_assert_false(skew_strip_complaints(newer, 17));
    g_autofree char *two = g_strdup(UNKNOWN OTHER UNKNOWN SAID_MORE);
    g_assert_false(skew_strip_complaints(two, 16));
    g_assert_nonnull(strstr(two, "relation \"t\""));
    g_assert_null(strstr(two, "unrecognized"));
}

static void test_warnings(void)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    said_add_warnings(
        "pg_dump: warning: one\npg_dump: detail: more of it\npg_dump: hint: do that\n"
        "pg_restore: warning: two\npg_dump: WARNING:  database \"app\" has a collation version mismatch\n"
        "DETAIL:  words\npg_dumpall: warning: three\nopstower: warning: none of theirs\nwarning: nor this",
        found);
    g_assert_cmpuint(found->len, ==, 3);
    g_assert_cmpstr(found->pdata[0], ==, "one");
    g_assert_cmpstr(found->pdata[1], ==, "two");
    g_assert_cmpstr(found->pdata[2], ==, "three");
    said_add_warnings("", found);
    g_assert_cmpuint(found->len, ==, 3);
}

static const struct {
    const char *warning;
    gboolean is_loss;
} meanings[] = {
    {"subscriptions not dumped because current user is not a superuser", TRUE},
    {"typtype of data type \"odd\" appears to be invalid", TRUE},
    {"aggregate function f could not be dumped correctly for this database version; ignored", TRUE},
    {"bogus value in pg_cast.castfunc or pg_cast.castmethod field", TRUE},
    {"could not parse proconfig array", TRUE},
    {"what no version says yet", TRUE},
    {"there are circular foreign-key constraints on this table:", FALSE},
    {"there are circular foreign-key constraints among these tables:", FALSE},
    {"could not resolve dependency loop among these items:", FALSE},
    {"owner of table \"t\" appears to be invalid", FALSE},
};

static void test_meanings(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(meanings); i++)
        g_assert_cmpint(said_is_loss(meanings[i].warning), ==, meanings[i].is_loss);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *path = g_strconcat("/skew/text/", texts[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_text);
    }
    g_test_add_func("/skew/definitions", test_definitions);
    g_test_add_func("/skew/connections", test_connections);
    g_test_add_func("/skew/complaints", test_complaints);
    g_test_add_func("/said/warnings", test_warnings);
    g_test_add_func("/said/meanings", test_meanings);
    return g_test_run();
}
