/*
 * Tests of the head and tail of a backup: joined they are one dump, with one \restrict around everything.
 */
#include "engine/sections.h"

#include <string.h>

#include "archive/contents.h"

#define TITLE "--\n-- PostgreSQL database dump\n--\n\n"
#define RESTRICT(key) "\\restrict " key "\n\n"
#define VERSIONS "-- Dumped from database version 15.3\n-- Dumped by pg_dump version 15.3\n\n"
#define SETTINGS "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\n\n"
#define PRE "CREATE TABLE public.t (\n    id integer\n);\n\n\n"
#define POST "CREATE INDEX i ON public.t USING btree (id);\n\n\n"
#define COMPLETE "--\n-- PostgreSQL database dump complete\n--\n\n"
#define UNRESTRICT(key) "\\unrestrict " key "\n\n"
#define DATA_SETTINGS "SET lc_monetary = 'C';\nSET intervalstyle = 'postgres';\nSET datestyle = 'ISO';\n\n"

/* A comment that holds what ends a dump, and one that holds what begins one. */
#define TRAP                                                                                                           \
    "COMMENT ON TABLE public.t IS '\n" COMPLETE                                                                        \
    "';\n\n\nCOMMENT ON TABLE public.u IS '\n\\restrict trap\n\\unrestrict "                                           \
    "trap\n" SETTINGS "';\n\n\n"

static const struct {
    const char *name, *pre, *post, *head, *tail;
} cases[] = {
    {"restricted", TITLE RESTRICT("pre") VERSIONS SETTINGS PRE COMPLETE UNRESTRICT("pre"),
     TITLE RESTRICT("post") VERSIONS SETTINGS POST COMPLETE UNRESTRICT("post"),
     ARCHIVE_FIRST_LINE TITLE RESTRICT("pre") VERSIONS SETTINGS PRE DATA_SETTINGS,
     TITLE "\n" VERSIONS SETTINGS POST COMPLETE UNRESTRICT("pre")},
    {"old", TITLE VERSIONS SETTINGS PRE COMPLETE, TITLE VERSIONS SETTINGS POST COMPLETE,
     ARCHIVE_FIRST_LINE TITLE VERSIONS SETTINGS PRE DATA_SETTINGS, TITLE VERSIONS SETTINGS POST COMPLETE},
    {"empty", TITLE RESTRICT("a") VERSIONS SETTINGS COMPLETE UNRESTRICT("a"),
     TITLE RESTRICT("b") VERSIONS SETTINGS COMPLETE UNRESTRICT("b"),
     ARCHIVE_FIRST_LINE TITLE RESTRICT("a") VERSIONS SETTINGS DATA_SETTINGS,
     TITLE "\n" VERSIONS SETTINGS COMPLETE UNRESTRICT("a")},
    {"same_key", TITLE RESTRICT("k") VERSIONS SETTINGS PRE COMPLETE UNRESTRICT("k"),
     TITLE RESTRICT("k") VERSIONS SETTINGS POST COMPLETE UNRESTRICT("k"),
     ARCHIVE_FIRST_LINE TITLE RESTRICT("k") VERSIONS SETTINGS PRE DATA_SETTINGS,
     TITLE "\n" VERSIONS SETTINGS POST COMPLETE UNRESTRICT("k")},
    {"trap", TITLE RESTRICT("pre") VERSIONS SETTINGS TRAP PRE COMPLETE UNRESTRICT("pre"),
     TITLE RESTRICT("post") VERSIONS SETTINGS TRAP POST COMPLETE UNRESTRICT("post"),
     ARCHIVE_FIRST_LINE TITLE RESTRICT("pre") VERSIONS SETTINGS TRAP PRE DATA_SETTINGS,
     TITLE "\n" VERSIONS SETTINGS TRAP POST COMPLETE UNRESTRICT("pre")},
    {"trap_old", TITLE VERSIONS SETTINGS TRAP PRE COMPLETE, TITLE VERSIONS SETTINGS TRAP POST COMPLETE,
     ARCHIVE_FIRST_LINE TITLE VERSIONS SETTINGS TRAP PRE DATA_SETTINGS, TITLE VERSIONS SETTINGS TRAP POST COMPLETE},
};

static void test_case(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autofree char *head = sections_head(cases[i].pre);
    g_autofree char *tail = sections_tail(cases[i].post, cases[i].pre);
    g_assert_cmpstr(head, ==, cases[i].head);
    g_assert_cmpstr(tail, ==, cases[i].tail);
}

static guint count(const char *text, const char *what)
{
    guint n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

/* Of the joined file psql sees one \restrict and, with the same key and after everything else, one \unrestrict. */
static void test_joined(void)
{
    const char *pre = cases[0].pre, *post = cases[0].post;
    g_autofree char *head = sections_head(pre);
    g_autofree char *tail = sections_tail(post, pre);
    g_autofree char *joined = g_strconcat(head, "COPY public.t (id) FROM stdin;\n1\n\\.\n\n", tail, NULL);
    g_assert_cmpuint(count(joined, "\n\\restrict "), ==, 1);
    g_assert_cmpuint(count(joined, "\n\\unrestrict pre\n"), ==, 1);
    g_assert_true(g_str_has_suffix(joined, COMPLETE UNRESTRICT("pre")));
    g_assert_true(g_str_has_prefix(joined, ARCHIVE_FIRST_LINE));
}

/* pre_data takes over the head's key, wherever else the words stand, unless one has none or the head's is no key. */
static void test_use_key(void)
{
    static const struct {
        const char *pre, *head, *expected;
    } keys[] = {
        {TITLE RESTRICT("own") VERSIONS SETTINGS TRAP PRE, TITLE RESTRICT("Other1") SETTINGS,
         TITLE RESTRICT("Other1") VERSIONS SETTINGS TRAP PRE},
        {TITLE RESTRICT("own") SETTINGS PRE, TITLE SETTINGS TRAP, TITLE RESTRICT("own") SETTINGS PRE},
        {TITLE SETTINGS TRAP PRE, TITLE RESTRICT("other") SETTINGS, TITLE SETTINGS TRAP PRE},
        {TITLE RESTRICT("own") SETTINGS PRE, TITLE RESTRICT("`reboot`") SETTINGS, TITLE RESTRICT("own") SETTINGS PRE},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autoptr(GString) pre = g_string_new(keys[i].pre);
        sections_use_key(pre, keys[i].head);
        g_assert_cmpstr(pre->str, ==, keys[i].expected);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/sections/", cases[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_case);
    }
    g_test_add_func("/sections/joined", test_joined);
    g_test_add_func("/sections/use_key", test_use_key);
    return g_test_run();
}
