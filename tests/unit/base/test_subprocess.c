/*
 * Tests of child processes: how they end, what they say, what they are given.
 */
#include "base/subprocess.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SHELL(text) ((const char *const[]){"sh", "-c", text, NULL})

static void assert_bytes(const void *got, gsize length, const void *expected, gsize expected_length)
{
    g_assert_cmpuint(length, ==, expected_length);
    g_assert_true(length == 0 || memcmp(got, expected, length) == 0);
}

static struct subprocess *start(const char *text, const struct subprocess_options *options)
{
    g_autoptr(GError) error = NULL;
    struct subprocess *p = subprocess_start(SHELL(text), options, &error);
    g_assert_no_error(error);
    return p;
}

static const struct {
    const char *name, *script, *message; /* message NULL: success */
} ends[] = {
    {"success", "exit 0", NULL},
    {"one", "exit 1", "sh failed with exit code 1"},
    {"high", "exit 255", "sh failed with exit code 255"},
    {"terminated", "kill -TERM $$", "sh was killed by signal 15"},
    {"killed", "kill -KILL $$", "sh was killed by signal 9"},
    {"says_why", "echo so: no table >&2; exit 3", "sh failed with exit code 3: so: no table"},
    {"says_much", "echo one >&2; echo; echo two >&2; exit 3", "sh failed with exit code 3: one\ntwo"},
    {"warns_and_succeeds", "echo careful >&2", NULL},
    {"not_utf8", "printf 'a\\377b' >&2; exit 1",
     "sh failed with exit code 1: a\xef\xbf\xbd"
     "b"},
};

static void test_ends(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autoptr(GError) error = NULL;
    g_autoptr(subprocess) p = start(ends[i].script, NULL);
    g_assert_true(subprocess_wait(p, &error) == (ends[i].message == NULL));
    if (!ends[i].message) {
        g_assert_no_error(error);
        return;
    }
    g_assert_error(error, OT_ERROR, OT_FAILED);
    g_assert_cmpstr(error->message, ==, ends[i].message);
}

