/*
 * What the checks of engine/health.h look at, and the checks themselves: each a function of this data and nothing else,
 * so that a test can hold it against any past. Only engine/health*.c and their tests include it.
 */
#pragma once

#include "catalog/record.h"
#include "catalog/retention.h"
#include "engine/alert.h"
#include "engine/health.h"

/* A guess of when something happened that was noted in the future is not trusted; clocks of several machines may differ
 * by this much. */
#define HEALTH_CLOCK_SLACK_S RETENTION_SLACK_S

/* What servers said; ends are seconds since 1970, 0: none, or not seen. */
struct health_servers {
    gboolean database_asked, s3_asked, s3_tls;
    char *database_problem; /* NULL: it answered */
    char *database_version; /* as "15.3" */
    char *exposed_to;       /* the server's host, where the connection to it is not encrypted; NULL: it is */
    struct pg_system system; /* empty: it did not answer */
    gint64 database_certificate, s3_certificate;
    char *certificate_problem; /* why S3's was not seen */
    char *credentials_source, *credentials_problem;
    gboolean credentials_borrowed; /* a session token that nobody renews */
};
void health_servers_clear(struct health_servers *s);

struct health_data {
    const struct health_request *request;
    struct health_limits limits; /* defaults filled in */
    gint64 now;
    gint64 began_at;    /* since when there is anything to be done for this database; 0: not known */
    GPtrArray *backups; /* struct catalog_entry *, newest first; of this server */
    GPtrArray *others;  /* those of other servers; NULL: not looked for */
    gboolean unsure;    /* it is not known which server is meant: all are among backups */
    GPtrArray *journal; /* json_t *, oldest first: this database's acts, and those of no database */
    gboolean s3_looked; /* whether backups knows what is in S3 */
    char *s3_problem;   /* why not; NULL: it was not to be asked */
    char *journal_problem;
    gint64 free_bytes; /* -1: not known */
    struct health_servers servers;
    gboolean alerts_used;           /* an alert was to be sent, ever */
    struct alert_backlog alerts;    /* those that wait */
    struct health_numbers *numbers; /* a check adds those it comes upon */
};

/* The defaults in place of zeros. */
struct health_limits health_fill_limits(struct health_limits l);

/* When its snapshot was taken, seconds since 1970. */
gint64 health_taken_at(const struct catalog_entry *e);

/* Its file here has not the size that it was written with. */
gboolean health_is_cut(const struct catalog_entry *e);

/* Verified, still of its size, not a pre-restore one, and not dated in the future. */
gboolean health_is_good(const struct health_data *d, const struct catalog_entry *e);

/* The newest of these; NULL: there is none. */
const struct catalog_entry *health_newest_good(const struct health_data *d);

/* Runs neither begin to the second nor wait equally long for their locks. */
#define HEALTH_BACKUP_SLACK_S 600

/* The days that the checks of runs and uploads look back: a week, or four times of what is due between backups. */
gint64 health_window_s(const struct health_data *d);

/* ---- health_begin.c ---- */

/* Finds began_at. */
void health_begin(struct health_data *d);

/* A bucket is set, and it is not known what is in it. */
gboolean health_is_s3_unseen(const struct health_data *d);

/* How bad it is that no good backup is seen: UNKNOWN while the first is not due yet, and by the journal while S3 is not
 * seen; else CRITICAL. *ret_value (may be NULL): what there is to say of that, to be freed; NULL: nothing more. */
enum health_verdict health_without_backup(const struct health_data *d, char **ret_value);

/* "not due yet, first on Sun 2026-12-06 02:30" of a job that has not run, within so long since the beginning; NULL: it
 * should have. To be freed. */
char *health_not_due_yet(const struct health_data *d, const char *job_name, double patience_s);

/* ---- writing a check ---- */

/* Number, unit and limits; the verdict follows from them (a limit that is NAN has none). */
void health_measure(struct health_check *c, double number, const char *unit, enum health_side side, double warning,
                    double critical);

/* Makes the verdict at least that bad. */
void health_raise(struct health_check *c, enum health_verdict v);

/* The advice, if the verdict is not OK and there is none yet. */
void health_advise(struct health_check *c, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The verdict says no more than that there is no good backup, if there is none: the check of the age tells that. */
void health_blame_age(const struct health_data *d, struct health_check *c);

/* "3 h 12 min", also for doubles and below zero. To be freed. */
char *health_duration(double seconds);

/* ---- the checks: FALSE if it does not apply ---- */

/* health_backups.c */
gboolean health_check_age(const struct health_data *d, struct health_check *c);
gboolean health_check_success(const struct health_data *d, struct health_check *c);
gboolean health_check_rpo(const struct health_data *d, struct health_check *c);
gboolean health_check_clock(const struct health_data *d, struct health_check *c);

/* health_others.c */
gboolean health_check_others(const struct health_data *d, struct health_check *c);

/* Parts backups from those of other servers, and lines of the journal from theirs. */
void health_part_others(struct health_data *d);

/* health_alerts.c */
gboolean health_check_alerts(const struct health_data *d, struct health_check *c);

/* health_size.c */
gboolean health_check_size(const struct health_data *d, struct health_check *c);
gboolean health_check_rows(const struct health_data *d, struct health_check *c);
gboolean health_check_disk(const struct health_data *d, struct health_check *c);

/* health_copies.c */
gboolean health_check_upload(const struct health_data *d, struct health_check *c);
gboolean health_check_copies(const struct health_data *d, struct health_check *c);

/* health_tests.c; the last one after health_check_age, which finds the present size */
gboolean health_check_verified(const struct health_data *d, struct health_check *c);
gboolean health_check_full_test(const struct health_data *d, struct health_check *c);
gboolean health_check_drill(const struct health_data *d, struct health_check *c);
gboolean health_check_rto(const struct health_data *d, struct health_check *c);
gboolean health_check_rto_predicted(const struct health_data *d, struct health_check *c);

/* health_journal.c */
gboolean health_check_journal(const struct health_data *d, struct health_check *c);
/* health_ends.c */
gboolean health_check_database(const struct health_data *d, struct health_check *c);
gboolean health_check_holds(const struct health_data *d, struct health_check *c);
gboolean health_check_credentials(const struct health_data *d, struct health_check *c);
gboolean health_check_certificates(const struct health_data *d, struct health_check *c);
