/* Connecting, and a question with a limit: never longer than it is told to, and not at all once interrupted. */
#pragma once

#include "pg/conninfo.h"

struct connect_limit {
    gint64 until_us;            /* monotonic; 0: connect_timeout, else 60 s from now */
    gboolean despite_interrupt; /* until the time for cleaning up is over */
};

/* NULL on failure: OT_CONNECT, OT_INTERRUPTED. *ret_silent (may be NULL): no answer came in time, so that it is not
 * the server that refused. The caller frees it with PQfinish. */
PGconn *connect_open(const struct conninfo *c, const struct connect_limit *limit, gboolean *ret_silent, GError **error);

/* One statement (or several) and the last of its results. NULL if no answer came in time; else an error is a result. */
PGresult *connect_ask(PGconn *pg, const char *sql, const struct connect_limit *limit);
