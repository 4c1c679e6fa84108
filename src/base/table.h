/* What a table is to those who move its rows: its name, its COPY statement, its columns. */
#pragma once

#include <glib.h>

struct table_column {
    char *name;
    char *type; /* as format_type gives it with an empty search_path */
};

struct table_def {
    guint64 oid; /* in the database that is dumped; 0: not known */
    char *schema, *name;
    char *copy_sql;     /* "COPY public.t (a, b) FROM stdin;" as pg_dump writes it, without newline */
    char *filter;       /* extension configuration tables: "WHERE ..." or ""; NULL for all others */
    GPtrArray *columns; /* struct table_column *, in the order of copy_sql */
    GPtrArray *key;     /* char *: columns of the primary key, empty if none */
    gboolean unguarded; /* the server cannot refuse a view in its place: to be read by statements that do */
};

struct table_def *table_def_new(void);
void table_def_free(struct table_def *t);
void table_def_add_column(struct table_def *t, const char *name, const char *type);
