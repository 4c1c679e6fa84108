/*
 * What rows become by one dump and restore. The text of most types is a fixed point: a value that is written, read and
 * written again reads the same. That of a few is not (xml loses a newline after its declaration; the number of a table
 * that is gone may be another table's name elsewhere). So restored rows are held against what the types' own input
 * and output make of the backup's text; of all other types against the text itself.
 */
#pragma once

#include "archive/reader.h"
#include "pg/session.h"

/* What is said of a table whose rows are equal only so; %s: the columns. */
#define ROWROUND_WARNING                                                                                               \
    "values of columns %s read otherwise than in the backup: any dump and restore changes the text of their types so"

struct rowround {
    struct session *session;
    struct archive_reader *reader;
    const GArray *tables;       /* guint: whose rows of the backup; their columns are alike */
    const char *relation;       /* quoted: a table of the restored database that has these columns */
    const GPtrArray *read_sqls; /* the COPY ... TO stdout statements that read the restored rows */
};

/* ret_equal: whether the restored rows are what the backup's become. ret_columns: the names of the columns whose text
 * may change; NULL, and no comparison, if there are none. The caller frees it. */
gboolean rowround_compare(const struct rowround *r, gboolean *ret_equal, char **ret_columns, GError **error);
