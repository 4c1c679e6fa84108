/* The statements that find and insert the rows of a recovered table that the live one lacks. All operators and
 * functions are qualified, so that they mean the same under any search_path. */
#pragma once

#include "engine/livetable.h"

struct put_rows {
    const struct table_def *def;
    const char *recovered;         /* quoted and qualified */
    gboolean as_text;              /* the recovered table's columns are text */
    const struct live_table *live; /* where they go */
    const GPtrArray *key;          /* NULL: rows are told apart as a whole, and counted */
};

/* All are allocated; the caller frees them with g_free. */
char *put_sql_insert(struct session *s, const struct put_rows *p);

/* Every row, into a table that is empty. */
char *put_sql_insert_all(struct session *s, const struct put_rows *p);

/* Returns one row: how many rows of the backup are missing; how many are there by their key, but differ. */
char *put_sql_count(struct session *s, const struct put_rows *p);

/* How many rows the live table has. */
char *put_sql_total(const struct put_rows *p);
