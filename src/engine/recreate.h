/*
 * Makes dropped tables again from a backup's table of contents, inside the caller's transaction: the tables themselves
 * with what they need, then (their rows are in) what belongs to them, then what went with them: foreign keys and views
 * of others.
 */
#pragma once

#include "engine/report.h"
#include "pg/session.h"
#include "pg/toc.h"

struct recreate;
typedef struct recreate recreate;

/* asked: the TABLE entries that may have to be made again (const struct toc_entry *); those that are gone will be.
 * OT_REFUSED if one of them needs a table that is gone too and was not asked for. All must outlive the result. */
struct recreate *recreate_plan(struct session *s, const struct toc *t, const char *bindir, const GPtrArray *asked,
                               struct report *report, GError **error);
void recreate_free(struct recreate *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(recreate, recreate_free)

/* Whether that table is one that is gone. */
gboolean recreate_has(const struct recreate *r, const struct toc_entry *table);

/* Schemas, types, functions and sequences that are needed and gone; the tables with defaults, owners, privileges. */
gboolean recreate_before_rows(struct recreate *r, GError **error);

/* Keys, indexes, the place among partitions, triggers, policies, values of sequences; then foreign keys, views and
 * whatever else depends on the tables and is gone. What cannot be made is warned about and counted in *ret_left_out;
 * what keeps rows from eyes or gives them their place is an error instead. */
gboolean recreate_after_rows(struct recreate *r, guint *ret_left_out, GError **error);

/* What was made again, once that is sure: after the commit. */
void recreate_tell(const struct recreate *r);

/* The entry of a table, partitioned ones included; NULL if there is none. */
const struct toc_entry *recreate_find(const struct toc *t, const char *schema, const char *name);
