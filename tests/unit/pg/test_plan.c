/*
 * Tests of COPY statements for tables with names of every kind. Quoting needs a connection, so a thread plays the
 * server as far as logging in goes; no PostgreSQL runs.
 */
#include "pg/plan.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/files.h"

static struct table_def *make_def(const char *schema, const char *name, const char *copy_sql)
{
    struct table_def *t = table_def_new();
    t->schema = g_strdup(schema);
    t->name = g_strdup(name);
    t->copy_sql = g_strdup(copy_sql);
    return t;
}

/* copy_sql as pg_dump writes it; whole: our own statement for it. */
static const struct {
    const char *test, *schema, *name, *copy_sql, *list, *whole;
} tables[] = {
    {"plain", "public", "t", "COPY public.t (a, b) FROM stdin;", "a, b", "COPY \"public\".\"t\" (a, b) TO stdout"},
    {"quoted", "public", "T", "COPY public.\"T\" (\"A\") FROM stdin;", "\"A\"",
     "COPY \"public\".\"T\" (\"A\") TO stdout"},
    {"spaces", "a b", "c d", "COPY \"a b\".\"c d\" (\"e f\") FROM stdin;", "\"e f\"",
     "COPY \"a b\".\"c d\" (\"e f\") TO stdout"},
    {"quotes", "q\"s", "\"", "COPY \"q\"\"s\".\"\"\"\" (\"\"\"\", \"'\") FROM stdin;", "\"\"\"\", \"'\"",
     "COPY \"q\"\"s\".\"\"\"\" (\"\"\"\", \"'\") TO stdout"},
    {"parentheses", "(s)", "t (a, b)", "COPY \"(s)\".\"t (a, b)\" (\"x)\", \"(y\") FROM stdin;", "\"x)\", \"(y\"",
     "COPY \"(s)\".\"t (a, b)\" (\"x)\", \"(y\") TO stdout"},
    {"dots", "a.b", "c.d", "COPY \"a.b\".\"c.d\" (\"e.f\") FROM stdin;", "\"e.f\"",
     "COPY \"a.b\".\"c.d\" (\"e.f\") TO stdout"},
    {"from_stdin", "s FROM stdin;", "t FROM stdin;",
     "COPY \"s FROM stdin;\".\"t FROM stdin;\" (\"c FROM stdin;\") FROM stdin;", "\"c FROM stdin;\"",
     "COPY \"s FROM stdin;\".\"t FROM stdin;\" (\"c FROM stdin;\") TO stdout"},
    {"newline", "n\nl", "t\tb", "COPY \"n\nl\".\"t\tb\" (\"c\nd\") FROM stdin;", "\"c\nd\"",
     "COPY \"n\nl\".\"t\tb\" (\"c\nd\") TO stdout"},
    {"umlaut", "\xc3\xa4", "\xe2\x82\xac", "COPY \"\xc3\xa4\".\"\xe2\x82\xac\" (\"\xc3\xb6\") FROM stdin;",
     "\"\xc3\xb6\"", "COPY \"\xc3\xa4\".\"\xe2\x82\xac\" (\"\xc3\xb6\") TO stdout"},
    {"no_columns", "public", "t", "COPY public.t  FROM stdin;", "", "COPY \"public\".\"t\"  TO stdout"},
    {"no_columns_quoted", "a (b", "c) FROM stdin;", "COPY \"a (b\".\"c) FROM stdin;\"  FROM stdin;", "",
     "COPY \"a (b\".\"c) FROM stdin;\"  TO stdout"},
    {"backslash", "b\\s", "\\.", "COPY \"b\\s\".\"\\.\" (\"\\\\\") FROM stdin;", "\"\\\\\"",
     "COPY \"b\\s\".\"\\.\" (\"\\\\\") TO stdout"},
    {"keyword", "select", "from", "COPY \"select\".\"from\" (\"table\") FROM stdin;", "\"table\"",
     "COPY \"select\".\"from\" (\"table\") TO stdout"},
};

/* ---- a server that lets anyone in ---- */

static int listen_in(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree char *path = g_build_filename(folder, ".s.PGSQL.5432", NULL);
    g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof address.sun_path), <, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

