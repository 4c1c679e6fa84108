/* Tests of files that decide what is run: whose they may be, and who may write them. Owners are set by root only. */
#include "base/error.h"
#include "config/private_file.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRANGER 65534
#define OTHER_GROUP 12345

enum outcome { FINE, TOLD, REFUSED };

static const struct {
    const char *name;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    enum outcome found, named;
    gboolean shared;
} files[] = {
    {"private", 0600, 0, 0, FINE, FINE, FALSE},
    {"read_by_group", 0640, 0, OTHER_GROUP, FINE, FINE, TRUE},
    {"read_by_all", 0644, 0, 0, FINE, FINE, TRUE},
    {"written_by_all", 0606, 0, 0, REFUSED, REFUSED, TRUE},
    {"written_by_roots_group", 0660, 0, 0, FINE, FINE, TRUE},
    {"written_by_group", 0660, 0, OTHER_GROUP, REFUSED, TOLD, TRUE},
    {"only_written_by_group", 0620, 0, OTHER_GROUP, REFUSED, TOLD, FALSE},
    {"of_a_stranger", 0600, STRANGER, 0, REFUSED, TOLD, FALSE},
    {"of_a_stranger_and_all", 0666, STRANGER, 0, REFUSED, REFUSED, TRUE},
};

static void expect(const char *path, enum file_origin origin, enum outcome outcome, gboolean shared)
{
    struct private_file file = {0};
    g_autoptr(GError) error = NULL;
    gboolean ok = private_file_read(path, origin, 100, &file, &error);
    g_assert_true(ok == (outcome != REFUSED));
    if (!ok) {
        g_assert_error(error, OT_ERROR, OT_REFUSED);
        g_assert_nonnull(strstr(error->message, path));
        return;
    }
    g_assert_no_error(error);
    g_assert_cmpstr(file.text->str, ==, "A=1\n");
    g_assert_true((file.warning != NULL) == (outcome == TOLD));
    g_assert_true(file.shared == shared);
    private_file_clear(&file);
}

struct place {
    char *folder, *path, *link;
};

static struct place make_place(void)
{
    struct place p = {.folder = g_dir_make_tmp("private-XXXXXX", NULL)};
    p.path = g_build_filename(p.folder, "file", NULL);
    p.link = g_build_filename(p.folder, "link", NULL);
    g_assert_true(g_file_set_contents(p.path, "A=1\n", -1, NULL));
    g_assert_cmpint(g_chmod(p.path, 0600), ==, 0);
    g_assert_cmpint(symlink("file", p.link), ==, 0);
    return p;
}

static void remove_place(struct place *p)
{
    g_unlink(p->link);
    g_unlink(p->path);
    g_assert_cmpint(g_rmdir(p->folder), ==, 0);
    g_free(p->link);
    g_free(p->path);
    g_free(p->folder);
}

static gboolean need_root(void)
{
    if (geteuid() == 0)
        return TRUE;
    g_test_skip("only root gives files away");
    return FALSE;
}

static void test_file(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    if (!need_root())
        return;
    struct place p = make_place();
    g_assert_cmpint(chown(p.path, files[i].uid, files[i].gid), ==, 0);
    g_assert_cmpint(g_chmod(p.path, files[i].mode), ==, 0);
    expect(p.path, FILE_FOUND, files[i].found, files[i].shared);
    expect(p.path, FILE_NAMED, files[i].named, files[i].shared);
    expect(p.link, FILE_FOUND, files[i].found, files[i].shared);
    remove_place(&p);
}

/* A file of root's, to which a stranger's link leads. */
static void test_link_of_a_stranger(void)
{
    if (!need_root())
        return;
    struct place p = make_place();
    g_assert_cmpint(lchown(p.link, STRANGER, STRANGER), ==, 0);
    expect(p.link, FILE_FOUND, REFUSED, FALSE);
    expect(p.link, FILE_NAMED, FINE, FALSE);
    remove_place(&p);
}

static void test_own(void)
{
    struct place p = make_place();
    expect(p.path, FILE_FOUND, FINE, FALSE);
    expect(p.link, FILE_FOUND, FINE, FALSE);
    g_assert_cmpint(g_chmod(p.path, 0602), ==, 0);
    expect(p.link, FILE_FOUND, REFUSED, FALSE);
    remove_place(&p);
}

/* A pipe would never end; a dangling link, a folder and nothing at all are no file. */
static void test_others(void)
{
    struct place p = make_place();
    struct private_file file = {0};
    g_assert_cmpint(g_unlink(p.path), ==, 0);
    for (int i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(private_file_read(i ? p.folder : p.link, FILE_FOUND, 100, &file, &error));
        g_assert_error(error, OT_ERROR, OT_NOT_FOUND);
    }
    g_assert_cmpint(mkfifo(p.path, 0600), ==, 0);
    expect(p.path, FILE_FOUND, REFUSED, FALSE);
    expect(p.link, FILE_FOUND, REFUSED, FALSE);
    remove_place(&p);
}

static void test_folder(void)
{
    struct place p = make_place();
    g_autoptr(GError) error = NULL;
    g_assert_true(private_folder_check(p.folder, &error));
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(p.folder, 01777), ==, 0);
    g_assert_false(private_folder_check(p.folder, &error));
    g_assert_error(error, OT_ERROR, OT_REFUSED);
    remove_place(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_strconcat("/private_file/", files[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_file);
    }
    g_test_add_func("/private_file/link_of_a_stranger", test_link_of_a_stranger);
    g_test_add_func("/private_file/own", test_own);
    g_test_add_func("/private_file/others", test_others);
    g_test_add_func("/private_file/folder", test_folder);
    return g_test_run();
}
