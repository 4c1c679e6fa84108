/* Finds the command, loads its settings, runs it, and ends with its exit code. */
#include <locale.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/interrupt.h"
#include "catalog/journal.h"
#include "cmd/aftermath.h"
#include "cmd/command.h"
#include "cmd/help.h"
#include "cmd/several.h"
#include "cmd/telling.h"
#include "cmd/unsettled.h"
#include "config/salvage.h"

static gboolean count_fits(const struct command *command, char **words, GError **error)
{
    int n = (int)g_strv_length(words);
    if (n >= command->min_words && n <= command->max_words)
        return TRUE;
    return ot_fail(error, OT_USAGE,
                   n > command->max_words ? "one word too many: usage is opstower %s %s"
                                          : "a word is missing: usage is opstower %s %s",
                   command->name, command->usage);
}

/* A command whose own exit codes mean something else keeps them apart from those of errors. */
static int final_code(const struct command *command, const struct console *c, int code)
{
    gboolean failed = code != c->verdict && code < 128;
    return failed && command->failed_code ? command->failed_code : code;
}

/* The runs that a clock starts do it. */
static void remember(const struct command *command, const struct console *c, char **envp)
{
    if (command != &cmd_backup && (command != &cmd_status || !c->settings.alert))
        return;
    g_autofree char *database = c->settings.database ? NULL : pg_target_database(&c->target, NULL); /* one of several */
    settings_remember(&c->settings, database, envp);
}

static int run(const struct command *command, int argc, char **argv, char **envp)
{
    struct console c = {0};
    g_auto(GStrv) words = NULL;
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    if (!settings_load(&c.settings, command->mask, argc, argv, envp, &words, warnings, &error)) {
        console_start(&c);
        several_tell(&c, error);
        int code = final_code(command, &c, console_finish(&c, error));
        unsettled_tell(command, argc, argv, envp, error);
        return code;
    }
    options_settle_environment(&c.settings);
    interrupt_init();
    journal_listen(telling_system);
    console_start(&c);
    remember(command, &c, envp);
    console_warn(&c, warnings);
    if (count_fits(command, words, &error)) {
        if (several_wanted(command, &c.settings))
            several_run(&c, command, argc, argv, words, &error);
        else
            command->run(&c, words, &error);
    }
    if (!error)
        aftermath(&c, NULL, &error);
    else
        aftermath(&c, error, NULL);
    several_tell(&c, error);
    int code = final_code(command, &c, console_finish(&c, error));
    console_clear(&c);
    return code;
}

/* libpq takes an empty PGSERVICE for the name of a service; an empty variable is none, here as in our own settings. */
static void drop_empty_pg_variables(char **envp)
{
    g_auto(GStrv) copy = g_strdupv(envp);
    for (char **entry = copy; *entry; entry++)
        if (g_str_has_prefix(*entry, "PG") && g_str_has_suffix(*entry, "=")) {
            (*entry)[strlen(*entry) - 1] = '\0';
            g_unsetenv(*entry);
        }
}

/* A core file would hold every secret of this run. One byte is too few for a core file, and is what keeps the kernel from
 * piping one to a program, too, which 0 does not. (PR_SET_DUMPABLE would keep an ordinary user's pg_restore from the files
 * in /proc/PID/fd that it is given.) */
static void forbid_core_dumps(void)
{
    struct rlimit none;
    if (getrlimit(RLIMIT_CORE, &none) == 0) {
        none.rlim_cur = MIN(none.rlim_max, 1);
        setrlimit(RLIMIT_CORE, &none);
    }
}

int main(int argc, char **argv, char **envp)
{
    forbid_core_dumps();
    setlocale(LC_CTYPE, "");
    umask(077);
    several_join();
    drop_empty_pg_variables(envp);
    const char *word = argc > 1 ? argv[1] : "--help";
    if (g_str_equal(word, "--version"))
        return help_version();
    if (g_str_equal(word, "--help") || g_str_equal(word, "-h") || g_str_equal(word, "help"))
        return help_print(argc > 2 ? argv[2] : NULL);
    const struct command *command = help_find(word);
    if (!command)
        return help_unknown(word);
    for (int i = 2; i < argc && !g_str_equal(argv[i], "--"); i++)
        if (g_str_equal(argv[i], "--help") || g_str_equal(argv[i], "-h"))
            return help_print(command->name);
    return run(command, argc - 2, argv + 2, envp);
}
