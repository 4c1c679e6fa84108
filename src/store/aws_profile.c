/* The shared files of AWS's tools: a reader of lines, and the two files as one. It knows no setting but the keys. */
#include "store/aws_profile.h"

#include <string.h>

#include "base/files.h"
#include "store/aws_keys.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define VALUE_MAX_BYTES 16384

struct reader {
    const char *file;
    enum aws_file_kind kind;
    guint line;
    GHashTable *profiles;
    GHashTable *settings; /* of the profile whose section this is; NULL: the section is none */
    gboolean in_section;
    char *key; /* of the setting above; NULL: none since the section began */
    gsize key_indent;
};

struct aws_profiles {
    char *paths[AWS_FILE_KINDS];
    GHashTable *profiles[AWS_FILE_KINDS]; /* NULL: there is no such file */
};

static void secret_destroy(gpointer text)
{
    aws_secret_free(text);
}

static gboolean fail_at(const struct reader *r, const char *what, GError **error)
{
    return ot_fail(error, OT_PREREQUISITE, "%s:%u: %s", r->file, r->line, what);
}

/* NULL if the section is no profile. Names with blanks are quoted in the config file, and bare in the other. */
static char *profile_of_section(const char *section, enum aws_file_kind kind)
{
    if (kind == AWS_CREDENTIALS_FILE || strcmp(section, "default") == 0)
        return g_strdup(section);
    g_auto(GStrv) words = NULL;
    int n = 0;
    if (!g_shell_parse_argv(section, &n, &words, NULL) || n != 2 || strcmp(words[0], "profile") != 0)
        return NULL;
    return g_strdup(words[1]);
}

static gboolean read_section(struct reader *r, char *text, GError **error)
{
    char *end = strchr(text, ']');
    if (!end)
        return fail_at(r, "the [section] is not closed", error);
    *end = '\0';
    g_autofree char *name = profile_of_section(g_strstrip(text + 1), r->kind);
    r->in_section = TRUE;
    g_clear_pointer(&r->key, g_free);
    r->settings = name ? g_hash_table_lookup(r->profiles, name) : NULL;
    if (name && !r->settings) {
        r->settings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, secret_destroy);
        g_hash_table_insert(r->profiles, g_steal_pointer(&name), r->settings);
    }
    return TRUE;
}

/* Cuts a comment off and blanks. In quotes there is none: a credential_process may well be given "a ; b". */
static char *cut_comment(char *value)
{
    char quote = '\0';
    char *p = value;
    for (; *p; p++) {
        if (quote)
            quote = *p == quote ? '\0' : quote;
        else if (*p == '"' || *p == '\'')
            quote = *p;
        else if ((*p == '#' || *p == ';') && p > value && g_ascii_isspace(p[-1]))
            break;
    }
    *p = '\0';
    return g_strstrip(value);
}

static gboolean read_setting(struct reader *r, char *text, gsize indent, GError **error)
{
    gsize length = strcspn(text, "=:");
    if (!r->in_section)
        return fail_at(r, "a [section] is wanted before this", error);
    if (length == 0 || !text[length])
        return fail_at(r, "NAME = VALUE is wanted here", error);
    g_free(r->key);
    r->key = g_strchomp(g_ascii_strdown(text, (gssize)length));
    r->key_indent = indent;
    if (r->settings)
        g_hash_table_replace(r->settings, g_strdup(r->key), g_strdup(cut_comment(text + length + 1)));
    return TRUE;
}

static gboolean continue_setting(struct reader *r, char *text, GError **error)
{
    const char *value = r->settings ? g_hash_table_lookup(r->settings, r->key) : NULL;
    if (!aws_is_set(value))
        return TRUE;
    if (strlen(value) + strlen(text) > VALUE_MAX_BYTES)
        return fail_at(r, "the value is too long", error);
    g_hash_table_replace(r->settings, g_strdup(r->key), g_strconcat(value, "\n", cut_comment(text), NULL));
    return TRUE;
}

static gboolean read_line(struct reader *r, char *line, GError **error)
{
    gsize indent = strspn(line, " \t");
    char *text = g_strchomp(line + indent);
    if (!*text || *text == '#' || *text == ';')
        return TRUE;
    if (r->key && indent > r->key_indent)
        return continue_setting(r, text, error);
    return *text == '[' ? read_section(r, text, error) : read_setting(r, text, indent, error);
}

static gboolean read_lines(struct reader *r, char *text, GError **error)
{
    if (g_str_has_prefix(text, "\xef\xbb\xbf"))
        text += 3;
    for (char *next = NULL; text; text = next) {
        r->line++;
        next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        if (!read_line(r, text, error))
            return FALSE;
    }
    return TRUE;
}

GHashTable *aws_profile_parse(const char *text, gsize length, const char *file, enum aws_file_kind kind, GError **error)
{
    if (length && memchr(text, '\0', length)) {
        ot_fail(error, OT_PREREQUISITE, "%s holds a NUL byte; it is not a text file", file);
        return NULL;
    }
    g_autofree char *copy = g_strndup(text, length);
    g_autoptr(GHashTable) profiles =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_hash_table_unref);
    struct reader r = {.file = file, .kind = kind, .profiles = profiles};
    gboolean ok = read_lines(&r, copy, error);
    explicit_bzero(copy, length);
    g_free(r.key);
    return ok ? g_steal_pointer(&profiles) : NULL;
}

