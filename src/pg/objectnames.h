/*
 * Whether names still mean what they meant. A table's lock keeps its own name, but not its schema's, nor the names of
 * views, functions and types; and pg_dump reads some things by name, or has the server write names as they are now.
 */
#pragma once

#include "pg/session.h"

/* Each object that has a name of its own: class, oid, name and schema. Run in the snapshot, then at present. */
extern const char *const objectnames_sql;

/* OT_LOCK_TIMEOUT if one of the objects of the snapshot has another name at present. Those dropped since are nobody's
 * any more. */
gboolean objectnames_check(const PGresult *snapshot, const PGresult *now, GError **error);

/* A text that changes with whatever is changed in a schema's row, a renaming there and back included. One row. */
extern const char *const objectnames_schemas_sql;
