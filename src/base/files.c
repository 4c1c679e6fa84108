/* Files that appear complete or not at all. */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct file_sink {
    struct sink stream;
    char *folder;
    char *path; /* the temporary name */
    char *final_path;
    int fd;
    guint64 written, started; /* bytes; those whose way to the disk has begun */
};

/* Writing to the disk begins while the file still grows, so that the fsync in the end has little left to do. */
#define WRITEBACK_STEP (8u << 20)

#define MAKE_TRIES 10

static gboolean stream_write(struct sink *self, const void *data, gsize length, GError **error)
{
    return file_sink_write((struct file_sink *)self, data, length, error);
}

static gboolean stream_flush(struct sink *self, GError **error)
{
    return file_sink_sync((struct file_sink *)self, error);
}

struct sink *file_sink_stream(struct file_sink *s)
{
    return &s->stream;
}

/* Some file systems have no owners: there it need not be given away. */
static void give_to_folders_owner(int fd, const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    struct stat st;
    if (geteuid() == 0 && stat(folder, &st) == 0 && st.st_uid != 0)
        (void)!fchown(fd, st.st_uid, st.st_gid);
}

/* A link in the place of a file is followed only if it is ours or root's: else another user could lead us to any file. */
static int unless_a_strangers_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && (st.st_uid == geteuid() || st.st_uid == 0) ? 0 : O_NOFOLLOW;
}

/* Only what we made ourselves is given away: a file that was there may be a link to somebody else's. */
int files_open_or_make(const char *path, int flags)
{
    flags |= unless_a_strangers_link(path);
    for (int i = 0; i < MAKE_TRIES; i++) {
        int fd = open(path, flags | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0)
            give_to_folders_owner(fd, path);
        if (fd >= 0 || errno != EEXIST || (flags & O_EXCL))
            return fd;
        fd = open(path, flags | O_CLOEXEC);
        if (fd >= 0 || errno != ENOENT) /* else it was removed in between */
            return fd;
    }
    return -1;
}

struct file_sink *file_sink_new(const char *folder, const char *name, GError **error)
{
    struct file_sink *s = g_new0(struct file_sink, 1);
    s->stream = (struct sink){stream_write, stream_flush};
    s->folder = g_strdup(folder);
    s->path = g_strdup_printf("%s/.%s.partial", folder, name);
    s->final_path = g_build_filename(folder, name, NULL);
    s->fd = files_open_or_make(s->path, O_RDWR | O_TRUNC | O_NOFOLLOW);
    if (s->fd >= 0)
        return s;
    ot_fail_errno(error, OT_IO, "cannot create %s", s->path);
    g_clear_pointer(&s->path, g_free);
    file_sink_free(s);
    return NULL;
}

gboolean files_write_all(int fd, const void *data, gsize length, const char *what, GError **error)
{
    const char *at = data;
    while (length > 0) {
        ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return ot_fail_errno(error, OT_IO, "cannot write %s", what);
        }
        at += n;
        length -= (gsize)n;
    }
    return TRUE;
}

gboolean file_sink_write(struct file_sink *s, const void *data, gsize length, GError **error)
{
    if (!files_write_all(s->fd, data, length, s->path, error))
        return FALSE;
    s->written += length;
    if (s->written - s->started >= WRITEBACK_STEP) {
        /* Only a hint: that all is on disk is for fsync to say, also if this write fails. */
        sync_file_range(s->fd, (off_t)s->started, (off_t)(s->written - s->started), SYNC_FILE_RANGE_WRITE);
        s->started = s->written;
    }
    return TRUE;
}

gboolean file_sink_sync(struct file_sink *s, GError **error)
{
    if (fsync(s->fd) != 0)
        return ot_fail_errno(error, OT_IO, "cannot bring %s to disk (fsync)", s->path);
    int fd = s->fd;
    s->fd = -1;
    if (close(fd) != 0)
        return ot_fail_errno(error, OT_IO, "cannot close %s", s->path);
    return TRUE;
}

