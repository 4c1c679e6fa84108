/* The live table that a backup's rows are put back into: its columns, its unique keys, its place among partitions. */
#pragma once

#include "base/table.h"
#include "pg/session.h"

struct live_column {
    char *name, *type;
    gboolean generated;
    gboolean needed; /* NOT NULL, and nothing fills it by itself */
};

struct live_key_column {
    char *name;
    char *equal;   /* "OPERATOR(pg_catalog.=)": what the index calls equal */
    char *collate; /* " COLLATE pg_catalog.\"C\"", or "" */
    gboolean not_null;
};

struct live_table {
    char *oid;
    char *name;         /* quoted and qualified */
    char kind;          /* relkind */
    char *bound;        /* of a partition, as FOR VALUES ... or DEFAULT; NULL: not a partition */
    GPtrArray *columns; /* struct live_column * */
    GPtrArray *keys;    /* GPtrArray * of struct live_key_column *: each unique index, the primary key first */
};

/* *ret is NULL if there is nothing of that name. */
gboolean live_table_look(struct session *s, const char *schema, const char *name, struct live_table **ret,
                         GError **error);
void live_table_free(struct live_table *t);
typedef struct live_table live_table;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(live_table, live_table_free)

const struct live_column *live_table_column(const struct live_table *t, const char *name);

/* Whether the table is a partition of the other, at whatever depth. */
gboolean live_table_is_below(struct session *s, const struct live_table *t, const struct live_table *root,
                             gboolean *ret_below, GError **error);

/* The unique key by which rows are told apart: the one over the backup's primary key; without one in the backup, any
 * whose columns are all NOT NULL and in the backup. NULL: whole rows have to be compared. */
const GPtrArray *live_table_key(const struct live_table *t, const struct table_def *def);

/* OT_REFUSED, with what to do about it, if the backup's rows cannot go into this table as they are. */
gboolean live_table_fits(const struct live_table *t, const struct table_def *def, GError **error);