static void put_number(GByteArray *out, guint32 number, guint bytes)
{
    for (guint i = bytes; i-- > 0;)
        g_byte_array_append(out, (guint8[]){(guint8)(number >> (8 * i))}, 1);
}

static void put_message(GByteArray *out, char type, const GByteArray *body)
{
    g_byte_array_append(out, (const guint8 *)&type, 1);
    put_number(out, body->len + 4, 4);
    g_byte_array_append(out, body->data, body->len);
    g_byte_array_unref((GByteArray *)body);
}

/* Columns without names; values as the one row, unless there are none. */
static void put_rows(GByteArray *out, guint n_columns, const char *const *values)
{
    GByteArray *columns = g_byte_array_new(), *row = g_byte_array_new(), *end = g_byte_array_new();
    put_number(columns, n_columns, 2);
    put_number(row, n_columns, 2);
    for (guint i = 0; i < n_columns; i++) {
        g_byte_array_append(columns, (const guint8 *)"", 1);
        put_number(columns, 0, 4);
        put_number(columns, 0, 2);
        put_number(columns, 25, 4); /* text */
        put_number(columns, 0xffff, 2);
        put_number(columns, 0xffffffff, 4);
        put_number(columns, 0, 2);
        put_number(row, values ? (guint32)strlen(values[i]) : 0, 4);
        if (values)
            g_byte_array_append(row, (const guint8 *)values[i], (guint)strlen(values[i]));
    }
    put_message(out, 'T', columns);
    if (values)
        put_message(out, 'D', row);
    else
        g_byte_array_unref(row);
    g_byte_array_append(end, (const guint8 *)"SELECT", 7);
    put_message(out, 'C', end);
}

/* What a session asks when it is opened: who the server is; then it sets what it needs, which finds nothing to set. */
static void answer(int client, gboolean first, gboolean extended)
{
    static const char *const who[] = {"0", "today", "0", "off"};
    g_autoptr(GByteArray) out = g_byte_array_new();
    if (extended) {
        put_message(out, '1', g_byte_array_new());
        put_message(out, '2', g_byte_array_new());
    }
    put_rows(out, first ? G_N_ELEMENTS(who) : 1, first ? who : NULL);
    GByteArray *ready = g_byte_array_new();
    g_byte_array_append(ready, (const guint8 *)"I", 1);
    put_message(out, 'Z', ready);
    g_assert_cmpint(write(client, out->data, out->len), ==, out->len);
}

/* Takes one client's first message, says hello, answers what it asks until it leaves. */
static void *serve(void *data)
{
    static const char hello[] = "R\0\0\0\10\0\0\0\0"
                                "S\0\0\0\30server_version\00015.3\0"
                                "S\0\0\0\31client_encoding\0UTF8\0"
                                "S\0\0\0\43standard_conforming_strings\0on\0"
                                "Z\0\0\0\5I";
    int client = accept(GPOINTER_TO_INT(data), NULL, NULL);
    char buffer[16384];
    g_assert_cmpint(read(client, buffer, sizeof buffer), >, 8);
    g_assert_cmpint(write(client, hello, sizeof hello - 1), ==, sizeof hello - 1);
    for (gboolean first = TRUE; read(client, buffer, sizeof buffer) > 0 && *buffer != 'X'; first = FALSE)
        answer(client, first, *buffer == 'P');
    close(client);
    return NULL;
}

struct fake {
    char *folder;
    int fd;
    GThread *thread;
    struct session *session;
};

static void fake_start(struct fake *f)
{
    g_autoptr(GError) error = NULL;
    f->folder = g_dir_make_tmp("plan-XXXXXX", NULL);
    f->fd = listen_in(f->folder);
    f->thread = g_thread_new("server", serve, GINT_TO_POINTER(f->fd));
    struct pg_target target = {.host = f->folder, .name = (char *)"x", .user = (char *)"x", .port = 5432};
    f->session = session_open(&target, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(session_version(f->session), ==, 150003);
}

static void fake_stop(struct fake *f)
{
    session_free(f->session);
    g_thread_join(f->thread);
    close(f->fd);
    g_assert_true(files_remove_tree(f->folder, NULL));
    g_free(f->folder);
}

/* ---- tests ---- */

static void test_into_itself(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(tables); i++) {
        struct table_def *t = make_def(tables[i].schema, tables[i].name, tables[i].copy_sql);
        g_assert_true(plan_loads_into_itself(t));
        table_def_free(t);
    }
}

