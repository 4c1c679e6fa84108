/*
 * Tests of retention on a real folder: what goes, what stays, what is written down, and in which order. The rules alone
 * are tested in tests/unit/catalog/test_retention.c.
 */
#include "engine/prune.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "catalog/inuse.h"
#include "catalog/journal.h"
#include "catalog/names.h"

#define DAY 86400
#define NOW 1770436800

static char *folder;

static gboolean exists(const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void touch(const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
}

static char *id_of(const char *name, int days)
{
    g_autofree char *timestamp = text_timestamp(NOW - (gint64)days * DAY);
    return g_strdup_printf("%s_%s", name, timestamp);
}

static struct meta *new_meta(const char *id, int days)
{
    struct meta *m = g_new0(struct meta, 1);
    const char *timestamp = id + strlen(id) - 15;
    m->id = g_strdup(id);
    m->timestamp = g_strdup(timestamp);
    m->date = text_iso_time(NOW - (gint64)days * DAY);
    m->database = g_strdup("app");
    m->host = g_strdup("localhost");
    m->backup_file = g_strconcat(id, NAMES_DUMP, NULL);
    m->database_size = g_strdup("1 MB");
    m->postgresql_version = g_strdup("PostgreSQL 15.3");
    m->tool_version = g_strdup("1.0.0");
    m->type = g_strdup("hourly");
    m->log = g_strdup_printf("backup_%s.log", timestamp);
    m->size_bytes = 1;
    m->state = META_VERIFIED;
    return m;
}

/* A verified hourly backup with all its files; change may make it another. */
static void add(const char *name, int days, void (*change)(struct meta *m))
{
    g_autofree char *id = id_of(name, days), *globals = g_strconcat(id, NAMES_GLOBALS, NULL);
    g_autoptr(meta) m = new_meta(id, days);
    if (change)
        change(m);
    touch(m->backup_file);
    touch(globals);
    touch(m->log);
    g_assert_true(meta_save(m, folder, FALSE, NULL));
}

static struct prune_request request(gboolean apply)
{
    return (struct prune_request){.dir = folder,
                                  .name = "app",
                                  .tiers = tiers_make(30, 90),
                                  .keep_min = 1,
                                  .keep_pending = TRUE,
                                  .local = TRUE,
                                  .apply = apply,
                                  .now = NOW};
}

/* The outcomes from the newest on, a letter each: k kept, t to delete, d deleted. */
static char *prune(gboolean apply, GError **error)
{
    struct prune_request q = request(apply);
    struct report report = {0};
    g_autoptr(GPtrArray) verdicts = prune_verdicts_new();
    gboolean ok = prune_database(&q, &report, verdicts, error);
    json_decref(report.facts);
    if (!ok)
        return NULL;
    char *letters = g_new0(char, verdicts->len + 1);
    for (guint k = 0; k < verdicts->len; k++)
        letters[k] = "ktdr"[((struct prune_verdict *)verdicts->pdata[k])->outcome];
    return letters;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

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

/* ---- what goes ---- */

static void test_only_says_so(void)
{
    for (int days = 0; days < 100; days += 20)
        add("app", days, NULL);
    g_autofree char *before = list_files();
    g_autofree char *said = prune(FALSE, NULL);
    g_autofree char *after = list_files();
    g_assert_cmpstr(said, ==, "kkttt");
    g_assert_cmpstr(before, ==, after);
}

static void test_goes_with_all_its_files(void)
{
    add("app", 0, NULL);
    add("app", 40, NULL);
    g_autofree char *said = prune(TRUE, NULL), *id = id_of("app", 40), *left = list_files();
    g_assert_cmpstr(said, ==, "kd");
    g_assert_null(strstr(left, id + 4));
    g_autofree char *again = prune(TRUE, NULL);
    g_assert_cmpstr(again, ==, "k");
}

/* Others cut at a prefix: app's retention then takes app_test's backups along. */
static void test_accident_name_prefix_confusion(void)
{
    static const char *const others[] = {"app_test", "app_test_", "ap",   "app-prod",
                                         "app_",     "App",       "xapp", "app_20260101_000000"};
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
        for (int days = 100; days < 104; days++)
            add(others[i], days + (int)i * 10, NULL);
    g_autofree char *before = list_files(), *said = prune(TRUE, NULL), *after = list_files();
    g_assert_cmpstr(said, ==, "");
    g_assert_cmpstr(before, ==, after);
}

static void test_accident_foreign_files(void)
{
    static const char *const foreign[] = {"app_20200101_000000.sql",      "app_20200101_000000.sql.gz.bak",
                                          "app-20200101_000000.sql.gz",   "app.sql.gz",
                                          "app_20200199_000000.sql.gz",   "notes.txt",
                                          "app_20200101_000001.sql.gz",   "app_20200101_000002.sql.gz",
                                          "app_20200101_000002.meta.json"};
    add("app", 0, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(foreign); i++)
        touch(foreign[i]);
    g_autofree char *said = prune(TRUE, NULL);
    g_assert_cmpstr(said, ==, "kkk");
    for (gsize i = 0; i < G_N_ELEMENTS(foreign); i++)
        g_assert_true(exists(foreign[i]));
}

static void make_held(struct meta *m)
{
    m->hold = json_pack("{ss sn}", "reason", "audit", "until");
}

static void make_other(struct meta *m)
{
    g_free(m->id);
    m->id = g_strdup("app_20200101_000000");
}

static void make_truncated(struct meta *m)
{
    m->size_bytes = 1000;
}

static void make_pending(struct meta *m)
{
    meta_set_s3_text(m, "state", "pending");
}

static void test_what_stays(void)
{
    add("app", 0, NULL);
    add("app", 50, make_held);
    add("app", 60, make_pending);
    g_autofree char *id = id_of("app", 70), *file = g_strconcat(id, NAMES_DUMP, NULL);
    touch(file);
    g_autofree char *meta_file = g_strconcat(id, NAMES_META, NULL);
    g_autoptr(meta) m = new_meta(id, 70);
    make_other(m);
    g_autofree char *text = meta_print(m, NULL), *path = g_build_filename(folder, meta_file, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_autofree char *said = prune(TRUE, NULL);
    g_assert_cmpstr(said, ==, "kkkk");
}

/* A file that lost its end is not one of the good ones, whatever its metadata says. */
static void test_a_truncated_file_does_not_count(void)
{
    add("app", 0, make_truncated);
    add("app", 40, NULL);
    add("app", 80, NULL);
    g_autofree char *said = prune(TRUE, NULL);
    g_assert_cmpstr(said, ==, "kkd");
}

static void test_accident_deletion_during_a_restore(void)
{
    add("app", 0, NULL);
    add("app", 40, NULL);
    g_autofree char *id = id_of("app", 40);
    struct inuse *restore = inuse_share(folder, id, NULL);
    g_autofree char *during = prune(TRUE, NULL);
    g_assert_cmpstr(during, ==, "kk");
    inuse_free(restore);
    g_autofree char *after = prune(TRUE, NULL);
    g_assert_cmpstr(after, ==, "kd");
}

/* ---- the journal ---- */

static void test_each_deletion_is_written_down(void)
{
    add("app", 0, NULL);
    add("app", 40, NULL);
    add("app", 80, NULL);
    g_autofree char *said = prune(TRUE, NULL);
    g_assert_cmpstr(said, ==, "kdd");
    g_autoptr(GPtrArray) records = journal_load(folder, NULL);
    g_assert_cmpuint(records->len, ==, 2);
    for (int k = 0; k < 2; k++) {
        g_autofree char *id = id_of("app", k ? 40 : 80); /* the oldest first */
        const json_t *record = records->pdata[k];
        g_assert_cmpstr(json_string_value(json_object_get(record, "act")), ==, "delete");
        g_assert_cmpstr(json_string_value(json_object_get(record, "id")), ==, id);
        g_assert_cmpstr(json_string_value(json_object_get(record, "place")), ==, "local");
        g_assert_cmpstr(json_string_value(json_object_get(record, "reason")), ==, "older than 30 days");
    }
}

static void test_what_cannot_be_written_down_is_not_done(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *journal = g_build_filename(folder, JOURNAL_FILE, NULL);
    add("app", 0, NULL);
    add("app", 40, NULL);
    g_assert_cmpint(mkdir(journal, 0700), ==, 0); /* also root cannot append to it */
    g_autofree char *before = list_files(), *said = prune(TRUE, &error), *after = list_files();
    g_assert_null(said);
    g_assert_error(error, OT_ERROR, OT_IO);
    g_assert_cmpstr(before, ==, after);
}

static void test_a_deletion_that_fails_is_written_down(void)
{
    g_autoptr(GError) error = NULL;
    add("app", 0, NULL);
    add("app", 40, NULL);
    g_autofree char *id = id_of("app", 40), *globals = g_strconcat(id, NAMES_GLOBALS, NULL);
    g_autofree char *path = g_build_filename(folder, globals, NULL);
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(mkdir(path, 0700), ==, 0); /* a folder in its place cannot be unlinked */
    g_autofree char *said = prune(TRUE, &error);
    g_assert_null(said);
    g_assert_nonnull(error);
    g_autoptr(GPtrArray) records = journal_load(folder, NULL);
    g_assert_cmpuint(records->len, ==, 2);
    g_assert_cmpstr(json_string_value(json_object_get(records->pdata[1], "result")), ==, "failed");
    g_assert_cmpstr(json_string_value(json_object_get(records->pdata[1], "error")), ==, error->message);
}

/* ---- running ---- */

static const struct {
    const char *name;
    void (*test)(void);
} tests[] = {
    {"/prune/only_says_so", test_only_says_so},
    {"/prune/goes_with_all_its_files", test_goes_with_all_its_files},
    {"/prune/accident/name_prefix_confusion", test_accident_name_prefix_confusion},
    {"/prune/accident/foreign_files", test_accident_foreign_files},
    {"/prune/accident/deletion_during_a_restore", test_accident_deletion_during_a_restore},
    {"/prune/what_stays", test_what_stays},
    {"/prune/a_truncated_file_does_not_count", test_a_truncated_file_does_not_count},
    {"/prune/journal", test_each_deletion_is_written_down},
    {"/prune/journal_first", test_what_cannot_be_written_down_is_not_done},
    {"/prune/journal_failure", test_a_deletion_that_fails_is_written_down},
};

static void run(gconstpointer data)
{
    const gsize i = GPOINTER_TO_SIZE(data);
    folder = g_dir_make_tmp("prune-XXXXXX", NULL);
    tests[i].test();
    g_assert_true(files_remove_tree(folder, NULL));
    g_clear_pointer(&folder, g_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_data_func(tests[i].name, GSIZE_TO_POINTER(i), run);
    return g_test_run();
}
