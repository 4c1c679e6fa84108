/*
 * Takes one dump: snapshot, plan, parallel COPY, into a sink. It gives way to those
 * who wait for a lock of ours; its caller tries again.
 */
#pragma once

#include "archive/contents.h"
#include "base/sink.h"
#include "engine/report.h"
#include "pg/session.h"

struct dump_request {
    const struct pg_target *target;
    const char *bindir; /* NULL: search */
    guint jobs;         /* 0: default */
    int compress_level; /* 0: fast */
    guint lock_timeout_ms;
    gboolean globals; /* roles and tablespaces too */
};

struct dump_result {
    struct archive_contents *contents; /* complete: facts, tables with proofs, members */
    gint64 snapshot_time;              /* seconds since 1970 */
    guint64 plain_bytes, size_bytes;   /* of all members; of the file */
    guint table_count;                 /* CREATE TABLE statements */
    char *sha256;
    char *globals_sql;  /* roles and tablespaces; NULL unless asked for */
    GPtrArray *omitted; /* what the dump lacks of the database, in words: char *. It is in the facts too. */
};
void dump_result_clear(struct dump_result *r);

/* Writes into sink and flushes it. */
gboolean dump_take(const struct dump_request *request, struct sink *sink, struct report *report,
                   struct dump_result *ret_result, GError **error);
