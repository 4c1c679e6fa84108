/* One hook: words, child, output, time limit, what its failure means. */
#include "engine/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/secrets.h"
#include "base/subprocess.h"
#include "base/text.h"

#define TICK_MS 100
#define MAX_LINE_BYTES 1000
#define MAX_LINES 500 /* of one hook in the log; what it says beyond that is read and dropped */

char **hook_words(const struct hook *h, GError **error)
{
    g_autoptr(GError) problem = NULL;
    char **words = NULL;
    if (h->shell) {
        const char *const line[] = {"/bin/sh", "-c", h->command, NULL};
        return g_strdupv((char **)line);
    }
    if (!g_shell_parse_argv(h->command, NULL, &words, &problem))
        ot_fail(error, OT_USAGE, "the %s hook is not a command line: %s", h->event, problem->message);
    return words;
}

/* ---- what it says ---- */

struct output {
    const struct hook *hook;
    struct report *report;
    GString *line;
    guint lines;
};

static void end_line(struct output *o)
{
    g_autofree char *said = secrets_clean(o->line->str);
    if (o->line->len > 0 && o->lines < MAX_LINES)
        report_info(o->report, "%s hook: %s", o->hook->event, said);
    else if (o->line->len > 0 && o->lines == MAX_LINES)
        report_warn(o->report, "%s hook: it says more than %d lines; the rest is left out", o->hook->event, MAX_LINES);
    o->lines += o->line->len > 0;
    g_string_truncate(o->line, 0);
}

static void take(struct output *o, const char *data, gsize length)
{
    for (gsize i = 0; i < length; i++)
        if (data[i] == '\n')
            end_line(o);
        else if (o->line->len < MAX_LINE_BYTES && data[i] != '\0' && data[i] != '\r')
            g_string_append_c(o->line, data[i]);
}

/* All that is there now. */
static void drain(struct output *o, int fd)
{
    char buffer[4096];
    ssize_t n;
    /* Bounded: a child of the hook that goes on writing must not keep us. */
    for (int i = 0; i < 1024 && ((n = read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)); i++)
        take(o, buffer, n > 0 ? (gsize)n : 0);
}

/* ---- the child ---- */

/* Until it ends; what it has left running in the background may keep its output open, and is not waited for. */
static gboolean follow(const struct hook *h, struct subprocess *p, int fd, struct output *o, gboolean *ret_left,
                       GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)h->timeout_s * G_USEC_PER_SEC;
    gboolean open = TRUE;
    for (;;) {
        if (!h->despite_interrupt && !interrupt_check(error))
            return FALSE; /* first, so that all of its group is ended, not only those that listen */
        if (subprocess_has_ended(p))
            break;
        if (interrupt_time_is_over()) {
            *ret_left = TRUE;
            return ot_fail(error, OT_FAILED, "it is still at work after the interrupt, and is left to end by itself");
        }
        if (g_get_monotonic_time() > deadline)
            return ot_fail(error, OT_FAILED, "it was ended after %u s (HOOK_TIMEOUT)", h->timeout_s);
        struct pollfd wanted = {open ? fd : -1, POLLIN, 0};
        if (poll(&wanted, 1, TICK_MS) > 0) {
            drain(o, fd);
            open = wanted.revents & POLLIN;
        }
    }
    drain(o, fd);
    return subprocess_wait(p, error);
}

static struct subprocess *start(const struct hook *h, char **words, int ret_fds[2], GError **error)
{
    if (pipe2(ret_fds, O_CLOEXEC) != 0) {
        ot_fail_errno(error, OT_FAILED, "cannot make a pipe");
        return NULL;
    }
    fcntl(ret_fds[0], F_SETFL, O_NONBLOCK);
    struct subprocess_options options = {
        .environment = h->environment,
        .stdout_fd = ret_fds[1],
        .stderr_fd = ret_fds[1],
        .own_group = TRUE,
        .despite_interrupt = h->despite_interrupt,
        .outlives = h->despite_interrupt,
        .third_fd = h->despite_interrupt ? ret_fds[0] : 0, /* or it would be ended by what it says once we are gone */
    };
    struct subprocess *p = subprocess_start((const char *const *)words, &options, error);
    close(ret_fds[1]);
    if (!p)
        close(ret_fds[0]);
    return p;
}

static gboolean run(const struct hook *h, struct report *report, GError **error)
{
    g_auto(GStrv) words = hook_words(h, error);
    int fds[2];
    if (!words)
        return FALSE;
    g_autofree char *program = g_path_get_basename(words[0]); /* the rest of the line may be nobody's business */
    report_info(report, "Running the %s hook (%s)...", h->event, program);
    struct subprocess *p = start(h, words, fds, error);
    if (!p)
        return FALSE;
    struct output o = {h, report, g_string_new(NULL), 0};
    gboolean left = FALSE;
    gboolean ok = follow(h, p, fds[0], &o, &left, error);
    if (left)
        subprocess_leave(p);
    else
        subprocess_free(p); /* with its group, if it is still at work */
    drain(&o, fds[0]);
    end_line(&o);
    g_string_free(o.line, TRUE);
    close(fds[0]);
    return ok;
}

/* ---- what comes of it ---- */

static void note(const struct hook *h, struct report *report, const GError *problem, gint64 start_us)
{
    json_t *hooks = report->facts ? json_object_get(report->facts, "hooks") : NULL;
    g_autofree char *took = text_duration((g_get_monotonic_time() - start_us) / G_USEC_PER_SEC);
    g_autofree char *valid = problem ? g_utf8_make_valid(problem->message, -1) : NULL;
    g_autofree char *safe = valid && report->redact ? report->redact(valid, report->data) : g_strdup(valid);
    json_t *outcome = problem ? json_sprintf("failed after %s: %s", took, safe) : json_sprintf("ok after %s", took);
    if (!hooks) {
        hooks = json_object();
        report_fact(report, "hooks", hooks);
    }
    json_object_set_new(hooks, h->event, outcome);
}

gboolean hook_run(const struct hook *h, struct report *report, GError **error)
{
    g_autoptr(GError) problem = NULL;
    gint64 start_us = g_get_monotonic_time();
    if (!h->command)
        return TRUE;
    gboolean ok = run(h, report, &problem);
    note(h, report, problem, start_us);
    if (ok)
        return TRUE;
    if (!g_error_matches(problem, OT_ERROR, OT_INTERRUPTED)) {
        problem->code = OT_FAILED;
        g_prefix_error(&problem, "the %s hook failed: ", h->event);
        if (h->policy == HOOK_WARN)
            report_warn(report, "%s", problem->message);
        else if (h->policy == HOOK_IGNORE)
            report_info(report, "%s", problem->message);
        if (h->policy != HOOK_ABORT)
            return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}
