/* The Host header against rebinding, the Authorization header against strangers. */
#include "web/access.h"

#include <string.h>

#include "base/digest.h"

#define MAX_HEADER_BYTES 4096

static gboolean needs_login(const struct web_config *config)
{
    return config->token || config->password;
}

gboolean access_check_settings(const struct web_config *config, const struct address *address, GError **error)
{
    if (!config->user != !config->password)
        return ot_fail(error, OT_USAGE, "DASHBOARD_USER and DASHBOARD_PASSWORD go together: one of them is not set");
    if (config->token && strlen(config->token) < ACCESS_TOKEN_MIN_BYTES)
        return ot_fail(error, OT_USAGE, "DASHBOARD_TOKEN is too short to be safe: %d characters at least",
                       ACCESS_TOKEN_MIN_BYTES);
    if (config->password && strlen(config->password) < ACCESS_PASSWORD_MIN_BYTES)
        return ot_fail(error, OT_USAGE, "DASHBOARD_PASSWORD is too short to be safe: %d characters at least",
                       ACCESS_PASSWORD_MIN_BYTES);
    if (config->user && strchr(config->user, ':'))
        return ot_fail(error, OT_USAGE, "DASHBOARD_USER must not hold a colon: HTTP ends the user's name there");
    if (!address->loopback && !needs_login(config))
        return ot_fail(error, OT_USAGE,
                       "%s can be reached from other machines, so DASHBOARD_TOKEN, or DASHBOARD_USER and "
                       "DASHBOARD_PASSWORD, must be set; or listen on 127.0.0.1",
                       config->listen);
    return TRUE;
}

/* ---- the host ---- */

/* The name in "NAME:PORT" or "[ADDRESS]:PORT", lower case, without a dot at its end. To be freed. */
static char *name_of(const char *host)
{
    const char *end = host[0] == '[' ? strchr(host, ']') : strrchr(host, ':');
    const char *start = host[0] == '[' ? host + 1 : host;
    gsize length = end ? (gsize)(end - start) : strlen(start);
    g_autofree char *name = g_strndup(start, length);
    if (g_str_has_suffix(name, "."))
        name[strlen(name) - 1] = '\0';
    return g_ascii_strdown(name, -1);
}

gboolean access_host_fits(const struct web_config *config, const struct address *address, const char *host)
{
    static const char *const local[] = {"localhost", "127.0.0.1", "::1", NULL};
    gboolean has_hosts = config->hosts && config->hosts[0];
    if (!address->loopback && !has_hosts)
        return TRUE;
    if (!host || strlen(host) > MAX_HEADER_BYTES)
        return FALSE;
    g_autofree char *name = name_of(host);
    if (g_strv_contains(local, name) || g_str_equal(name, address->host))
        return TRUE;
    for (gsize i = 0; has_hosts && config->hosts[i]; i++)
        if (g_ascii_strcasecmp(config->hosts[i], name) == 0)
            return TRUE;
    return FALSE;
}

/* ---- the login ---- */

static char *digest_of(const char *text)
{
    g_autoptr(digest) d = digest_new();
    digest_add(d, text, strlen(text));
    return digest_text(d);
}

/* Compares digests, every byte of them: neither length nor content shows in the time it takes. */
static gboolean same(const char *given, const char *right)
{
    g_autofree char *a = digest_of(given), *b = digest_of(right);
    guint differences = 0;
    for (gsize i = 0; i < DIGEST_TEXT_LENGTH; i++)
        differences |= (guint)(guchar)a[i] ^ (guint)(guchar)b[i];
    return differences == 0;
}

/* "USER:PASSWORD" out of Basic's base64; NULL if it is not that. To be freed. */
static char *decode_basic(const char *text)
{
    gsize length = 0;
    g_autofree guchar *bytes = g_base64_decode(text, &length);
    if (!bytes || length == 0 || memchr(bytes, '\0', length))
        return NULL;
    g_autofree char *pair = g_strndup((char *)bytes, length);
    return strchr(pair, ':') ? g_steal_pointer(&pair) : NULL;
}

static gboolean basic_fits(const struct web_config *config, const char *text)
{
    g_autofree char *pair = decode_basic(text);
    if (!pair)
        return FALSE;
    char *colon = strchr(pair, ':');
    *colon = '\0';
    /* Both are always compared: a wrong user takes as long as a wrong password. */
    gboolean token = config->token && same(colon + 1, config->token);
    gboolean user = config->user && same(pair, config->user);
    gboolean password = config->password && same(colon + 1, config->password);
    return token || (user && password);
}

gboolean access_authorized(const struct web_config *config, const char *authorization)
{
    static const char bearer[] = "bearer ", basic[] = "basic ";
    if (!needs_login(config))
        return TRUE;
    if (!authorization || strlen(authorization) > MAX_HEADER_BYTES)
        return FALSE;
    if (g_ascii_strncasecmp(authorization, bearer, strlen(bearer)) == 0)
        return config->token && same(authorization + strlen(bearer), config->token);
    if (g_ascii_strncasecmp(authorization, basic, strlen(basic)) == 0)
        return basic_fits(config, authorization + strlen(basic));
    return FALSE;
}

enum access_verdict access_judge(const struct web_config *config, const struct address *address, const char *host,
                                 const char *authorization, gboolean open)
{
    if (!access_host_fits(config, address, host))
        return ACCESS_MISDIRECTED;
    return open || access_authorized(config, authorization) ? ACCESS_GRANTED : ACCESS_DENIED;
}
