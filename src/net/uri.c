/* Percent-encoding, and the few URLs that an endpoint may be. GLib reads the URL; what of it is wanted is said here. */
#include "net/uri.h"

#include <arpa/inet.h>
#include <string.h>

static gboolean is_unreserved(guchar c)
{
    return g_ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

char *uri_escape(const char *text, gboolean keep_slash)
{
    GString *escaped = g_string_new(NULL);
    for (const guchar *at = (const guchar *)text; *at; at++)
        if (is_unreserved(*at) || (keep_slash && *at == '/'))
            g_string_append_c(escaped, (char)*at);
        else
            g_string_append_printf(escaped, "%%%02X", *at);
    return g_string_free(escaped, FALSE);
}

/* What may stand in the Host header and in a certificate. A zone (fe80::1%eth0) may not. */
static gboolean is_host(const char *host)
{
    struct in6_addr address;
    if (strchr(host, ':'))
        return inet_pton(AF_INET6, host, &address) == 1;
    for (const char *at = host; *at; at++)
        if (!g_ascii_isalnum(*at) && !strchr("-._", *at))
            return FALSE;
    return *host != '\0';
}

static void cut_trailing_slashes(char *path)
{
    for (gsize n = strlen(path); n > 0 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
}

gboolean uri_parse(const char *url, struct uri_parts *ret_parts)
{
    g_autofree char *scheme = NULL, *user = NULL, *host = NULL, *path = NULL, *query = NULL, *fragment = NULL;
    int port = -1;
    if (!g_uri_split(url, G_URI_FLAGS_NONE, &scheme, &user, &host, &port, &path, &query, &fragment, NULL))
        return FALSE;
    gboolean https = g_strcmp0(scheme, "https") == 0;
    if ((!https && g_strcmp0(scheme, "http") != 0) || user || query || fragment || port == 0 || !host || !is_host(host))
        return FALSE;
    cut_trailing_slashes(path);
    *ret_parts = (struct uri_parts){
        .https = https, .host = g_steal_pointer(&host), .port = MAX(port, 0), .path = g_steal_pointer(&path)};
    return TRUE;
}

void uri_parts_clear(struct uri_parts *p)
{
    g_clear_pointer(&p->host, g_free);
    g_clear_pointer(&p->path, g_free);
}

gboolean uri_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
    g_autofree char *name = g_ascii_strdown(host, -1);
    return strcmp(name, "localhost") == 0 || (g_str_has_suffix(name, ".localhost") && *name != '.');
}

char *uri_without_secrets(const char *url)
{
    const char *authority = strstr(url, "://");
    if (!authority)
        return g_strndup(url, strcspn(url, "?#@"));
    authority += strlen("://");
    const char *end = authority + strcspn(authority, "/?#");
    const char *at = g_strrstr_len(authority, end - authority, "@");
    const char *host = at ? at + 1 : authority;
    return g_strdup_printf("%.*s%.*s", (int)(authority - url), url, (int)strcspn(host, "?#"), host);
}
