/* Lines of JSON, each chained to the one before. */
#include "catalog/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/files.h"
#include "base/text.h"
#include "base/version.h"

#define MAX_JOURNAL_BYTES (1ull << 30)

static char *path_of(const char *folder)
{
    return g_build_filename(folder, JOURNAL_FILE, NULL);
}

static char *digest_of(const char *line, gsize length)
{
    g_autoptr(digest) d = digest_new();
    digest_add(d, line, length);
    return digest_text(d);
}

static json_t *who(void)
{
    const struct passwd *user = getpwuid(geteuid());
    return user ? json_string(user->pw_name) : json_sprintf("%u", (unsigned)geteuid());
}

/* The line that follows LAST (without newline; empty: it is the first), with its newline. NULL: not to be written. */
static char *next_line(const json_t *record, const char *last, gsize last_length)
{
    json_t *before = last_length ? json_loadb(last, last_length, 0, NULL) : NULL;
    json_int_t seq = json_integer_value(json_object_get(before, "seq")) + 1;
    json_decref(before);
    g_autofree char *prev = last_length ? digest_of(last, last_length) : g_strnfill(DIGEST_TEXT_LENGTH, '0');
    g_autofree char *now = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
    json_t *line = json_pack("{sI ss}", "seq", seq, "time", now);
    json_object_update(line, (json_t *)record);
    json_object_update_new(line, json_pack("{so ss si ss ss}", "who", who(), "host", g_get_host_name(), "pid",
                                           (int)getpid(), "version", TOOL_VERSION, "prev", prev));
    char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(line);
    char *whole = text ? g_strconcat(text, "\n", NULL) : NULL;
    free(text);
    return whole;
}

/* The last line of text, without its newline. */
static const char *last_line(const char *text, gsize length, gsize *ret_length)
{
    gsize end = length > 0 && text[length - 1] == '\n' ? length - 1 : length;
    gsize start = end;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    *ret_length = end - start;
    return text + start;
}

static gboolean append_locked(int fd, const char *path, const json_t *record, GError **error)
{
    g_autofree char *text = NULL;
    gsize length = 0, last_length;
    if (!files_read(path, MAX_JOURNAL_BYTES, &text, &length, error))
        return FALSE;
    const char *last = last_line(text, length, &last_length);
    g_autofree char *line = next_line(record, last, last_length);
    if (!line)
        return ot_fail(error, OT_FAILED, "a record for %s cannot be written as JSON", path);
    gboolean torn = length > 0 && text[length - 1] != '\n';
    if (!(!torn || files_write_all(fd, "\n", 1, path, error)) || !files_write_all(fd, line, strlen(line), path, error))
        return FALSE;
    return fsync(fd) == 0 || ot_fail_errno(error, OT_IO, "cannot bring %s to disk (fsync)", path);
}

gboolean journal_append(const char *folder, const json_t *record, GError **error)
{
    g_autofree char *path = path_of(folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return ot_fail_errno(error, OT_IO, "cannot open the journal %s", path);
    gboolean ok = flock(fd, LOCK_EX) == 0 || ot_fail_errno(error, OT_IO, "cannot lock the journal %s", path);
    ok = ok && append_locked(fd, path, record, error);
    if (close(fd) != 0 && ok)
        ok = ot_fail_errno(error, OT_IO, "cannot close the journal %s", path);
    return ok;
}

static void unref(gpointer value)
{
    json_decref(value);
}

GPtrArray *journal_load(const char *folder, GError **error)
{
    g_autofree char *path = path_of(folder);
    g_autofree char *text = NULL;
    g_autoptr(GError) problem = NULL;
    if (!files_read(path, MAX_JOURNAL_BYTES, &text, NULL, &problem) &&
        !g_error_matches(problem, OT_ERROR, OT_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    GPtrArray *records = g_ptr_array_new_with_free_func(unref);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    for (char **line = lines; *line; line++) {
        json_t *record = json_loads(*line, 0, NULL);
        if (json_is_object(record))
            g_ptr_array_add(records, record);
        else
            json_decref(record);
    }
    return records;
}