/* NFS may carry a request out, lose its answer, and answer the repeated one with EEXIST. */
static gboolean is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return lstat(a, &x) == 0 && lstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* Some file systems know no flags of renameat2 (NFS, 9p, many of FUSE): a second name, which may not exist yet, then
 * the first one goes. Others (FAT, some of FUSE) have no second names either: there the name is looked for, and whoever
 * publishes under it holds a lock. -1 with errno. */
static int rename_without_flags(const char *from, const char *to)
{
    static const int no_links[] = {EPERM, EOPNOTSUPP, ENOSYS, EMLINK};
    struct stat st;
    if (link(from, to) == 0 || (errno == EEXIST && is_same_file(from, to)))
        return unlink(from);
    for (gsize i = 0; i < G_N_ELEMENTS(no_links); i++) {
        if (errno != no_links[i])
            continue;
        if (lstat(to, &st) != 0)
            return rename(from, to);
        errno = EEXIST;
        return -1;
    }
    return -1;
}

static int rename_to_new(const char *from, const char *to)
{
    int result = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    gboolean no_flags = result != 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP);
    return no_flags ? rename_without_flags(from, to) : result;
}

gboolean file_sink_publish(struct file_sink *s, gboolean replace, GError **error)
{
    if ((replace ? rename(s->path, s->final_path) : rename_to_new(s->path, s->final_path)) != 0)
        return ot_fail_errno(error, OT_IO, "cannot rename %s to %s", s->path, s->final_path);
    g_clear_pointer(&s->path, g_free);
    return files_sync_folder(s->folder, error);
}

const char *file_sink_path(const struct file_sink *s)
{
    return s->path;
}

void file_sink_free(struct file_sink *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    if (s->path)
        g_unlink(s->path);
    g_free(s->folder);
    g_free(s->path);
    g_free(s->final_path);
    g_free(s);
}

gboolean files_write(const char *folder, const char *name, const char *text, gsize length, gboolean replace,
                     GError **error)
{
    g_autoptr(file_sink) sink = file_sink_new(folder, name, error);
    return sink && file_sink_write(sink, text, length, error) && file_sink_sync(sink, error) &&
           file_sink_publish(sink, replace, error);
}

static int open_for_reading(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        ot_fail_errno(error, errno == ENOENT ? OT_NOT_FOUND : OT_IO, "cannot read %s", path);
    return fd;
}

gboolean files_read(const char *path, gsize max_bytes, char **ret_text, gsize *ret_length, GError **error)
{
    int fd = open_for_reading(path, error);
    if (fd < 0)
        return FALSE;
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[65536];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) != 0 && text->len <= max_bytes) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        g_string_append_len(text, buffer, n);
    }
    if (n < 0)
        ot_fail_errno(error, OT_IO, "cannot read %s", path);
    close(fd);
    if (n < 0)
        return FALSE;
    if (text->len > max_bytes)
        return ot_fail(error, OT_IO, "%s is larger than %" G_GSIZE_FORMAT " bytes", path, max_bytes);
    if (ret_length)
        *ret_length = text->len;
    *ret_text = g_string_free(g_steal_pointer(&text), FALSE);
    return TRUE;
}

gboolean files_read_at(int fd, guint64 offset, void *data, gsize length, const char *what, GError **error)
{
    char *at = data;
    while (length > 0) {
        ssize_t n = pread(fd, at, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ot_fail_errno(error, OT_IO, "cannot read %s", what);
        if (n == 0)
            return ot_fail(error, OT_CORRUPT, "%s ends too early (at byte %" G_GUINT64_FORMAT ")", what, offset);
        at += n;
        offset += (guint64)n;
        length -= (gsize)n;
    }
    return TRUE;
}

gboolean files_read_ends(const char *path, void *head, gsize head_length, void *tail, gsize tail_length)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    gboolean ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (guint64)st.st_size > head_length &&
                  (guint64)st.st_size > tail_length && files_read_at(fd, 0, head, head_length, path, NULL) &&
                  files_read_at(fd, (guint64)st.st_size - tail_length, tail, tail_length, path, NULL);
    if (fd >= 0)
        close(fd);
    return ok;
}

