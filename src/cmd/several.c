/*
 * Several databases. Each has a process of its own: settings, memory, locks and failures stay apart, and it is the same
 * run that a person would start. What it says goes straight through; what became of it comes back as one line of JSON
 * on file descriptor 3, and as its exit code.
 */
#include "cmd/several.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/interrupt.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "catalog/select.h"
#include "cmd/alerting.h"
#include "cmd/several_summary.h"
#include "config/dotenv.h"
#include "config/private_file.h"
#include "pg/databases.h"

#define RESULT_VARIABLE "OPSTOWER_RESULT_FD" /* from one run of this program to another; not a setting */
#define MAX_OUTPUT_BYTES (64u << 20)
#define MAX_RESULT_BYTES 65536 /* as much as a pipe holds, so that telling never waits for being read */
#define MAX_ERROR_BYTES 8192

gboolean several_wanted(const struct command *command, const struct settings *s)
{
    return command->several && (s->config_dir || s->all_databases);
}

/* ---- the run that is one of several ---- */

static int result_fd = -1;

void several_join(void)
{
    const char *text = g_getenv(RESULT_VARIABLE);
    struct stat st;
    if (!text)
        return;
    /* Programs that this run starts are not part of the talk. */
    if (g_str_equal(text, "3") && fstat(3, &st) == 0 && S_ISFIFO(st.st_mode) && fcntl(3, F_SETFD, FD_CLOEXEC) == 0)
        result_fd = 3;
    g_unsetenv(RESULT_VARIABLE);
}

gboolean several_is_part(void)
{
    return result_fd >= 0;
}

void several_tell(const struct console *c, const GError *problem)
{
    if (result_fd < 0)
        return;
    json_t *result = json_object();
    const char *id = json_string_value(json_object_get(c->report.facts, "id"));
    if (c->untold)
        json_object_set_new(result, "untold", json_true());
    if (id)
        json_object_set_new(result, "id", json_string(id));
    if (problem) {
        g_autofree char *cut = g_strndup(problem->message, MAX_ERROR_BYTES);
        g_autofree char *valid = g_utf8_make_valid(cut, -1);
        g_autofree char *shown = options_redact(&c->settings, valid);
        json_object_set_new(result, "error", json_string(shown));
    }
    /* If nobody listens any more, the exit code still says it. */
    json_dumpfd(result, result_fd, JSON_COMPACT);
    json_decref(result);
    close(result_fd);
    result_fd = -1;
}

/* ---- which runs ---- */

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *several_env_files(const char *folder, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &problem);
    if (!dir) {
        ot_fail(error, OT_USAGE, "cannot read the folder of --config-dir: %s", problem->message);
        return NULL;
    }
    if (!private_folder_check(folder, error))
        return NULL;
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (g_str_has_suffix(name, ".env") && name[0] != '.')
            g_ptr_array_add(files, g_canonicalize_filename(path, NULL));
    }
    if (files->len == 0) {
        ot_fail(error, OT_USAGE, "%s holds no file named *.env", folder);
        return NULL;
    }
    g_ptr_array_sort(files, by_name);
    return g_steal_pointer(&files);
}

/* The environment wins over a .env file. Here it must not: one DATABASE_URL in it would make all runs the same. */
static char **environment_for(const char *env_file)
{
    static const char *const identity[] = {"DATABASE_URL", "DATABASE_NAME"};
    char **environment = environment_of_caller();
    for (gsize i = 0; i < G_N_ELEMENTS(identity); i++)
        environment = g_environ_unsetenv(environment, identity[i]);
    /* What is wrong with the file, its own run says. */
    g_autoptr(GPtrArray) entries = dotenv_load(env_file, FILE_NAMED, environment, NULL, NULL);
    for (guint i = 0; entries && i < entries->len; i++) {
        const struct dotenv_entry *e = entries->pdata[i];
        if (!*e->value)
            continue;
        /* NAME in the file is stronger than NAME_FILE in the environment, and the other way round. */
        g_autofree char *in_file = g_strconcat(e->key, "_FILE", NULL);
        g_autofree char *base = g_str_has_suffix(e->key, "_FILE") ? g_strndup(e->key, strlen(e->key) - 5) : NULL;
        environment = g_environ_unsetenv(environment, e->key);
        environment = g_environ_unsetenv(environment, in_file);
        if (base)
            environment = g_environ_unsetenv(environment, base);
    }
    return environment;
}