/* Each table's COPY statement with another table's name: never taken for its own. */
static void test_into_another(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(tables); i++)
        for (gsize k = 0; k < G_N_ELEMENTS(tables); k++) {
            gboolean same =
                g_str_equal(tables[i].schema, tables[k].schema) && g_str_equal(tables[i].name, tables[k].name);
            struct table_def *t = make_def(tables[i].schema, tables[i].name, tables[k].copy_sql);
            g_assert_true(plan_loads_into_itself(t) == same);
            table_def_free(t);
        }
}

static const struct {
    const char *schema, *name, *copy_sql;
} roots[] = {
    {"public", "part_1", "COPY public.root (a) FROM stdin;"},
    {"public", "root", "COPY other.root (a) FROM stdin;"},
    {"public", "roo", "COPY public.root (a) FROM stdin;"},
    {"public", "root", "COPY public.roo (a) FROM stdin;"},
    {"public", "T", "COPY public.t (a) FROM stdin;"},
    {"a", "b.c", "COPY a.b (c) FROM stdin;"},
    {"a.b", "c", "COPY a.\"b.c\" (c) FROM stdin;"},
    {"a", "b\"", "COPY a.\"b\" (c) FROM stdin;"},
    {"a", "b (c", "COPY a.b (c) FROM stdin;"},
};

static void test_through_root(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(roots); i++) {
        struct table_def *t = make_def(roots[i].schema, roots[i].name, roots[i].copy_sql);
        g_assert_false(plan_loads_into_itself(t));
        table_def_free(t);
    }
}

static void expect_sql(struct fake *f, const struct table_def *t, struct plan_piece piece, const char *expected)
{
    g_autofree char *sql = plan_copy_out_sql(f->session, t, &piece);
    g_assert_cmpstr(sql, ==, expected);
}

static void test_copy_out(void)
{
    struct fake f;
    fake_start(&f);
    for (gsize i = 0; i < G_N_ELEMENTS(tables); i++) {
        struct table_def *t = make_def(tables[i].schema, tables[i].name, tables[i].copy_sql);
        g_autofree char *name = session_quote_pair(f.session, t->schema, t->name);
        g_autofree char *first = g_strdup_printf(
            "COPY (SELECT %s FROM ONLY %s WHERE ctid >= '(0,0)' AND ctid < '(7,0)') TO stdout", tables[i].list, name);
        g_autofree char *last = g_strdup_printf(
            "COPY (SELECT %s FROM ONLY %s WHERE ctid >= '(4294967290,0)') TO stdout", tables[i].list, name);
        g_autofree char *filtered =
            g_strdup_printf("COPY (SELECT %s FROM ONLY %s WHERE NOT builtin) TO stdout", tables[i].list, name);
        expect_sql(&f, t, (struct plan_piece){.whole = TRUE}, tables[i].whole);
        expect_sql(&f, t, (struct plan_piece){.first_page = 0, .end_page = 7}, first);
        expect_sql(&f, t, (struct plan_piece){.first_page = 4294967290, .end_page = 0}, last);
        t->filter = g_strdup("WHERE NOT builtin");
        expect_sql(&f, t, (struct plan_piece){.whole = TRUE}, filtered);
        table_def_free(t);
    }
    fake_stop(&f);
}

/* Rows are read from the partition itself, whatever they are loaded through. */
static void test_copy_out_of_partition(void)
{
    struct fake f;
    fake_start(&f);
    struct table_def *t = make_def("public", "part 1", "COPY public.root (a, b) FROM stdin;");
    expect_sql(&f, t, (struct plan_piece){.whole = TRUE}, "COPY \"public\".\"part 1\" (a, b) TO stdout");
    table_def_free(t);
    fake_stop(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plan/into_itself", test_into_itself);
    g_test_add_func("/plan/into_another", test_into_another);
    g_test_add_func("/plan/through_root", test_through_root);
    g_test_add_func("/plan/copy_out", test_copy_out);
    g_test_add_func("/plan/copy_out_of_partition", test_copy_out_of_partition);
    return g_test_run();
}
