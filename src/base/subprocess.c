/* Child processes: start, collect stderr, end. */
#include "base/subprocess.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/secrets.h"

#define STDERR_KEEP 16384
#define STDERR_WAIT_MS 1000
#define STOP_WAIT_MS 10000

struct subprocess {
    char *name;
    GPid pid;
    int stdin_fd, stdout_fd, stderr_fd;
    int stop_signal;
    gboolean own_group, despite_interrupt, ends_itself;
    gboolean pass_stderr;
    gboolean reaped;
    int status;
    guint interrupt_id;
    GThread *reader;
    GMutex mutex; /* of the rest */
    GString *said;
    char *given_up; /* why it was killed */
    char *(*clean)(const char *text);
    GDestroyNotify detach;
    void *attached;
};

/* What the child does between fork and exec; everything is looked up before the fork. */
struct child_plan {
    int death_signal;
    gboolean own_group, change_user;
    uid_t uid;
    gid_t gid;
    gid_t groups[64];
    int n_groups;
    pid_t parent;
};

static void prepare_child(gpointer data)
{
    const struct child_plan *plan = data;
    interrupt_reset_in_child();
    if (plan->own_group)
        setpgid(0, 0);
    if (plan->change_user &&
        (setgroups((size_t)plan->n_groups, plan->groups) != 0 || setgid(plan->gid) != 0 || setuid(plan->uid) != 0))
        _exit(126);
    /* After setuid: a change of user clears it. */
    if (plan->death_signal)
        prctl(PR_SET_PDEATHSIG, plan->death_signal);
    if (getppid() != plan->parent)
        _exit(126);
}

static gboolean plan_user(struct child_plan *plan, const char *user, GError **error)
{
    if (!user)
        return TRUE;
    struct passwd *entry = getpwnam(user);
    if (!entry)
        return ot_fail(error, OT_PREREQUISITE, "there is no user \"%s\" on this machine", user);
    plan->change_user = TRUE;
    plan->uid = entry->pw_uid;
    plan->gid = entry->pw_gid;
    plan->n_groups = G_N_ELEMENTS(plan->groups);
    if (getgrouplist(user, plan->gid, plan->groups, &plan->n_groups) < 0)
        return ot_fail(error, OT_FAILED, "user \"%s\" is in too many groups", user);
    return TRUE;
}

static void *read_stderr(void *data)
{
    struct subprocess *p = data;
    char buffer[4096];
    struct pollfd waiting = {.fd = p->stderr_fd, .events = POLLIN};
    for (;;) {
        if (poll(&waiting, 1, -1) < 0 && errno != EINTR)
            return NULL;
        if (!waiting.revents)
            continue;
        /* What is no longer in the pipe is in said, as long as nobody holds the mutex. */
        g_mutex_lock(&p->mutex);
        ssize_t n = read(p->stderr_fd, buffer, sizeof buffer);
        if (n > 0)
            g_string_append_len(p->said, buffer, n);
        if (p->said->len > STDERR_KEEP)
            g_string_erase(p->said, 0, (gssize)(p->said->len - STDERR_KEEP));
        g_mutex_unlock(&p->mutex);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NULL;
        if (p->pass_stderr)
            files_write_all(STDERR_FILENO, buffer, (gsize)n, "to stderr", NULL); /* nowhere to say that it failed */
    }
}

static void send_signal(const struct subprocess *p, int signal_number)
{
    kill(p->own_group ? -p->pid : p->pid, signal_number);
}

static void stop_on_interrupt(void *data)
{
    struct subprocess *p = data;
    send_signal(p, p->stop_signal);
}

static void kill_on_interrupt(void *data)
{
    send_signal(data, SIGKILL);
}

static guint listen_to_interrupts(struct subprocess *p)
{
    struct interrupt_calls calls = {.at_once = stop_on_interrupt};
    if (!p->ends_itself)
        calls.after_grace = kill_on_interrupt;
    return p->despite_interrupt ? 0 : interrupt_add_calls(&calls, p);
}

void subprocess_give_up(struct subprocess *p, const char *why)
{
    g_mutex_lock(&p->mutex);
    if (!p->given_up)
        p->given_up = g_strdup(why);
    g_mutex_unlock(&p->mutex);
    send_signal(p, SIGKILL);
}

void subprocess_attach(struct subprocess *p, void *data, GDestroyNotify detach)
{
    p->attached = data;
    p->detach = detach;
}

/* Before it is reaped: from then on its number may be somebody else's. */
static void detach(struct subprocess *p)
{
    if (p->interrupt_id)
        interrupt_remove(p->interrupt_id);
    p->interrupt_id = 0;
    if (p->detach)
        p->detach(p->attached);
    p->detach = NULL;
}

