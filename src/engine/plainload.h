/* Loads a plain dump of others into an empty database through psql, any error being an error. */
#pragma once

#include "archive/plain.h"
#include "engine/report.h"
#include "pg/session.h"

/* TRUE only if psql ran the whole file without an error and the file is complete as far as it can show (plain_scan).
 * target, dbname: where to. */
gboolean plainload_run(const struct pg_target *target, const char *dbname, const char *bindir, struct source *file,
                       enum archive_kind kind, struct report *report, struct plain_summary *ret_summary,
                       GError **error);
