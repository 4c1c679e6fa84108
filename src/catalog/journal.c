/* Appending, which reads the journal's end only, and loading. */
#include "catalog/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/files.h"
#include "catalog/journal_line.h"

#define BLOCK_BYTES 4096
#define LOCK_TRIES 600 /* of 50 ms; a writer holds it for a few milliseconds */
#define MAX_STEPS_BACK 1000

static char *path_of(const char *folder)
{
    return g_build_filename(folder, JOURNAL_FILE, NULL);
}

/* ---- opening ---- */

static gboolean take_lock(int fd, int kind, const char *path, GError **error)
{
    for (int tries = 0; flock(fd, kind | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ot_fail_errno(error, OT_IO, "cannot lock the journal %s", path);
        if (tries == LOCK_TRIES)
            return ot_fail(error, OT_BUSY, "the journal %s has been locked by another run for %d s", path,
                           LOCK_TRIES / 20);
        g_usleep(50000);
    }
    return TRUE;
}

static gboolean check_kind(int fd, const char *path, goffset *ret_size, GError **error)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ot_fail_errno(error, OT_IO, "cannot look at the journal %s", path);
    *ret_size = st.st_size;
    return S_ISREG(st.st_mode) || ot_fail(error, OT_IO, "the journal %s is not a file", path);
}

/* -1: failed. The lock ends with close. */
static int open_locked(const char *path, int flags, int kind, goffset *ret_size, GError **error)
{
    int fd = flags == O_RDONLY ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
                               : files_open_or_make(path, flags | O_NONBLOCK);
    if (fd < 0) {
        ot_fail_errno(error, errno == ENOENT ? OT_NOT_FOUND : OT_IO, "cannot open the journal %s", path);
        return -1;
    }
    if (take_lock(fd, kind, path, error) && check_kind(fd, path, ret_size, error))
        return fd;
    close(fd);
    return -1;
}

/* ---- the end ---- */

/* Where the line begins that ends before offset END. */
static gboolean line_start(int fd, const char *path, goffset end, goffset *ret_start, GError **error)
{
    char block[BLOCK_BYTES];
    while (end > 0) {
        gsize n = (gsize)MIN(end, (goffset)sizeof block);
        if (!files_read_at(fd, (guint64)end - n, block, n, path, error))
            return FALSE;
        const char *newline = memrchr(block, '\n', n);
        if (newline) {
            *ret_start = end - (goffset)n + (newline - block) + 1;
            return TRUE;
        }
        end -= (goffset)n;
    }
    *ret_start = 0;
    return TRUE;
}

/* However long the line is. */
static char *digest_range(int fd, const char *path, goffset start, goffset end, GError **error)
{
    char block[BLOCK_BYTES];
    g_autoptr(digest) d = digest_new();
    for (goffset at = start; at < end;) {
        gsize n = (gsize)MIN(end - at, (goffset)sizeof block);
        if (!files_read_at(fd, (guint64)at, block, n, path, error))
            return NULL;
        digest_add(d, block, n);
        at += (goffset)n;
    }
    return digest_text(d);
}

/* The seq of the record in that line; 0: it is none. */
static gboolean read_seq(int fd, const char *path, goffset start, goffset end, gint64 *ret_seq, GError **error)
{
    *ret_seq = 0;
    if (end - start > JOURNAL_MAX_LINE)
        return TRUE;
    g_autofree char *line = g_malloc((gsize)(end - start) + 1);
    if (!files_read_at(fd, (guint64)start, line, (gsize)(end - start), path, error))
        return FALSE;
    json_t *record = journal_line_parse(line, (gsize)(end - start));
    *ret_seq = json_integer_value(json_object_get(record, "seq"));
    json_decref(record);
    return TRUE;
}

/* What a new line follows. */
struct tail {
    gint64 seq;         /* of the last record; 0: there is none */
    goffset start, end; /* of its line, without its newline */
    goffset text_end;   /* of the journal, without a newline at its end */
    gboolean unclosed;  /* there is none there */
};

