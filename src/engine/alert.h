/*
 * Alerts: what is worth telling, whom, and when again. Trouble is told once when it begins, again when it becomes worse
 * or better, and once when it is over; what could not be sent waits in a queue. Nothing here fails: what does not work
 * is a warning in the report, for no alert is worth more than the act that it is about.
 */
#pragma once

#include "engine/report.h"
#include "notify/notify.h"

struct alert_config {
    struct notify_config notify;
    enum notify_severity slack_level, pagerduty_level, email_level, webhook_level; /* least severity that goes there */
    int reminder_hours;                                                            /* 0: none */
    int max_per_hour;                                                              /* to each channel */
    int rpo_minutes;       /* how often a backup is due; 0: not known */
    const char *dir;       /* BACKUP_DIR: state, queue and journal */
    const char *spare_dir; /* the temporary folder */
    const char *database;  /* NULL: not known */
    const char *source;    /* what the installation is called in alerts' keys; NULL: as this machine */
};

/* TRUE if any channel is set. Without one nothing is decided, remembered or sent. */
gboolean alert_is_configured(const struct alert_config *c);

enum alert_verdict { ALERT_FINE, ALERT_WARNING, ALERT_CRITICAL, ALERT_UNKNOWN, ALERT_EXCUSED };

/* What one check found. */
struct alert_finding {
    const char *name; /* a word that never changes, as "backup_age" */
    enum alert_verdict verdict;
    const char *title;   /* one line, as "Backup age: 5 h" */
    const char *text;    /* more, and what to do */
    json_t *facts;       /* object of strings; borrowed, NULL: none */
    const char *subject; /* lines that name what is concerned: one that was not there before is told, though the verdict
                            is the same; NULL: none */
    gboolean fickle;     /* one look is no proof: it counts when a second one in a row finds the same */
};

/* Checks of the database. A change is told. What is not known (ALERT_UNKNOWN) leaves trouble as it is; where there was
 * none, it is a warning when it lasts for a day, or for two backups. What another finding tells the cause of (ALERT_EXCUSED) is passed
 * over: trouble stays as it is, and none begins. complete: these are all, and trouble that none of them speaks of any
 * more is over. Then sends what is due. */
void alert_checks(const struct alert_config *c, const struct alert_finding *list, gsize count, gboolean complete,
                  struct report *r);

/* The outcome of an act: code is its exit code, problem its error without secrets (NULL: it went well), facts what is
 * known of it (object of strings; borrowed, NULL: nothing). That production was replaced by a restore is told as news.
 * Sends. */
void alert_act(const struct alert_config *c, const char *act, int code, const char *problem, const json_t *facts,
               struct report *r);

/* Sends what is due. */
void alert_drain(const struct alert_config *c, struct report *r);

/* A test alert through one channel, past levels and queue; it is noted in the journal. FALSE: it was not accepted by
 * all who were to get it. */
gboolean alert_test(const struct alert_config *c, const struct notify_channel *channel, struct report *r,
                    GError **error);

/* {"open": [...], "queue": [...], "dropped": n}: for people and programs. New reference. */
json_t *alert_state(const struct alert_config *c);

/* Ends trouble by hand: it is told as over. OT_NOT_FOUND if there is none of that key. */
gboolean alert_close(const struct alert_config *c, const char *key, struct report *r, GError **error);

/* What waits although its time has come: for a check. */
struct alert_backlog {
    guint waiting;      /* alerts that were tried at least once, in vain */
    gint64 oldest_at;   /* when the oldest of them happened; 0: none */
    char *channels;     /* as "slack, email" */
    char *error;        /* the last one; NULL: none */
    gint64 dropped_at;  /* when the last one was dropped; 0: never */
    json_int_t dropped; /* for want of room in the queue, since ever */
    char *refused;      /* mail addresses that the server does not take; NULL: none */
};
/* spare_dir may be NULL. *ret is to be cleared. FALSE: there is no file, so no alert was ever to be sent. */
gboolean alert_backlog(const char *dir, const char *spare_dir, struct alert_backlog *ret);
void alert_backlog_clear(struct alert_backlog *b);
