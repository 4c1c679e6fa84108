/* Whether what goes over the connection can be read on the way. */
#pragma once

#include "pg/conninfo.h"

/* Connections to other machines must be encrypted from now on: they are asked for with sslmode=require where the
 * settings ask for less. Before there are threads. */
void encryption_require(void);

/* Called for each connection's parameters. */
void encryption_apply(struct conninfo *c);

/* The address of the other machine to which the session goes without encryption; NULL: it is encrypted, or stays on
 * this machine. The caller frees it with g_free. */
char *session_exposed_to(struct session *s);

/* What of the URL and of the parts beside it disagrees, as char * for the user; empty: nothing. The caller unrefs it.
 */
GPtrArray *pg_target_conflicts(const struct pg_target *t);