/* Lines after the last record were torn off by crashes: they are looked past, and stay. */
static gboolean read_tail(int fd, const char *path, goffset size, struct tail *t, GError **error)
{
    char last = '\n';
    *t = (struct tail){0};
    if (size == 0)
        return TRUE;
    if (!files_read_at(fd, (guint64)size - 1, &last, 1, path, error))
        return FALSE;
    t->unclosed = last != '\n';
    t->text_end = t->unclosed ? size : size - 1;
    goffset end = t->text_end;
    for (int steps = 0; steps < MAX_STEPS_BACK && end >= 0; steps++) {
        if (!line_start(fd, path, end, &t->start, error) || !read_seq(fd, path, t->start, end, &t->seq, error))
            return FALSE;
        t->end = t->seq > 0 ? end : 0;
        if (t->seq > 0 || t->start == 0)
            return TRUE;
        end = t->start - 1;
    }
    return ot_fail(error, OT_IO,
                   "the last %d lines of the journal %s are no records: move it away, and find out what wrote them",
                   MAX_STEPS_BACK, path);
}

/* Bytes after the last record that are none. */
static gsize torn_bytes(const struct tail *t)
{
    return (gsize)(t->text_end - t->end - (t->end > 0 && t->text_end > t->end));
}

/* ---- appending ---- */

/* All of the line or nothing: what a full disk took in part is taken back. */
static gboolean write_line(int fd, const char *path, goffset size, const struct tail *t, const char *line,
                           GError **error)
{
    g_autofree char *text = g_strconcat(t->unclosed ? "\n" : "", line, NULL);
    if (files_write_all(fd, text, strlen(text), path, error) &&
        (fsync(fd) == 0 || ot_fail_errno(error, OT_IO, "cannot bring %s to disk (fsync)", path)))
        return TRUE;
    if (ftruncate(fd, size) != 0)
        g_prefix_error(error, "a part of a line stays in the journal (%s): ", g_strerror(errno));
    return FALSE;
}

static gboolean append_locked(int fd, const char *path, goffset size, const json_t *record, GError **error)
{
    struct tail t;
    if (!read_tail(fd, path, size, &t, error))
        return FALSE;
    g_autofree char *prev =
        size == 0 ? g_strnfill(JOURNAL_DIGEST_LENGTH, '0') : digest_range(fd, path, t.start, t.text_end, error);
    if (!prev)
        return FALSE;
    g_autofree char *line = journal_line_make(record, t.seq + 1, prev, torn_bytes(&t));
    if (!line)
        return ot_fail(error, OT_FAILED, "a record for %s cannot be written as JSON", path);
    return write_line(fd, path, size, &t, line, error);
}

static void (*told)(const json_t *record);

void journal_listen(void (*listener)(const json_t *record))
{
    told = listener;
}

gboolean journal_append(const char *folder, const json_t *record, GError **error)
{
    g_autofree char *path = path_of(folder);
    goffset size = 0;
    int fd = open_locked(path, O_RDWR | O_APPEND, LOCK_EX, &size, error);
    if (fd < 0)
        return FALSE;
    gboolean ok = append_locked(fd, path, size, record, error) && (size > 0 || files_sync_folder(folder, error));
    if (close(fd) != 0 && ok)
        ok = ot_fail_errno(error, OT_IO, "cannot close the journal %s", path);
    if (ok && told)
        told(record);
    return ok;
}

/* ---- reading ---- */

/* Where the first line ends. */
static gboolean first_line_end(int fd, const char *path, goffset size, goffset *ret_end, GError **error)
{
    char block[BLOCK_BYTES];
    for (goffset at = 0; at < size; at += (goffset)sizeof block) {
        gsize n = (gsize)MIN(size - at, (goffset)sizeof block);
        if (!files_read_at(fd, (guint64)at, block, n, path, error))
            return FALSE;
        const char *newline = memchr(block, '\n', n);
        if (newline) {
            *ret_end = at + (newline - block);
            return TRUE;
        }
    }
    *ret_end = size;
    return TRUE;
}

