/*
 * Tests of the contents' text: what is written is read again, odd names and large numbers included; what is cut is an
 * error, and no damage is more than that.
 */
#include "archive/contents.h"

#include <string.h>

static const char *const odd_names[] = {
    "plain",
    "with space",
    "quo\"te",
    "back\\slash",
    "new\nline",
    "tab\tbed",
    "{\"json\": [1]}",
    "-- end of OpsTower contents",
    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x98",
    "latin1 \xe4\xff",
    "\x80",
    "\x01\x02",
    "",
    "semi;colon",
    "'",
};

static struct table_def *make_def(guint i)
{
    struct table_def *def = table_def_new();
    def->schema = g_strdup(odd_names[(i + 3) % G_N_ELEMENTS(odd_names)]);
    def->name = g_strdup(odd_names[i % G_N_ELEMENTS(odd_names)]);
    def->copy_sql = g_strdup_printf("COPY %s.%s (a) FROM stdin;", def->schema, def->name);
    def->filter = i % 3 == 0 ? NULL : g_strdup(i % 3 == 1 ? "" : "WHERE NOT \"built\nin\"");
    for (guint k = 0; k < i % 4; k++) {
        table_def_add_column(def, odd_names[(i + k) % G_N_ELEMENTS(odd_names)], "numeric(9,6)");
        if (k < 2)
            g_ptr_array_add(def->key, g_strdup(odd_names[(i + k) % G_N_ELEMENTS(odd_names)]));
    }
    return def;
}

static void add_member(struct archive_contents *c, guint i)
{
    struct archive_member m = {
        .kind = (enum member_kind)(i % MEMBER_KINDS),
        .offset = (guint64)i << 40,
        .size = i % 7 == 0 ? G_MAXUINT32 : i,
        .plain_size = i % 5 == 0 ? 1040 * 5 : i * 3,
        .rows = i % 11 == 0 ? G_MAXINT64 : i,
        .crc = i * 2654435761u,
        .table = i % (guint)G_N_ELEMENTS(odd_names),
    };
    g_array_append_val(c->members, m);
}

static struct archive_contents *make_contents(gsize toc_length)
{
    struct archive_contents *c = archive_contents_new();
    json_object_set_new(c->facts, "database", json_string("\xc3\xa4 \"x\"\n"));
    json_object_set_new(c->facts, "size", json_integer(G_MAXINT64));
    for (guint i = 0; i < G_N_ELEMENTS(odd_names); i++) {
        struct archive_table *t = archive_contents_add_table(c, make_def(i));
        t->plain_bytes = i % 2 ? G_MAXINT64 : i;
        t->proof = (struct fingerprint){.sum = ~(unsigned __int128)0 - i, .rows = i % 2 ? G_MAXINT64 / 16 : i};
    }
    c->large_objects = (struct fingerprint){.sum = (unsigned __int128)77 << 70, .rows = 4000000000};
    for (guint i = 0; i < 300; i++)
        add_member(c, i);
    g_autofree guint8 *toc = g_malloc0(toc_length + 1);
    for (gsize i = 0; i < toc_length; i++)
        toc[i] = (guint8)(i * 31 + i / 256);
    c->toc = g_bytes_new(toc, toc_length);
    return c;
}

static struct archive_contents *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    struct archive_contents *c = archive_contents_parse(text, strlen(text), &error);
    g_assert_no_error(error);
    return c;
}

static void expect_same_table(const struct archive_table *a, const struct archive_table *b)
{
    g_assert_cmpstr(a->def->schema, ==, b->def->schema);
    g_assert_cmpstr(a->def->name, ==, b->def->name);
    g_assert_cmpstr(a->def->copy_sql, ==, b->def->copy_sql);
    g_assert_cmpstr(a->def->filter, ==, b->def->filter);
    g_assert_cmpuint(a->plain_bytes, ==, b->plain_bytes);
    g_assert_true(fingerprint_equal(&a->proof, &b->proof));
    g_assert_cmpuint(a->def->columns->len, ==, b->def->columns->len);
    for (guint i = 0; i < a->def->columns->len; i++) {
        const struct table_column *x = a->def->columns->pdata[i], *y = b->def->columns->pdata[i];
        g_assert_cmpstr(x->name, ==, y->name);
        g_assert_cmpstr(x->type, ==, y->type);
    }
    g_assert_cmpuint(a->def->key->len, ==, b->def->key->len);
    for (guint i = 0; i < a->def->key->len; i++)
        g_assert_cmpstr(a->def->key->pdata[i], ==, b->def->key->pdata[i]);
}

