/*
 * What alerts remember between runs: BACKUP_DIR/alerts.json, 0600, replaced in one step, under a lock among processes.
 * Where that folder cannot be written (a full disk, one that is not mounted), the file lies in the temporary folder
 * until it can, so that trouble with the disk itself is told once too and not at each run.
 *
 * {"format": 1, "serial": 12, "dropped": 0, "dropped_at": unix seconds of the last,
 *  "source": what stands for this installation in keys,
 *  "open": {KEY: {"source": "check" | "act", "database", "name", "severity", "title", "text", "since",
 *                 "subject", "told": {CHANNEL: {"severity", "at"}}}},
 *  "unknown": {KEY: unix seconds since when a check has nothing to say},
 *  "queue": [{"id", "channel", "key", "state", "severity", "title", "text", "facts", "when", "host", "database",
 *             "trouble", "before", "tries", "next_try", "claimed_until", "error",
 *             "to": [mail addresses that have yet to take it; without: all]}],        (oldest first)
 *  "sent": {CHANNEL: [unix seconds of the last hour]},
 *  "seen": {KEY: severity that one look found, and that counts when the next finds it too},
 *  "refused": {mail address: what the server said of it the last time}}
 *
 * Only engine/alert*.c include it.
 */
#pragma once

#include <jansson.h>

#include "engine/report.h"

#define ALERTS_FILE "alerts.json"

struct alert_store {
    char *dir, *spare_dir, *spare_name;
    int lock_fd; /* -1: not locked */
    json_t *root;
    gboolean older;   /* what was read was written by a version that did not remember the source */
    gboolean unsaved; /* the last change could be written nowhere: what is in memory is newer than any file */
    char *problem;    /* why the folder could not be written; NULL: it could */
};

/* spare_dir: the temporary folder; NULL: none. */
void alert_store_init(struct alert_store *s, const char *dir, const char *spare_dir);
void alert_store_clear(struct alert_store *s);

/* Locks and reads; root is valid afterwards, in any case: a file that cannot be read or understood counts as empty, and
 * is warned about. Not to be held while something is sent. */
void alert_store_open(struct alert_store *s, struct report *r);

/* Writes (if changed) and unlocks. */
void alert_store_close(struct alert_store *s, gboolean changed, struct report *r);

/* Reads only, without lock and without making anything; an empty one, and FALSE, if there is none. */
gboolean alert_store_peek(struct alert_store *s);

json_t *alert_store_open_alerts(const struct alert_store *s); /* borrowed: "open" */
json_t *alert_store_unknown(const struct alert_store *s);     /* borrowed: "unknown" */
json_t *alert_store_seen(const struct alert_store *s);        /* borrowed: "seen" */
json_t *alert_store_queue(const struct alert_store *s);       /* borrowed: "queue" */
json_t *alert_store_sent(const struct alert_store *s);        /* borrowed: "sent" */
json_t *alert_store_refused(const struct alert_store *s);     /* borrowed: "refused" */
