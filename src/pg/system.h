/* Which server a session is connected to, and which one a target names. */
#pragma once

#include "pg/session.h"

struct pg_system {
    char *identifier; /* made by initdb, shared with standbys; NULL: the role may not read it */
    char *host;       /* a name, an address or a socket's folder */
    int port;
    gint64 database_oid;
};
void pg_system_clear(struct pg_system *s);

gboolean pg_system_read(struct session *s, struct pg_system *ret, GError **error);

/* Connects for it, and waits for at most timeout_s; where the database is not there, to another one of the server. */
gboolean pg_system_ask(const struct pg_target *t, int timeout_s, struct pg_system *ret, GError **error);
