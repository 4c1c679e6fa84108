/*
 * A worker's session in the snapshot, which reads tables and proves that it read the right ones. A table is read by a
 * name, which may stand for another one by then (its schema was renamed): so it is read by the name that it has now.
 * That this was still right when the rows were read is proved: a table is locked by what it is, not by its name. So the
 * locks of a few tables are kept, and held against the plan's oids; then they are given up, so that no worker has to
 * have them all at last. The locks that protect the tables are not these, but the snapshot's.
 */
#pragma once

#include "pg/copy.h"
#include "pg/plan.h"
#include "pg/snapshot.h"

struct reader;
typedef struct reader reader;

/* n_tables: how many there are in all. */
struct reader *reader_open(struct snapshot *s, const struct pg_target *t, guint n_tables, GError **error);
struct session *reader_session(struct reader *r);

/* Reads a piece of a planned table (its oid is known). */
gboolean reader_copy(struct reader *r, const struct table_def *t, const struct plan_piece *piece, copy_row take,
                     void *data, GError **error);

/* Proves what was read since the last proof, and that the snapshot's locks hold. OT_LOCK_TIMEOUT if not. To be called
 * after the last piece. */
gboolean reader_prove(struct reader *r, GError **error);
void reader_free(struct reader *r);
