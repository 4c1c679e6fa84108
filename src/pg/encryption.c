/* Where a connection leads is asked of libpq; a socket or a loopback address does not leave this machine. */
#include "pg/encryption.h"

#include <arpa/inet.h>
#include <string.h>

static gboolean required;

void encryption_require(void)
{
    required = TRUE;
}

static gboolean is_here(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (!*host || *host == '/' || *host == '@' || g_ascii_strcasecmp(host, "localhost") == 0)
        return TRUE;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* All of the hosts that may be tried. Without any, libpq takes its socket. */
static gboolean all_are_here(const struct conninfo *c)
{
    g_autofree char *address = conninfo_find(c, "hostaddr"), *host = conninfo_find(c, "host");
    const char *named = address && *address ? address : host ? host : "";
    g_auto(GStrv) hosts = g_strsplit(named, ",", -1);
    for (char **each = hosts; *each; each++)
        if (!is_here(*each))
            return FALSE;
    return TRUE;
}

void encryption_apply(struct conninfo *c)
{
    static const char *const enough[] = {"require", "verify-ca", "verify-full", NULL};
    if (!required || all_are_here(c))
        return;
    g_autofree char *mode = conninfo_find(c, "sslmode");
    if (!mode || !g_strv_contains(enough, mode))
        conninfo_replace(c, "sslmode", "require");
}

char *session_exposed_to(struct session *s)
{
    PGconn *pg = session_pg(s);
    const char *host = PQhost(pg), *address = PQhostaddr(pg);
    if (PQsslInUse(pg) || PQgssEncInUse(pg) || !host || *host == '/' || *host == '@')
        return NULL;
    return is_here(address && *address ? address : host) ? NULL : g_strdup(host);
}

/* ---- URL and parts ---- */

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o->keyword; o++)
        if (g_str_equal(o->keyword, keyword))
            return o->val && *o->val ? o->val : NULL;
    return NULL;
}

static void compare(GPtrArray *conflicts, const char *variable, const char *part, const char *in_url, gboolean secret)
{
    if (!part || !*part || !in_url || g_str_equal(part, in_url))
        return;
    if (secret)
        g_ptr_array_add(conflicts, g_strdup_printf("%s is not the password in DATABASE_URL, which counts", variable));
    else
        g_ptr_array_add(conflicts,
                        g_strdup_printf("%s is %s, but DATABASE_URL says %s, which counts", variable, part, in_url));
}

GPtrArray *pg_target_conflicts(const struct pg_target *t)
{
    GPtrArray *conflicts = g_ptr_array_new_with_free_func(g_free);
    PQconninfoOption *options = t->url ? PQconninfoParse(t->url, NULL) : NULL;
    if (!options)
        return conflicts;
    g_autofree char *port = t->port ? g_strdup_printf("%d", t->port) : NULL;
    compare(conflicts, "DATABASE_HOST", t->host, value_of(options, "host"), FALSE);
    compare(conflicts, "DATABASE_PORT", port, value_of(options, "port"), FALSE);
    compare(conflicts, "DATABASE_NAME", t->database ? NULL : t->name, value_of(options, "dbname"), FALSE);
    compare(conflicts, "DATABASE_USER", t->user, value_of(options, "user"), FALSE);
    compare(conflicts, "DATABASE_PASSWORD", t->password, value_of(options, "password"), TRUE);
    PQconninfoFree(options);
    return conflicts;
}
