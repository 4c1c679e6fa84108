/*
 * What is secret in a value, and how it is kept out of texts. Texts of others are cleaned where they come in
 * (base/secrets.h); our own messages hold no secret, and are searched only for what cannot stand there by chance.
 */
#include "base/secrets.h"
#include "config/option_row.h"

#include <string.h>

#define SECRET_PATH_BYTES 12

static void add_secret(GPtrArray *secrets, char *secret)
{
    if (*secret)
        g_ptr_array_add(secrets, secret);
    else
        g_free(secret);
}

/* A piece of a URL, as written and decoded. */
static void add_encoded(GPtrArray *secrets, const char *start, const char *end)
{
    add_secret(secrets, g_strndup(start, (gsize)(end - start)));
    g_autoptr(GString) plain = g_string_new(NULL);
    for (const char *p = start; p < end; p++) {
        gboolean escape = *p == '%' && end - p > 2 && g_ascii_isxdigit(p[1]) && g_ascii_isxdigit(p[2]);
        char c = *p;
        if (escape) {
            c = (char)(g_ascii_xdigit_value(p[1]) * 16 + g_ascii_xdigit_value(p[2]));
            p += 2;
        }
        if (c)
            g_string_append_c(plain, c);
    }
    if (plain->len != (gsize)(end - start))
        add_secret(secrets, g_string_free(g_steal_pointer(&plain), FALSE));
}

/*
 * The password of scheme://USER:PASSWORD@HOST. libpq ends it at the first @; people forget to encode @ : / ? and #, so
 * all that may have been meant counts: up to the first @, and up to the last @ before what then must be path or query.
 */
static void add_userinfo(GPtrArray *secrets, const char *authority)
{
    const char *colon = strchr(authority, ':');
    const char *first_at = strchr(authority, '@');
    if (!colon || !first_at || colon > first_at)
        return;
    add_encoded(secrets, colon + 1, first_at);
    const char *end = first_at + strcspn(first_at, "/?#");
    const char *last_at = end;
    while (*last_at != '@')
        last_at--;
    if (last_at != first_at)
        add_encoded(secrets, colon + 1, last_at);
}

static const char *conninfo_value_end(const char *start, gboolean quoted)
{
    const char *p = start;
    for (; *p && (quoted ? *p != '\'' : !g_ascii_isspace(*p)); p++)
        if (*p == '\\' && p[1])
            p++;
    return p;
}

/* A value of "host=x password='it\'s'", as written and without its backslashes. */
static void add_conninfo_value(GPtrArray *secrets, const char *start)
{
    gboolean quoted = *start == '\'';
    start += quoted;
    const char *end = conninfo_value_end(start, quoted);
    add_secret(secrets, g_strndup(start, (gsize)(end - start)));
    g_autoptr(GString) plain = g_string_new(NULL);
    for (const char *p = start; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        g_string_append_c(plain, *p);
    }
    if (plain->len != (gsize)(end - start))
        add_secret(secrets, g_string_free(g_steal_pointer(&plain), FALSE));
}

/* password=... and sslpassword=..., in the query of a URL or in a conninfo string. */
static void add_named_values(GPtrArray *secrets, const char *text, gboolean is_url)
{
    static const char name[] = "password";
    for (const char *p = strstr(text, name); p; p = strstr(p, name)) {
        p += strlen(name);
        const char *value = p + strspn(p, " \t\n");
        if (*value != '=')
            continue;
        value++;
        if (is_url)
            add_encoded(secrets, value, value + strcspn(value, "&#"));
        else
            add_conninfo_value(secrets, value + strspn(value, " \t\n"));
    }
}

/* A server may name the path that was asked for in its answer: of a webhook's address, that is the secret. A short one
 * guards nothing, and would be found in ordinary text. */