static char *user_name(uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    return user ? g_strdup(user->pw_name) : g_strdup_printf("user %u", (unsigned)uid);
}

/* The first folder on the way to PATH that may not be entered, or the last one that is there. */
static char *last_entered(const char *path)
{
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    for (char *slash = strchr(absolute + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        gboolean closed = access(absolute, X_OK) != 0 && errno == EACCES;
        if (closed)
            return g_steal_pointer(&absolute);
        *slash = '/';
    }
    struct stat st;
    while (stat(absolute, &st) != 0 && strcmp(absolute, "/") != 0) {
        char *parent = g_path_get_dirname(absolute);
        g_free(absolute);
        absolute = parent;
    }
    return g_steal_pointer(&absolute);
}

gboolean files_fail_folder(GError **error, enum ot_code code, const char *what, const char *path)
{
    int saved = errno;
    struct stat st;
    g_autofree char *closed = saved == EACCES || saved == EPERM ? last_entered(path) : NULL;
    if (!closed || stat(closed, &st) != 0) {
        errno = saved;
        return ot_fail_errno(error, code, "%s %s", what, path);
    }
    g_autofree char *owner = user_name(st.st_uid), *us = user_name(geteuid());
    return ot_fail(error, code, "%s %s: %s: %s belongs to %s (mode %04o), and this runs as %s", what, path,
                   g_strerror(saved), closed, owner, (unsigned)(st.st_mode & 07777), us);
}

gboolean files_need_folder(const char *folder, GError **error)
{
    if (g_mkdir_with_parents(folder, 0700) != 0)
        return files_fail_folder(error, OT_PREREQUISITE, "cannot make the folder", folder);
    struct stat st;
    if (stat(folder, &st) != 0)
        return files_fail_folder(error, OT_PREREQUISITE, "cannot use the folder", folder);
    if (!S_ISDIR(st.st_mode))
        return ot_fail(error, OT_PREREQUISITE, "%s is not a folder", folder);
    if (access(folder, R_OK | W_OK | X_OK) != 0)
        return files_fail_folder(error, OT_PREREQUISITE, "cannot write in the folder", folder);
    return TRUE;
}

gboolean files_sync_folder(const char *folder, GError **error)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ot_fail_errno(error, OT_IO, "cannot open the folder %s", folder);
    /* Where folders cannot be synced (SMB, some of FUSE) there is nothing more to be done. */
    gboolean ok = fsync(fd) == 0 || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS;
    if (!ok)
        ot_fail_errno(error, OT_IO, "cannot bring the folder %s to disk (fsync)", folder);
    close(fd);
    return ok;
}

gboolean files_set_link(const char *folder, const char *name, const char *target, GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *temporary = g_strdup_printf("%s/.%s.partial", folder, name);
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISLNK(st.st_mode))
        return ot_fail(error, OT_IO, "%s is not a symbolic link; it is left as it is: move it away", path);
    g_unlink(temporary);
    if (symlink(target, temporary) != 0)
        return ot_fail_errno(error, OT_IO, "cannot make the link %s", temporary);
    if (rename(temporary, path) == 0)
        return files_sync_folder(folder, error);
    ot_fail_errno(error, OT_IO, "cannot make the link %s", path);
    g_unlink(temporary);
    return FALSE;
}

gboolean files_free_space(const char *folder, guint64 *ret_bytes, GError **error)
{
    struct statvfs vfs;
    if (statvfs(folder, &vfs) != 0)
        return ot_fail_errno(error, OT_IO, "cannot ask for the free space of %s", folder);
    *ret_bytes = (guint64)vfs.f_bavail * vfs.f_frsize;
    return TRUE;
}

gboolean files_remove(const char *path, GError **error)
{
    if (g_unlink(path) != 0 && errno != ENOENT)
        return ot_fail_errno(error, OT_IO, "cannot remove %s", path);
    return TRUE;
}
