/*
 * Tests of the metadata file: round trip with types as the guide has them, the guide's own example, and wrong files.
 */
#include "catalog/meta.h"

#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "catalog/copy.h"

#define ID "opstower_20260207_120000"

static char *folder;

/* The example of the guide, "Backup metadata". */
static const char guide[] = "{\n"
                            "  \"timestamp\": \"20260207_120000\",\n"
                            "  \"date\": \"2026-02-07T12:00:00+08:00\",\n"
                            "  \"database\": \"opstower\",\n"
                            "  \"host\": \"localhost\",\n"
                            "  \"port\": 5432,\n"
                            "  \"backup_file\": \"opstower_20260207_120000.sql.gz\",\n"
                            "  \"backup_size\": \"65011234\",\n"
                            "  \"database_size\": \"245 MB\",\n"
                            "  \"table_count\": 47,\n"
                            "  \"compression\": \"gzip\",\n"
                            "  \"postgresql_version\": \"PostgreSQL 15.3\",\n"
                            "  \"backup_script_version\": \"1.0.0\",\n"
                            "  \"retention_days\": 30\n"
                            "}\n";

static struct meta *load_text(const char *text, gsize length, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "x.meta.json", NULL);
    g_assert_true(g_file_set_contents(path, text, (gssize)length, NULL));
    return meta_load(path, error);
}

static struct meta *make_meta(void)
{
    struct meta *m = g_new0(struct meta, 1);
    m->id = g_strdup(ID);
    m->timestamp = g_strdup("20260207_120000");
    m->date = g_strdup("2026-02-07T12:00:00+08:00");
    m->database = g_strdup("ops \"tower\" \xc3\xa4\n");
    m->host = g_strdup("/var/run/postgresql");
    m->port = 5433;
    m->backup_file = g_strdup(ID ".sql.gz");
    m->size_bytes = G_MAXINT64;
    m->plain_bytes = (guint64)1 << 50;
    m->rows = (guint64)1 << 40;
    m->database_size = g_strdup("245 MB");
    m->table_count = 47;
    m->postgresql_version = g_strdup("PostgreSQL 15.3");
    m->tool_version = g_strdup("1.0.0");
    m->retention_days = 30;
    m->type = g_strdup("hourly");
    m->format = 1;
    m->sha256 = g_strdup("00ff");
    m->duration_s = 12;
    m->snapshot_time = g_strdup("2026-02-07T12:00:01+08:00");
    m->level = g_strdup("fast");
    m->log = g_strdup("backup_20260207_120000.log");
    m->state = META_VERIFIED;
    m->verified_at = g_strdup("2026-02-07T12:00:09+08:00");
    m->facts = json_pack("{s:[i, n, s]}", "odd", 1, "\xe2\x82\xac");
    m->tables = json_array();
    return m;
}

static void expect_same(const struct meta *a, const struct meta *b)
{
    g_assert_cmpstr(a->id, ==, b->id);
    g_assert_cmpstr(a->timestamp, ==, b->timestamp);
    g_assert_cmpstr(a->date, ==, b->date);
    g_assert_cmpstr(a->database, ==, b->database);
    g_assert_cmpstr(a->host, ==, b->host);
    g_assert_cmpint(a->port, ==, b->port);
    g_assert_cmpstr(a->backup_file, ==, b->backup_file);
    g_assert_cmpuint(a->size_bytes, ==, b->size_bytes);
    g_assert_cmpuint(a->plain_bytes, ==, b->plain_bytes);
    g_assert_cmpuint(a->rows, ==, b->rows);
    g_assert_cmpstr(a->database_size, ==, b->database_size);
    g_assert_cmpuint(a->table_count, ==, b->table_count);
    g_assert_cmpstr(a->postgresql_version, ==, b->postgresql_version);
    g_assert_cmpstr(a->tool_version, ==, b->tool_version);
    g_assert_cmpint(a->retention_days, ==, b->retention_days);
    g_assert_cmpstr(a->type, ==, b->type);
    g_assert_cmpstr(a->tag, ==, b->tag);
    g_assert_cmpstr(a->sha256, ==, b->sha256);
    g_assert_cmpint(a->format, ==, b->format);
    g_assert_cmpint(a->duration_s, ==, b->duration_s);
    g_assert_cmpstr(a->snapshot_time, ==, b->snapshot_time);
    g_assert_cmpstr(a->level, ==, b->level);
    g_assert_cmpstr(a->log, ==, b->log);
    g_assert_cmpint((int)a->state, ==, (int)b->state);
    g_assert_cmpint(a->tested_on, ==, b->tested_on);
    g_assert_cmpstr(a->tested_at, ==, b->tested_at);
    g_assert_cmpstr(a->verified_at, ==, b->verified_at);
    g_assert_cmpstr(a->proven_at, ==, b->proven_at);
    g_assert_true(json_equal(a->tables, b->tables));
    g_assert_true(json_equal(a->facts, b->facts));
    g_assert_true(a->omitted == b->omitted || json_equal(a->omitted, b->omitted));
}

