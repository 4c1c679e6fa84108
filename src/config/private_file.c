/* Owner and mode are those of the open file; of a link that was found, also those of the link. */
#include "config/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"

void private_file_clear(struct private_file *file)
{
    if (file->text)
        explicit_bzero(file->text->str, file->text->len);
    if (file->text)
        g_string_free(file->text, TRUE);
    g_free(file->warning);
    memset(file, 0, sizeof *file);
}

/* ---- whose it is ---- */

static char *user_name(uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    return user ? g_strdup(user->pw_name) : g_strdup_printf("user %u", (unsigned)uid);
}

static gboolean is_ours(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

/* A group of that one user, as most systems make one. */
static gboolean is_group_of(gid_t gid, uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    const struct group *group = user ? getgrgid(gid) : NULL;
    return group ? g_str_equal(group->gr_name, user->pw_name) : gid == uid;
}

static gboolean group_may_write(const struct stat *st)
{
    return st->st_mode & S_IWGRP && st->st_gid != 0 && !is_group_of(st->st_gid, st->st_uid);
}

static gboolean refuse_stranger(const char *path, uid_t uid, GError **error)
{
    g_autofree char *owner = user_name(uid), *us = user_name(geteuid());
    return ot_fail(
        error, OT_REFUSED,
        "%s is not read: it belongs to %s, who could run programs as %s with it; if it is meant, name it with "
        "--env-file, or run: chown %s %s",
        path, owner, us, us, path);
}

static gboolean refuse_writable(const char *path, const char *by, GError **error)
{
    return ot_fail(error, OT_REFUSED, "%s is not read: %s may write to it; run: chmod go-w %s", path, by, path);
}

static gboolean check_owner(const char *path, enum file_origin origin, const struct stat *st, char **ret_warning,
                            GError **error)
{
    if (!S_ISREG(st->st_mode))
        return TRUE;
    if (st->st_mode & S_IWOTH)
        return refuse_writable(path, "every user of this machine", error);
    gboolean ours = is_ours(st->st_uid), group = group_may_write(st);
    if (origin == FILE_FOUND && !ours)
        return refuse_stranger(path, st->st_uid, error);
    if (origin == FILE_FOUND && group)
        return refuse_writable(path, "the users of its group", error);
    g_autofree char *owner = user_name(st->st_uid), *us = user_name(geteuid());
    if (!ours)
        *ret_warning = g_strdup_printf("%s belongs to %s, who so decides what is run as %s; run: chown %s %s", path,
                                       owner, us, us, path);
    else if (group)
        *ret_warning = g_strdup_printf("%s can be written by the users of its group; run: chmod go-w %s", path, path);
    return TRUE;
}

/* Where containers and systemd put secrets, readable by all that run there. */
static gboolean is_in_memory(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* ---- opening ---- */

static gboolean fail_open(const char *path, GError **error)
{
    gboolean missing = errno == ENOENT || errno == ENOTDIR;
    return ot_fail_errno(error, missing ? OT_NOT_FOUND : OT_IO, "cannot open %s", path);
}

/* Where the link leads whose descriptor FD is; NULL with *error. */
static char *link_target(int fd, const char *path, GError **error)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(fd, "", target, sizeof target - 1);
    if (length < 0) {
        ot_fail_errno(error, OT_IO, "cannot read the link %s", path);
        return NULL;
    }
    target[length] = '\0';
    if (g_path_is_absolute(target))
        return g_strdup(target);
    g_autofree char *folder = g_path_get_dirname(path);
    return g_build_filename(folder, target, NULL);
}

/* A link is believed if who made it is. A pipe of a stranger would never end. */
static char *look_before(int fd, const char *path, GError **error)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        ot_fail_errno(error, OT_IO, "cannot look at %s", path);
        return NULL;
    }
    if (S_ISLNK(st.st_mode))
        return is_ours(st.st_uid) || refuse_stranger(path, st.st_uid, error) ? link_target(fd, path, error) : NULL;
    if (S_ISREG(st.st_mode))
        return g_strdup(path);
    if (S_ISDIR(st.st_mode))
        ot_fail(error, OT_NOT_FOUND, "%s is a folder, not a file", path);
    else
        ot_fail(error, OT_REFUSED, "%s is not read: it is not a regular file", path);
    return NULL;
}

static int open_found(const char *path, GError **error)
{
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        fail_open(path, error);
        return -1;
    }
    g_autofree char *real = look_before(fd, path, error);
    close(fd);
    if (!real)
        return -1;
    gboolean linked = !g_str_equal(real, path);
    int opened = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (linked ? 0 : O_NOFOLLOW));
    if (opened < 0)
        fail_open(path, error);
    return opened;
}

static int open_file(const char *path, enum file_origin origin, GError **error)
{
    if (origin == FILE_FOUND)
        return open_found(path, error);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_open(path, error);
    return fd;
}

/* ---- reading ---- */

/* To the end or to one byte over the limit: the size that fstat tells is of no use for a pipe. */
static gboolean read_all(int fd, gsize max_bytes, GString *into, const char *path, GError **error)
{
    char block[8192];
    while (into->len <= max_bytes) {
        ssize_t got = read(fd, block, sizeof block);
        if (got == 0)
            break;
        if (got > 0)
            g_string_append_len(into, block, got);
        else if (errno != EINTR)
            return ot_fail_errno(error, OT_IO, "cannot read %s", path);
    }
    explicit_bzero(block, sizeof block);
    return TRUE;
}

static gboolean read_open(int fd, const char *path, enum file_origin origin, gsize max_bytes, struct private_file *f,
                          GError **error)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ot_fail_errno(error, OT_IO, "cannot read %s", path);
    if (S_ISDIR(st.st_mode))
        return ot_fail(error, OT_NOT_FOUND, "%s is a folder, not a file", path);
    if (origin == FILE_FOUND && !S_ISREG(st.st_mode))
        return ot_fail(error, OT_REFUSED, "%s is not read: it is not a regular file", path);
    if (!check_owner(path, origin, &st, &f->warning, error))
        return FALSE;
    f->shared = S_ISREG(st.st_mode) && st.st_mode & (S_IRGRP | S_IROTH);
    f->in_memory = is_in_memory(fd);
    return read_all(fd, max_bytes, f->text, path, error);
}

gboolean private_file_read(const char *path, enum file_origin origin, gsize max_bytes, struct private_file *ret_file,
                           GError **error)
{
    int fd = open_file(path, origin, error);
    if (fd < 0)
        return FALSE;
    *ret_file = (struct private_file){.text = g_string_new(NULL)};
    gboolean ok = read_open(fd, path, origin, max_bytes, ret_file, error);
    close(fd);
    if (!ok)
        private_file_clear(ret_file);
    return ok;
}

gboolean private_folder_check(const char *path, GError **error)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return ot_fail_errno(error, OT_USAGE, "cannot look at %s", path);
    if (!is_ours(st.st_uid))
        return refuse_stranger(path, st.st_uid, error);
    if (st.st_mode & S_IWOTH)
        return refuse_writable(path, "every user of this machine", error);
    return !group_may_write(&st) || refuse_writable(path, "the users of its group", error);
}
