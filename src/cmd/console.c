/* Lines, progress and the last word. */
#include "cmd/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/text.h"
#include "pg/encryption.h"
#include "pg/silence.h"

#define TICK_MS 250

static char *redact(const char *text, void *data)
{
    return options_redact(&((struct console *)data)->settings, text);
}

/* ---- the progress line ---- */

static void erase_line(struct console *c)
{
    if (c->line_drawn)
        fputs("\r\033[K", stdout);
    c->line_drawn = FALSE;
}

static char *progress_text(struct console *c, const char *phase)
{
    const struct progress *p = &c->report.progress;
    gint64 done = __atomic_load_n(&p->done_bytes, __ATOMIC_RELAXED);
    gint64 total = __atomic_load_n(&p->total_bytes, __ATOMIC_RELAXED);
    double seconds = (double)(g_get_monotonic_time() - c->phase_started_us) / G_USEC_PER_SEC;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    g_autofree char *size = text_size((guint64)done, "B");
    g_autofree char *speed = text_size((guint64)rate, "B");
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_printf(text, "%s: %s", phase, size);
    if (total > 0)
        g_string_append_printf(text, " (%d %%)", (int)MIN(99, done * 100 / total));
    if (g_atomic_int_get(&p->tables_total) > 0)
        g_string_append_printf(text, ", tables %d/%d", g_atomic_int_get(&p->tables_done),
                               g_atomic_int_get(&p->tables_total));
    g_string_append_printf(text, ", %s/s", speed);
    if (total > done && rate > 0 && seconds > 2) {
        g_autofree char *left = text_duration((gint64)((double)(total - done) / rate) + 1);
        g_string_append_printf(text, ", about %s left", left);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void draw(struct console *c)
{
    const char *phase = __atomic_load_n(&c->report.progress.phase, __ATOMIC_RELAXED);
    g_mutex_lock(&c->mutex);
    if (phase != c->phase_shown) {
        c->phase_shown = phase;
        c->phase_started_us = g_get_monotonic_time();
    }
    erase_line(c);
    if (phase) {
        g_autofree char *text = progress_text(c, phase);
        fputs(text, stdout);
        c->line_drawn = TRUE;
    }
    fflush(stdout);
    g_mutex_unlock(&c->mutex);
}

static void *tick(void *data)
{
    struct console *c = data;
    while (!g_atomic_int_get(&c->ticker_stop)) {
        g_usleep(TICK_MS * 1000);
        draw(c);
    }
    return NULL;
}

/* ---- lines ---- */

static void line(enum report_level level, const char *text, void *data)
{
    struct console *c = data;
    g_mutex_lock(&c->mutex);
    erase_line(c);
    if (level == REPORT_ERROR)
        fprintf(stderr, "[ERROR] %s\n", text);
    else if (level == REPORT_WARN)
        fprintf(stderr, "[WARN] %s\n", text);
    else if (!c->settings.quiet && !c->settings.json)
        printf("[INFO] %s\n", text);
    fflush(stdout);
    g_mutex_unlock(&c->mutex);
}

void console_start(struct console *c)
{
    const struct settings *s = &c->settings;
    c->target = (struct pg_target){g_strdup(s->database_url),      g_strdup(s->database_host),
                                   g_strdup(s->database_name),     g_strdup(s->database_user),
                                   g_strdup(s->database_password), s->database_port,
                                   g_strdup(s->database),          0};
    options_declare_secrets(s);
    if (g_strcmp0(s->require_ssl, "true") == 0)
        encryption_require();
    c->started_us = g_get_monotonic_time();
    if (s->server_timeout_s)
        silence_set_limit((guint)s->server_timeout_s);
    c->report.line = line;
    c->report.redact = redact;
    c->report.data = c;
    if (isatty(STDOUT_FILENO) && !s->quiet && !s->json)
        c->ticker = g_thread_new("progress", tick, c);
}

void console_warn(struct console *c, const GPtrArray *warnings)
{
    g_autoptr(GPtrArray) conflicts = pg_target_conflicts(&c->target);
    for (guint i = 0; i < warnings->len; i++)
        report_warn(&c->report, "%s", (char *)warnings->pdata[i]);
    for (guint i = 0; i < conflicts->len; i++)
        report_warn(&c->report, "%s", (char *)conflicts->pdata[i]);
}

void console_stop(struct console *c)
{
    if (!c->ticker)
        return;
    g_atomic_int_set(&c->ticker_stop, 1);
    g_thread_join(c->ticker);
    c->ticker = NULL;
    erase_line(c);
    fflush(stdout);
}

int console_exit_code(const GError *error)
{
    if (interrupt_signal() && g_error_matches(error, OT_ERROR, OT_INTERRUPTED))
        return 128 + interrupt_signal();
    return error->domain == OT_ERROR ? error->code : OT_FAILED;
}

int console_finish(struct console *c, GError *error)
{
    console_stop(c);
    g_autoptr(GError) interrupted = NULL;
    if (error && g_error_matches(error, OT_ERROR, OT_INTERRUPTED) && !interrupt_check(&interrupted))
        error = interrupted; /* without what was being done at that moment */
    if (error)
        report_error(&c->report, error);
    g_autoptr(GError) log_error = NULL;
    gboolean logged = report_close_log(&c->report, &log_error);
    if (!logged && !error) {
        g_prefix_error(&log_error, "all is done, but the log is not complete: ");
        c->report.line(REPORT_ERROR, log_error->message, c);
        return console_exit_code(log_error);
    }
    if (!logged && !strstr(error->message, log_error->message))
        c->report.line(REPORT_WARN, log_error->message, c);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        c->report.line(REPORT_ERROR, "cannot write to stdout", c);
        return error ? console_exit_code(error) : OT_IO;
    }
    return error ? console_exit_code(error) : c->verdict;
}

void console_clear(struct console *c)
{
    server_identity_clear(&c->identity);
    pg_target_clear(&c->target);
    s3_free(c->s3);
    g_free(c->s3_problem);
    json_decref(c->report.facts);
    settings_clear(&c->settings);
}

gboolean console_print_json(json_t *value, GError **error)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(value);
    gboolean ok = text && puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    return ok || ot_fail_errno(error, OT_IO, "cannot write to stdout");
}
