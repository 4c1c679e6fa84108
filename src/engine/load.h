/* Loads a backup file of ours into an empty database: schema, rows in parallel, sequences, large objects, indexes. */
#pragma once

#include "archive/reader.h"
#include "engine/load_outcome.h"
#include "pg/session.h"
#include "pg/toc.h"

struct load_request {
    const struct pg_target *target; /* the database is named by dbname */
    const char *dbname;
    const char *bindir;
    guint jobs;
    gboolean tablespaces; /* FALSE: everything goes to the database's default tablespace */
    /* Called when the schema is there, before any row is. NULL: nothing */
    gboolean (*before_rows)(void *data, GError **error);
    /* Called when all rows are there, before indexes are made, with a session in the database. NULL: nothing */
    gboolean (*before_indexes)(struct session *s, void *data, GError **error);
    void *data;
};

struct load_times {
    gint64 schema_ms, rows_ms, indexes_ms;
};

/* The schema alone, into the session's empty database. What the server refuses is left out, unsaid. */
gboolean load_schema(const struct load_request *request, struct session *s, const json_t *facts, const struct toc *t,
                     GError **error);

/* TRUE only if the server took every row of the backup, as many as its proof has for each table. What it could not have
 * beside them is in outcome (the caller's): with nothing there, every statement succeeded. */
gboolean load_backup(const struct load_request *request, struct archive_reader *reader, const struct toc *t,
                     struct report *report, struct load_times *ret_times, struct load_outcome *outcome, GError **error);
