/*
 * A pooler between us and the server. One that keeps a session of the server for each of ours is fine. One that gives
 * each transaction or statement another is not: settings and locks would be another's, and ours would stay behind.
 */
#pragma once

#include "pg/connect.h"

/* backend_pid: what pg_backend_pid() said first on pg. Nothing is set on the server. TRUE if the session is ours
 * alone; else OT_PREREQUISITE. c must be where pg leads; what was found of it is remembered. */
gboolean pooler_check(PGconn *pg, const struct conninfo *c, int backend_pid, const struct connect_limit *limit,
                      GError **error);

/* Whether a session with these options ("-c name=value ...") can be opened there; poolers know few or none. */
gboolean pooler_takes_options(const struct conninfo *c, const char *options, const struct connect_limit *limit);
