/* flock on a file that comes and goes. */
#include "catalog/inuse.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/interrupt.h"
#include "catalog/names.h"

#define WAIT_US 50000

struct inuse {
    int fd;
    char *path;
};

static char *path_of(const char *folder, const char *id)
{
    return g_strdup_printf("%s/.%s" INUSE_ENDING, folder, id);
}

/* The one who held it before may have removed the file between our open and our lock: then ours is another file. */
static gboolean is_still_there(const struct inuse *u)
{
    struct stat ours, there;
    return fstat(u->fd, &ours) == 0 && stat(u->path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

enum outcome { GOT, BUSY, GONE, FAILED };

static enum outcome try_once(struct inuse *u, int how, GError **error)
{
    u->fd = files_open_or_make(u->path, O_RDWR | O_NOFOLLOW);
    if (u->fd < 0) {
        ot_fail_errno(error, OT_IO, "cannot open %s", u->path);
        return FAILED;
    }
    if (flock(u->fd, how | LOCK_NB) == 0) {
        if (is_still_there(u))
            return GOT;
        close(u->fd);
        return GONE;
    }
    enum outcome outcome = errno == EWOULDBLOCK ? BUSY : FAILED;
    if (outcome == FAILED)
        ot_fail_errno(error, OT_IO, "cannot lock %s", u->path);
    close(u->fd);
    return outcome;
}

static struct inuse *take(const char *folder, const char *id, int how, gboolean wait, GError **error)
{
    struct inuse *u = g_new0(struct inuse, 1);
    u->path = path_of(folder, id);
    for (;;) {
        enum outcome outcome = try_once(u, how, error);
        if (outcome == GOT)
            return u;
        gboolean again = outcome == GONE || (outcome == BUSY && wait && interrupt_check(error));
        if (!again)
            break;
        g_usleep(outcome == BUSY ? WAIT_US : 0);
    }
    g_free(u->path);
    g_free(u);
    return NULL;
}

struct inuse *inuse_share(const char *folder, const char *id, GError **error)
{
    return take(folder, id, LOCK_SH, TRUE, error);
}

static gboolean is_same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

gboolean inuse_share_copy(const struct copy *c, const char *dir, struct inuse **ret_inuse, GError **error)
{
    g_autofree char *id = names_id_of_file(c->file, NAMES_DUMP);
    gboolean pruned = c->path ? is_same_folder(c->place->name, dir) : g_file_test(dir, G_FILE_TEST_IS_DIR);
    *ret_inuse = id && pruned ? inuse_share(dir, id, error) : NULL;
    return *ret_inuse || !id || !pruned;
}

struct inuse *inuse_take(const char *folder, const char *id, GError **error)
{
    return take(folder, id, LOCK_EX, FALSE, error);
}

gboolean inuse_is_read(const char *folder, const char *id)
{
    g_autofree char *path = path_of(folder, id);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return FALSE;
    gboolean read = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return read;
}

void inuse_free(struct inuse *u)
{
    if (!u)
        return;
    if (flock(u->fd, LOCK_EX | LOCK_NB) == 0)
        unlink(u->path);
    close(u->fd);
    g_free(u->path);
    g_free(u);
}