static void expect_same(const struct archive_contents *a, const struct archive_contents *b)
{
    g_assert_true(json_equal(a->facts, b->facts));
    g_assert_cmpuint(a->tables->len, ==, b->tables->len);
    for (guint i = 0; i < a->tables->len; i++)
        expect_same_table(a->tables->pdata[i], b->tables->pdata[i]);
    g_assert_cmpuint(a->members->len, ==, b->members->len);
    for (guint i = 0; i < a->members->len; i++) {
        const struct archive_member *x = &g_array_index(a->members, struct archive_member, i);
        const struct archive_member *y = &g_array_index(b->members, struct archive_member, i);
        g_assert_true(x->kind == y->kind && x->offset == y->offset && x->size == y->size && x->crc == y->crc);
        g_assert_true(x->plain_size == y->plain_size && x->rows == y->rows && x->table == y->table);
    }
    g_assert_true(fingerprint_equal(&a->large_objects, &b->large_objects));
    g_assert_true(g_bytes_equal(a->toc, b->toc));
}

static void test_round_trip(void)
{
    static const gsize toc_lengths[] = {1, 3071, 3072, 3073, 100000};
    for (gsize i = 0; i < G_N_ELEMENTS(toc_lengths); i++) {
        g_autoptr(archive_contents) c = make_contents(toc_lengths[i]);
        g_autofree char *text = archive_contents_print(c);
        g_autoptr(archive_contents) back = parse(text);
        expect_same(c, back);
        g_autofree char *again = archive_contents_print(back);
        g_assert_cmpstr(text, ==, again);
    }
}

/* The file is fed to psql: each line is a comment, whatever the names are, and plain ASCII. */
static void test_lines_are_comments(void)
{
    g_autoptr(archive_contents) c = make_contents(10000);
    g_autofree char *text = archive_contents_print(c);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    guint n = g_strv_length(lines);
    g_assert_cmpstr(lines[n - 1], ==, "");
    for (guint i = 0; i + 1 < n; i++)
        g_assert_true(g_str_has_prefix(lines[i], "-- "));
    for (const char *at = text; *at; at++)
        g_assert_true(*at == '\n' || (*at >= ' ' && *at < 0x7f));
}

static void test_empty(void)
{
    g_autoptr(archive_contents) c = archive_contents_new();
    g_autofree char *text = archive_contents_print(c);
    g_autoptr(archive_contents) back = parse(text);
    g_assert_cmpuint(back->tables->len, ==, 0);
    g_assert_cmpuint(back->members->len, ==, 0);
    g_assert_cmpuint(archive_contents_rows(back), ==, 0);
    archive_contents_free(NULL);
}

static void test_many(void)
{
    g_autoptr(archive_contents) c = make_contents(1);
    for (guint i = 0; i < 100000; i++)
        add_member(c, i);
    g_autofree char *text = archive_contents_print(c);
    g_autoptr(archive_contents) back = parse(text);
    expect_same(c, back);
}

static void test_find(void)
{
    g_autoptr(archive_contents) c = make_contents(1);
    for (guint i = 0; i < c->tables->len; i++) {
        struct archive_table *t = c->tables->pdata[i];
        g_assert_true(archive_contents_find(c, t->def->schema, t->def->name) == t);
    }
    g_assert_null(archive_contents_find(c, "plain", "plain"));
    guint64 rows = 0;
    for (guint i = 0; i < c->tables->len; i++)
        rows += ((struct archive_table *)c->tables->pdata[i])->proof.rows;
    g_assert_cmpuint(archive_contents_rows(c), ==, rows);
}

/* ---- damage ---- */

