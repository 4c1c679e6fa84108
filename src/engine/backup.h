/* The act of taking a backup: prerequisites, dump, re-reading, publication, retention. */
#pragma once

#include "engine/offsite.h"
#include "engine/report.h"
#include "pg/session.h"

enum backup_places {
    BACKUP_HERE,       /* the folder only */
    BACKUP_BOTH,       /* the folder, and S3 while it is written */
    BACKUP_BOTH_LATER, /* the folder; the next run uploads it */
    BACKUP_S3_ONLY,    /* straight to S3, nothing but the log in the folder */
};

struct backup_request {
    const struct pg_target *target;
    const char *dir;
    const char *type, *tag; /* tag may be NULL */
    const char *bindir;
    guint jobs;
    int compress_level;
    guint lock_timeout_ms, lock_attempts;
    guint wait_s; /* for another run on this database; 0: do not wait */
    struct tiers tiers;
    int keep_min;
    enum backup_places places;
    const struct offsite *offsite; /* NULL only with BACKUP_HERE */
    gboolean globals;
    gboolean monthly;      /* keep the first good one of a month in S3 as monthly too */
    gboolean prune;        /* delete what retention no longer wants, when done */
    gboolean prune_s3;     /* in S3 too */
    gboolean keep_pending; /* there is a bucket, though this backup may stay here: what waits for it is kept */
    /* Called once the lock is held, before anything is done; FALSE ends the run. NULL: nothing */
    gboolean (*begin)(void *data, GError **error);
    void *begin_data;
};

struct backup_result {
    char *id, *database;
    char *path;   /* of the file; NULL: there is none */
    char *s3_url; /* of the object; NULL: there is none (yet) */
    guint64 plain_bytes, size_bytes, rows;
    guint tables;
    gint64 duration_s;
};
void backup_result_clear(struct backup_result *r);

/* Takes a backup. TRUE only if it is complete in every place that was asked for, re-read and held against its proof,
 * and published with its sidecars. Where it is complete here but not in S3, ret_result is filled, and the error is
 * OT_UPLOAD. Opens and writes report's log (backup_TIMESTAMP.log); the caller closes it. */
gboolean backup_run(const struct backup_request *request, struct report *report, struct backup_result *ret_result,
                    GError **error);
