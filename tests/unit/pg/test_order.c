/* Tests of the order in which tables are filled: each case a few entries, and the stages that must come of them. */
#include "pg/order.h"

#include <string.h>

#include "pg/plan.h"

struct given {
    int id;
    const char *desc, *tag, *definition;
    int depends[4]; /* ends with 0 */
};

struct order_case {
    const char *name;
    struct given entries[12];
    const char *before; /* pairs "a<b": a is in a lower stage than b, separated by blanks */
};

#define DATA(id, tag, ...) {id, "TABLE DATA", tag, NULL, {__VA_ARGS__}}

static const struct order_case cases[] = {
    {"tables without rules are in one stage",
     {{1, "TABLE", "a", "CREATE TABLE a (i int);", {0}}, {2, "TABLE", "b", "CREATE TABLE b (i int);", {0}},
      DATA(3, "a", 1), DATA(4, "b", 2)},
     "a=b"},
    {"rows that depend on rows",
     {{1, "TABLE", "a", "CREATE TABLE a (i int);", {0}}, {2, "TABLE", "b", "CREATE TABLE b (i int);", {0}},
      DATA(3, "b", 2), DATA(4, "a", 1, 3)},
     "b<a"},
    {"a CHECK that calls a function",
     {{1, "FUNCTION", "known(integer)", "CREATE FUNCTION known ... SELECT FROM z", {0}},
      {2, "TABLE", "a", "CREATE TABLE a (i int, CHECK (known(i)));", {1}},
      {3, "TABLE", "z", "CREATE TABLE z (i int);", {0}}, DATA(4, "a", 2), DATA(5, "z", 3)},
     "z<a"},
    {"a default that calls one does not count",
     {{1, "FUNCTION", "known(integer)", "CREATE FUNCTION known ... SELECT FROM z", {0}},
      {2, "TABLE", "a", "CREATE TABLE a (i int DEFAULT known(1));", {1}},
      {3, "TABLE", "z", "CREATE TABLE z (i int);", {0}}, DATA(4, "a", 2), DATA(5, "z", 3)},
     "a=z"},
    {"a chain of functions and tables",
     {{1, "FUNCTION", "of_y()", "CREATE FUNCTION of_y ... SELECT FROM y", {0}},
      {2, "FUNCTION", "of_z()", "CREATE FUNCTION of_z ... SELECT FROM z", {0}},
      {3, "TABLE", "x", "CREATE TABLE x (i int, CHECK (of_y()));", {1}},
      {4, "TABLE", "y", "CREATE TABLE y (i int, CHECK (of_z()));", {2}},
      {5, "TABLE", "z", "CREATE TABLE z (i int);", {0}}, DATA(6, "x", 3), DATA(7, "y", 4), DATA(8, "z", 5)},
     "z<y y<x"},
    {"a circle is cut",
     {{1, "FUNCTION", "of_x()", "CREATE FUNCTION of_x ... SELECT FROM x", {0}},
      {2, "FUNCTION", "of_y()", "CREATE FUNCTION of_y ... SELECT FROM y", {0}},
      {3, "TABLE", "x", "CREATE TABLE x (i int, CHECK (of_y()));", {2}},
      {4, "TABLE", "y", "CREATE TABLE y (i int, CHECK (of_x()));", {1}},
      {5, "TABLE", "z", "CREATE TABLE z (i int);", {0}}, DATA(6, "x", 3), DATA(7, "y", 4), DATA(8, "z", 5)},
     "z<x z<y"},
    {"a domain between table and function",
     {{1, "FUNCTION", "known(integer)", "CREATE FUNCTION known ... SELECT FROM z", {0}},
      {2, "DOMAIN", "d", "CREATE DOMAIN d AS int CHECK (known(VALUE));", {1}},
      {3, "TABLE", "a", "CREATE TABLE a (i d);", {2}}, {4, "TABLE", "z", "CREATE TABLE z (i int);", {0}},
      DATA(5, "a", 3), DATA(6, "z", 4)},
     "z<a"},
    {"an extension's own tables come one after the other",
     {{1, "EXTENSION", "e", "CREATE EXTENSION e;", {0}}, DATA(2, "first", 1), DATA(3, "second", 1)},
     "first<second"},
};

static void table_def_drop(gpointer data)
{
    struct table_def *def = data;
    g_free(def->schema);
    g_free(def->name);
    g_free(def);
}

static void entry_drop(gpointer data)
{
    struct toc_entry *e = data;
    char *texts[] = {e->desc, e->tag, e->schema, e->definition, e->copy_sql};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    g_array_unref(e->depends);
    g_free(e);
}

static struct toc_entry *entry_of(const struct given *g)
{
    struct toc_entry *e = g_new0(struct toc_entry, 1);
    gboolean data = g_str_equal(g->desc, "TABLE DATA");
    e->dump_id = g->id;
    e->section = data ? TOC_DATA : TOC_PRE_DATA;
    e->desc = g_strdup(g->desc);
    e->tag = g_strdup(g->tag);
    e->schema = g_strdup("public");
    e->definition = g_strdup(g->definition);
    e->copy_sql = data ? g_strdup_printf("COPY public.%s (i) FROM stdin;\n", g->tag) : NULL;
    e->depends = g_array_new(FALSE, FALSE, sizeof(int));
    for (gsize i = 0; g->depends[i]; i++)
        g_array_append_val(e->depends, g->depends[i]);
    return e;
}

static guint index_of(const GPtrArray *defs, const char *name)
{
    for (guint i = 0; i < defs->len; i++)
        if (g_str_equal(((struct table_def *)defs->pdata[i])->name, name))
            return i;
    g_assert_not_reached();
}

static void check_pair(const GPtrArray *defs, const guint *stages, const char *pair)
{
    gsize at = strcspn(pair, "<=");
    g_autofree char *first = g_strndup(pair, at);
    guint a = stages[index_of(defs, first)], b = stages[index_of(defs, pair + at + 1)];
    g_assert_true(pair[at] == '<' ? a < b : a == b);
}

static void test_case(gconstpointer data)
{
    const struct order_case *c = data;
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(entry_drop);
    g_autoptr(GPtrArray) defs = g_ptr_array_new_with_free_func(table_def_drop);
    for (gsize i = 0; i < G_N_ELEMENTS(c->entries) && c->entries[i].id; i++) {
        struct toc_entry *e = entry_of(&c->entries[i]);
        g_ptr_array_add(entries, e);
        if (!g_str_equal(e->desc, "TABLE DATA"))
            continue;
        struct table_def *def = g_new0(struct table_def, 1);
        def->schema = g_strdup("public");
        def->name = g_strdup(e->tag);
        g_ptr_array_add(defs, def);
    }
    struct toc t = {.entries = entries};
    g_autofree guint *stages = order_stages(&t, defs);
    g_auto(GStrv) pairs = g_strsplit(c->before, " ", -1);
    for (char **pair = pairs; *pair; pair++)
        check_pair(defs, stages, *pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/order/%s", cases[i].name);
        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
