/*
 * What a backup file's own statements make, its head and tail without rows, in an empty database. The server words some
 * of them otherwise once they were loaded, and only a second load tells that from a real difference.
 */
#pragma once

#include "archive/reader.h"
#include "pg/session.h"

/* Runs head and tail in the session's database, which must be empty, one statement after the other. Materialized views
 * stay without rows. tablespaces FALSE: everything goes to the database's own. OT_RESTORE if a statement fails. */
gboolean schemacopy_load(struct session *s, struct archive_reader *reader, gboolean tablespaces, GError **error);

/* Runs the statements of such a text (pg_restore's, say), all of them, each by itself. OT_RESTORE if one fails. */
gboolean schemacopy_run(struct session *s, const char *text, gsize length, GError **error);