static gboolean understood(const char *text, gsize length)
{
    g_autofree char *exact = g_memdup2(text, length ? length : 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(archive_contents) c = archive_contents_parse(exact, length, &error);
    g_assert_true((c == NULL) == (error != NULL));
    if (error)
        g_assert_error(error, OT_ERROR, OT_CORRUPT);
    return c != NULL;
}

static void test_every_cut(void)
{
    g_autoptr(archive_contents) c = make_contents(4000);
    g_array_set_size(c->members, 5);
    g_autofree char *text = archive_contents_print(c);
    gsize length = strlen(text);
    g_assert_true(understood(text, length));
    for (gsize cut = 0; cut < length; cut++)
        g_assert_false(understood(text, cut));
}

/* Whatever bytes are changed: understood or an error, and under a sanitizer nothing else. (That they are the right
 * bytes is the trailer's to say.) */
static void test_random_bytes(void)
{
    g_autoptr(archive_contents) c = make_contents(500);
    g_array_set_size(c->members, 20);
    g_autofree char *text = archive_contents_print(c);
    gsize length = strlen(text);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    guint errors = 0;
    for (int i = 0; i < 5000; i++) {
        g_autofree char *changed = g_strdup(text);
        for (int k = g_rand_int_range(random, 0, 3); k >= 0; k--)
            changed[g_rand_int_range(random, 0, (gint32)length)] = (char)g_rand_int(random);
        errors += !understood(changed, length);
    }
    g_assert_cmpuint(errors, >, 1000);
}

#define TABLE(schema, rows, sum, rest)                                                                                 \
    "-- table {\"schema\":" schema ",\"name\":\"t\",\"copy\":\"COPY s.t FROM stdin;\",\"rows\":" rows                  \
    ",\"fingerprint\":\"" sum "\",\"bytes\":1" rest "}\n"
#define SUM "0123456789abcdef0123456789abcdef"
#define END "-- end of OpsTower contents\n"

static const struct {
    const char *name, *text;
    gboolean good;
} lines[] = {
    {"table", TABLE("\"s\"", "1", SUM, "") END, TRUE},
    {"name_as_bytes", TABLE("[115,228]", "1", SUM, "") END, TRUE},
    {"member", TABLE("\"s\"", "1", SUM, "") "-- member data 0 20 30 0000ffff 0 1\n" END, TRUE},
    {"schema_number", TABLE("5", "1", SUM, "") END, FALSE},
    {"schema_null", TABLE("null", "1", SUM, "") END, FALSE},
    {"rows_negative", TABLE("\"s\"", "-1", SUM, "") END, FALSE},
    {"sum_short", TABLE("\"s\"", "1", "0123", "") END, FALSE},
    {"sum_upper", TABLE("\"s\"", "1", "0123456789ABCDEF0123456789ABCDEF", "") END, FALSE},
    {"columns_wrong", TABLE("\"s\"", "1", SUM, ",\"columns\":[\"a\"]") END, FALSE},
    {"columns_half", TABLE("\"s\"", "1", SUM, ",\"columns\":[[\"a\"]]") END, FALSE},
    {"columns_number", TABLE("\"s\"", "1", SUM, ",\"columns\":[[1,2]]") END, FALSE},
    {"key_wrong", TABLE("\"s\"", "1", SUM, ",\"key\":[null]") END, FALSE},
    {"table_not_json", "-- table {\n" END, FALSE},
    {"table_a_list", "-- table []\n" END, FALSE},
    {"table_empty", "-- table {}\n" END, FALSE},
    {"facts_a_list", "-- facts []\n" END, FALSE},
    {"large_objects_empty", "-- large-objects {}\n" END, FALSE},
    {"member_of_no_table", "-- member data 0 20 30 0000ffff 0 1\n" END, FALSE},
    {"member_of_missing_table", TABLE("\"s\"", "1", SUM, "") "-- member data 0 20 30 0000ffff 1 1\n" END, FALSE},
    {"member_unknown_kind", "-- member date 0 20 30 0000ffff 0 1\n" END, FALSE},
    {"member_short", "-- member head 0 20 30 0000ffff 0\n" END, FALSE},
    {"member_long", "-- member head 0 20 30 0000ffff 0 1 2\n" END, FALSE},
    {"member_negative", "-- member head -1 20 30 0000ffff 0 1\n" END, FALSE},
    {"member_two_spaces", "-- member head  0 20 30 0000ffff 0 1\n" END, FALSE},
    {"member_offset_huge", "-- member head 9223372036854775808 20 30 0000ffff 0 1\n" END, FALSE},
    {"member_size_huge", "-- member head 0 4294967296 30 0000ffff 0 1\n" END, FALSE},
    {"member_plain_huge", "-- member head 0 20 4294967296 0000ffff 0 1\n" END, FALSE},
    {"member_crc_huge", "-- member head 0 20 30 100000000 0 1\n" END, FALSE},
    {"member_crc_wrong", "-- member head 0 20 30 xyz 0 1\n" END, FALSE},
    {"toc_empty", "-- toc \n" END, FALSE},
    {"unknown_line", "-- something else\n" END, FALSE},
    {"no_comment", "DROP TABLE t;\n" END, FALSE},
    {"empty_line", "\n" END, FALSE},
    {"line_after_end", END "-- facts {}\n", FALSE},
    {"two_ends", END END, FALSE},
    {"end_without_newline", "-- end of OpsTower contents", FALSE},
    {"nothing", "", FALSE},
};

static void test_line(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_assert_true(understood(lines[i].text, strlen(lines[i].text)) == lines[i].good);
}

/* ---- each value replaced by one of another kind ---- */

static const char *const other_values[] = {
    "null", "true", "-1", "1.5", "99999999999999999", "\"\"", "\"text\"", "[]", "[[[[[[1]]]]]]", "{}", "{\"a\":{\"b\":[null]}}",
};

/* Replaces the value at *left in the order of a walk, which counts it down to 0. */
static void replace_one(json_t *in, guint *left, const char *with)
{
    gsize n = json_is_array(in) ? json_array_size(in) : json_object_size(in);
    void *at = json_object_iter(in);
    for (gsize i = 0; i < n && *left > 0; i++) {
        json_t *value = json_is_array(in) ? json_array_get(in, i) : json_object_iter_value(at);
        if (--*left > 0) {
            replace_one(value, left, with);
        } else {
            json_t *other = json_loads(with, JSON_DECODE_ANY, NULL);
            if (json_is_array(in))
                json_array_set_new(in, i, other);
            else
                json_object_iter_set_new(in, at, other);
            return;
        }
        at = json_object_iter_next(in, at);
    }
}

/* FALSE: there are no more values in the line. */
static gboolean try_line(char **all, gsize i, const char *json, guint which, const char *with)
{
    g_autofree char *line = all[i];
    json_t *whole = json_loads(json, JSON_DECODE_ANY, NULL);
    guint left = which;
    replace_one(whole, &left, with);
    g_autofree char *changed = json_dumps(whole, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(whole);
    all[i] = g_strdup_printf("%.*s%s", (int)(json - line), line, changed);
    g_autofree char *text = g_strjoinv("\n", all);
    g_free(all[i]);
    all[i] = g_steal_pointer(&line);
    understood(text, strlen(text));
    return left == 0;
}

/* Understood or refused, but no more than that. OPSTOWER_TEST_LONG: each value of every line. */
static void test_values_of_other_kinds(void)
{
    g_autoptr(archive_contents) c = make_contents(100);
    g_autofree char *text = archive_contents_print(c);
    g_auto(GStrv) all = g_strsplit(text, "\n", -1);
    gboolean every = g_getenv("OPSTOWER_TEST_LONG") != NULL;
    guint tried = 0;
    for (gsize i = 0; i < g_strv_length(all); i += every || i < 6 ? 1 : 37) {
        const char *json = strpbrk(all[i], "{[");
        json_t *whole = json ? json_loads(json, 0, NULL) : NULL;
        if (!whole)
            continue;
        json_decref(whole);
        for (guint k = 0; k < G_N_ELEMENTS(other_values); k++)
            for (guint which = 1; try_line(all, i, json, which, other_values[k]); which++)
                tried++;
    }
    g_assert_cmpuint(tried, >, 100);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/contents/round_trip", test_round_trip);
    g_test_add_func("/contents/lines_are_comments", test_lines_are_comments);
    g_test_add_func("/contents/empty", test_empty);
    g_test_add_func("/contents/many", test_many);
    g_test_add_func("/contents/find", test_find);
    g_test_add_func("/contents/every_cut", test_every_cut);
    g_test_add_func("/contents/random_bytes", test_random_bytes);
    g_test_add_func("/contents/values_of_other_kinds", test_values_of_other_kinds);
    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *path = g_strconcat("/contents/line/", lines[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_line);
    }
    return g_test_run();
}
