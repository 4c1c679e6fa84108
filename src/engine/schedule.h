/*
 * What runs by itself, and when: the guide's cadence as systemd timers or cron lines. It installs, removes and looks at
 * them; it runs nothing itself, and there is no scheduler of our own.
 *
 * What is ours says so: a file by its first line, lines in a person's crontab by the two around them. All else is left
 * alone, to the byte.
 */
#pragma once

#include "engine/report.h"

enum schedule_kind {
    SCHEDULE_SYSTEMD,   /* a service and a timer for each job; of the dashboard no timer */
    SCHEDULE_CRON_FILE, /* one file in /etc/cron.d */
    SCHEDULE_CRONTAB,   /* lines in the crontab of whoever calls */
};

/* When a job runs, in local time. */
struct schedule_when {
    int every_minutes;         /* > 0: all that counts */
    int minute, hour;          /* hour -1: every hour of every day */
    gboolean sunday;           /* only on Sundays */
    int first_day, last_day;   /* of the month; 0: any */
    const char *const *months; /* "1" to "12", NULL at the end; NULL: any */
};

struct schedule_job {
    const char *name;    /* of unit and log lines: "opstower-backup" */
    const char *title;   /* what it does, for people */
    const char *command; /* "backup" */
    const char *words[4];
    const char *script; /* the guide's name for the command; NULL: it has none */
    gboolean from_s3;   /* reads the copy in S3 where there is a bucket */
    gboolean full_test; /* starts a scratch server: needs more rights as root */
    gboolean catch_up;  /* runs what the others missed: cron alone needs it */
    gboolean serve;     /* the dashboard: a service that stays; systemd alone, where it is asked for */
    gboolean watch;     /* looks and tells, often and quietly; only where there is somebody to tell */
    struct schedule_when when;
};

/* All jobs; the last has no name. */
extern const struct schedule_job schedule_jobs[];

/* As a crontab's five fields, where Sunday together with days of the month is left to schedule_needs_sunday; and as
 * systemd's OnCalendar. To be freed. */
char *schedule_cron_fields(const struct schedule_when *w);
char *schedule_calendar(const struct schedule_when *w);

/* cron takes either where both day of month and weekday are limited: then the line itself must ask for Sunday. */
gboolean schedule_needs_sunday(const struct schedule_when *w);

/* The first time after AFTER (unix seconds) at which it runs. */
gint64 schedule_next(const struct schedule_when *w, gint64 after);

/* The last time up to NOW at which it was to run; 0: none within a quarter. Not for what runs every few minutes. */
gint64 schedule_last(const struct schedule_when *w, gint64 now);

struct schedule_request {
    enum schedule_kind kind;
    const char *program;         /* absolute path of this program */
    const char *scripts;         /* folder of the guide's scripts; NULL: not found */
    const char *env_file;        /* absolute; NULL: each job finds its own settings (--config-dir) */
    const char *user;            /* whom the jobs run as; NULL: root */
    const char *const *several;  /* further words of each job, as "--all-databases"; NULL: none */
    const char *const *writable; /* folders the jobs write to, absolute; NULL at the end */
    gboolean bucket;             /* there is a copy in S3 */
    gboolean alerts;             /* a channel for alerts is set */
    gboolean serve;              /* the dashboard too; with systemd only */
    gboolean hooks;              /* the jobs start programs of others */
    const char *unit_dir;        /* where files go; NULL: where the system has them, and systemd is told */
};

struct schedule_file {
    char *path; /* of a file; "crontab" for a person's */
    char *text;
};

/* What would be installed: struct schedule_file *. OT_USAGE if a path cannot stand in such a file. */
GPtrArray *schedule_files(const struct schedule_request *q, GError **error);

/* Brings the files about, removes those of the other kind and of jobs that are not to run any more, and has systemd
 * start its timers if it is running here. Done twice, the second changes nothing. OT_REFUSED, with nothing changed, if
 * a file of that name is not ours. ret_changed: how many files were written. */
gboolean schedule_install(const struct schedule_request *q, struct report *report, guint *ret_changed, GError **error);

/* Removes all that any install left, of both kinds of files, or of the crontab. A file that is not ours stays, with a
 * warning. ret_removed: how many files there were. */
gboolean schedule_remove(const struct schedule_request *q, struct report *report, guint *ret_removed, GError **error);

/* How one job stands. */
struct schedule_state {
    const struct schedule_job *job;
    const char *installed; /* "yes", "no", "differs" from what would be installed now, or "not ours"; static */
    gboolean enabled;      /* something starts it; TRUE for cron if a cron daemon is running */
    gint64 next;           /* unix seconds; 0: not known, or never */
};

/* Whether a job is to run at all with these settings. */
gboolean schedule_wants(const struct schedule_request *q, const struct schedule_job *job);

/* Whether the dashboard's service was installed here by us. */
gboolean schedule_has_serve(const struct schedule_request *q);

/* struct schedule_state *, one for each job that is to run. */
GPtrArray *schedule_status(const struct schedule_request *q, GError **error);

/* Whether systemd is this machine's init, and whether a cron daemon is running. */
gboolean schedule_has_systemd(void);
gboolean schedule_has_cron(void);
