/*
 * Makes a dropped table again from a backup's table of contents, in three steps inside the caller's transaction:
 * the table itself, then (its rows are in) its indexes and own constraints, then what links it with other tables.
 */
#pragma once

#include "engine/report.h"
#include "pg/session.h"
#include "pg/toc.h"

/* The table with its sequences, defaults, owner, comments and privileges. */
gboolean recreate_table(struct session *s, const struct toc *t, const char *bindir, const char *schema,
                        const char *name, struct report *report, GError **error);

/* Primary key, unique constraints, indexes, statistics, triggers, policies, the values of its sequences. */
gboolean recreate_indexes(struct session *s, const struct toc *t, const char *bindir, const char *schema,
                          const char *name, struct report *report, GError **error);

/* Foreign keys, also those of other tables that refer to it. What else was lost with the table (views, say) is warned
 * about by name. */
gboolean recreate_links(struct session *s, const struct toc *t, const char *bindir, const char *schema,
                        const char *name, struct report *report, GError **error);