static void add_part(GPtrArray *parts, char *label, char *word, char **environment)
{
    struct several_part *p = g_new0(struct several_part, 1);
    p->label = label;
    p->word = word;
    p->environment = g_environ_setenv(environment, RESULT_VARIABLE, "3", TRUE);
    g_ptr_array_add(parts, p);
}

static gboolean parts_of_dir(GPtrArray *parts, const char *folder, GError **error)
{
    g_autoptr(GPtrArray) files = several_env_files(folder, error);
    for (guint i = 0; files && i < files->len; i++) {
        char *label = g_path_get_basename(files->pdata[i]);
        label[strlen(label) - strlen(".env")] = '\0';
        add_part(parts, label, g_strconcat("--env-file=", files->pdata[i], NULL), environment_for(files->pdata[i]));
    }
    return files != NULL;
}

static gboolean parts_of_server(struct console *c, GPtrArray *parts, GError **error)
{
    g_autoptr(GPtrArray) side = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) names = databases_list(&c->target, side, error);
    for (guint i = 0; names && i < side->len; i++)
        report_info(&c->report, "Left out: database %s, which a restore or a full test made or replaced",
                    (const char *)side->pdata[i]);
    for (guint i = 0; names && i < names->len; i++)
        add_part(parts, g_strdup(names->pdata[i]), g_strconcat("--database=", names->pdata[i], NULL), environment_of_caller());
    return names != NULL;
}

static gboolean check_words(const struct command *command, const struct settings *s, char **words, GError **error)
{
    if (s->config_dir && s->all_databases)
        return ot_fail(error, OT_USAGE, "--config-dir and --all-databases exclude each other");
    if (s->database)
        return ot_fail(error, OT_USAGE, "--database does not go with --config-dir or --all-databases");
    if (s->all)
        return ot_fail(error, OT_USAGE, "--all does not go with --config-dir or --all-databases");
    if (s->output || s->nagios || s->prometheus)
        return ot_fail(error, OT_USAGE, "--nagios, --prometheus and --output tell of one run, not of several");
    enum select_kind unused;
    if (words[0] && !select_parse_word(words[0], &unused))
        return ot_fail(error, OT_USAGE, "for several databases opstower %s takes \"latest\" or \"latest-good\" only: each "
                                        "has its own",
                       command->name);
    return TRUE;
}

/* ---- a run ---- */

/* The caller's words without those that made it several. A value is never mistaken for one: none begins with "--". */
static GPtrArray *argv_of(const struct command *command, const struct several_part *p, int argc, char **argv)
{
    GPtrArray *words = g_ptr_array_new();
    g_ptr_array_add(words, (gpointer) "/proc/self/exe");
    g_ptr_array_add(words, (gpointer)command->name);
    gboolean options = TRUE;
    for (int i = 0; i < argc; i++) {
        if (options && g_str_equal(argv[i], "--")) {
            options = FALSE;
            g_ptr_array_add(words, p->word); /* last of the options, so that it wins */
        }
        if (options && g_str_equal(argv[i], "--config-dir"))
            i++;
        else if (!options || (!g_str_equal(argv[i], "--all-databases") && !g_str_has_prefix(argv[i], "--config-dir=")))
            g_ptr_array_add(words, argv[i]);
    }
    if (options)
        g_ptr_array_add(words, p->word);
    g_ptr_array_add(words, NULL);
    return words;
}

static gboolean read_to_end(int fd, gsize max_bytes, GString *into, GError **error)
{
    char buffer[8192];
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ot_fail_errno(error, OT_IO, "cannot read what a run said");
        if (n == 0)
            return TRUE;
        if (into->len + (gsize)n > max_bytes)
            return ot_fail(error, OT_FAILED, "a run said more than %" G_GSIZE_FORMAT " bytes", max_bytes);
        g_string_append_len(into, buffer, n);
    }
}

static void take_result(struct several_part *p, const GString *text)
{
    json_t *result = json_loadb(text->str, text->len, 0, NULL);
    p->id = g_strdup(json_string_value(json_object_get(result, "id")));
    p->error = g_strdup(json_string_value(json_object_get(result, "error")));
    p->untold = json_is_true(json_object_get(result, "untold"));
    json_decref(result);
}

/* Reads to the end of what the child writes, then waits for it. FALSE: it could not be followed. */
static gboolean follow(struct several_part *p, struct subprocess *child, int fd, gboolean json, GError **error)
{
    g_autoptr(GString) said = g_string_new(NULL);
    g_autoptr(GString) result = g_string_new(NULL);
    if ((json && !read_to_end(subprocess_stdout(child), MAX_OUTPUT_BYTES, said, error)) ||
        !read_to_end(fd, MAX_RESULT_BYTES, result, error))
        return FALSE;
    subprocess_wait(child, NULL);
    p->code = subprocess_exit_code(child);
    take_result(p, result);
    if (said->len > 0)
        p->output = json_loadb(said->str, said->len, JSON_DECODE_ANY, NULL);
    return TRUE;
}

