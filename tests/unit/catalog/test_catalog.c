/*
 * Tests of a folder of backups: what is found by which word, what is cleared away, and what a deletion takes along. The
 * tables say what is in the folder before and after.
 */
#include "catalog/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "catalog/names.h"

static char *folder;

static char *in_folder(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static gboolean exists(const char *name)
{
    g_autofree char *path = in_folder(name);
    return g_file_test(path, G_FILE_TEST_EXISTS) || g_file_test(path, G_FILE_TEST_IS_SYMLINK);
}

static void touch(const char *name)
{
    g_autofree char *path = in_folder(name);
    g_assert_true(g_file_set_contents(path, name, -1, NULL));
}

/* 20260102_030405 in the form of ISO 8601. */
static char *iso_of(const char *timestamp)
{
    gint64 at;
    g_assert_true(text_parse_timestamp(timestamp, &at));
    return text_iso_time(at);
}

static struct meta *new_meta(const char *id, const char *timestamp)
{
    struct meta *m = g_new0(struct meta, 1);
    m->id = g_strdup(id);
    m->timestamp = g_strdup(timestamp);
    m->date = iso_of(timestamp);
    m->database = g_strdup("x");
    m->host = g_strdup("localhost");
    m->backup_file = g_strconcat(id, NAMES_DUMP, NULL);
    m->database_size = g_strdup("1 MB");
    m->postgresql_version = g_strdup("PostgreSQL 15.3");
    m->tool_version = g_strdup("1.0.0");
    return m;
}

static void save_meta_of(const char *id, const char *date, const char *snapshot_time)
{
    g_autoptr(meta) m = new_meta(id, id + strlen(id) - 15);
    g_free(m->date);
    m->date = g_strdup(date);
    m->snapshot_time = g_strdup(snapshot_time);
    g_assert_true(meta_save(m, folder, FALSE, NULL));
}

static void save_meta(const char *id, const char *timestamp, enum meta_state state, const char *type)
{
    g_autoptr(meta) m = new_meta(id, timestamp);
    m->type = g_strdup(type);
    m->log = g_strdup_printf("backup_%s.log", timestamp);
    m->state = state;
    g_assert_true(meta_save(m, folder, FALSE, NULL));
}

/* A backup with all its files. */
static void add_backup(const char *id, enum meta_state state, const char *type)
{
    g_autofree char *dump = g_strconcat(id, NAMES_DUMP, NULL), *globals = g_strconcat(id, NAMES_GLOBALS, NULL);
    const char *timestamp = id + strlen(id) - 15;
    g_autofree char *log = g_strdup_printf("backup_%s.log", timestamp);
    touch(dump);
    touch(globals);
    touch(log);
    save_meta(id, timestamp, state, type);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of all files, sorted, a line each. */
static char *list_files(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));)
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, by_name);
    g_ptr_array_add(names, NULL);
    return g_strjoinv("\n", (char **)names->pdata);
}

/* ---- finding ---- */

static const char *const other_files[] = {
    "app_20260101_000000.sql",
    "app_20260101_000000.sql.gz.bak",
    "app-20260101_000000.sql.gz",
    "app.sql.gz",
    ".app_20260101_000000.sql.gz",
    "app_20260199_000000.sql.gz",
    "notes.txt",
    ".app_20260105_000000.sql.gz.partial",
};

static void test_list(void)
{
    static const char *const expected[] = {"app_20260104_000000", "app_20260103_000000", "app_20260102_000000"};
    for (gsize i = 0; i < G_N_ELEMENTS(other_files); i++)
        touch(other_files[i]);
    for (int i = 2; i >= 0; i--)
        add_backup(expected[(i + 1) % 3], META_VERIFIED, "hourly");
    add_backup("app_test_20260105_000000", META_PROVEN, "hourly");
    add_backup("ap_20260105_000000", META_PROVEN, "hourly");
    g_assert_true(catalog_set_latest(folder, "app", expected[0], NULL));
    g_autoptr(GPtrArray) list = catalog_list(folder, "app", NULL);
    g_assert_cmpuint(list->len, ==, G_N_ELEMENTS(expected));
    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
        const struct catalog_entry *e = list->pdata[i];
        g_assert_cmpstr(e->id, ==, expected[i]);
        g_assert_cmpstr(e->name, ==, "app");
        g_assert_nonnull(e->meta);
        g_assert_cmpuint(e->size_bytes, ==, strlen(expected[i]) + strlen(NAMES_DUMP));
    }
    g_autoptr(GPtrArray) all = catalog_list(folder, NULL, NULL);
    g_assert_cmpuint(all->len, ==, 6); /* of any database, also of one that is called ".app" here */
}

/* Metadata that is missing or wrong does not hide a backup. */
static void test_list_without_meta(void)
{
    touch("app_20260101_000000.sql.gz");
    touch("app_20260102_000000.sql.gz");
    touch("app_20260102_000000.meta.json"); /* not JSON */
    g_autoptr(GPtrArray) list = catalog_list(folder, "app", NULL);
    g_assert_cmpuint(list->len, ==, 2);
    const struct catalog_entry *wrong = list->pdata[0], *none = list->pdata[1];
    g_assert_null(wrong->meta);
    g_assert_error(wrong->meta_error, OT_ERROR, OT_CORRUPT);
    g_assert_null(none->meta);
    g_assert_no_error(none->meta_error);
}

