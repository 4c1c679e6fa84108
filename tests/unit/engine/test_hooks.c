/*
 * Tests of hooks: how a line becomes words, what its outcome means by its policy, what is remembered of it.
 */
#include "engine/hooks.h"

#include <string.h>

#include "base/interrupt.h"

static GString *said; /* "LEVEL text\n" of all lines */

static void line(enum report_level level, const char *text, void *data)
{
    (void)data;
    g_string_append_printf(said, "%d %s\n", (int)level, text);
}

static void test_words(void)
{
    static const struct {
        const char *command, *words; /* joined by |; NULL: refused */
    } cases[] = {
        {"systemctl restart opstower", "systemctl|restart|opstower"},
        {"  '/a b/c'  \"d \\\" e\" f\\ g ", "/a b/c|d \" e|f g"},
        {"x '' \"\"", "x||"},
        {"echo $HOME `id` $(id) *", "echo|$HOME|`id`|$(id)|*"},
        {"a;b && c > d | e", "a;b|&&|c|>|d|||e"},
        {"'open", NULL},
        {"\"open", NULL},
        {"", NULL},
        {"   ", NULL},
        {"# only a comment", NULL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        struct hook h = {.event = "pre-backup", .command = cases[i].command};
        g_auto(GStrv) words = hook_words(&h, &error);
        g_autofree char *joined = words ? g_strjoinv("|", words) : NULL;
        g_assert_cmpstr(joined, ==, cases[i].words);
        g_assert_true(words || g_error_matches(error, OT_ERROR, OT_USAGE));
    }
    struct hook h = {.event = "pre-backup", .command = "a 'b", .shell = TRUE};
    g_auto(GStrv) words = hook_words(&h, NULL);
    g_autofree char *joined = g_strjoinv("|", words);
    g_assert_cmpstr(joined, ==, "/bin/sh|-c|a 'b");
}

/* With # for how long it took, which is the machine's affair. */
static char *outcome(const struct report *r)
{
    const char *text = json_string_value(json_object_get(json_object_get(r->facts, "hooks"), "pre-backup"));
    if (!text)
        return g_strdup("none");
    g_autoptr(GRegex) seconds = g_regex_new("^(ok|failed) after \\d+ s", 0, 0, NULL);
    return g_regex_replace(seconds, text, -1, 0, "\\1 after # s", 0, NULL);
}

static void test_outcomes(void)
{
    static const struct {
        const char *command;
        enum hook_policy policy;
        gboolean ok;
        const char *outcome, *said; /* seconds as # */
        guint timeout_s;            /* 0: long */
    } cases[] = {
        {NULL, HOOK_ABORT, TRUE, "none", "", 0},
        {"true", HOOK_ABORT, TRUE, "ok after # s", "0 Running the pre-backup hook (true)...\n", 0},
        {"sh -c 'exit 4'", HOOK_ABORT, FALSE, "failed after # s: sh failed with exit code 4",
         "0 Running the pre-backup hook (sh)...\n", 0},
        {"sh -c 'kill -9 $$'", HOOK_WARN, TRUE, "failed after # s: sh was killed by signal 9",
         "0 Running the pre-backup hook (sh)...\n1 the pre-backup hook failed: sh was killed by signal 9\n", 0},
        {"false", HOOK_IGNORE, TRUE, "failed after # s: false failed with exit code 1",
         "0 Running the pre-backup hook (false)...\n0 the pre-backup hook failed: false failed with exit code 1\n", 0},
        {"sh -c 'echo a; echo; printf b >&2'", HOOK_ABORT, TRUE, "ok after # s",
         "0 Running the pre-backup hook (sh)...\n0 pre-backup hook: a\n0 pre-backup hook: b\n", 0},
        {"sleep 60", HOOK_ABORT, FALSE, "failed after # s: it was ended after 1 s (HOOK_TIMEOUT)",
         "0 Running the pre-backup hook (sleep)...\n", 1},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        struct report r = {.line = line};
        struct hook h = {.event = "pre-backup",
                         .command = cases[i].command,
                         .timeout_s = cases[i].timeout_s ? cases[i].timeout_s : 60,
                         .policy = cases[i].policy};
        said = g_string_new(NULL);
        g_assert_cmpint(hook_run(&h, &r, &error), ==, cases[i].ok);
        g_assert_true(cases[i].ok || g_error_matches(error, OT_ERROR, OT_FAILED));
        g_autofree char *noted = outcome(&r);
        g_assert_cmpstr(noted, ==, cases[i].outcome);
        g_assert_cmpstr(said->str, ==, cases[i].said);
        g_string_free(said, TRUE);
        json_decref(r.facts);
        report_close_log(&r, NULL);
    }
}

/* Only what it is given, and nothing to read. */
static void test_environment(void)
{
    char *environment[] = {(char *)"ONLY=this", NULL};
    struct report r = {.line = line};
    struct hook h = {.event = "pre-backup",
                     .command = "/bin/sh -c '/usr/bin/env | /bin/grep -vE \"^(PWD|_|SHLVL|OLDPWD)=\"; /bin/cat'",
                     .timeout_s = 20,
                     .environment = environment};
    said = g_string_new(NULL);
    g_assert_true(hook_run(&h, &r, NULL));
    g_assert_cmpstr(said->str, ==, "0 Running the pre-backup hook (sh)...\n0 pre-backup hook: ONLY=this\n");
    g_string_free(said, TRUE);
    json_decref(r.facts);
    report_close_log(&r, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    interrupt_init();
    g_test_add_func("/hooks/words", test_words);
    g_test_add_func("/hooks/outcomes", test_outcomes);
    g_test_add_func("/hooks/environment", test_environment);
    return g_test_run();
}
