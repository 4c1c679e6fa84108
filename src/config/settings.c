/*
 * Where values come from: command line, environment, .env file, defaults, and which of them wins.
 * Every source is applied over the weaker ones, so a wrong value is an error even where a stronger source hides it.
 */
#include "base/error.h"
#include "config/dotenv.h"
#include "config/option_row.h"

#include <string.h>

/* One option of the command line; what it points to belongs to argv and the table. */
struct given {
    const struct option_row *row;
    const char *value; /* NULL for options that take none */
};

static void warn(GPtrArray *warnings, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void warn(GPtrArray *warnings, const char *format, ...)
{
    if (!warnings)
        return;
    va_list args;
    va_start(args, format);
    g_ptr_array_add(warnings, g_strdup_vprintf(format, args));
    va_end(args);
}

static gboolean holds_secret(const struct option_row *row, const char *value)
{
    g_autoptr(GPtrArray) secrets = g_ptr_array_new_with_free_func(g_free);
    option_secrets(row, value, secrets);
    return secrets->len > 0;
}

/* The row that has a variable but no flag, if FLAG is that variable as people would guess its flag. */
static const struct option_row *variable_guessed_as(const char *flag)
{
    g_autofree char *env = g_strdelimit(g_ascii_strup(flag, -1), "-", '_');
    const struct option_row *row = option_by_env(env);
    return row && !row->flag ? row : NULL;
}

/* Only the name is shown: what follows the = may be a password. */
static gboolean fail_unknown_option(const char *name, unsigned command, GError **error)
{
    const struct option_row *variable = variable_guessed_as(name);
    if (variable)
        return ot_fail(error, OT_USAGE, "unknown option --%s; set %s in the environment or in .env instead", name,
                       variable->env);
    const struct option_row *near = option_nearest_flag(name, command);
    if (near)
        return ot_fail(error, OT_USAGE, "unknown option --%s; did you mean --%s?", name, near->flag);
    near = option_nearest_flag(name, CMD_ALL);
    if (!near)
        return ot_fail(error, OT_USAGE, "unknown option --%s", name);
    g_autofree char *theirs = option_commands_text(near->commands);
    return ot_fail(error, OT_USAGE, "unknown option --%s; did you mean --%s of %s?", name, near->flag, theirs);
}

/* Nothing of the word is shown but its first letter: -pSECRET is how other programs take passwords. */
static gboolean fail_one_dash(const char *word, unsigned command, GError **error)
{
    g_autofree char *name = g_strndup(word + 1, strcspn(word + 1, "="));
    const struct option_row *near = name[0] && name[1] ? option_nearest_flag(name, command) : NULL;
    if (near)
        return ot_fail(error, OT_USAGE, "options begin with two dashes; did you mean --%s?", near->flag);
    return ot_fail(error, OT_USAGE, "unknown option -%c; options are written out, as in --quiet",
                   g_ascii_isgraph(word[1]) ? word[1] : '?');
}

static const struct option_row *find_option(const char *name, unsigned command, GError **error)
{
    const struct option_row *row = option_by_flag(name);
    if (!row) {
        fail_unknown_option(name, command, error);
        return NULL;
    }
    if (row->commands & command)
        return row;
    g_autofree char *theirs = option_commands_text(row->commands);
    g_autofree char *ours = option_commands_text(command);
    ot_fail(error, OT_USAGE, "--%s is an option of %s, not of %s", name, theirs, ours);
    return NULL;
}

static gboolean is_number(const char *word)
{
    return word && *word && strspn(word, "0123456789") == strlen(word);
}

/* Finds the value of ROW's option, whose = is at EQUALS or NULL; *I moves on if the value is the next word. */
static gboolean find_value(const struct option_row *row, const char *equals, int argc, char **argv, int *i,
                           const char **ret_value, GError **error)
{
    *ret_value = NULL;
    if (!row->arg)
        return equals ? ot_fail(error, OT_USAGE, "--%s takes no value", row->flag) : TRUE;
    if (row->bare && !equals && (*i + 1 >= argc || !is_number(argv[*i + 1]))) {
        *ret_value = row->bare;
        return TRUE;
    }
    if (!equals && (*i + 1 >= argc || !argv[*i + 1]))
        return ot_fail(error, OT_USAGE, "--%s needs a value: --%s=%s", row->flag, row->flag, row->arg);
    const char *value = equals ? equals + 1 : argv[++*i];
    /* `--target-db $UNSET --force`: better an error than a database called "--force". */
    if (!equals && g_str_has_prefix(value, "--"))
        return ot_fail(error, OT_USAGE, "--%s needs a value; one that begins with -- is written --%s=%s", row->flag,
                       row->flag, row->arg);
    if (!*value)
        return ot_fail(error, OT_USAGE, "--%s needs a value, but it is empty", row->flag);
    *ret_value = value;
    return TRUE;
}

static gboolean read_option(unsigned command, int argc, char **argv, int *i, GArray *given, GError **error)
{
    const char *word = argv[*i];
    if (word[1] != '-')
        return fail_one_dash(word, command, error);
    const char *equals = strchr(word, '=');
    g_autofree char *name = equals ? g_strndup(word + 2, (gsize)(equals - word - 2)) : g_strdup(word + 2);
    struct given option = {.row = find_option(name, command, error)};
    if (!option.row || !find_value(option.row, equals, argc, argv, i, &option.value, error))
        return FALSE;
    g_array_append_val(given, option);
    return TRUE;
}

/* Sorts the words into options and others; nothing is stored yet, since --env-file must be known first. */
static gboolean read_argv(unsigned command, int argc, char **argv, GArray *given, GPtrArray *positional, GError **error)
{
    gboolean options_end = FALSE;
    for (int i = 0; i < argc; i++) {
        gboolean is_option = !options_end && argv[i][0] == '-' && argv[i][1];
        if (!is_option)
            g_ptr_array_add(positional, g_strdup(argv[i]));
        else if (strcmp(argv[i], "--") == 0)
            options_end = TRUE;
        else if (!read_option(command, argc, argv, &i, given, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean apply_flags(struct settings *s, const GArray *given, GPtrArray *warnings, GError **error)
{
    for (guint i = 0; i < given->len; i++) {
        const struct given *option = &g_array_index(given, struct given, i);
        g_autofree char *where = g_strconcat("--", option->row->flag, NULL);
        if (option->row->type == OPTION_LIST)
            option_append(option->row, s, option->value);
        else if (!option_set(option->row, s, option->value, where, error))
            return FALSE;
        if (option->value && holds_secret(option->row, option->value))
            warn(warnings, "the password in %s can be seen by every user of this machine; set %s instead", where,
                 option->row->env);
    }
    return TRUE;
}

/* PLACE is "the environment" or "FILE:LINE". */
static gboolean apply_variable(struct settings *s, const char *name, const char *value, const char *place,
                               GPtrArray *warnings, GError **error)
{
    const struct option_row *row = option_by_env(name), *in_file = option_by_file_env(name);
    if (!*value)
        return TRUE;
    g_autofree char *where = g_strdup_printf("%s in %s", name, place);
    if (in_file)
        return option_set_from_file(in_file, s, value, where, warnings, error);
    return !row || option_set(row, s, value, where, error);
}

/* One source must not say both: which one was meant? */
static gboolean check_one_of_both(const char *name, const char *other_value, const char *place, GError **error)
{
    const struct option_row *row = option_by_file_env(name);
    return !row || !other_value || !*other_value ||
           ot_fail(error, OT_USAGE, "%s and %s in %s exclude each other", row->env, name, place);
}

static gboolean apply_environ(struct settings *s, char **environ_like, GPtrArray *warnings, GError **error)
{
    for (char **variable = environ_like; variable && *variable; variable++) {
        const char *equals = strchr(*variable, '=');
        if (!equals)
            continue;
        g_autofree char *name = g_strndup(*variable, (gsize)(equals - *variable));
        if (kubernetes_made(name, equals + 1, environ_like))
            continue;
        const struct option_row *row = equals[1] ? option_by_file_env(name) : NULL;
        const char *other = row ? g_environ_getenv(environ_like, row->env) : NULL;
        if (!check_one_of_both(name, other, "the environment", error) ||
            !apply_variable(s, name, equals + 1, "the environment", warnings, error))
            return FALSE;
    }
    return TRUE;
}

/* What the command line or the environment says the .env file is; NULL if neither does. */
static const char *named_env_file(const GArray *given, char **environ_like)
{
    const struct option_row *row = option_by_flag("env-file");
    const char *path = environ_like ? g_environ_getenv(environ_like, row->env) : NULL;
    for (guint i = 0; i < given->len; i++)
        if (g_array_index(given, struct given, i).row == row)
            path = g_array_index(given, struct given, i).value;
    return path && *path ? path : NULL;
}

static GPtrArray *load_named(const char *path, char **environ_like, struct dotenv_notes *ret_notes, GError **error)
{
    GError *failure = NULL;
    GPtrArray *entries = dotenv_load(path, FILE_NAMED, environ_like, ret_notes, &failure);
    /* To the user a wrong name here is a wrong option, not a missing backup. */
    if (g_error_matches(failure, OT_ERROR, OT_NOT_FOUND))
        failure->code = OT_USAGE;
    if (failure)
        g_propagate_error(error, failure);
    return entries;
}

/* The first of the usual files that is there. *RET_PATH is NULL, and the result empty, if none is. */
static GPtrArray *load_usual(const char **ret_path, char **environ_like, struct dotenv_notes *ret_notes, GError **error)
{
    /* The working folder may be anybody's; into the other only root puts files. */
    static const struct {
        const char *path;
        enum file_origin origin;
    } usual[] = {{".env", FILE_FOUND}, {OPSTOWER_SYSTEM_ENV_FILE, FILE_NAMED}};
    for (gsize i = 0; i < G_N_ELEMENTS(usual); i++) {
        GError *failure = NULL;
        *ret_path = usual[i].path;
        GPtrArray *entries = dotenv_load(usual[i].path, usual[i].origin, environ_like, ret_notes, &failure);
        if (entries)
            return entries;
        if (!g_error_matches(failure, OT_ERROR, OT_NOT_FOUND)) {
            g_propagate_error(error, failure);
            return NULL;
        }
        g_clear_error(&failure);
    }
    *ret_path = NULL;
    return g_ptr_array_new();
}

static const char *value_in(const GPtrArray *entries, const char *key)
{
    for (guint i = 0; i < entries->len; i++) {
        const struct dotenv_entry *entry = entries->pdata[i];
        if (g_str_equal(entry->key, key))
            return entry->value;
    }
    return NULL;
}

static gboolean apply_entries(struct settings *s, const GPtrArray *entries, const char *path, gboolean shared,
                              char **environ_like, GPtrArray *warnings, GError **error)
{
    gboolean secret = FALSE;
    for (guint i = 0; i < entries->len; i++) {
        const struct dotenv_entry *entry = entries->pdata[i];
        g_autofree char *place = g_strdup_printf("%s:%u", path, entry->line);
        const struct option_row *base = *entry->value ? option_by_file_env(entry->key) : NULL;
        if (!check_one_of_both(entry->key, base ? value_in(entries, base->env) : NULL, path, error) ||
            !apply_variable(s, entry->key, entry->value, place, warnings, error))
            return FALSE;
        const struct option_row *row = option_by_env(entry->key);
        secret = secret || (row && holds_secret(row, entry->value)) || foreign_is_secret(entry->key, entry->value);
        foreign_take(s, entry, environ_like);
        if (row && row == option_by_flag("env-file"))
            warn(warnings, "%s in %s has no effect: a .env file cannot name another", entry->key, place);
    }
    if (secret && shared)
        warn(warnings, "%s holds a password and other users can read it; run: chmod 600 %s", path, path);
    return TRUE;
}

static gboolean apply_env_file(struct settings *s, const char *named, char **environ_like, char **ret_path,
                               GPtrArray *warnings, GError **error)
{
    const char *path = named;
    struct dotenv_notes notes = {0};
    g_autoptr(GPtrArray) entries =
        named ? load_named(named, environ_like, &notes, error) : load_usual(&path, environ_like, &notes, error);
    if (notes.warning)
        warn(warnings, "%s", notes.warning);
    g_free(notes.warning);
    if (!entries)
        return FALSE;
    if (!options_check_names(entries, path, environ_like, warnings, error) ||
        !apply_entries(s, entries, path, notes.shared, environ_like, warnings, error))
        return FALSE;
    *ret_path = g_strdup(path);
    return TRUE;
}

static gboolean apply_all(struct settings *s, const GArray *given, char **environ_like, GPtrArray *warnings,
                          GError **error)
{
    g_autofree char *env_file = NULL;
    option_defaults(s);
    if (!apply_env_file(s, named_env_file(given, environ_like), environ_like, &env_file, warnings, error) ||
        !apply_environ(s, environ_like, warnings, error) || !apply_flags(s, given, warnings, error))
        return FALSE;
    /* The file that was read, whoever named it; a row of the file itself may have written here. */
    g_free(s->env_file);
    s->env_file = g_steal_pointer(&env_file);
    return TRUE;
}

gboolean settings_load(struct settings *s, unsigned command, int argc, char **argv, char **environ_like,
                       char ***ret_positional, GPtrArray *warnings, GError **error)
{
    memset(s, 0, sizeof *s);
    g_autoptr(GArray) given = g_array_new(FALSE, FALSE, sizeof(struct given));
    g_autoptr(GPtrArray) positional = g_ptr_array_new_with_free_func(g_free);
    if (!read_argv(command, argc, argv, given, positional, error))
        return FALSE;
    if (!apply_all(s, given, environ_like, warnings, error)) {
        settings_clear(s);
        return FALSE;
    }
    g_ptr_array_add(positional, NULL);
    *ret_positional = (char **)g_ptr_array_free(g_steal_pointer(&positional), FALSE);
    return TRUE;
}