static void add_address(GPtrArray *secrets, const char *text)
{
    add_secret(secrets, g_strdup(text));
    const char *scheme_end = strstr(text, "://");
    const char *path = scheme_end ? strchr(scheme_end + strlen("://"), '/') : NULL;
    if (path && strlen(path) >= SECRET_PATH_BYTES)
        add_encoded(secrets, path, path + strlen(path));
}

void option_secrets(const struct option_row *row, const char *text, GPtrArray *secrets)
{
    if (!row->secret)
        return;
    if (row->type != OPTION_URL && row->type != OPTION_CONNECTION) {
        add_address(secrets, text);
        return;
    }
    const char *scheme_end = strstr(text, "://");
    if (scheme_end)
        add_userinfo(secrets, scheme_end + strlen("://"));
    add_named_values(secrets, text, scheme_end != NULL);
}

/* ---- what is searched for ---- */

/* What names the database and the places is shown wherever they are. */
static const char *const shown[] = {
    "DATABASE_HOST",    "DATABASE_NAME",       "DATABASE_USER", "BACKUP_DIR", "BACKUP_S3_BUCKET",
    "BACKUP_S3_PREFIX", "AWS_ENDPOINT_URL_S3", "BACKUP_TMPDIR", "PG_BINDIR",  NULL};

static const char *text_of(const struct option_row *row, const struct settings *s)
{
    return *(char *const *)((const char *)s + row->offset);
}

/* The user, the hosts and the database of a URL. */
static gboolean is_in_the_rest(const char *url, const char *secret)
{
    const char *authority = strstr(url, "://"), *at = strrchr(url, '@');
    if (!authority || !at)
        return FALSE;
    authority += strlen("://");
    g_autofree char *user = g_strndup(authority, strcspn(authority, ":@"));
    g_autofree char *place = g_strndup(at, strcspn(at, "?"));
    return strstr(user, secret) || strstr(place, secret);
}

/* To mask it there would show that it is the same. */
static gboolean is_shown_anyway(const struct settings *s, const char *secret)
{
    OPTION_ROWS_EACH (row) {
        gboolean text = row->type == OPTION_TEXT && row->env && g_strv_contains(shown, row->env);
        const char *value = text || row->type == OPTION_CONNECTION ? text_of(row, s) : NULL;
        if (value && (text ? strstr(value, secret) != NULL : is_in_the_rest(value, secret)))
            return TRUE;
    }
    return FALSE;
}

static GPtrArray *settings_secrets(const struct settings *s)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
    GPtrArray *secrets = g_ptr_array_new_with_free_func(g_free);
    OPTION_ROWS_EACH (row)
        if (row->secret && text_of(row, s))
            option_secrets(row, text_of(row, s), all);
    foreign_secrets(s, all);
    for (guint i = 0; i < all->len; i++)
        if (!is_shown_anyway(s, all->pdata[i]))
            g_ptr_array_add(secrets, g_strdup(all->pdata[i]));
    return secrets;
}

void options_declare_secrets(const struct settings *s)
{
    g_autoptr(GPtrArray) secrets = settings_secrets(s);
    secrets_set(secrets);
}

char *options_redact(const struct settings *s, const char *text)
{
    g_autoptr(GPtrArray) secrets = settings_secrets(s);
    return secrets_mask(text, secrets, SECRET_STRONG);
}

char **options_without_secrets(char **environ_like)
{
    static const char *const foreign[] = {"PGPASSWORD", "PGSSLPASSWORD", NULL};
    GPtrArray *kept = g_ptr_array_new();
    for (char **entry = environ_like; *entry; entry++) {
        g_autofree char *name = g_strndup(*entry, strcspn(*entry, "="));
        const struct option_row *row = option_by_env(name);
        if (!(row && row->secret) && !g_strv_contains(foreign, name))
            g_ptr_array_add(kept, g_strdup(*entry));
    }
    g_ptr_array_add(kept, NULL);
    return (char **)g_ptr_array_free(kept, FALSE);
}
