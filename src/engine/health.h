/*
 * How the backups of one database are doing: a list of checks, each with value, target, threshold, verdict and what to
 * do. It looks at the folder, its journal, S3 and the server as far as they answer, changes nothing, and sends nothing.
 *
 * What cannot be known is never OK: no backup is critical, S3 that does not answer is a check's verdict and no failure
 * of the look.
 */
#pragma once

#include "catalog/catalog.h"
#include "catalog/tiers.h"
#include "engine/offsite.h"
#include "engine/server_identity.h"
#include "pg/session.h"

/* The numbers are exit codes of `opstower status` (those of Nagios's plugins) and values of the metrics. */
enum health_verdict { HEALTH_OK = 0, HEALTH_WARNING = 1, HEALTH_CRITICAL = 2, HEALTH_UNKNOWN = 3 };

/* "OK", "WARNING", "CRITICAL", "UNKNOWN". Static. */
const char *health_verdict_name(enum health_verdict v);

/* The worse of two: critical, then warning, then unknown, then OK. */
enum health_verdict health_worse(enum health_verdict a, enum health_verdict b);

/* Which side of its limits is bad. */
enum health_side { HEALTH_ABOVE, HEALTH_BELOW, HEALTH_OUTSIDE /* of -limit to +limit */ };

struct health_check {
    const char *name;  /* a word for machines that never changes, as "backup_age"; static */
    const char *title; /* for people; static */
    enum health_verdict verdict;
    char *value;       /* what was found, one line; never NULL */
    char *target;      /* what it should be; may be NULL */
    char *threshold;   /* from where it is a warning or critical; may be NULL */
    char *advice;      /* what to do; NULL if the verdict is OK */
    const char *cause; /* the check that tells why this one cannot be judged; then it is not alerted as well. NULL: it
                          stands for itself. Static */
    char *subject;     /* lines that name what is concerned, where that is more than one thing; NULL: none */
    /* The same as a number; NAN: there is none. unit: "s", "B", "%", or "" for a count. A percentage is 0 to 100. */
    double number;
    const char *unit;
    double warning, critical; /* limits; beyond them is bad, at them is not. NAN: none */
    enum health_side side;
};

/* For graphs; -1: not known. */
struct health_numbers {
    gint64 newest_at;                          /* snapshot of the newest good backup, seconds since 1970 */
    gint64 size_bytes, plain_bytes;            /* of that backup */
    gint64 rows, tables, duration_s;           /* of that backup */
    gint64 local_backups, s3_backups;          /* copies; of S3 what is noted if it could not be asked */
    gint64 local_bytes, s3_bytes;              /* of these */
    gint64 pending_copies, missing_copies;     /* in S3 */
    gint64 free_bytes;                         /* on the disk of the folder */
    gint64 runs_ok, runs_failed;               /* backups in the last 7 days, from the journal */
    gint64 verified_at, tested_at, drilled_at; /* the last good verification, full test, drill */
};

struct health {
    char *database;
    gint64 now;
    enum health_verdict verdict; /* the worst of all */
    GArray *checks;              /* struct health_check; those that apply, in the order in which they are shown */
    struct health_numbers numbers;
};
void health_clear(struct health *h);

/* The check of that name; NULL if it does not apply. */
const struct health_check *health_find(const struct health *h, const char *name);

/* Thresholds that a user may change. 0: the default. */
struct health_limits {
    int rpo_minutes;          /* how often a backup is due, and the most that may be lost: 60 */
    int rto_minutes;          /* how long a restore may take: 240 */
    int age_warning_minutes;  /* twice rpo_minutes */
    int age_critical_minutes; /* four times rpo_minutes */
};

struct health_request {
    const char *dir, *database;         /* the folder; the database's name as the server has it */
    const struct offsite *offsite;      /* NULL: no bucket is set */
    const char *spare_dir;              /* where alerts lie while dir cannot be written; NULL: not looked at */
    const char *s3_problem;             /* a bucket is set, but there can be no offsite: why; else NULL */
    const struct pg_target *target;     /* NULL: the server is not asked for its certificate */
    struct server_identity *identity;   /* whose backups; NULL: everybody's */
    const char *const *row_loss_ignore; /* tables (NAME or SCHEMA.NAME, with *) that may lose rows; NULL: none */
    const char *const *critical_tables; /* that may least of all; NULL: the three with the most rows */
    struct tiers tiers;                 /* how long backups stay, here and in S3 */
    gboolean look_away;                 /* ask neither S3 nor the server: quick, from what is noted */
    struct health_limits limits;
    gint64 now; /* seconds since 1970; 0: the clock's */
};

/* Fills *ret. FALSE only if nothing can be said at all: the folder is there and cannot be read (OT_IO). */
gboolean health_run(const struct health_request *request, struct health *ret, GError **error);

/* All of it as one JSON object: database, time, verdict, checks, numbers. New reference. */
json_t *health_json(const struct health *h);

/* Appends one set of metrics for several databases in Prometheus's text format: each family once, with its HELP and
 * TYPE, and a line per database. list: struct health *. */
void health_prometheus(const GPtrArray *list, GString *text);
