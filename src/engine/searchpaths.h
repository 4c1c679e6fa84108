/* The search paths that objects of a backup may need while they are loaded. */
#pragma once

#include <jansson.h>

#include "pg/session.h"
#include "pg/toc.h"

/* Values of search_path to be tried in turn (char *): "" as pg_dump has it, the database's own (else the server's
 * default), those that roles have in this database, and all schemas of the backup. */
GPtrArray *searchpaths_of(struct session *s, const json_t *facts, const struct toc *t);

/* Sets it for the session. */
gboolean searchpaths_use(struct session *s, const char *path, GError **error);
