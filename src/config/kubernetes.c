/*
 * Variables that Kubernetes (and links of Docker) make in every container for a Service that happens to be called as
 * our variables begin: a Service "backup" is BACKUP_SERVICE_HOST, BACKUP_PORT=tcp://10.0.0.1:80, BACKUP_PORT_80_TCP...
 * They are nobody's settings.
 */
#include "config/option_row.h"

#include <string.h>

static gboolean is_address(const char *value)
{
    static const char *const protocols[] = {"tcp://", "udp://", "sctp://"};
    for (gsize i = 0; i < G_N_ELEMENTS(protocols); i++)
        if (g_str_has_prefix(value, protocols[i]))
            return TRUE;
    return FALSE;
}

static const char *value_of(const char *service, const char *suffix, char **environ_like)
{
    g_autofree char *name = g_strconcat(service, suffix, NULL);
    const char *value = g_environ_getenv(environ_like, name);
    return value ? value : "";
}

/* Whether there is such a Service: it has an address. */
static gboolean is_service(const char *service, char **environ_like)
{
    gboolean host = *value_of(service, "_SERVICE_HOST", environ_like) != '\0';
    return (host && *value_of(service, "_SERVICE_PORT", environ_like)) ||
           is_address(value_of(service, "_PORT", environ_like));
}

/* 80_TCP, 80_TCP_ADDR and so on. */
static gboolean is_port_rest(const char *rest)
{
    static const char *const ends[] = {"_TCP", "_UDP", "_SCTP"}, *const parts[] = {"", "_PROTO", "_PORT", "_ADDR"};
    const char *end = rest + strspn(rest, "0123456789");
    for (gsize i = 0; end > rest && i < G_N_ELEMENTS(ends); i++)
        for (gsize k = 0; g_str_has_prefix(end, ends[i]) && k < G_N_ELEMENTS(parts); k++)
            if (g_str_equal(end + strlen(ends[i]), parts[k]))
                return TRUE;
    return FALSE;
}

/* What stands behind the Service's name. */
static gboolean is_made_suffix(const char *suffix, const char *value)
{
    if (g_str_equal(suffix, "_PORT"))
        return is_address(value);
    if (g_str_has_prefix(suffix, "_PORT_"))
        return is_port_rest(suffix + strlen("_PORT_"));
    return g_str_equal(suffix, "_SERVICE_HOST") || g_str_equal(suffix, "_SERVICE_PORT") ||
           g_str_has_prefix(suffix, "_SERVICE_PORT_");
}

gboolean kubernetes_made(const char *name, const char *value, char **environ_like)
{
    for (const char *suffix = strchr(name, '_'); suffix; suffix = strchr(suffix + 1, '_')) {
        g_autofree char *service = g_strndup(name, (gsize)(suffix - name));
        if (is_made_suffix(suffix, value) && is_service(service, environ_like))
            return TRUE;
    }
    return FALSE;
}
