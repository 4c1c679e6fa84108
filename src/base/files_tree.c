/* Folders removed, or given away, by descriptors: nothing is looked up by a path twice, so whoever may write to a folder
 * on the way cannot lead this anywhere else. */
#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_DEPTH 200 /* one open descriptor each */

static gboolean empty_folder(int fd, int depth, GError **error);

/* What is done with each entry of a folder, by the folder's descriptor. user: for those that give away. */
typedef gboolean (*visit)(int parent, const char *name, uid_t user, int depth, GError **error);

static gboolean visit_all(int fd, visit each, uid_t user, int depth, GError **error)
{
    if (depth > MAX_DEPTH)
        return ot_fail(error, OT_IO, "cannot go into folders more than %d deep", MAX_DEPTH);
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* closedir closes it */
    DIR *dir = own >= 0 ? fdopendir(own) : NULL;
    if (!dir) {
        ot_fail_errno(error, OT_IO, "cannot read a folder");
        if (own >= 0)
            close(own);
        return FALSE;
    }
    rewinddir(dir); /* the descriptor's position is shared */
    gboolean ok = TRUE;
    for (const struct dirent *entry; ok && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = each(fd, entry->d_name, user, depth + 1, error);
    closedir(dir);
    return ok;
}

/* ---- removed ---- */


static gboolean remove_folder_at(int parent, const char *name, int depth, GError **error)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return ot_fail_errno(error, OT_IO, "cannot open the folder %s", name);
    gboolean ok = empty_folder(fd, depth, error);
    close(fd);
    if (ok && unlinkat(parent, name, AT_REMOVEDIR) != 0)
        ok = ot_fail_errno(error, OT_IO, "cannot remove the folder %s", name);
    return ok;
}

/* unlinkat says of a folder that it is one: EISDIR on Linux, EPERM by POSIX. */
static gboolean remove_at(int parent, const char *name, int depth, GError **error)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return TRUE;
    if (errno == EISDIR || errno == EPERM)
        return remove_folder_at(parent, name, depth, error);
    return ot_fail_errno(error, OT_IO, "cannot remove %s", name);
}

static gboolean remove_each(int parent, const char *name, uid_t unused, int depth, GError **error)
{
    (void)unused;
    return remove_at(parent, name, depth, error);
}

static gboolean empty_folder(int fd, int depth, GError **error)
{
    return visit_all(fd, remove_each, 0, depth, error);
}

gboolean files_empty_folder(int fd, GError **error)
{
    return empty_folder(fd, 0, error);
}

/* ---- given away ---- */

static gboolean give_at(int parent, const char *name, uid_t user, int depth, GError **error);

static gboolean give_folder(int fd, uid_t user, int depth, GError **error)
{
    if (!visit_all(fd, give_at, user, depth, error))
        return FALSE;
    return fchown(fd, user, user) == 0 || ot_fail_errno(error, OT_IO, "cannot give a folder away");
}

static gboolean give_at(int parent, const char *name, uid_t user, int depth, GError **error)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fchownat(parent, name, user, user, AT_SYMLINK_NOFOLLOW) == 0 ||
               ot_fail_errno(error, OT_IO, "cannot give %s away", name);
    gboolean ok = give_folder(fd, user, depth, error);
    close(fd);
    return ok;
}

gboolean files_give_folder(int fd, uid_t user, GError **error)
{
    return give_folder(fd, user, 0, error);
}

gboolean files_remove_tree(const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || ot_fail_errno(error, OT_IO, "cannot open the folder %s", parent);
    gboolean ok = remove_at(fd, name, 0, error);
    close(fd);
    return ok;
}