/* A copy, as g_spawn closes what it gives to the child, also if that is number 1 itself. */
static int copy_of_stdout(void)
{
    return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

static gboolean start_and_follow(struct several_part *p, GPtrArray *argv, gboolean json, GError **error)
{
    int fds[2], out = json ? 0 : copy_of_stdout();
    if (out < 0)
        return ot_fail_errno(error, OT_IO, "cannot write to stdout");
    if (pipe2(fds, O_CLOEXEC) != 0) {
        ot_fail_errno(error, OT_FAILED, "cannot make a pipe");
        if (out > 0)
            close(out);
        return FALSE;
    }
    struct subprocess_options o = {
        .ends_itself = TRUE,
        .environment = p->environment,
        .pipe_stdout = json,
        .stdout_fd = out,
        .third_fd = fds[1],
        .pass_stderr = TRUE,
    };
    g_autoptr(subprocess) child = subprocess_start((const char *const *)argv->pdata, &o, error);
    close(fds[1]);
    if (out > 0)
        close(out);
    gboolean ok = child && follow(p, child, fds[0], json, error);
    close(fds[0]);
    return ok;
}

static void run_part(struct console *c, const struct command *command, int argc, char **argv, struct several_part *p)
{
    g_autoptr(GPtrArray) words = argv_of(command, p, argc, argv);
    g_autoptr(GError) problem = NULL;
    g_autofree char *label = several_label(p);
    gint64 started_us = g_get_monotonic_time();
    report_info(&c->report, "%s: opstower %s", label, command->name);
    p->ran = TRUE;
    if (!start_and_follow(p, words, c->settings.json, &problem)) {
        p->code = console_exit_code(problem);
        g_free(p->error);
        p->error = g_strdup(problem->message);
        report_warn(&c->report, "%s: %s", label, problem->message);
    }
    p->seconds = (g_get_monotonic_time() - started_us) / G_USEC_PER_SEC;
}

static gboolean find_parts(struct console *c, GPtrArray *parts, GError **error)
{
    const struct settings *s = &c->settings;
    return s->config_dir ? parts_of_dir(parts, s->config_dir, error) : parts_of_server(c, parts, error);
}

static gboolean run_parts(struct console *c, const struct command *command, int argc, char **argv, GPtrArray *parts,
                          GError **error)
{
    const struct settings *s = &c->settings;
    for (guint i = 0; i < parts->len && !interrupt_signal(); i++)
        run_part(c, command, argc, argv, parts->pdata[i]);
    if (s->json && !several_print_json(parts, error))
        return FALSE;
    if (!s->json && !s->quiet)
        several_print(parts);
    if (!interrupt_check(error))
        return FALSE;
    if (command->failed_code == 0)
        return several_judge(parts, error);
    if (!several_check_told(parts, error))
        return FALSE;
    c->verdict = several_worst(parts);
    return TRUE;
}

/* Each backup tells of its own failure. That none could be begun is told here; and whether all went well, to the
 * dead-man's switch. */
static gboolean run_backups(struct console *c, const struct command *command, int argc, char **argv, GPtrArray *parts,
                            GError **error)
{
    g_autoptr(GError) problem = NULL;
    alerting_several_start(c);
    gboolean found = find_parts(c, parts, &problem);
    alerting_several_found(c, problem);
    if (found)
        run_parts(c, command, argc, argv, parts, &problem);
    alerting_several_end(c, problem);
    gboolean ok = problem == NULL;
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&problem));
    return ok;
}

gboolean several_run(struct console *c, const struct command *command, int argc, char **argv, char **words,
                     GError **error)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func((GDestroyNotify)several_part_free);
    if (!check_words(command, &c->settings, words, error))
        return FALSE;
    if (command == &cmd_backup)
        return run_backups(c, command, argc, argv, parts, error);
    g_autoptr(GError) problem = NULL;
    gboolean found = find_parts(c, parts, &problem);
    if (command == &cmd_status && c->settings.alert)
        alerting_watch_several(c, problem);
    if (!found)
        g_propagate_error(error, g_steal_pointer(&problem));
    return found && run_parts(c, command, argc, argv, parts, error);
}
