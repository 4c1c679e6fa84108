/* Runs a credential_process. It does not know which profile named it. */
#include "store/aws_process.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/subprocess.h"

#define TIME_LIMIT_S 60

static gboolean fail_late(GError **error)
{
    return ot_fail(error, OT_PREREQUISITE, "it was not done after %d seconds", TIME_LIMIT_S);
}

/* Waits until there is something to read, or the end. */
static gboolean wait_for_output(int fd, gint64 deadline, GError **error)
{
    for (;;) {
        gint64 left_ms = (deadline - g_get_monotonic_time()) / 1000;
        struct pollfd watched = {.fd = fd, .events = POLLIN};
        int n = left_ms > 0 ? poll(&watched, 1, (int)left_ms) : 0;
        if (n > 0)
            return TRUE;
        if (n == 0)
            return fail_late(error);
        if (errno != EINTR)
            return ot_fail_errno(error, OT_IO, "cannot wait for its output");
    }
}

/* One byte more than allowed shows that there is too much. */
static gboolean read_output(int fd, gint64 deadline, char *buffer, gsize *ret_length, GError **error)
{
    gsize length = 0;
    while (length <= AWS_MAX_BYTES) {
        if (!wait_for_output(fd, deadline, error))
            return FALSE;
        ssize_t n = read(fd, buffer + length, AWS_MAX_BYTES + 1 - length);
        if (n < 0 && errno != EINTR)
            return ot_fail_errno(error, OT_IO, "cannot read its output");
        if (n == 0) {
            *ret_length = length;
            return TRUE;
        }
        length += n > 0 ? (gsize)n : 0;
    }
    return ot_fail(error, OT_PREREQUISITE, "its output is larger than %d bytes", AWS_MAX_BYTES);
}

/* That its output ended does not say that the program did. */
static gboolean wait_for_end(struct subprocess *p, gint64 deadline, GError **error)
{
    while (!subprocess_has_ended(p)) {
        if (g_get_monotonic_time() > deadline)
            return fail_late(error);
        g_usleep(5000);
    }
    return subprocess_wait(p, error);
}

static struct credentials *run(const char *const *argv, char *buffer, const char *origin, GError **error)
{
    struct subprocess_options options = {.pipe_stdout = TRUE};
    g_autoptr(subprocess) p = subprocess_start(argv, &options, error);
    gint64 deadline = g_get_monotonic_time() + TIME_LIMIT_S * G_USEC_PER_SEC;
    gsize length = 0;
    if (!p || !read_output(subprocess_stdout(p), deadline, buffer, &length, error) || !wait_for_end(p, deadline, error))
        return NULL;
    return aws_keys_from_json(buffer, length, "SessionToken", origin, error);
}

struct credentials *aws_process_credentials(const char *command, const char *origin, GError **error)
{
    g_auto(GStrv) words = NULL;
    /* What GLib says of bad quotes repeats the command, which may hold a secret. */
    if (!g_shell_parse_argv(command, NULL, &words, NULL)) {
        ot_fail(error, OT_PREREQUISITE, "credential_process: its quotes do not match, or it is empty");
        return NULL;
    }
    char buffer[AWS_MAX_BYTES + 1];
    struct credentials *c = run((const char *const *)words, buffer, origin, error);
    explicit_bzero(buffer, sizeof buffer);
    if (!c)
        g_prefix_error(error, "credential_process: ");
    return c;
}
