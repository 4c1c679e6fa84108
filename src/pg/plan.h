/*
 * Which tables are read, and cut into which pieces: a piece is what one COPY statement reads. Big tables of heap
 * storage are cut by ranges of their pages (ctid; servers from version 14 on read just the range), so that several
 * workers share one table.
 */
#pragma once

#include "base/table.h"
#include "pg/session.h"
#include "pg/toc.h"

struct plan_piece {
    guint table;    /* index into the tables */
    gboolean whole; /* the table is not cut */
    guint64 first_page;
    guint64 end_page;     /* the page behind the last; 0: to the end of the table */
    guint64 weight_bytes; /* its share of the table's size on disk */
};

/* Whether the entry is a table whose data belongs in a dump. */
gboolean plan_has_rows(const struct toc_entry *e);

/* The tables whose data belongs in a dump: struct table_def *, in pg_dump's order. guarded: the sessions that read them
 * refuse views (snapshot_guards). */
GPtrArray *plan_tables(struct session *s, const struct toc *t, gboolean guarded, GError **error);

/* The pieces of those tables as they are in the session's database now: struct plan_piece, the heaviest first; small
 * ones come in the tables' order. */
GArray *plan_pieces(struct session *s, const GPtrArray *tables, guint n_jobs, GError **error);

/* The COPY ... TO stdout statement of a piece, of the table of that quoted name; the caller frees it. */
char *plan_copy_out_from_sql(const char *name, const struct table_def *t, const struct plan_piece *piece);

/* The same, of the table's own name. */
char *plan_copy_out_sql(struct session *s, const struct table_def *t, const struct plan_piece *piece);

/* Whether copy_sql loads the table's rows into the table itself: pg_dump has some partitions loaded through their
 * root, since where a row belongs may differ elsewhere. */
gboolean plan_loads_into_itself(const struct table_def *t);
