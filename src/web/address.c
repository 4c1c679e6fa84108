/* An address and a port, and the socket that listens there. */
#include "web/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 64

void address_clear(struct address *a)
{
    g_clear_pointer(&a->host, g_free);
}

static gboolean is_loopback(const struct sockaddr *s)
{
    if (s->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)s)->sin_addr.s_addr) >> 24) == 127;
    return s->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)s)->sin6_addr);
}

/* Cuts "HOST:PORT" or "[HOST]:PORT"; both are to be freed. */
static gboolean split(const char *text, char **ret_host, char **ret_port)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return FALSE;
    gboolean brackets = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    g_autofree char *host =
        brackets ? g_strndup(text + 1, (gsize)(colon - text - 2)) : g_strndup(text, (gsize)(colon - text));
    if (!brackets && strchr(host, ':'))
        return FALSE;
    *ret_host = g_steal_pointer(&host);
    *ret_port = g_strdup(colon + 1);
    return TRUE;
}

gboolean address_parse(struct address *a, const char *text, GError **error)
{
    g_autofree char *host = NULL, *port = NULL;
    guint64 number;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (!split(text, &host, &port) || !g_ascii_string_to_unsigned(port, 10, 0, 65535, &number, NULL))
        return ot_fail(error, OT_USAGE,
                       "%s is not an address to listen on: ADDRESS:PORT, as 127.0.0.1:8484 or [::1]:8484", text);
    const char *numeric = g_str_equal(host, "localhost") ? "127.0.0.1" : *host ? host : "0.0.0.0";
    if (getaddrinfo(numeric, port, &hints, &found) != 0 || !found)
        return ot_fail(error, OT_USAGE, "%s is not an address to listen on: %s is neither an IP address nor localhost",
                       text, host);
    *a = (struct address){.length = found->ai_addrlen,
                          .loopback = is_loopback(found->ai_addr),
                          .port = (guint)number,
                          .host = g_strdup(numeric)};
    memcpy(&a->socket, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return TRUE;
}

static guint port_of(const struct sockaddr_storage *s)
{
    return ntohs(s->ss_family == AF_INET ? ((const struct sockaddr_in *)s)->sin_port
                                         : ((const struct sockaddr_in6 *)s)->sin6_port);
}

int address_listen(struct address *a, GError **error)
{
    int on = 1;
    int fd = socket(a->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (struct sockaddr *)&a->socket, a->length) == 0 && listen(fd, BACKLOG) == 0 &&
        getsockname(fd, (struct sockaddr *)&a->socket, &a->length) == 0) {
        a->port = port_of(&a->socket);
        return fd;
    }
    ot_fail_errno(error, OT_PREREQUISITE, "cannot listen on %s port %u", a->host, a->port);
    if (fd >= 0)
        close(fd);
    return -1;
}

char *address_text(const struct sockaddr *peer)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (peer->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)peer)->sin_addr, text, sizeof text);
    else if (peer->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)peer)->sin6_addr, text, sizeof text);
    return g_strdup(text);
}
