/*
 * Variables of libpq and of proxies, which libpq and libcurl read from the environment themselves. In a .env file they
 * count as well: jobs of cron and systemd have nothing else.
 */
#include "base/environment.h"
#include "base/error.h"
#include "config/dotenv.h"
#include "config/option_row.h"

#include <string.h>

static const char *const libpq[] = {
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "PGOPTIONS",
    "PGAPPNAME",
    "PGSSLMODE",
    "PGREQUIRESSL",
    "PGSSLNEGOTIATION",
    "PGSSLCOMPRESSION",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLCERTMODE",
    "PGSSLROOTCERT",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLSNI",
    "PGREQUIREPEER",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGGSSENCMODE",
    "PGKRBSRVNAME",
    "PGGSSLIB",
    "PGGSSDELEGATION",
    "PGCONNECT_TIMEOUT",
    "PGCLIENTENCODING",
    "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS",
    "PGMINPROTOCOLVERSION",
    "PGMAXPROTOCOLVERSION",
    "PGDATESTYLE",
    "PGTZ",
    "PGGEQO",
    "PGLOCALEDIR",
    NULL,
};

static const char *const proxies[] = {
    "HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", NULL,
};

/* Of the server, or of libpq's relatives: not read by a client. */
static const char *const others[] = {"PGDATA", "PGCTLTIMEOUT", "PGLOGFILE", NULL};

static gboolean is_proxy(const char *name)
{
    return g_strv_contains(proxies, name);
}

gboolean foreign_is_known(const char *name)
{
    return g_strv_contains(libpq, name) || is_proxy(name);
}

/* Programs whose names begin with PG have variables too, with a word and an underscore: PGADMIN_DEFAULT_EMAIL. */
const char *foreign_misspelt(const char *name)
{
    if (!g_str_has_prefix(name, "PG") || name[2] == '_' || foreign_is_known(name) || g_strv_contains(others, name))
        return NULL;
    return options_nearest_word(name, libpq);
}

gboolean foreign_is_stray(const char *name)
{
    gboolean like_libpqs = g_str_has_prefix(name, "PG") && name[2] && !strchr(name, '_');
    return like_libpqs && !foreign_is_known(name) && !g_strv_contains(others, name);
}

gboolean foreign_is_secret(const char *name, const char *value)
{
    return g_str_equal(name, "PGPASSWORD") || (is_proxy(name) && strchr(value, '@'));
}

/* A stronger source has it already: the environment, where an empty variable is none. */
static gboolean is_given(const char *name, char **environ_like)
{
    const char *value = environ_like ? g_environ_getenv(environ_like, name) : NULL;
    return value && *value;
}

void foreign_take(struct settings *s, const struct dotenv_entry *entry, char **environ_like)
{
    if (!foreign_is_known(entry->key) || !*entry->value || is_given(entry->key, environ_like))
        return;
    gsize length = s->foreign ? g_strv_length(s->foreign) : 0;
    s->foreign = g_renew(char *, s->foreign, length + 2);
    s->foreign[length] = g_strconcat(entry->key, "=", entry->value, NULL);
    s->foreign[length + 1] = NULL;
}

static void add_secret_of(GPtrArray *secrets, const char *name, const char *value)
{
    const char *authority = strstr(value, "://");
    authority = authority ? authority + strlen("://") : value;
    const char *at = strrchr(authority, '@'), *colon = strchr(authority, ':');
    if (!is_proxy(name) && *value)
        g_ptr_array_add(secrets, g_strdup(value));
    else if (is_proxy(name) && at && colon && colon + 1 < at)
        g_ptr_array_add(secrets, g_strndup(colon + 1, (gsize)(at - colon - 1)));
}

void foreign_secrets(const struct settings *s, GPtrArray *secrets)
{
    for (char **each = s->foreign; each && *each; each++) {
        g_autofree char *name = g_strndup(*each, strcspn(*each, "="));
        const char *value = *each + strlen(name) + 1;
        if (foreign_is_secret(name, value))
            add_secret_of(secrets, name, value);
    }
    static const char *const in_environment[] = {"PGPASSWORD", "HTTPS_PROXY", "https_proxy", "http_proxy",
                                                 "ALL_PROXY",  "all_proxy",   NULL};
    for (const char *const *name = in_environment; *name; name++)
        if (g_getenv(*name) && foreign_is_secret(*name, g_getenv(*name)))
            add_secret_of(secrets, *name, g_getenv(*name));
}

void options_settle_environment(const struct settings *s)
{
    for (char **each = s->foreign; each && *each; each++) {
        g_autofree char *name = g_strndup(*each, strcspn(*each, "="));
        environment_change(name, *each + strlen(name) + 1);
    }
    OPTION_ROWS_EACH (row)
        if (row->secret && g_getenv(row->env))
            environment_change(row->env, NULL);
}