/* In the order of enum aws_file_kind. .env has no shell that would replace a tilde. */
static char *path_of(const struct credentials_config *config, enum aws_file_kind kind)
{
    const char *chosen = kind == AWS_CREDENTIALS_FILE ? config->credentials_file : config->config_file;
    if (!aws_is_set(chosen))
        return g_build_filename(g_get_home_dir(), ".aws", kind == AWS_CREDENTIALS_FILE ? "credentials" : "config",
                                NULL);
    if (g_str_has_prefix(chosen, "~/"))
        return g_build_filename(g_get_home_dir(), chosen + 2, NULL);
    return g_strdup(chosen);
}

static gboolean load_file(struct aws_profiles *p, enum aws_file_kind kind, GError **error)
{
    /* As AWS's tools ask: a folder that may not be looked into, or /dev/null, is no file, and that is no error. */
    if (!g_file_test(p->paths[kind], G_FILE_TEST_IS_REGULAR))
        return TRUE;
    char *text = NULL;
    gsize length = 0;
    if (!files_read(p->paths[kind], FILE_MAX_BYTES, &text, &length, error))
        return FALSE;
    p->profiles[kind] = aws_profile_parse(text, length, p->paths[kind], kind, error);
    explicit_bzero(text, length);
    g_free(text);
    return p->profiles[kind] != NULL;
}

struct aws_profiles *aws_profiles_load(const struct credentials_config *config, GError **error)
{
    g_autoptr(aws_profiles) p = g_new0(struct aws_profiles, 1);
    for (enum aws_file_kind kind = 0; kind < AWS_FILE_KINDS; kind++) {
        p->paths[kind] = path_of(config, kind);
        if (!load_file(p, kind, error))
            return NULL;
    }
    return g_steal_pointer(&p);
}

void aws_profiles_free(struct aws_profiles *p)
{
    if (!p)
        return;
    for (int kind = 0; kind < AWS_FILE_KINDS; kind++) {
        g_free(p->paths[kind]);
        g_clear_pointer(&p->profiles[kind], g_hash_table_unref);
    }
    g_free(p);
}

const char *aws_profiles_chosen(const struct credentials_config *config)
{
    return aws_is_set(config->profile) ? config->profile : "default";
}

static GHashTable *settings_of(const struct aws_profiles *p, int kind, const char *profile)
{
    return p->profiles[kind] ? g_hash_table_lookup(p->profiles[kind], profile) : NULL;
}

static const char *get_from(const struct aws_profiles *p, int kind, const char *profile, const char *setting)
{
    GHashTable *settings = settings_of(p, kind, profile);
    const char *value = settings ? g_hash_table_lookup(settings, setting) : NULL;
    return aws_is_set(value) ? value : NULL;
}

gboolean aws_profiles_has(const struct aws_profiles *p, const char *profile)
{
    return settings_of(p, AWS_CREDENTIALS_FILE, profile) || settings_of(p, AWS_CONFIG_FILE, profile);
}

const char *aws_profiles_get(const struct aws_profiles *p, const char *profile, const char *setting)
{
    const char *value = get_from(p, AWS_CREDENTIALS_FILE, profile, setting);
    return value ? value : get_from(p, AWS_CONFIG_FILE, profile, setting);
}

char *aws_profiles_origin(const struct aws_profiles *p, const char *profile, const char *setting)
{
    int kind = get_from(p, AWS_CREDENTIALS_FILE, profile, setting) ? AWS_CREDENTIALS_FILE : AWS_CONFIG_FILE;
    return g_strdup_printf("profile %s in %s", profile, p->paths[kind]);
}

char *aws_profiles_places(const struct aws_profiles *p)
{
    static const char missing[] = " (not there)";
    return g_strdup_printf("%s%s and %s%s", p->paths[0], p->profiles[0] ? "" : missing, p->paths[1],
                           p->profiles[1] ? "" : missing);
}

struct credentials *aws_profiles_keys(const struct aws_profiles *p, const char *profile, GError **error)
{
    for (int kind = 0; kind < AWS_FILE_KINDS; kind++) {
        const char *access_key = get_from(p, kind, profile, "aws_access_key_id");
        const char *secret_key = get_from(p, kind, profile, "aws_secret_access_key");
        const char *session_token = get_from(p, kind, profile, "aws_session_token");
        if (!access_key && !secret_key)
            continue;
        if (access_key && secret_key) {
            g_autofree char *origin = g_strdup_printf("profile %s in %s", profile, p->paths[kind]);
            return aws_keys_new(access_key, secret_key, session_token, NULL, origin, error);
        }
        /* The other half may stand in the other file, but then it is likely another key's. */
        ot_fail(error, OT_PREREQUISITE, "profile \"%s\" in %s has no %s", profile, p->paths[kind],
                access_key ? "aws_secret_access_key" : "aws_access_key_id");
        return NULL;
    }
    ot_fail(error, OT_NOT_FOUND, "profile \"%s\" has no credentials", profile);
    return NULL;
}
