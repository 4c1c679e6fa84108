/* Brings single tables back beside the live ones: into a schema of their own, nothing overwritten. */
#pragma once

#include "engine/restore.h"

/* Reads only the members of request->tables. TRUE only if each recovered table equals its proof, and, with put_back,
 * the missing rows are in the live tables. Counts the tables and rows that were recovered. */
gboolean tablerestore_run(const struct restore_request *request, struct archive_reader *reader, const struct toc *t,
                          const char *timestamp, struct report *report, guint64 *ret_tables, guint64 *ret_rows,
                          GError **error);
