/* Settings line by line, and the alerts' addresses of the last good ones. */
#include "config/salvage.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "config/dotenv.h"
#include "config/option_row.h"

extern const struct option_row rows_alert[];

#define SYSTEM_STATE "/var/lib/opstower"

/* ---- the file that remembers ---- */

static char *state_folder(void)
{
    const char *given = g_getenv("STATE_DIRECTORY"); /* systemd's; a list */
    if (given && *given)
        return g_strndup(given, strcspn(given, ":"));
    if (geteuid() == 0 && !g_getenv("XDG_STATE_HOME"))
        return g_strdup(SYSTEM_STATE);
    return g_build_filename(g_get_user_state_dir(), "opstower", NULL);
}

/* One per .env file. */
static char *state_name(const char *env_file)
{
    g_autofree char *path = g_canonicalize_filename(env_file, NULL);
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, path, -1);
    return g_strdup_printf("alerts-%.16s.env", digest);
}

static gboolean is_remembered(const char *key)
{
    const struct option_row *base = option_by_file_env(key), *row = base ? base : option_by_env(key);
    for (const struct option_row *each = rows_alert; row && each->help; each++)
        if (each == row)
            return TRUE;
    return g_str_equal(key, "BACKUP_DIR");
}

/* In single quotes, which alone take everything but themselves. */
static void append_entry(GString *text, const char *key, const char *value)
{
    if (*value && !strchr(value, '\''))
        g_string_append_printf(text, "%s='%s'\n", key, value);
}

gboolean settings_remember(const struct settings *s, const char *database, char **environ_like)
{
    gboolean any = s->slack_webhook_url || s->pagerduty_key || s->alert_email || s->alert_webhook_url || s->heartbeat_url;
    g_autoptr(GPtrArray) entries =
        s->env_file && any ? dotenv_load(s->env_file, FILE_NAMED, environ_like, NULL, NULL) : NULL;
    if (!entries)
        return FALSE;
    g_autoptr(GString) text = g_string_new("# Where alerts go, if the settings cannot be read one day. Written by opstower.\n");
    for (guint i = 0; i < entries->len; i++) {
        const struct dotenv_entry *e = entries->pdata[i];
        if (is_remembered(e->key))
            append_entry(text, e->key, e->value);
    }
    append_entry(text, "DATABASE_NAME", database ? database : "");
    g_autofree char *folder = state_folder(), *name = state_name(s->env_file);
    g_autofree char *path = g_build_filename(folder, name, NULL), *before = NULL;
    gboolean same = files_read(path, DOTENV_MAX_BYTES, &before, NULL, NULL) && g_str_equal(before, text->str);
    if (before)
        explicit_bzero(before, strlen(before));
    gboolean ok = same || (files_need_folder(folder, NULL) && files_write(folder, name, text->str, text->len, TRUE, NULL));
    explicit_bzero(text->str, text->len);
    return ok;
}

/* ---- what can be read ---- */

static void apply(struct settings *s, const char *name, const char *value)
{
    const struct option_row *row = option_by_env(name), *in_file = option_by_file_env(name);
    if (in_file && *value)
        option_set_from_file(in_file, s, value, name, NULL, NULL);
    else if (row && *value)
        option_set(row, s, value, name, NULL);
}

static void apply_entries(struct settings *s, const GPtrArray *entries)
{
    for (guint i = 0; entries && i < entries->len; i++) {
        const struct dotenv_entry *e = entries->pdata[i];
        apply(s, e->key, e->value);
    }
}

/* As a whole, or the lines that can be read by themselves. */
static gboolean apply_file(struct settings *s, const char *path, enum file_origin origin, char **environ_like)
{
    struct private_file file = {0};
    if (!private_file_read(path, origin, DOTENV_MAX_BYTES, &file, NULL))
        return FALSE;
    g_autoptr(GPtrArray) whole = dotenv_parse(file.text->str, file.text->len, path, environ_like, NULL);
    apply_entries(s, whole);
    g_auto(GStrv) lines = whole ? NULL : g_strsplit_set(file.text->str, "\r\n", -1);
    for (char **line = lines; line && *line; line++) {
        g_autoptr(GPtrArray) entries = dotenv_parse(*line, strlen(*line), path, environ_like, NULL);
        apply_entries(s, entries);
    }
    private_file_clear(&file);
    return TRUE;
}

/* The one that is named, or else the first of the usual ones that is there, whether it can be read or not. */
static const char *env_file_of(int argc, char **argv, char **environ_like)
{
    static const char option[] = "--env-file";
    const char *named = g_environ_getenv(environ_like, "OPSTOWER_ENV_FILE");
    for (int i = 0; i < argc && !g_str_equal(argv[i], "--"); i++)
        if (g_str_equal(argv[i], option) && i + 1 < argc)
            named = argv[i + 1];
        else if (g_str_has_prefix(argv[i], option) && argv[i][strlen(option)] == '=')
            named = argv[i] + strlen(option) + 1;
    if (named && *named)
        return named;
    return g_file_test(".env", G_FILE_TEST_EXISTS) ? ".env" : OPSTOWER_SYSTEM_ENV_FILE;
}

/* Of the flags only whether it is the watch. */
static void apply_flags(struct settings *s, int argc, char **argv)
{
    for (int i = 0; i < argc && !g_str_equal(argv[i], "--"); i++)
        if (g_str_equal(argv[i], "--alert"))
            s->alert = TRUE;
}

void settings_salvage(struct settings *s, int argc, char **argv, char **environ_like)
{
    memset(s, 0, sizeof *s);
    option_defaults(s);
    const char *path = env_file_of(argc, argv, environ_like);
    g_autofree char *folder = state_folder(), *name = state_name(path);
    g_autofree char *remembered = g_build_filename(folder, name, NULL);
    gboolean named = !g_str_equal(path, ".env");
    apply_file(s, remembered, FILE_FOUND, environ_like);
    apply_file(s, path, named ? FILE_NAMED : FILE_FOUND, environ_like);
    for (char **variable = environ_like; variable && *variable; variable++) {
        const char *equals = strchr(*variable, '=');
        g_autofree char *key = equals ? g_strndup(*variable, (gsize)(equals - *variable)) : NULL;
        if (key && !kubernetes_made(key, equals + 1, environ_like))
            apply(s, key, equals + 1);
    }
    apply_flags(s, argc, argv);
}
