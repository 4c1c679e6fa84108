/* The databases of a server. */
#pragma once

#include "pg/session.h"

/* The names (char *, as the server has them, sorted) of the databases that take connections, are no templates, and are
 * not half dropped. */
GPtrArray *databases_list(const struct pg_target *t, GError **error);
