/*
 * Variables that no row has, and that were meant to be one: an alert that never comes because of ALERT_EMIAL would
 * never be missed. Names that begin as only ours do are errors. Others are judged by how near they are to one of ours:
 * an error in a .env file, which somebody wrote for us; a warning in the environment, which is everybody's. There other
 * programs have ALERT_* and HOOK_* too (a service named "alert" in Kubernetes): a far one is no reason for no backup.
 */
#include "base/error.h"
#include "config/dotenv.h"
#include "config/option_row.h"

#include <string.h>

/* In a .env file nobody else's names begin so; in the environment only those with the first. */
static const char *const own[] = {"BACKUP_", "ALERT_", "HOOK_", NULL};

static const char *own_prefix(const char *name)
{
    const char *const *prefix = own;
    while (*prefix && !g_str_has_prefix(name, *prefix))
        prefix++;
    return *prefix;
}

static char *known_names(const char *prefix)
{
    g_autoptr(GString) text = g_string_new(NULL);
    OPTION_ROWS_EACH (row)
        if (row->env && g_str_has_prefix(row->env, prefix))
            g_string_append_printf(text, "%s%s", text->len ? ", " : "", row->env);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* PLACE is "the environment" or "FILE:LINE". */
static gboolean fail_unknown(const char *name, const char *place, const struct option_row *near, GError **error)
{
    if (near)
        return ot_fail(error, OT_USAGE, "unknown variable %s in %s; did you mean %s?", name, place, near->env);
    g_autofree char *known = known_names(own_prefix(name));
    return ot_fail(error, OT_USAGE, "unknown variable %s in %s; known are %s", name, place, known);
}

static gboolean is_set(const char *name, const GPtrArray *entries, char **environ_like)
{
    gboolean found = environ_like && g_environ_getenv(environ_like, name);
    for (guint i = 0; i < entries->len && !found; i++)
        found = g_str_equal(((const struct dotenv_entry *)entries->pdata[i])->key, name);
    return found;
}

/* The row that NAME, which is not clearly ours, was meant to be; NULL if it is somebody else's. Where that row's own
 * variable is set as well, nothing was misspelt: the other program's just looks like it. */
static const struct option_row *meant_by(const char *name, const GPtrArray *entries, char **environ_like)
{
    const struct option_row *row = option_misspelt_env(name);
    return row && !is_set(row->env, entries, environ_like) ? row : NULL;
}

static gboolean check_entries(const GPtrArray *entries, const char *path, char **environ_like, GPtrArray *warnings,
                              GError **error)
{
    for (guint i = 0; i < entries->len; i++) {
        const struct dotenv_entry *entry = entries->pdata[i];
        if (option_by_env(entry->key) || option_by_file_env(entry->key) || foreign_is_known(entry->key))
            continue;
        const char *libpq = foreign_misspelt(entry->key);
        if (libpq)
            return ot_fail(error, OT_USAGE, "unknown variable %s in %s:%u; did you mean %s?", entry->key, path,
                           entry->line, libpq);
        if (foreign_is_stray(entry->key) && warnings)
            g_ptr_array_add(warnings, g_strdup_printf("%s in %s:%u is not read: libpq has no such variable", entry->key,
                                                      path, entry->line));
        gboolean ours = own_prefix(entry->key) != NULL;
        const struct option_row *near =
            ours ? option_nearest_env(entry->key) : meant_by(entry->key, entries, environ_like);
        g_autofree char *place = g_strdup_printf("%s:%u", path, entry->line);
        if (ours || near)
            return fail_unknown(entry->key, place, near, error);
    }
    return TRUE;
}

static gboolean check_environ(const GPtrArray *entries, char **environ_like, GPtrArray *warnings, GError **error)
{
    for (char **variable = environ_like; variable && *variable; variable++) {
        g_autofree char *name = g_strndup(*variable, strcspn(*variable, "="));
        const char *equals = strchr(*variable, '=');
        if (!equals || option_by_env(name) || option_by_file_env(name) ||
            kubernetes_made(name, equals + 1, environ_like))
            continue;
        const char *prefix = own_prefix(name);
        if (prefix == own[0] || (prefix && option_misspelt_env(name)))
            return fail_unknown(name, "the environment", option_nearest_env(name), error);
        const struct option_row *near = meant_by(name, entries, environ_like);
        if (near && warnings)
            g_ptr_array_add(warnings,
                            g_strdup_printf("%s in the environment is not read; did you mean %s?", name, near->env));
    }
    return TRUE;
}

gboolean options_check_names(const GPtrArray *entries, const char *path, char **environ_like, GPtrArray *warnings,
                             GError **error)
{
    return check_entries(entries, path, environ_like, warnings, error) &&
           check_environ(entries, environ_like, warnings, error);
}