static void test_list_no_folder(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *missing = in_folder("missing"), *file = in_folder("file");
    g_autoptr(GPtrArray) list = catalog_list(missing, "app", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(list->len, ==, 0);
    touch("file");
    g_assert_null(catalog_list(file, "app", &error));
    g_assert_error(error, OT_ERROR, OT_IO);
}

static const struct {
    const char *what, *file; /* file NULL: not found; "@" stands for the folder */
} words[] = {
    {"app_20260102_000000.sql.gz", "app_20260102_000000.sql.gz"},
    {"app_20260102_000000", "app_20260102_000000.sql.gz"},
    {"20260102_000000", "app_20260102_000000.sql.gz"},
    {"@/app_20260102_000000.sql.gz", "app_20260102_000000.sql.gz"},
    {"app_latest.sql.gz", "app_20260103_000000.sql.gz"},
    {"@/app_latest.sql.gz", "app_20260103_000000.sql.gz"},
    {"app_test_20260105_000000", "app_test_20260105_000000.sql.gz"},
    {"foreign.sql", "foreign.sql"},
    {"20260105_000000", NULL},
    {"app_20260109_000000", NULL},
    {"20260109_000000", NULL},
    {"@/app_20260102_000000", NULL},
    {"@", NULL},
    {"", NULL},
    {"app", NULL},
    {"missing/app_20260102_000000.sql.gz", NULL},
};

static void test_resolve(void)
{
    for (int i = 1; i <= 3; i++) {
        g_autofree char *id = g_strdup_printf("app_2026010%d_000000", i);
        add_backup(id, META_VERIFIED, "hourly");
    }
    add_backup("app_test_20260105_000000", META_PROVEN, "hourly");
    touch("foreign.sql");
    g_assert_true(catalog_set_latest(folder, "app", "app_20260103_000000", NULL));
    g_autofree char *real = realpath(folder, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *what =
            words[i].what[0] == '@' ? g_strconcat(folder, words[i].what + 1, NULL) : g_strdup(words[i].what);
        g_autofree char *path = catalog_resolve(folder, "app", what, &error);
        g_autofree char *expected = words[i].file ? g_build_filename(real, words[i].file, NULL) : NULL;
        g_assert_cmpstr(path, ==, expected);
        if (!words[i].file)
            g_assert_error(error, OT_ERROR, OT_NOT_FOUND);
    }
}

/* The order is that of the moments in the metadata; only where there is none, of the names. */
static void test_order_by_moment(void)
{
    static const struct {
        const char *id, *date, *snapshot_time;
    } made[] = {
        /* in the order that is expected */
        {"app_20260101_050000", "2026-01-01T05:00:00-08:00", "2026-01-01T05:00:05-08:00"},
        {"app_20260101_120000", "2026-01-01T12:00:00+00:00", "2026-01-01T12:00:05+00:00"},
        {"app_20260101_193000", "2026-01-01T19:30:00+08:00", "2026-01-01T19:30:05+08:00"},
        {"app_20260101_110000", "2026-01-01T11:00:00Z", NULL},
        {"app_20260101_235959", "2026-01-01T23:59:59+14:00", "no time"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(made); i++) {
        g_autofree char *file = g_strconcat(made[i].id, NAMES_DUMP, NULL);
        touch(file);
        save_meta_of(made[i].id, made[i].date, made[i].snapshot_time);
    }
    touch("app_20250101_000000.sql.gz"); /* without metadata */
    g_autoptr(GPtrArray) list = catalog_list(folder, "app", NULL);
    g_assert_cmpuint(list->len, ==, G_N_ELEMENTS(made) + 1);
    for (gsize i = 0; i < G_N_ELEMENTS(made); i++)
        g_assert_cmpstr(((struct catalog_entry *)list->pdata[i])->id, ==, made[i].id);
}

static void test_latest_link(void)
{
    add_backup("app_20260101_000000", META_VERIFIED, "hourly");
    g_assert_true(catalog_set_latest(folder, "app", "app_20260101_000000", NULL));
    g_autofree char *link = in_folder("app_latest.sql.gz");
    g_autofree char *target = g_file_read_link(link, NULL);
    g_assert_cmpstr(target, ==, "app_20260101_000000.sql.gz");
}

/* ---- clearing what was left unfinished ---- */

static const struct {
    const char *file;
    gboolean goes;
} leftovers[] = {
    {".app_20260101_000000.sql.gz.partial", TRUE},
    {".app_20260101_000000.meta.json.partial", TRUE},
    {".app_20260101_000000.globals.sql.partial", TRUE},
    {".app_latest.sql.gz.partial", TRUE},
    {"app_20260101_000000.meta.json", TRUE}, /* without their backup */
    {"app_20260101_000000.globals.sql", TRUE},
    {".app_test_20260101_000000.sql.gz.partial", FALSE},
    {".ap_20260101_000000.sql.gz.partial", FALSE},
    {".app_test_latest.sql.gz.partial", FALSE},
    {"app_test_20260101_000000.meta.json", FALSE},
    {"app_test_20260101_000000.globals.sql", FALSE},
    {"app-prod_20260101_000000.meta.json", FALSE},
    {".app_20260101_000000.sql.gz", FALSE},
    {"app_20260101_000000.sql.gz.partial", FALSE},
    {".app_20260101_000000.partial", FALSE},
    {".app.partial", FALSE},
    {".app_notes.sql.gz.partial", FALSE},
    {"app_20260102_000000.sql.gz", FALSE}, /* a backup and its own */
    {"app_20260102_000000.meta.json", FALSE},
    {"app_20260102_000000.globals.sql", FALSE},
    {"app_20260101_000000.log", FALSE},
    {"backup_20260101_000000.log", FALSE},
    {".app.backup.lock", FALSE},
    {"notes.meta.json", FALSE},
};

static void test_clean(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(leftovers); i++)
        touch(leftovers[i].file);
    g_autoptr(GError) error = NULL;
    g_assert_true(catalog_clean(folder, "app", &error));
    g_assert_no_error(error);
    for (gsize i = 0; i < G_N_ELEMENTS(leftovers); i++)
        if (exists(leftovers[i].file) == leftovers[i].goes)
            g_error("%s: %s", leftovers[i].file, leftovers[i].goes ? "is still there" : "is gone");
    g_autofree char *missing = in_folder("missing");
    g_assert_true(catalog_clean(missing, "app", &error));
}

/* ---- deleting ---- */

static void test_delete(void)
{
    add_backup("app_20260101_000000", META_VERIFIED, "hourly");
    add_backup("app_20260102_000000", META_VERIFIED, "hourly");
    add_backup("app_test_20260101_000000", META_VERIFIED, "hourly");
    g_autoptr(GPtrArray) list = catalog_list(folder, "app", NULL);
    g_assert_true(catalog_delete(folder, list->pdata[0], NULL));
    g_autofree char *left = list_files();
    g_assert_null(strstr(left, "20260102"));
    g_assert_nonnull(strstr(left, "app_20260101_000000.sql.gz"));
    g_assert_nonnull(strstr(left, "app_test_20260101_000000.meta.json"));
}

/* Metadata that names a log elsewhere: nothing outside the folder goes with it. */
static void test_delete_log_elsewhere(void)
{
    const char *id = "app_20260101_000000";
    g_autofree char *outside = g_dir_make_tmp("catalog-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(outside, "precious", NULL);
    g_assert_true(g_file_set_contents(file, "x", 1, NULL));
    add_backup(id, META_VERIFIED, "hourly");
    g_autofree char *meta_path = in_folder("app_20260101_000000.meta.json"), *text = NULL;
    g_assert_true(files_read(meta_path, 10000, &text, NULL, NULL));
    g_autoptr(GString) changed = g_string_new(text);
    g_autofree char *name = g_path_get_basename(outside), *up = g_strdup_printf("../%s/precious", name);
    g_assert_cmpuint(g_string_replace(changed, "backup_20260101_000000.log", up, 1), ==, 1);
    g_autofree char *target = in_folder(up);
    g_assert_true(g_file_test(target, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_set_contents(meta_path, changed->str, -1, NULL));
    g_autoptr(GPtrArray) list = catalog_list(folder, "app", NULL);
    g_assert_true(catalog_delete(folder, list->pdata[0], NULL));
    g_assert_true(g_file_test(file, G_FILE_TEST_EXISTS));
    g_assert_false(exists("app_20260101_000000.sql.gz"));
    g_assert_true(files_remove_tree(outside, NULL));
}

/* ---- running ---- */

static const struct {
    const char *name;
    void (*test)(void);
} tests[] = {
    {"/catalog/list", test_list},
    {"/catalog/list_without_meta", test_list_without_meta},
    {"/catalog/list_no_folder", test_list_no_folder},
    {"/catalog/resolve", test_resolve},
    {"/catalog/order_by_moment", test_order_by_moment},
    {"/catalog/latest_link", test_latest_link},
    {"/catalog/clean", test_clean},
    {"/catalog/delete", test_delete},
    {"/catalog/delete_log_elsewhere", test_delete_log_elsewhere},
};

static void set_up(void *fixture, gconstpointer data)
{
    (void)fixture;
    (void)data;
    folder = g_dir_make_tmp("catalog-XXXXXX", NULL);
}

static void tear_down(void *fixture, gconstpointer data)
{
    (void)fixture;
    (void)data;
    g_assert_true(files_remove_tree(folder, NULL));
    g_clear_pointer(&folder, g_free);
}

static void run_test(void *fixture, gconstpointer data)
{
    (void)fixture;
    tests[GPOINTER_TO_SIZE(data)].test();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_vtable(tests[i].name, 0, GSIZE_TO_POINTER(i), set_up, run_test, tear_down);
    return g_test_run();
}