static gboolean read_head(int fd, const char *path, goffset size, struct journal_head *ret_head, GError **error)
{
    struct tail t;
    goffset end = 0;
    if (!read_tail(fd, path, size, &t, error) || !first_line_end(fd, path, size, &end, error))
        return FALSE;
    g_autofree char *id = digest_range(fd, path, 0, end, error);
    g_autofree char *last = id ? digest_range(fd, path, t.start, t.end, error) : NULL;
    if (!last)
        return FALSE;
    ret_head->seq = t.seq;
    g_strlcpy(ret_head->digest, last, sizeof ret_head->digest);
    g_strlcpy(ret_head->id, id, sizeof ret_head->id);
    return TRUE;
}

gboolean journal_head(const char *folder, struct journal_head *ret_head, GError **error)
{
    g_autofree char *path = path_of(folder);
    g_autoptr(GError) problem = NULL;
    goffset size = 0;
    *ret_head = (struct journal_head){0};
    int fd = open_locked(path, O_RDONLY, LOCK_SH, &size, &problem);
    if (fd < 0) {
        gboolean none = g_error_matches(problem, OT_ERROR, OT_NOT_FOUND);
        if (!none)
            g_propagate_error(error, g_steal_pointer(&problem));
        return none;
    }
    gboolean ok = size == 0 || read_head(fd, path, size, ret_head, error);
    close(fd);
    return ok;
}

json_t *journal_head_json(const char *folder)
{
    struct journal_head head;
    if (!journal_head(folder, &head, NULL) || head.seq == 0)
        return NULL;
    return json_pack("{ss sI ss}", "id", head.id, "seq", (json_int_t)head.seq, "head", head.digest);
}

