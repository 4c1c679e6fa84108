/*
 * The objects of a restored database against those of a backup: each entry of pg_dump's table of contents, with its
 * owner and its SQL. The server words some SQL otherwise once it was loaded from a dump (a CHECK with IN on a varchar
 * column, views, the columns of an inheriting table); such an entry must read as it does in a second database, into
 * which the file's own statements were loaded.
 */
#pragma once

#include "archive/reader.h"
#include "pg/session.h"
#include "pg/toc.h"

struct compare_schema {
    struct session *restored;
    const char *bindir;
    struct archive_reader *reader;
    gboolean tablespaces; /* FALSE: where things lie is not compared */
    /* A session in an empty database that is made as the restored one was; asked once, if texts differ. The caller
     * frees what it returns. NULL on failure. */
    struct session *(*open_empty)(void *data, GError **error);
    void *open_data;
    /* Loads the schema into that database where psql alone cannot. NULL: psql is given the file's own statements. */
    gboolean (*load_schema)(struct session *s, void *data, GError **error);
    GHashTable *left_out; /* dump ids (GINT_TO_POINTER) of what is known to differ; NULL: nothing */
    /* Told of every difference, as a sentence. */
    void (*differ)(const char *text, void *data);
    void *differ_data;
};

/* FALSE only if the comparison could not be made. ret_reworded: how many objects the server words otherwise. */
gboolean compare_schema(const struct compare_schema *c, const struct toc *t, guint *ret_reworded, GError **error);