static void test_round_trip(void)
{
    g_autofree char *path = g_build_filename(folder, ID ".meta.json", NULL);
    for (int i = META_FAILED; i <= META_PROVEN; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(meta) m = make_meta();
        m->state = (enum meta_state)i;
        m->tested_on = i == META_TESTED ? 18 : 0;
        m->tested_at = i == META_TESTED ? g_strdup("2026-02-08T00:00:00+08:00") : NULL;
        m->omitted = i % 2 ? json_pack("[s, s]", "subscription \"x\"", "\xe2\x82\xac") : NULL;
        m->tag = i % 2 ? g_strdup("v2.0 \"final\"") : NULL;
        m->proven_at = i == META_PROVEN ? g_strdup("2026-02-08T00:00:00+08:00") : NULL;
        g_assert_true(meta_save(m, folder, TRUE, &error));
        g_autoptr(meta) back = meta_load(path, &error);
        g_assert_no_error(error);
        expect_same(m, back);
    }
}

static void test_no_replace(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(meta) m = make_meta();
    g_assert_true(meta_save(m, folder, FALSE, &error));
    g_assert_false(meta_save(m, folder, FALSE, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
}

/* What other programs read: the guide's fields, all of them, first, in its order and of its types. */
static void test_guide_fields(void)
{
    static const struct {
        const char *key;
        json_type type;
    } expected[] = {
        {"timestamp", JSON_STRING},
        {"date", JSON_STRING},
        {"database", JSON_STRING},
        {"host", JSON_STRING},
        {"port", JSON_INTEGER},
        {"backup_file", JSON_STRING},
        {"backup_size", JSON_STRING},
        {"database_size", JSON_STRING},
        {"table_count", JSON_INTEGER},
        {"compression", JSON_STRING},
        {"postgresql_version", JSON_STRING},
        {"backup_script_version", JSON_STRING},
        {"retention_days", JSON_INTEGER},
    };
    g_autoptr(meta) m = make_meta();
    g_autofree char *path = g_build_filename(folder, ID ".meta.json", NULL);
    g_assert_true(meta_save(m, folder, FALSE, NULL));
    json_t *object = json_load_file(path, 0, NULL);
    void *at = json_object_iter(object);
    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++, at = json_object_iter_next(object, at)) {
        g_assert_cmpstr(json_object_iter_key(at), ==, expected[i].key);
        g_assert_cmpint((int)json_typeof(json_object_iter_value(at)), ==, (int)expected[i].type);
    }
    g_assert_cmpstr(json_string_value(json_object_get(object, "compression")), ==, "gzip");
    json_decref(object);
}

static void test_guide_example(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(meta) m = load_text(guide, strlen(guide), &error);
    g_assert_no_error(error);
    g_assert_cmpstr(m->id, ==, ID);
    g_assert_cmpstr(m->database, ==, "opstower");
    g_assert_cmpint(m->port, ==, 5432);
    g_assert_cmpuint(m->size_bytes, ==, 65011234);
    g_assert_cmpuint(m->table_count, ==, 47);
    g_assert_cmpint(m->retention_days, ==, 30);
    g_assert_cmpint((int)m->state, ==, (int)META_UNVERIFIED);
    g_assert_null(m->sha256);
}

static const struct {
    const char *name, *from, *to; /* a change of the guide's example */
} wrong[] = {
    {"no_timestamp", "\"timestamp\"", "\"time\""},
    {"timestamp_number", "\"20260207_120000\"", "20260207"},
    {"database_null", "\"opstower\"", "null"},
    {"host_list", "\"localhost\"", "[\"localhost\"]"},
    {"port_text", "5432", "\"5432\""},
    {"port_negative", "5432", "-1"},
    {"port_real", "5432", "5432.0"},
    {"port_huge", "5432", "4294967296"},
    {"port_true", "5432", "true"},
    {"size_number", "\"65011234\"", "65011234"},
    {"size_words", "\"65011234\"", "\"62 MB\""},
    {"size_negative", "\"65011234\"", "\"-1\""},
    {"size_empty", "\"65011234\"", "\"\""},
    {"size_huge", "\"65011234\"", "\"9223372036854775808\""},
    {"count_text", "47", "\"47\""},
    {"count_negative", "47", "-47"},
    {"retention_null", "30\n", "null\n"},
    {"no_file", "\"backup_file\"", "\"file\""},
    {"file_no_backup", "\"opstower_20260207_120000.sql.gz\"", "\"opstower.sql.gz\""},
    {"file_elsewhere", "\"opstower_20260207_120000.sql.gz\"", "\"../opstower_20260207_120000.sql.gz\""},
    {"state_unknown", "30\n", "30, \"state\": \"good\"\n"},
    {"state_number", "30\n", "30, \"state\": 3\n"},
    {"rows_text", "30\n", "30, \"rows\": \"3\"\n"},
    {"rows_negative", "30\n", "30, \"rows\": -3\n"},
    {"sha256_number", "30\n", "30, \"sha256\": 0\n"},
    {"no_end", "30\n}", "30\n"},
    {"two_objects", "30\n}", "30\n}{}"},
    {"no_comma", "5432,", "5432"},
};

static void test_wrong(void *fixture, gconstpointer data)
{
    (void)fixture;
    gsize i = GPOINTER_TO_SIZE(data);
    g_autoptr(GString) text = g_string_new(guide);
    g_assert_cmpuint(g_string_replace(text, wrong[i].from, wrong[i].to, 1), ==, 1);
    g_autoptr(GError) error = NULL;
    g_assert_null(load_text(text->str, text->len, &error));
    g_assert_error(error, OT_ERROR, OT_CORRUPT);
    g_assert_nonnull(strstr(error->message, "x.meta.json"));
}

static void test_every_cut(void)
{
    for (gsize cut = 0; cut < strlen(guide) - 2; cut++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(load_text(guide, cut, &error));
        g_assert_error(error, OT_ERROR, OT_CORRUPT);
    }
}

static void test_not_objects(void)
{
    static const char *const texts[] = {"", "null", "[]", "\"text\"", "5", "{}", "\xff\xfe", "{\"a\": \"\xff\"}"};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(load_text(texts[i], strlen(texts[i]), &error));
        g_assert_error(error, OT_ERROR, OT_CORRUPT);
    }
    g_autofree char *missing = g_build_filename(folder, "missing.meta.json", NULL);
    g_autoptr(GError) error = NULL;
    g_assert_null(meta_load(missing, &error));
    g_assert_error(error, OT_ERROR, OT_NOT_FOUND);
    meta_free(NULL);
}

