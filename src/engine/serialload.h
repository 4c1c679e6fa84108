/*
 * A section of a backup's schema, statement by statement. For servers that the pg_restore of this machine is too new to
 * connect to: it prints the section, and a session of ours runs it. Only one connection works.
 */
#pragma once

#include "pg/session.h"
#include "pg/toc.h"

/* section and extra: as for pgdump_section_sql. OT_RESTORE if a statement fails. */
gboolean serialload_section(const struct pg_target *target, const char *dbname, const char *bindir, const struct toc *t,
                            const char *section, const char *const *extra, GError **error);
