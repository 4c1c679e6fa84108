/*
 * Tests of the lock: one holder, who is named; whatever a dead holder left is no hindrance.
 */
#include "base/lock.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"

static char *folder, *path;

static void expect_busy(const char *act, const char *holder)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(lock_take(path, act, &error));
    g_assert_error(error, OT_ERROR, OT_BUSY);
    g_assert_nonnull(strstr(error->message, holder));
    g_assert_nonnull(strstr(error->message, path));
}

static struct lock *expect_taken(const char *act)
{
    g_autoptr(GError) error = NULL;
    struct lock *l = lock_take(path, act, &error);
    g_assert_no_error(error);
    g_assert_nonnull(l);
    return l;
}

static void test_one_holder(void)
{
    g_autoptr(lock) held = expect_taken("backup");
    g_autofree char *me = g_strdup_printf("backup, process %d on %s since 2", (int)getpid(), g_get_host_name());
    expect_busy("restore", me);
    expect_busy("backup", me);
    g_clear_pointer(&held, lock_free);
    g_autoptr(lock) again = expect_taken("restore");
    expect_busy("backup", "restore, process");
    lock_free(NULL);
}

/* A child takes it and is killed while it holds it. */
static void test_killed_holder(void)
{
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    pid_t child = fork();
    if (child == 0) {
        struct lock *held = lock_take(path, "backup", NULL);
        char byte = held ? 'y' : 'n';
        if (write(ends[1], &byte, 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    char byte = 0;
    g_assert_cmpint(read(ends[0], &byte, 1), ==, 1);
    g_assert_cmpint(byte, ==, 'y');
    g_autofree char *it = g_strdup_printf("process %d on", (int)child);
    expect_busy("backup", it);
    kill(child, SIGKILL);
    g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
    g_autoptr(lock) held = expect_taken("backup");
    g_autofree char *me = g_strdup_printf("process %d on", (int)getpid());
    expect_busy("backup", me);
    close(ends[0]);
    close(ends[1]);
}

/* Text of any kind and length in the file is only text. */
static void test_old_text(void)
{
    static const char *const texts[] = {"", "\n", "\xff\xfe\x01", "backup, process 1 on elsewhere since long ago\n"};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_assert_true(g_file_set_contents(path, texts[i], -1, NULL));
        g_autoptr(lock) held = expect_taken("backup");
    }
    g_autofree char *much = g_strnfill(100000, 'x');
    g_assert_true(g_file_set_contents(path, much, -1, NULL));
    g_autoptr(lock) held = expect_taken("backup");
    g_autofree char *text = NULL;
    g_assert_true(files_read(path, 1000, &text, NULL, NULL));
    g_assert_true(g_str_has_prefix(text, "backup, process "));
}

static void test_cannot_open(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *below = g_build_filename(folder, "missing", "lock", NULL);
    g_assert_null(lock_take(below, "backup", &error));
    g_assert_error(error, OT_ERROR, OT_IO);
    g_clear_error(&error);
    g_assert_cmpint(symlink("elsewhere", path), ==, 0);
    g_assert_null(lock_take(path, "backup", &error));
    g_assert_error(error, OT_ERROR, OT_IO);
}

static const struct {
    const char *name;
    void (*test)(void);
} tests[] = {
    {"/lock/one_holder", test_one_holder},
    {"/lock/killed_holder", test_killed_holder},
    {"/lock/old_text", test_old_text},
    {"/lock/cannot_open", test_cannot_open},
};

static void run_test(gconstpointer data)
{
    folder = g_dir_make_tmp("lock-XXXXXX", NULL);
    path = g_build_filename(folder, "db.lock", NULL);
    tests[GPOINTER_TO_SIZE(data)].test();
    g_assert_true(files_remove_tree(folder, NULL));
    g_clear_pointer(&folder, g_free);
    g_clear_pointer(&path, g_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_data_func(tests[i].name, GSIZE_TO_POINTER(i), run_test);
    return g_test_run();
}
