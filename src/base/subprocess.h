/*
 * Child processes by argument vector; never a shell. A child's last lines on stderr become part of the error when it
 * fails, so that the reader sees what pg_dump said. A child is told to end when we are interrupted or die, and killed
 * if it does not.
 */
#pragma once

#include "base/error.h"

struct subprocess;

/* What a child is given besides its arguments. Zero values mean: inherit. */
struct subprocess_options {
    char **environment; /* whole environment, NULL-terminated; NULL: environment_for_others() */
    const char *directory;
    const char *user; /* run as this user (needs root) */
    int stdin_fd;     /* > 0: becomes the child's stdin; else /dev/null */
    int stdout_fd;    /* > 0: becomes the child's stdout; else /dev/null unless pipe_stdout */
    int stderr_fd;    /* > 0: becomes the child's stderr; then nothing of it is collected */
    gboolean pipe_stdout;
    gboolean pipe_stdin;
    gboolean own_group;         /* it leads a process group of its own; whatever stops it stops the whole group */
    gboolean despite_interrupt; /* it is not told to end when we are interrupted */
    int third_fd;               /* > 0: becomes the child's file descriptor 3 */
    gboolean pass_stderr;       /* what it says on stderr also goes to ours, as it comes */
    gboolean ends_itself;       /* a run of this program: told to end, it does so in time, and is not killed */
    gboolean outlives;          /* it is not told to end when this program ends; see subprocess_leave */
    int death_signal;           /* sent to the child if this program dies; 0: SIGTERM */
    char *(*clean)(const char *text); /* of what it said on stderr: what may be told; g_free. NULL: all */
    void (*started)(struct subprocess *p, void *data); /* called at once, for subprocess_attach; may be NULL */
    void *started_data;
    int stop_signal;            /* sent by subprocess_free and on interrupt; 0: SIGTERM */
};

/* Starts argv[0] (searched in PATH unless it has a slash). NULL on failure (OT_PREREQUISITE). */
struct subprocess *subprocess_start(const char *const *argv, const struct subprocess_options *options, GError **error);

/* The reading end of the child's stdout / writing end of its stdin (with pipe_*), -1 if closed or none. */
int subprocess_stdout(struct subprocess *p);
int subprocess_stdin(struct subprocess *p);

/* Closes our end of the child's stdin; TRUE if that succeeded. */
gboolean subprocess_close_stdin(struct subprocess *p, GError **error);

/* Waits for the end. FALSE unless the child exited with 0: OT_FAILED with the program's name, how it ended and the
 * last lines of its stderr. Call once. */
gboolean subprocess_wait(struct subprocess *p, GError **error);

/* Kills the child from another thread; its wait then fails with OT_CONNECT and these words. */
void subprocess_give_up(struct subprocess *p, const char *why);

/* Calls detach(data) as soon as the child has ended, before it is reaped. Once per child. */
void subprocess_attach(struct subprocess *p, void *data, GDestroyNotify detach);

/* After the wait: its exit code, or 128 and the number of the signal that ended it. */
int subprocess_exit_code(const struct subprocess *p);

/* TRUE if the child has ended by now (it is still to be waited for). */
gboolean subprocess_has_ended(struct subprocess *p);

/* All that the child has said on stderr so far (at most its last 16 KiB); valid UTF-8; the caller frees it. */
char *subprocess_stderr(struct subprocess *p);

/* Stops the child if it still runs (stop_signal; SIGKILL after 10 s, or sooner after an interrupt), waits for it, frees.
 * NULL is fine. */
void subprocess_free(struct subprocess *p);

/* Frees without stopping the child: it goes on when this program has ended. For one that collects no stderr. */
void subprocess_leave(struct subprocess *p);
typedef struct subprocess subprocess;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(subprocess, subprocess_free)

/* Starts, collects stdout (at most max_bytes, more is an error), waits. ret_stdout may be NULL. */
gboolean subprocess_run(const char *const *argv, const struct subprocess_options *options, gsize max_bytes,
                        GString **ret_stdout, GError **error);

/* The same; *ret_said is all that it said on stderr, as subprocess_stderr. */
gboolean subprocess_run_said(const char *const *argv, const struct subprocess_options *options, gsize max_bytes,
                             GString **ret_stdout, char **ret_said, GError **error);