static void expect_not_started(const char *program)
{
    const char *const argv[] = {program, NULL};
    g_autoptr(GError) error = NULL;
    g_assert_null(subprocess_start(argv, NULL, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
    g_assert_nonnull(strstr(error->message, program));
    g_clear_error(&error);
    g_assert_false(subprocess_run(argv, NULL, 100, NULL, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
}

static void test_missing(void)
{
    expect_not_started("no-program-has-this-name");
    expect_not_started("/no/program/has/this/path");
    expect_not_started("/etc/passwd");
}

static void test_output(void)
{
    g_autoptr(GError) error = NULL;
    GString *out = NULL;
    g_assert_true(subprocess_run(SHELL("printf 'a\\000b\\n'; echo noise >&2"), NULL, 100, &out, &error));
    g_assert_no_error(error);
    assert_bytes(out->str, out->len, "a\0b\n", 4);
    g_string_free(out, TRUE);
    g_assert_true(subprocess_run(SHELL("echo unwanted"), NULL, 100, NULL, &error));
}

/* A failing child gives no output, only the error. */
static void test_output_of_failure(void)
{
    g_autoptr(GError) error = NULL;
    GString *out = NULL;
    g_assert_false(subprocess_run(SHELL("echo half; exit 1"), NULL, 100, &out, &error));
    g_assert_error(error, OT_ERROR, OT_FAILED);
    g_assert_null(out);
}

static void test_output_limit(void)
{
    g_autoptr(GError) error = NULL;
    GString *out = NULL;
    g_assert_true(subprocess_run(SHELL("head -c 1000000 /dev/zero"), NULL, 1000000, &out, &error));
    g_assert_cmpuint(out->len, ==, 1000000);
    g_string_free(g_steal_pointer(&out), TRUE);
    g_assert_false(subprocess_run(SHELL("head -c 1000001 /dev/zero"), NULL, 1000000, &out, &error));
    g_assert_error(error, OT_ERROR, OT_FAILED);
    g_clear_error(&error);
    g_assert_false(subprocess_run(SHELL("exec cat /dev/zero"), NULL, 1000000, &out, &error));
    g_assert_error(error, OT_ERROR, OT_FAILED);
    g_assert_null(out);
}

/* Much text on stderr neither blocks the child nor fills memory: its end is kept. */
static void test_stderr_limit(void)
{
    g_autoptr(subprocess) p = start("i=0; while [ $i -lt 20000 ]; do echo line $i of many; i=$((i+1)); done >&2; "
                                    "echo the last word >&2; exit 1",
                                    NULL);
    g_autoptr(GError) error = NULL;
    g_assert_false(subprocess_wait(p, &error));
    g_assert_true(g_str_has_suffix(error->message, "line 19999 of many\nthe last word"));
    g_assert_cmpuint(strlen(error->message), <, 17000);
}

static void test_environment(void)
{
    char *environment[] = {(char *)"PATH=/usr/bin:/bin", (char *)"GIVEN=it is", NULL};
    struct subprocess_options options = {.environment = environment, .directory = "/"};
    GString *out = NULL;
    g_setenv("NOT_GIVEN", "secret", TRUE);
    g_assert_true(subprocess_run(SHELL("echo \"$GIVEN|$NOT_GIVEN|$(pwd)\""), &options, 100, &out, NULL));
    g_assert_cmpstr(out->str, ==, "it is||/\n");
    g_string_free(out, TRUE);
}

/* Words are handed on as they are: no shell reads them. */
static void test_words(void)
{
    const char *const argv[] = {"printf", "%s|", "a b", "$HOME", "'", "\"`x`", "", "*", "-n", NULL};
    GString *out = NULL;
    g_assert_true(subprocess_run(argv, NULL, 1000, &out, NULL));
    g_assert_cmpstr(out->str, ==, "a b|$HOME|'|\"`x`||*|-n|");
    g_string_free(out, TRUE);
}

static int file_with(const char *text)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("subprocess-XXXXXX", &path, NULL);
    unlink(path);
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (gssize)strlen(text));
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void test_stdin_from_fd(void)
{
    int fd = file_with("from a file");
    struct subprocess_options options = {.stdin_fd = fd};
    GString *out = NULL;
    g_assert_true(subprocess_run(SHELL("tr a-z A-Z"), &options, 100, &out, NULL));
    g_assert_cmpstr(out->str, ==, "FROM A FILE");
    g_string_free(out, TRUE);
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0); /* still ours, still open */
    close(fd);
}

static void test_no_stdin(void)
{
    GString *out = NULL;
    g_assert_true(subprocess_run(SHELL("cat; echo end"), NULL, 100, &out, NULL));
    g_assert_cmpstr(out->str, ==, "end\n");
    g_string_free(out, TRUE);
}

static void test_stdout_to_fd(void)
{
    int fd = file_with("");
    struct subprocess_options options = {.stdout_fd = fd};
    g_autoptr(subprocess) p = start("echo into a file", &options);
    g_assert_true(subprocess_wait(p, NULL));
    char buffer[100] = "";
    g_assert_cmpint(pread(fd, buffer, sizeof buffer - 1, 0), ==, 12);
    g_assert_cmpstr(buffer, ==, "into a file\n");
    close(fd);
}

static void test_pipes(void)
{
    struct subprocess_options options = {.pipe_stdin = TRUE, .pipe_stdout = TRUE};
    g_autoptr(GError) error = NULL;
    g_autoptr(subprocess) p = start("tr a-z A-Z", &options);
    g_assert_cmpint(write(subprocess_stdin(p), "hello", 5), ==, 5);
    g_assert_false(subprocess_has_ended(p));
    g_assert_true(subprocess_close_stdin(p, &error));
    g_assert_cmpint(subprocess_stdin(p), ==, -1);
    char buffer[10] = "";
    g_assert_cmpint(read(subprocess_stdout(p), buffer, 5), ==, 5);
    g_assert_cmpstr(buffer, ==, "HELLO");
    g_assert_cmpint(read(subprocess_stdout(p), buffer, 5), ==, 0);
    g_assert_true(subprocess_wait(p, &error));
    g_assert_no_error(error);
}

/* The child inherits none of our open files: a pipe's other end would never see its end. */
static void test_no_other_files(void)
{
    GString *out = NULL;
    int fd = file_with("x");
    g_assert_true(subprocess_run(SHELL("for f in 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$f ] && echo $f; done; true"),
                                 NULL, 100, &out, NULL));
    /* sh itself may hold the folder that it looks into */
    g_autofree char *ours = g_strdup_printf("%d\n", fd);
    g_assert_null(strstr(out->str, ours));
    g_string_free(out, TRUE);
    close(fd);
}

/* Freed while it runs: it is stopped, by the signal asked for. */
static void test_free_stops(void)
{
    struct subprocess_options options = {.pipe_stdout = TRUE};
    struct subprocess *p = start("echo up; exec sleep 600", &options);
    char buffer[10];
    g_assert_cmpint(read(subprocess_stdout(p), buffer, 3), ==, 3);
    gint64 before = g_get_monotonic_time();
    subprocess_free(p);
    g_assert_cmpint(g_get_monotonic_time() - before, <, 5 * G_USEC_PER_SEC);
    subprocess_free(NULL);
}

static void test_stop_signal(void)
{
    int fd = file_with("");
    struct subprocess_options options = {.stdout_fd = fd, .stop_signal = SIGINT};
    struct subprocess *p =
        start("trap 'echo interrupted; exit 1' INT; echo up; while :; do sleep 0.05; done", &options);
    char buffer[100] = "";
    while (pread(fd, buffer, sizeof buffer - 1, 0) < 3)
        g_usleep(1000);
    subprocess_free(p);
    g_assert_cmpint(pread(fd, buffer, sizeof buffer - 1, 0), >, 3);
    g_assert_cmpstr(buffer, ==, "up\ninterrupted\n");
    close(fd);
}

static void test_stderr_while_running(void)
{
    struct subprocess_options options = {.pipe_stdin = TRUE};
    g_autoptr(subprocess) p = start("echo ready >&2; cat", &options);
    for (int waited = 0;; waited++) {
        g_autofree char *said = subprocess_stderr(p);
        if (g_str_equal(said, "ready"))
            break;
        g_assert_cmpint(waited, <, 30000);
        g_usleep(1000);
    }
    g_assert_false(subprocess_has_ended(p));
    g_assert_true(subprocess_close_stdin(p, NULL));
    g_assert_true(subprocess_wait(p, NULL));
    g_assert_true(subprocess_has_ended(p));
}

static void test_unknown_user(void)
{
    struct subprocess_options options = {.user = "no-user-has-this-name"};
    g_autoptr(GError) error = NULL;
    g_assert_null(subprocess_start(SHELL("true"), &options, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autofree char *path = g_strconcat("/child/ends/", ends[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_ends);
    }
    g_test_add_func("/child/missing", test_missing);
    g_test_add_func("/child/output", test_output);
    g_test_add_func("/child/output_of_failure", test_output_of_failure);
    g_test_add_func("/child/output_limit", test_output_limit);
    g_test_add_func("/child/stderr_limit", test_stderr_limit);
    g_test_add_func("/child/environment", test_environment);
    g_test_add_func("/child/words", test_words);
    g_test_add_func("/child/stdin_from_fd", test_stdin_from_fd);
    g_test_add_func("/child/no_stdin", test_no_stdin);
    g_test_add_func("/child/stdout_to_fd", test_stdout_to_fd);
    g_test_add_func("/child/pipes", test_pipes);
    g_test_add_func("/child/no_other_files", test_no_other_files);
    g_test_add_func("/child/free_stops", test_free_stops);
    g_test_add_func("/child/stop_signal", test_stop_signal);
    g_test_add_func("/child/stderr_while_running", test_stderr_while_running);
    g_test_add_func("/child/unknown_user", test_unknown_user);
    return g_test_run();
}
