/* The databases of a server. */
#pragma once

#include "pg/session.h"

/* The names (char *, as the server has them, sorted) of the databases that take connections, are no templates, and are
 * not half dropped. Those that are nobody's to back up go to side (char *) instead: databases of restores
 * (NAME_restoring_TIMESTAMP, NAME_replaced_TIMESTAMP) and of full tests (opstower_test_...). */
GPtrArray *databases_list(const struct pg_target *t, GPtrArray *side, GError **error);
