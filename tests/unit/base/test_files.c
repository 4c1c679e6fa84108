/*
 * Tests of files that appear complete or not at all, of links, and of removing.
 */
#include "base/files.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_bytes(const void *got, gsize length, const void *expected, gsize expected_length)
{
    g_assert_cmpuint(length, ==, expected_length);
    g_assert_true(length == 0 || memcmp(got, expected, length) == 0);
}

static char *folder;

static char *in_folder(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static guint count_files(void)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    guint n = 0;
    while (g_dir_read_name(dir))
        n++;
    return n;
}

static void expect_text(const char *name, const char *expected)
{
    g_autofree char *path = in_folder(name);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize length = 0;
    g_assert_true(files_read(path, 1000, &text, &length, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, expected);
    g_assert_cmpuint(length, ==, strlen(expected));
}

static struct file_sink *sink_with(const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;
    struct file_sink *sink = file_sink_new(folder, name, &error);
    g_assert_no_error(error);
    g_assert_true(file_sink_write(sink, text, strlen(text), &error));
    return sink;
}

static void set_up(void)
{
    folder = g_dir_make_tmp("files-XXXXXX", NULL);
}

static void tear_down(void)
{
    g_assert_true(files_remove_tree(folder, NULL));
    g_assert_false(g_file_test(folder, G_FILE_TEST_EXISTS));
    g_clear_pointer(&folder, g_free);
}

/* Whenever it is given up, a sink leaves nothing behind. */
static void test_discard(void)
{
    g_autoptr(file_sink) early = sink_with("a", "");
    g_assert_cmpuint(count_files(), ==, 1);
    file_sink_free(g_steal_pointer(&early));
    g_assert_cmpuint(count_files(), ==, 0);
    g_autoptr(file_sink) written = sink_with("a", "text");
    file_sink_free(g_steal_pointer(&written));
    g_assert_cmpuint(count_files(), ==, 0);
    g_autoptr(file_sink) synced = sink_with("a", "text");
    g_assert_true(file_sink_sync(synced, NULL));
    file_sink_free(g_steal_pointer(&synced));
    g_assert_cmpuint(count_files(), ==, 0);
}

static void test_publish(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(file_sink) sink = sink_with("a", "one");
    g_assert_true(file_sink_write(sink, " and two", 8, &error));
    g_autofree char *path = in_folder("a");
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(file_sink_path(sink), G_FILE_TEST_IS_REGULAR));
    g_assert_true(file_sink_sync(sink, &error));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_true(file_sink_publish(sink, FALSE, &error));
    g_assert_no_error(error);
    file_sink_free(g_steal_pointer(&sink));
    expect_text("a", "one and two");
    g_assert_cmpuint(count_files(), ==, 1);
    struct stat st;
    g_assert_cmpint(g_stat(path, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0600);
}

static void test_no_replace(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(files_write(folder, "a", "old", 3, FALSE, &error));
    g_autoptr(file_sink) sink = sink_with("a", "new");
    g_assert_true(file_sink_sync(sink, &error));
    g_assert_false(file_sink_publish(sink, FALSE, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
    file_sink_free(g_steal_pointer(&sink));
    expect_text("a", "old");
    g_assert_cmpuint(count_files(), ==, 1);
}

static void test_replace(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(files_write(folder, "a", "old and longer", 14, FALSE, &error));
    g_assert_true(files_write(folder, "a", "new", 3, TRUE, &error));
    g_assert_no_error(error);
    expect_text("a", "new");
    g_assert_cmpuint(count_files(), ==, 1);
}

/* What a killed run left under the temporary name goes; a link put there is not followed. */
static void test_leftovers(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *partial = in_folder(".a.partial");
    g_assert_true(g_file_set_contents(partial, "a long text of a killed run", -1, NULL));
    g_assert_true(files_write(folder, "a", "new", 3, FALSE, &error));
    expect_text("a", "new");
    g_assert_cmpuint(count_files(), ==, 1);
    g_assert_cmpint(symlink("a", partial), ==, 0);
    g_assert_null(file_sink_new(folder, "a", &error));
    g_assert_error(error, OT_ERROR, OT_IO);
    expect_text("a", "new");
}

static void test_no_folder(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *missing = in_folder("missing");
    g_assert_null(file_sink_new(missing, "a", &error));
    g_assert_error(error, OT_ERROR, OT_IO);
    g_assert_nonnull(strstr(error->message, missing));
}

/* A file that must not grow further is what a full disk looks like: a code of its own, and nothing stays. */
static void test_full(void)
{
    if (g_test_subprocess()) {
        struct rlimit limit = {100000, 100000};
        signal(SIGXFSZ, SIG_IGN);
        g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
        g_autofree char *text = g_strnfill(200000, 'x');
        g_autoptr(GError) error = NULL;
        g_autoptr(file_sink) sink = sink_with("a", "");
        g_assert_false(file_sink_write(sink, text, strlen(text), &error));
        g_assert_error(error, OT_ERROR, OT_SPACE);
        file_sink_free(g_steal_pointer(&sink));
        g_assert_cmpuint(count_files(), ==, 0);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
}

static void test_write_all(void)
{
    g_autoptr(GError) error = NULL;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    g_assert_false(files_write_all(fd, "text", 4, "the sink of all", &error));
    g_assert_error(error, OT_ERROR, OT_SPACE);
    g_assert_nonnull(strstr(error->message, "the sink of all"));
    g_assert_true(files_write_all(fd, "", 0, "nothing", NULL));
    close(fd);
    g_clear_error(&error);
    g_assert_false(files_write_all(-1, "text", 4, "no file", &error));
    g_assert_error(error, OT_ERROR, OT_IO);
}

static void test_read(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = in_folder("a");
    g_autofree char *text = NULL;
    gsize length = 0;
    g_assert_false(files_read(path, 10, &text, &length, &error));
    g_assert_error(error, OT_ERROR, OT_NOT_FOUND);
    g_clear_error(&error);
    g_assert_true(g_file_set_contents(path,
                                      "0123\0"
                                      "56789",
                                      10, NULL));
    g_assert_true(files_read(path, 10, &text, &length, &error));
    assert_bytes(text, length,
                 "0123\0"
                 "56789",
                 10);
    g_clear_pointer(&text, g_free);
    g_assert_false(files_read(path, 9, &text, &length, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
    g_assert_null(text);
    g_clear_error(&error);
    g_assert_false(files_read(folder, 10, &text, NULL, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
}

static void test_read_endless(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_assert_false(files_read("/dev/zero", 100000, &text, NULL, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
}

static void test_read_at(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = in_folder("a");
    g_assert_true(g_file_set_contents(path, "0123456789", 10, NULL));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char buffer[10];
    g_assert_true(files_read_at(fd, 3, buffer, 7, path, &error));
    assert_bytes(buffer, 7, "3456789", 7);
    g_assert_true(files_read_at(fd, 10, buffer, 0, path, &error));
    g_assert_false(files_read_at(fd, 3, buffer, 8, path, &error));
    g_assert_error(error, OT_ERROR, OT_CORRUPT);
    close(fd);
}

static void test_need_folder(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *deep = in_folder("b/c/d");
    g_assert_true(files_need_folder(deep, &error));
    g_assert_true(files_need_folder(deep, &error));
    g_assert_no_error(error);
    struct stat st;
    g_assert_cmpint(g_stat(deep, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0700);
    g_autofree char *file = in_folder("file");
    g_autofree char *below = in_folder("file/below");
    g_assert_true(g_file_set_contents(file, "", 0, NULL));
    g_assert_false(files_need_folder(file, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
    g_clear_error(&error);
    g_assert_false(files_need_folder(below, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
}

static void expect_link(const char *name, const char *target)
{
    g_autofree char *path = in_folder(name);
    g_autofree char *found = g_file_read_link(path, NULL);
    g_assert_cmpstr(found, ==, target);
}

static void test_link(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(files_write(folder, "a", "A", 1, FALSE, &error));
    g_assert_true(files_set_link(folder, "latest", "a", &error));
    expect_link("latest", "a");
    expect_text("latest", "A");
    g_assert_true(files_set_link(folder, "latest", "b", &error));
    g_assert_no_error(error);
    expect_link("latest", "b");
    g_assert_cmpuint(count_files(), ==, 2);
}

/* A killed run's temporary link is no hindrance; a file or folder of the link's name is, and stays. */
static void test_link_in_the_way(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *partial = in_folder(".latest.partial");
    g_assert_cmpint(symlink("x", partial), ==, 0);
    g_assert_true(files_set_link(folder, "latest", "a", &error));
    g_assert_no_error(error);
    g_assert_cmpuint(count_files(), ==, 1);
    g_assert_true(files_write(folder, "file", "A", 1, FALSE, NULL));
    g_assert_false(files_set_link(folder, "file", "a", &error));
    g_assert_error(error, OT_ERROR, OT_IO);
    expect_text("file", "A");
    g_assert_cmpuint(count_files(), ==, 2);
}

static void test_remove(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = in_folder("a");
    g_assert_true(files_remove(path, &error));
    g_assert_true(files_write(folder, "a", "A", 1, FALSE, NULL));
    g_assert_true(files_remove(path, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(count_files(), ==, 0);
    g_assert_false(files_remove(folder, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
}

/* Links within a tree are removed, what they point to stays. */
static void test_remove_tree(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *kept = in_folder("kept");
    g_autofree char *kept_file = in_folder("kept/file");
    g_autofree char *tree = in_folder("tree/deep/er");
    g_autofree char *root = in_folder("tree");
    g_autofree char *link = in_folder("tree/deep/link");
    g_assert_true(files_need_folder(kept, NULL) && files_need_folder(tree, NULL));
    g_assert_true(files_write(kept, "file", "A", 1, FALSE, NULL));
    g_assert_true(files_write(tree, "file", "A", 1, FALSE, NULL));
    g_assert_cmpint(symlink("../../kept", link), ==, 0);
    g_assert_true(files_remove_tree(root, &error));
    g_assert_true(files_remove_tree(root, &error));
    g_assert_no_error(error);
    g_assert_true(g_file_test(kept_file, G_FILE_TEST_EXISTS));
    g_assert_cmpuint(count_files(), ==, 1);
}

static void test_free_space(void)
{
    g_autoptr(GError) error = NULL;
    guint64 bytes = 0;
    g_assert_true(files_free_space(folder, &bytes, &error));
    g_assert_cmpuint(bytes, >, 0);
    g_autofree char *missing = in_folder("missing");
    g_assert_false(files_free_space(missing, &bytes, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
}

static const struct {
    const char *name;
    void (*test)(void);
} tests[] = {
    {"/files/discard", test_discard},
    {"/files/publish", test_publish},
    {"/files/no_replace", test_no_replace},
    {"/files/replace", test_replace},
    {"/files/leftovers", test_leftovers},
    {"/files/no_folder", test_no_folder},
    {"/files/full", test_full},
    {"/files/write_all", test_write_all},
    {"/files/read", test_read},
    {"/files/read_endless", test_read_endless},
    {"/files/read_at", test_read_at},
    {"/files/need_folder", test_need_folder},
    {"/files/link", test_link},
    {"/files/link_in_the_way", test_link_in_the_way},
    {"/files/remove", test_remove},
    {"/files/remove_tree", test_remove_tree},
    {"/files/free_space", test_free_space},
};

static void run_test(gconstpointer data)
{
    set_up();
    tests[GPOINTER_TO_SIZE(data)].test();
    tear_down();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_data_func(tests[i].name, GSIZE_TO_POINTER(i), run_test);
    return g_test_run();
}
