/* Lines to the listener and to the log. */
#include "engine/report.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"

#define MAX_BEFORE_LOG 65536 /* an act that never opens a log may run for months */

static const char *const level_names[] = {"INFO", "WARN", "ERROR"};

static void log_line(struct report *r, enum report_level level, const char *text)
{
    g_autofree char *now = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
    g_autofree char *line = g_strdup_printf("%s [%s] %s\n", now, level_names[level], text);
    if (r->log_fd > 0) {
        if (!r->log_error)
            files_write_all(r->log_fd, line, strlen(line), r->log_path, &r->log_error);
        return;
    }
    if (!r->before_log)
        r->before_log = g_string_new(NULL);
    if (r->before_log->len < MAX_BEFORE_LOG)
        g_string_append(r->before_log, line);
}

/* Lines come from several threads. */
static GMutex saying;

static void say(struct report *r, enum report_level level, const char *raw)
{
    g_autofree char *valid = g_utf8_make_valid(raw, -1);
    g_autofree char *text = r->redact ? r->redact(valid, r->data) : g_strdup(valid);
    g_strdelimit(text, "\n\r", ' ');
    g_mutex_lock(&saying);
    log_line(r, level, text);
    if (r->line)
        r->line(level, text, r->data);
    g_mutex_unlock(&saying);
}

void report_say(struct report *r, enum report_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *raw = g_strdup_vprintf(format, args);
    va_end(args);
    say(r, level, raw);
}

void report_fact(struct report *r, const char *key, json_t *value)
{
    if (!r->facts)
        r->facts = json_object();
    json_object_set_new(r->facts, key, value);
}

void report_fact_text(struct report *r, const char *key, const char *text)
{
    g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;
    if (valid)
        report_fact(r, key, json_string(valid));
}

void report_phase(struct report *r, const char *phase, gint64 start_us)
{
    gint64 ms = (g_get_monotonic_time() - start_us) / 1000;
    json_t *phases = json_object_get(r->facts, "phases");
    if (!phases)
        report_fact(r, "phases", phases = json_object());
    double before = json_real_value(json_object_get(phases, phase));
    json_object_set_new(phases, phase, json_real(before + (double)ms / 1000));
}

void report_error(struct report *r, const GError *error)
{
    const char *hint = error->domain == OT_ERROR ? ot_error_hint(error->code) : NULL;
    gboolean ended = *error->message && strchr(".?!", error->message[strlen(error->message) - 1]);
    g_autofree char *text = g_strdup_printf("%s%s%s", error->message,
                                            !hint   ? ""
                                            : ended ? " "
                                                    : ". ",
                                            hint ? hint : "");
    say(r, REPORT_ERROR, text);
}

gboolean report_open_log(struct report *r, const char *path, GError **error)
{
    int fd = files_open_or_make(path, O_WRONLY | O_EXCL | O_APPEND);
    if (fd < 0)
        return ot_fail_errno(error, OT_IO, "cannot create the log file %s", path);
    if (r->before_log && !files_write_all(fd, r->before_log->str, r->before_log->len, path, error)) {
        close(fd);
        unlink(path);
        return FALSE;
    }
    r->log_fd = fd;
    r->log_path = g_strdup(path);
    return TRUE;
}

gboolean report_check_log(struct report *r, GError **error)
{
    if (r->log_fd > 0 && !r->log_error && fsync(r->log_fd) != 0)
        ot_fail_errno(&r->log_error, OT_IO, "cannot bring %s to disk (fsync)", r->log_path);
    if (r->log_error)
        g_propagate_error(error, g_error_copy(r->log_error));
    return r->log_error == NULL;
}

gboolean report_close_log(struct report *r, GError **error)
{
    if (r->before_log)
        g_string_free(g_steal_pointer(&r->before_log), TRUE);
    if (r->log_fd <= 0)
        return TRUE;
    if (fsync(r->log_fd) != 0 && !r->log_error)
        ot_fail_errno(&r->log_error, OT_IO, "cannot bring %s to disk (fsync)", r->log_path);
    if (close(r->log_fd) != 0 && !r->log_error)
        ot_fail_errno(&r->log_error, OT_IO, "cannot close %s", r->log_path);
    r->log_fd = 0;
    g_clear_pointer(&r->log_path, g_free);
    if (!r->log_error)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&r->log_error));
    return FALSE;
}

void report_progress_start(struct report *r, const char *phase, guint64 total_bytes, guint tables_total)
{
    __atomic_store_n(&r->progress.phase, phase, __ATOMIC_RELAXED);
    __atomic_store_n(&r->progress.done_bytes, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&r->progress.total_bytes, (gint64)total_bytes, __ATOMIC_RELAXED);
    g_atomic_int_set(&r->progress.tables_done, 0);
    g_atomic_int_set(&r->progress.tables_total, (gint)tables_total);
}

void report_progress_add(struct report *r, guint64 bytes)
{
    __atomic_add_fetch(&r->progress.done_bytes, (gint64)bytes, __ATOMIC_RELAXED);
}

void report_progress_table(struct report *r)
{
    g_atomic_int_inc(&r->progress.tables_done);
}

void report_progress_end(struct report *r)
{
    __atomic_store_n(&r->progress.phase, NULL, __ATOMIC_RELAXED);
}