struct subprocess *subprocess_start(const char *const *argv, const struct subprocess_options *options, GError **error)
{
    static const struct subprocess_options none;
    const struct subprocess_options *o = options ? options : &none;
    struct child_plan plan = {.own_group = o->own_group, .parent = getpid()};
    if (!o->outlives)
        plan.death_signal = o->death_signal ? o->death_signal : SIGTERM;
    if (!plan_user(&plan, o->user, error))
        return NULL;
    GPid pid = 0;
    int in = -1, out = -1, err = -1;
    const int third_from[] = {o->third_fd}, third_to[] = {3};
    GSpawnFlags flags = G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH | G_SPAWN_CLOEXEC_PIPES;
    if (!o->pipe_stdout && o->stdout_fd <= 0)
        flags |= G_SPAWN_STDOUT_TO_DEV_NULL;
    g_autoptr(GError) spawn_error = NULL;
    g_auto(GStrv) inherited = o->environment ? NULL : environment_for_others();
    const char *const *environment = (const char *const *)(o->environment ? o->environment : inherited);
    if (!g_spawn_async_with_pipes_and_fds(o->directory, argv, environment, flags, prepare_child, &plan, o->stdin_fd > 0 ? o->stdin_fd : -1,
                                          o->stdout_fd > 0 ? o->stdout_fd : -1, o->stderr_fd > 0 ? o->stderr_fd : -1,
                                          third_from, third_to, o->third_fd > 0, &pid, o->pipe_stdin ? &in : NULL,
                                          o->pipe_stdout ? &out : NULL, o->stderr_fd > 0 ? NULL : &err, &spawn_error)) {
        ot_fail(error, OT_PREREQUISITE, "cannot start %s: %s", argv[0], spawn_error->message);
        return NULL;
    }
    struct subprocess *p = g_new0(struct subprocess, 1);
    p->name = g_path_get_basename(argv[0]);
    p->pid = pid;
    p->stdin_fd = in;
    p->stdout_fd = out;
    p->stderr_fd = err;
    p->stop_signal = o->stop_signal ? o->stop_signal : SIGTERM;
    p->own_group = o->own_group;
    p->despite_interrupt = o->despite_interrupt;
    p->ends_itself = o->ends_itself;
    p->pass_stderr = o->pass_stderr;
    p->clean = o->clean;
    p->said = g_string_new(NULL);
    g_mutex_init(&p->mutex);
    if (err >= 0)
        p->reader = g_thread_new("stderr", read_stderr, p);
    if (o->started)
        o->started(p, o->started_data);
    p->interrupt_id = listen_to_interrupts(p);
    return p;
}

int subprocess_stdout(struct subprocess *p)
{
    return p->stdout_fd;
}

int subprocess_stdin(struct subprocess *p)
{
    return p->stdin_fd;
}

gboolean subprocess_close_stdin(struct subprocess *p, GError **error)
{
    int fd = p->stdin_fd;
    p->stdin_fd = -1;
    if (fd >= 0 && close(fd) != 0)
        return ot_fail_errno(error, OT_FAILED, "cannot finish writing to %s", p->name);
    return TRUE;
}

/* Waits until it has ended, without reaping it; options as for waitid. */
static gboolean has_exited(const struct subprocess *p, int options)
{
    siginfo_t info;
    int got;
    do {
        memset(&info, 0, sizeof info);
        got = waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT | options);
    } while (got != 0 && errno == EINTR);
    return got != 0 || info.si_pid != 0;
}

