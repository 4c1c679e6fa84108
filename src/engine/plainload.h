/* Loads a plain dump of others into an empty database, any error being an error. */
#pragma once

#include "archive/plain.h"
#include "engine/report.h"
#include "pg/session.h"

/* TRUE only if the server ran the whole file without an error, took every row, and the file is complete as far as it
 * can show (plain_scan). Settings that the server does not know are left out with a warning: pg_dump writes those of
 * its own version. target, dbname: where to. OT_REFUSED if the dump acts beyond its own database. */
gboolean plainload_run(const struct pg_target *target, const char *dbname, struct source *file, enum archive_kind kind,
                       struct report *report, struct plain_summary *ret_summary, GError **error);
