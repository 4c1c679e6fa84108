/* After the rows are in: statistics for the planner, and the guide's look at the result. */
#pragma once

#include "engine/report.h"
#include "pg/session.h"

/* ANALYZE of every table and materialized view, in parallel. A table that cannot be analysed is warned about. */
gboolean aftercare_analyze(const struct pg_target *t, const char *dbname, guint jobs, struct report *report,
                           GError **error);

/* The guide's step 5: number of tables, size, the ten biggest, rows of the critical ones (NULL: of the biggest). */
gboolean aftercare_report(const struct pg_target *t, const char *dbname, char **critical, struct report *report,
                          GError **error);
