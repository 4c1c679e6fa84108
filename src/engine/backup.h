/* The act of taking a backup: prerequisites, dump, re-reading, publication, retention. */
#pragma once

#include "engine/report.h"
#include "pg/session.h"

#define TOOL_VERSION "1.0.0"

struct backup_request {
    const struct pg_target *target;
    const char *dir;
    const char *type, *tag; /* tag may be NULL */
    const char *bindir;
    guint jobs;
    int compress_level;
    guint lock_timeout_ms, lock_attempts;
    int retention_days, keep_min;
    gboolean globals;
    gboolean prune; /* delete what retention no longer wants, when done */
};

struct backup_result {
    char *id, *path, *database;
    guint64 plain_bytes, size_bytes, rows;
    guint tables;
    gint64 duration_s;
};
void backup_result_clear(struct backup_result *r);

/* Takes a backup. TRUE only if the file is complete, on disk, re-read and held against its proof, and published with
 * its sidecars. Opens and writes report's log (backup_TIMESTAMP.log); the caller closes it. */
gboolean backup_run(const struct backup_request *request, struct report *report, struct backup_result *ret_result,
                    GError **error);
