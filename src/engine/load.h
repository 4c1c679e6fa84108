/* Loads a backup file of ours into an empty database: schema, rows in parallel, sequences, large objects, indexes. */
#pragma once

#include "archive/reader.h"
#include "engine/report.h"
#include "pg/session.h"
#include "pg/toc.h"

struct load_request {
    const struct pg_target *target; /* the database is named by dbname */
    const char *dbname;
    const char *bindir;
    guint jobs;
    gboolean tablespaces; /* FALSE: everything goes to the database's default tablespace */
    /* Called when all rows are there, before indexes are made, with a session in the database. NULL: nothing */
    gboolean (*before_indexes)(struct session *s, void *data, GError **error);
    void *data;
};

struct load_times {
    gint64 schema_ms, rows_ms, indexes_ms;
};

/* TRUE only if every statement succeeded and the server counted as many rows as the backup's proof for each table. */
gboolean load_backup(const struct load_request *request, struct archive_reader *reader, const struct toc *t,
                     struct report *report, struct load_times *ret_times, GError **error);
