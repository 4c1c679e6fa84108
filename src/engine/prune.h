/*
 * Retention at work: what catalog/retention.h says of each backup, and the deletion of what may go, in the folder and
 * in S3. Each deletion stands in the journal before it is done.
 */
#pragma once

#include "catalog/retention.h"
#include "engine/offsite.h"
#include "engine/report.h"
#include "engine/server_identity.h"

struct prune_request {
    const char *dir;
    const char *name; /* of the database, encoded; NULL: all of them */
    struct tiers tiers;
    int keep_min;
    gboolean keep_pending;         /* there is a bucket: what is to be uploaded stays until it is */
    gboolean local;                /* look at the folder */
    const struct offsite *offsite; /* look at the bucket; NULL: do not */
    struct server_identity *identity; /* whose backups these rules are for; NULL: everybody's */
    gboolean thorough;             /* a verdict on every backup, not only on those that could go */
    gboolean apply;                /* delete */
    guint wait_s;                  /* for another run on a database; 0: do not wait */
    gint64 now;                    /* seconds since 1970 */
};

enum prune_outcome {
    PRUNE_KEPT,
    PRUNE_TO_DELETE, /* without apply */
    PRUNE_DELETED,
    PRUNE_RETAINED, /* S3 did not let us */
};

struct prune_verdict {
    char *id, *database, *location; /* database: as in file names; location: path or s3://... */
    const char *type, *reason;      /* static; reason: a word */
    char *text;                     /* the reason for people */
    enum tier_place place;
    gint64 taken_at;
    gboolean good; /* counts as one of the good ones */
    enum prune_outcome outcome;
};

/* "keep", "delete", "deleted", "retained". */
const char *prune_outcome_name(enum prune_outcome outcome);

/* Of one database (q->name); for apply the caller holds its lock. verdicts: struct prune_verdict * are added, made with
 * prune_verdicts_new. What S3 refuses to delete is told once, and no error. */
gboolean prune_database(const struct prune_request *q, struct report *report, GPtrArray *verdicts, GError **error);

/* Of q->name, or of every database; for apply it takes each one's lock in turn. */
gboolean prune_run(const struct prune_request *q, struct report *report, GPtrArray *verdicts, GError **error);

GPtrArray *prune_verdicts_new(void);
