/* Tests of readers and deleters of a backup, in threads' clothes: each flock has its own open file, as in processes. */
#include "catalog/inuse.h"

#include <string.h>

#include "base/files.h"

static char *folder;

static gboolean is_there(const char *id)
{
    g_autofree char *path = g_strdup_printf("%s/.%s" INUSE_ENDING, folder, id);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void test_readers_keep_deleters_out(void)
{
    g_autoptr(GError) error = NULL;
    struct inuse *one = inuse_share(folder, "app_1", &error), *two = inuse_share(folder, "app_1", &error);
    g_assert_no_error(error);
    g_assert_true(one && two && inuse_is_read(folder, "app_1"));
    g_assert_null(inuse_take(folder, "app_1", &error));
    g_assert_no_error(error);
    inuse_free(one);
    g_assert_null(inuse_take(folder, "app_1", &error));
    inuse_free(two);
    g_assert_false(is_there("app_1"));
    struct inuse *deleter = inuse_take(folder, "app_1", &error);
    g_assert_nonnull(deleter);
    inuse_free(deleter);
    g_assert_false(is_there("app_1") || inuse_is_read(folder, "app_1"));
}

static void test_other_backups_are_others(void)
{
    g_autoptr(inuse) reader = inuse_share(folder, "app_1", NULL);
    g_autoptr(inuse) deleter = inuse_take(folder, "app_12", NULL);
    g_assert_true(reader && deleter);
}

static void *read_it(void *data)
{
    return inuse_share(folder, data, NULL);
}

/* A reader that comes while a backup is deleted waits, and then holds a file that others see. */
static void test_a_reader_waits_for_a_deleter(void)
{
    for (guint i = 0; i < 20; i++) {
        struct inuse *deleter = inuse_take(folder, "app_1", NULL);
        GThread *thread = g_thread_new("reader", read_it, (gpointer) "app_1");
        g_usleep(i * 1000);
        inuse_free(deleter);
        struct inuse *reader = g_thread_join(thread);
        g_assert_nonnull(reader);
        g_assert_true(is_there("app_1"));
        g_assert_null(inuse_take(folder, "app_1", NULL));
        inuse_free(reader);
    }
}

static void test_no_folder(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *missing = g_build_filename(folder, "missing", NULL);
    g_assert_null(inuse_share(missing, "app_1", &error));
    g_assert_error(error, OT_ERROR, OT_IO);
    g_assert_false(inuse_is_read(missing, "app_1"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("inuse-XXXXXX", NULL);
    g_test_add_func("/inuse/readers_keep_deleters_out", test_readers_keep_deleters_out);
    g_test_add_func("/inuse/others", test_other_backups_are_others);
    g_test_add_func("/inuse/a_reader_waits", test_a_reader_waits_for_a_deleter);
    g_test_add_func("/inuse/no_folder", test_no_folder);
    int result = g_test_run();
    g_assert_true(files_remove_tree(folder, NULL));
    g_free(folder);
    return result;
}
