/* Lock files by flock, with the holder's name in them. */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"

struct lock {
    int fd;
};

static gboolean tell_holder(int fd, const char *path, const char *act, GError **error)
{
    char holder[256] = "";
    ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
    holder[n > 0 ? n : 0] = '\0';
    g_autofree char *clean = g_utf8_make_valid(g_strstrip(holder), -1);
    return ot_fail(error, OT_BUSY, "another run is at work on this database: %s (this is a %s; lock file %s)",
                   *clean ? clean : "it has not said who it is", act, path);
}

static gboolean write_holder(int fd, const char *path, const char *act, GError **error)
{
    g_autofree char *now = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
    g_autofree char *text =
        g_strdup_printf("%s, process %d on %s since %s\n", act, (int)getpid(), g_get_host_name(), now);
    if (ftruncate(fd, 0) != 0)
        return ot_fail_errno(error, OT_IO, "cannot write %s", path);
    return files_write_all(fd, text, strlen(text), path, error);
}

struct lock *lock_take(const char *path, const char *act, GError **error)
{
    int fd = files_open_or_make(path, O_RDWR | O_NOFOLLOW);
    if (fd < 0) {
        ot_fail_errno(error, OT_IO, "cannot open the lock file %s", path);
        return NULL;
    }
    gboolean ok = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (!ok && errno == EWOULDBLOCK)
        tell_holder(fd, path, act, error);
    else if (!ok)
        ot_fail_errno(error, OT_IO, "cannot lock %s", path);
    if (!ok || !write_holder(fd, path, act, error)) {
        close(fd);
        return NULL;
    }
    struct lock *l = g_new0(struct lock, 1);
    l->fd = fd;
    return l;
}

void lock_free(struct lock *l)
{
    if (!l)
        return;
    close(l->fd);
    g_free(l);
}
