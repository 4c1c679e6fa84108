/* A local file as a source of bytes. */
#include "base/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"

struct file_source {
    struct source base;
    int fd;
};

static gboolean file_read_at(struct source *self, guint64 offset, void *data, gsize length, GError **error)
{
    return files_read_at(((struct file_source *)self)->fd, offset, data, length, self->name, error);
}

static void file_free(struct source *self)
{
    close(((struct file_source *)self)->fd);
}

struct source *source_open_file(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        ot_fail_errno(error, errno == ENOENT ? OT_NOT_FOUND : OT_IO, "cannot open %s", path);
        return NULL;
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        ot_fail(error, OT_IO, "%s is not a regular file", path);
        close(fd);
        return NULL;
    }
    struct file_source *s = g_new0(struct file_source, 1);
    s->base = (struct source){file_read_at, file_free, (guint64)st.st_size, g_strdup(path)};
    s->fd = fd;
    return &s->base;
}

void source_free(struct source *s)
{
    if (!s)
        return;
    s->free(s);
    g_free(s->name);
    g_free(s);
}