/* Reaps the child; options as for waitid. TRUE once it is reaped. */
static gboolean reap(struct subprocess *p, int options)
{
    if (p->reaped)
        return TRUE;
    if (!has_exited(p, options))
        return FALSE;
    detach(p);
    pid_t got;
    do
        got = waitpid(p->pid, &p->status, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        p->status = 0xff00; /* somebody else reaped it: how it ended is not known, so it did not succeed */
    p->reaped = TRUE;
    return TRUE;
}

gboolean subprocess_has_ended(struct subprocess *p)
{
    return reap(p, WNOHANG);
}

static void join_reader(struct subprocess *p)
{
    if (p->reader)
        g_thread_join(p->reader);
    p->reader = NULL;
}

/* Whether something it said has not been read yet. Caller holds the mutex. */
static gboolean is_behind(const struct subprocess *p)
{
    int bytes = 0;
    return p->reader && p->stderr_fd >= 0 && ioctl(p->stderr_fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

char *subprocess_stderr(struct subprocess *p)
{
    g_mutex_lock(&p->mutex);
    for (int waited = 0; waited < STDERR_WAIT_MS && is_behind(p); waited++) {
        g_mutex_unlock(&p->mutex);
        g_usleep(1000);
        g_mutex_lock(&p->mutex);
    }
    char *text = g_utf8_make_valid(p->said->str, (gssize)p->said->len);
    g_mutex_unlock(&p->mutex);
    if (p->clean) {
        g_autofree char *all = text;
        text = p->clean(all);
    }
    g_autofree char *said = text;
    return g_strstrip(secrets_clean(said));
}

gboolean subprocess_wait(struct subprocess *p, GError **error)
{
    reap(p, 0);
    join_reader(p);
    if (WIFEXITED(p->status) && WEXITSTATUS(p->status) == 0)
        return TRUE;
    if (!p->despite_interrupt && !interrupt_check(error))
        return FALSE;
    g_autofree char *said = subprocess_stderr(p);
    if (p->given_up)
        return ot_fail(error, OT_CONNECT, "%s was ended: %s%s%s", p->name, p->given_up, *said ? ": " : "", said);
    g_autofree char *end = WIFSIGNALED(p->status) ? g_strdup_printf("was killed by signal %d", WTERMSIG(p->status))
                                                  : g_strdup_printf("failed with exit code %d", WEXITSTATUS(p->status));
    return ot_fail(error, OT_FAILED, "%s %s%s%s", p->name, end, *said ? ": " : "", said);
}

static void stop(struct subprocess *p)
{
    send_signal(p, p->stop_signal);
    for (int waited = 0; waited < STOP_WAIT_MS && !has_exited(p, WNOHANG); waited += 20) {
        if (!p->ends_itself && interrupt_age_ms() >= INTERRUPT_GRACE_MS)
            break;
        g_usleep(20000);
    }
    /* Until it is reaped, its group cannot become somebody else's. */
    if (p->own_group || !has_exited(p, WNOHANG))
        send_signal(p, SIGKILL);
    reap(p, 0);
}

int subprocess_exit_code(const struct subprocess *p)
{
    return WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status) : WEXITSTATUS(p->status);
}

/* Of a child that has ended, or is left to itself. */
static void release(struct subprocess *p)
{
    detach(p);
    join_reader(p);
    if (p->stderr_fd >= 0)
        close(p->stderr_fd);
    g_free(p->given_up);
    g_mutex_clear(&p->mutex);
    g_string_free(p->said, TRUE);
    g_free(p->name);
    g_free(p);
}

static void close_pipes(struct subprocess *p)
{
    if (p->stdin_fd >= 0)
        close(p->stdin_fd);
    if (p->stdout_fd >= 0)
        close(p->stdout_fd);
    p->stdin_fd = p->stdout_fd = -1;
}

void subprocess_free(struct subprocess *p)
{
    if (!p)
        return;
    close_pipes(p);
    if (p->own_group ? !p->reaped : !reap(p, WNOHANG))
        stop(p);
    release(p);
}

void subprocess_leave(struct subprocess *p)
{
    close_pipes(p);
    release(p);
}

static gboolean collect(int fd, GString *into, gsize max_bytes, GError **error)
{
    char buffer[65536];
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ot_fail_errno(error, OT_IO, "cannot read a child's output");
        if (n == 0)
            return TRUE;
        if (into->len + (gsize)n > max_bytes)
            return ot_fail(error, OT_FAILED, "a child's output is larger than %" G_GSIZE_FORMAT " bytes", max_bytes);
        g_string_append_len(into, buffer, n);
    }
}

gboolean subprocess_run_said(const char *const *argv, const struct subprocess_options *options, gsize max_bytes,
                             GString **ret_stdout, char **ret_said, GError **error)
{
    struct subprocess_options o = options ? *options : (struct subprocess_options){0};
    o.pipe_stdout = TRUE;
    g_autoptr(subprocess) p = subprocess_start(argv, &o, error);
    if (!p)
        return FALSE;
    GString *out = g_string_new(NULL);
    gboolean ok = collect(p->stdout_fd, out, max_bytes, error) && subprocess_wait(p, error);
    if (ok && ret_said)
        *ret_said = subprocess_stderr(p);
    if (ok && ret_stdout)
        *ret_stdout = out;
    else
        g_string_free(out, TRUE);
    return ok;
}

gboolean subprocess_run(const char *const *argv, const struct subprocess_options *options, gsize max_bytes,
                        GString **ret_stdout, GError **error)
{
    return subprocess_run_said(argv, options, max_bytes, ret_stdout, NULL, error);
}
