/* Folders are removed whole, and links in them are not followed, also not those that appear meanwhile. */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/syscall.h>
#include <unistd.h>

struct world {
    char *root, *tree, *outside, *kept;
};

static struct world world_new(void)
{
    struct world w = {.root = g_dir_make_tmp("opstower-tree-XXXXXX", NULL)};
    w.tree = g_build_filename(w.root, "tree", NULL);
    w.outside = g_build_filename(w.root, "outside", NULL);
    w.kept = g_build_filename(w.outside, "kept", NULL);
    g_assert_cmpint(g_mkdir(w.tree, 0700), ==, 0);
    g_assert_cmpint(g_mkdir(w.outside, 0700), ==, 0);
    g_assert_true(g_file_set_contents(w.kept, "x", 1, NULL));
    return w;
}

static void world_clear(struct world *w)
{
    g_assert_true(g_file_test(w->kept, G_FILE_TEST_EXISTS));
    g_assert_true(files_remove_tree(w->root, NULL));
    g_assert_false(g_file_test(w->root, G_FILE_TEST_EXISTS));
    g_free(w->root);
    g_free(w->tree);
    g_free(w->outside);
    g_free(w->kept);
}

static char *add_folder(const char *in, const char *name)
{
    char *path = g_build_filename(in, name, NULL);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    return path;
}

static void add_link(const struct world *w, const char *in, const char *name)
{
    g_autofree char *path = g_build_filename(in, name, NULL);
    g_assert_cmpint(symlink(w->outside, path), ==, 0);
}

static void test_links_are_removed_not_followed(void)
{
    struct world w = world_new();
    g_autofree char *inner = add_folder(w.tree, "inner");
    add_link(&w, w.tree, "link");
    add_link(&w, inner, "link");
    g_assert_true(files_remove_tree(w.tree, NULL));
    g_assert_false(g_file_test(w.tree, G_FILE_TEST_EXISTS));
    g_assert_true(files_remove_tree(w.tree, NULL));
    world_clear(&w);
}

static void test_a_link_as_the_whole_is_removed_not_followed(void)
{
    struct world w = world_new();
    add_link(&w, w.root, "whole");
    g_autofree char *path = g_build_filename(w.root, "whole", NULL);
    g_assert_true(files_remove_tree(path, NULL));
    world_clear(&w);
}

static void test_an_open_folder_is_emptied_wherever_its_name_leads(void)
{
    struct world w = world_new();
    g_autofree char *inner = add_folder(w.tree, "inner");
    g_autofree char *away = g_build_filename(w.root, "away", NULL);
    int fd = open(w.tree, O_RDONLY | O_DIRECTORY);
    g_assert_cmpint(g_rename(w.tree, away), ==, 0);
    g_assert_cmpint(symlink(w.outside, w.tree), ==, 0);
    g_assert_true(files_empty_folder(fd, NULL));
    g_assert_true(files_empty_folder(fd, NULL));
    close(fd);
    g_assert_cmpint(g_rmdir(away), ==, 0);
    world_clear(&w);
}

/* What another user does in the worst moment: right after the kernel has said that "a" is a folder, "a" is a link. */
static const char *flip_to;

int unlinkat(int fd, const char *name, int flags)
{
    int result = (int)syscall(SYS_unlinkat, fd, name, flags);
    int saved = errno;
    if (result != 0 && flip_to && g_str_equal(name, "a")) {
        g_assert_cmpint(renameat(fd, "a", fd, "../moved"), ==, 0);
        g_assert_cmpint(symlinkat(flip_to, fd, "a"), ==, 0);
        flip_to = NULL;
    }
    errno = saved;
    return result;
}

static void test_a_folder_that_becomes_a_link_meanwhile(void)
{
    struct world w = world_new();
    g_autofree char *a = add_folder(w.tree, "a");
    flip_to = w.outside;
    g_assert_false(files_remove_tree(w.tree, NULL));
    g_assert_null(flip_to);
    world_clear(&w);
}

static void test_too_deep_a_tree_is_an_error(void)
{
    struct world w = world_new();
    GString *path = g_string_new(w.tree);
    for (int i = 0; i < 300; i++) {
        g_string_append(path, "/d");
        g_assert_cmpint(g_mkdir(path->str, 0700), ==, 0);
    }
    g_autoptr(GError) error = NULL;
    g_assert_false(files_remove_tree(w.tree, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
    for (int i = 0; i < 300; i++) {
        g_assert_cmpint(g_rmdir(path->str), ==, 0);
        g_string_truncate(path, path->len - 2);
    }
    g_string_free(path, TRUE);
    world_clear(&w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/files_tree/links", test_links_are_removed_not_followed);
    g_test_add_func("/files_tree/link_as_whole", test_a_link_as_the_whole_is_removed_not_followed);
    g_test_add_func("/files_tree/open_folder", test_an_open_folder_is_emptied_wherever_its_name_leads);
    g_test_add_func("/files_tree/race", test_a_folder_that_becomes_a_link_meanwhile);
    g_test_add_func("/files_tree/deep", test_too_deep_a_tree_is_an_error);
    return g_test_run();
}
