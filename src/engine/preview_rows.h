/* Each table's rows now against its rows in a backup. */
#pragma once

#include <jansson.h>

#include "archive/contents.h"
#include "pg/session.h"

/* Lines (char *) for the preview: the tables that differ most, and the sums. Small tables are counted, for two seconds
 * at most in all; of others it is said about how many rows the server believes they have. NULL: the live database
 * cannot be looked at. */
GPtrArray *preview_rows(const struct pg_target *t, const char *live, const struct archive_contents *contents);