static void test_states(void)
{
    static const struct {
        struct meta meta;
        const char *text;
    } cases[] = {
        {{.state = META_FAILED}, "failed"},
        {{.state = META_UNVERIFIED}, "unverified"},
        {{.state = META_VERIFIED}, "verified"},
        {{.state = META_TESTED, .tested_on = 18}, "tested on 18"},
        {{.state = META_PROVEN, .tested_on = 18}, "proven"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = meta_state_text(&cases[i].meta);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

/* A table's name in another encoding is made readable, not left out. */
static void test_tables(void)
{
    g_autoptr(archive_contents) c = archive_contents_new();
    struct table_def *def = table_def_new();
    def->schema = g_strdup("public");
    def->name = g_strdup("latin1 \xe4");
    struct archive_table *t = archive_contents_add_table(c, def);
    t->proof = (struct fingerprint){.sum = 255, .rows = 3};
    json_t *tables = meta_tables(c);
    json_t *first = json_array_get(tables, 0);
    g_assert_cmpuint(json_array_size(tables), ==, 1);
    g_assert_cmpstr(json_string_value(json_object_get(first, "schema")), ==, "public");
    g_assert_cmpstr(json_string_value(json_object_get(first, "name")), ==, "latin1 \xef\xbf\xbd");
    g_assert_cmpint(json_integer_value(json_object_get(first, "rows")), ==, 3);
    g_assert_cmpstr(json_string_value(json_object_get(first, "fingerprint")), ==, "000000000000000000000000000000ff");
    json_decref(tables);
}

/* ---- lean ---- */

static struct meta *with_tables(guint n)
{
    struct meta *m = make_meta();
    json_decref(m->tables);
    m->tables = json_array();
    for (guint i = 0; i < n; i++)
        json_array_append_new(m->tables, json_pack("{ss ss si ss}", "schema", "\n  \"tables\": [", "name", "t]}", "rows",
                                                   (int)i, "fingerprint", "00"));
    return m;
}

/* What is parsed is the same but for the tables; a file that was cut is found wanting as ever. */
static void test_lean(void)
{
    g_autofree char *place = g_build_filename(folder, ID ".sql.gz", NULL), *path = g_build_filename(folder, ID ".meta.json", NULL);
    for (guint n = 0; n <= 3000; n += 1500) {
        g_autoptr(meta) m = with_tables(n);
        g_assert_true(meta_save(m, folder, TRUE, NULL));
        g_autoptr(copy) here = copy_local(place);
        for (int keep = 0; keep < 2; keep++) {
            g_autoptr(meta) lean = copy_meta_lean(here, keep, NULL);
            g_assert_true(lean && lean->lean && !lean->tables);
            json_t *tables = meta_read_tables(lean);
            g_assert_true(keep ? json_equal(tables, m->tables) : !tables);
            json_decref(tables);
            g_autoptr(GError) refused = NULL;
            g_assert_null(meta_print(lean, &refused));
            g_assert_error(refused, OT_ERROR, OT_FAILED);
            g_assert_true(copy_complete_meta(here, lean, NULL));
            g_autofree char *one = meta_print(m, NULL), *other = meta_print(lean, NULL);
            g_assert_cmpstr(one, ==, other);
        }
        g_autofree char *text = NULL;
        gsize length;
        g_assert_true(g_file_get_contents(path, &text, &length, NULL));
        for (gsize cut = 1; cut < MIN(length, 500); cut += 7) {
            g_autoptr(GError) problem = NULL;
            g_assert_true(g_file_set_contents(path, text, (gssize)(length - 1 - cut), NULL));
            g_assert_null(copy_meta_lean(here, FALSE, &problem));
            g_assert_error(problem, OT_ERROR, OT_CORRUPT);
        }
    }
}

/* Whatever the layout. */
static void test_lean_of_others(void)
{
    g_autoptr(meta) m = with_tables(2);
    g_autofree char *ours = meta_print(m, NULL);
    json_t *object = json_loads(ours, 0, NULL);
    static const size_t layouts[] = {JSON_COMPACT, JSON_INDENT(4), JSON_INDENT(2) | JSON_SORT_KEYS};
    for (gsize i = 0; i < G_N_ELEMENTS(layouts); i++) {
        char *text = json_dumps(object, layouts[i]);
        g_autoptr(meta) lean = meta_parse_lean(text, strlen(text), TRUE, "x", NULL);
        json_t *tables = lean ? meta_read_tables(lean) : NULL;
        g_assert_true(lean && lean->lean && json_equal(tables, m->tables));
        json_decref(tables);
        free(text);
    }
    json_decref(object);
    static const char *const broken[] = {"{\"tables\": [", "{\"tables\": [}", "{\"tables\": [\"", "{\"tables\"", "{\"tables\":", "{\"\\", "[\"tables\", []]", ""};
    for (gsize i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_autoptr(GError) problem = NULL;
        g_assert_null(meta_parse_lean(broken[i], strlen(broken[i]), TRUE, "x", &problem));
        g_assert_error(problem, OT_ERROR, OT_CORRUPT);
    }
    g_autoptr(meta) none = meta_parse_lean(guide, strlen(guide), TRUE, "x", NULL);
    g_assert_true(none && !none->lean && !meta_read_tables(none));
}

static const struct {
    const char *name;
    void (*test)(void);
} tests[] = {
    {"/meta/lean", test_lean},
    {"/meta/lean_of_others", test_lean_of_others},
    {"/meta/round_trip", test_round_trip},
    {"/meta/no_replace", test_no_replace},
    {"/meta/guide_fields", test_guide_fields},
    {"/meta/guide_example", test_guide_example},
    {"/meta/every_cut", test_every_cut},
    {"/meta/not_objects", test_not_objects},
    {"/meta/states", test_states},
    {"/meta/tables", test_tables},
};

static void set_up(void *fixture, gconstpointer data)
{
    (void)fixture;
    (void)data;
    folder = g_dir_make_tmp("meta-XXXXXX", NULL);
}

static void tear_down(void *fixture, gconstpointer data)
{
    (void)fixture;
    (void)data;
    g_assert_true(files_remove_tree(folder, NULL));
    g_clear_pointer(&folder, g_free);
}

static void run_in_folder(void *fixture, gconstpointer data)
{
    (void)fixture;
    tests[GPOINTER_TO_SIZE(data)].test();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_vtable(tests[i].name, 0, GSIZE_TO_POINTER(i), set_up, run_in_folder, tear_down);
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *path = g_strconcat("/meta/wrong/", wrong[i].name, NULL);
        g_test_add_vtable(path, 0, GSIZE_TO_POINTER(i), set_up, test_wrong, tear_down);
    }
    return g_test_run();
}