char *journal_text(const char *folder, gsize *ret_length, GError **error)
{
    g_autofree char *path = path_of(folder);
    GError *problem = NULL;
    goffset size = 0;
    char *text = NULL;
    int fd = open_locked(path, O_RDONLY, LOCK_SH, &size, &problem);
    if (fd >= 0) {
        files_read(path, JOURNAL_MAX_BYTES, &text, ret_length, &problem);
        close(fd);
    }
    if (g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
        g_clear_error(&problem);
    if (problem)
        g_propagate_error(error, problem);
    return text;
}

static void unref(gpointer value)
{
    json_decref(value);
}

GPtrArray *journal_load(const char *folder, GError **error)
{
    GError *problem = NULL;
    gsize length = 0;
    g_autofree char *text = journal_text(folder, &length, &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return NULL;
    }
    GPtrArray *records = g_ptr_array_new_with_free_func(unref);
    for (const char *line = text, *end; line && line < text + length; line = end + 1) {
        const char *newline = memchr(line, '\n', length - (gsize)(line - text));
        end = newline ? newline : text + length;
        json_t *record = json_loadb(line, (gsize)(end - line), 0, NULL);
        if (json_is_object(record))
            g_ptr_array_add(records, record);
        else
            json_decref(record);
    }
    return records;
}

/* ---- from the end ---- */

#define WINDOW_BYTES (1 << 20)
G_STATIC_ASSERT(WINDOW_BYTES > JOURNAL_MAX_LINE);

struct recent {
    journal_wanted wanted;
    void *data;
    guint max;
    GPtrArray *records; /* newest first */
};

static void take_line(struct recent *r, const char *line, gsize length)
{
    if (length == 0 || length > JOURNAL_MAX_LINE || (r->wanted && !r->wanted(line, length, r->data)))
        return;
    json_t *record = json_loadb(line, length, 0, NULL);
    if (json_is_object(record))
        g_ptr_array_add(r->records, record);
    else
        json_decref(record);
}

/* The lines of text, the last one first. */
static void take_lines(struct recent *r, const char *text, gsize length)
{
    while (length > 0 && r->records->len < r->max) {
        gsize end = text[length - 1] == '\n' ? length - 1 : length;
        const char *newline = memrchr(text, '\n', end);
        gsize start = newline ? (gsize)(newline - text) + 1 : 0;
        take_line(r, text + start, end - start);
        length = start;
    }
}

static gboolean read_back(struct recent *r, int fd, const char *path, goffset size, GError **error)
{
    g_autofree char *window = g_malloc(WINDOW_BYTES);
    for (goffset end = size; end > 0 && r->records->len < r->max;) {
        goffset start = MAX(0, end - WINDOW_BYTES);
        gsize length = (gsize)(end - start), first = 0;
        if (!files_read_at(fd, (guint64)start, window, length, path, error))
            return FALSE;
        if (start > 0) {
            const char *newline = memchr(window, '\n', length);
            first = newline ? (gsize)(newline - window) + 1 : length; /* a longer line is no record */
        }
        take_lines(r, window + first, length - first);
        end = first < length ? start + (goffset)first : start;
    }
    return TRUE;
}

static void turn_round(GPtrArray *records)
{
    for (guint i = 0, k = records->len; i + 1 < k; i++) {
        gpointer other = records->pdata[--k];
        records->pdata[k] = records->pdata[i];
        records->pdata[i] = other;
    }
}

GPtrArray *journal_load_recent(const char *folder, journal_wanted wanted, void *data, guint max, GError **error)
{
    g_autofree char *path = path_of(folder);
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(unref);
    struct recent r = {wanted, data, max, records};
    GError *problem = NULL;
    goffset size = 0;
    int fd = open_locked(path, O_RDONLY, LOCK_SH, &size, &problem);
    if (fd >= 0) {
        flock(fd, LOCK_UN); /* what is written stays as it is */
        read_back(&r, fd, path, size, &problem);
        close(fd);
    }
    if (g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
        g_clear_error(&problem);
    if (problem) {
        g_propagate_error(error, problem);
        return NULL;
    }
    turn_round(records);
    return g_steal_pointer(&records);
}

/* ---- the newest text ---- */

static char *read_range(int fd, const char *path, goffset start, goffset end, GError **error)
{
    char *text = g_malloc((gsize)(end - start) + 1);
    text[end - start] = '\0';
    if (files_read_at(fd, (guint64)start, text, (gsize)(end - start), path, error))
        return text;
    g_free(text);
    return NULL;
}

static char *read_newest(int fd, const char *path, goffset size, gsize max_bytes, char **ret_first, gsize *ret_length,
                         GError **error)
{
    goffset start = size - (goffset)max_bytes, first_end = 0;
    if (start > 0 && (!first_line_end(fd, path, size, &first_end, error) ||
                      !(*ret_first = read_range(fd, path, 0, MIN(first_end, JOURNAL_MAX_LINE), error))))
        return NULL;
    char *text = read_range(fd, path, MAX(0, start), size, error);
    *ret_length = (gsize)(size - MAX(0, start));
    const char *newline = text && start > 0 ? memchr(text, '\n', *ret_length) : NULL;
    if (newline) {
        *ret_length -= (gsize)(newline - text) + 1;
        memmove(text, newline + 1, *ret_length + 1);
    }
    return text;
}

char *journal_text_newest(const char *folder, gsize max_bytes, char **ret_first, gsize *ret_length, GError **error)
{
    g_autofree char *path = path_of(folder);
    GError *problem = NULL;
    goffset size = 0;
    *ret_first = NULL;
    int fd = open_locked(path, O_RDONLY, LOCK_SH, &size, &problem);
    if (fd < 0) {
        if (g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
            g_error_free(problem);
        else
            g_propagate_error(error, problem);
        return NULL;
    }
    flock(fd, LOCK_UN);
    char *text = read_newest(fd, path, size, max_bytes, ret_first, ret_length, error);
    close(fd);
    return text;
}
