/* Where the dashboard listens: ADDRESS:PORT as a person writes it, and the socket. */
#pragma once

#include <sys/socket.h>

#include "base/error.h"

struct address {
    struct sockaddr_storage socket;
    socklen_t length;
    gboolean loopback; /* reachable from this machine only */
    guint port;        /* 0: the system chooses one */
    char *host;        /* as numbers, an IPv6 one without brackets; owned */
};
void address_clear(struct address *a);

/* Reads "127.0.0.1:8484", "[::1]:8484", "localhost:8484", "0.0.0.0:8484", ":8484" (every address). Names other than
 * localhost are not looked up. OT_USAGE. */
gboolean address_parse(struct address *a, const char *text, GError **error);

/* A socket that listens there, not to be inherited; a->port becomes the real one. -1 with *error. */
int address_listen(struct address *a, GError **error);

/* The address of a peer as text ("192.0.2.1", "::1"); "" if it is of neither kind. To be freed. */
char *address_text(const struct sockaddr *peer);
