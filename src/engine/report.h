/*
 * How an act tells what it does, without knowing who listens: lines for people, counters for progress, a log file.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

enum report_level { REPORT_INFO, REPORT_WARN, REPORT_ERROR };

/* Counters that a listener may read at any time from another thread. */
struct progress {
    const char *phase; /* static text, NULL: nothing to show */
    gint64 done_bytes, total_bytes;
    gint tables_done, tables_total;
};

struct report {
    void (*line)(enum report_level level, const char *text, void *data); /* may be NULL */
    char *(*redact)(const char *text, void *data);                       /* removes secrets; may be NULL */
    void *data;
    struct progress progress;
    json_t *facts; /* an object; NULL: none yet. See report_fact */
    /* the log file; use report_open_log and report_close_log */
    int log_fd; /* 0: none */
    char *log_path;
    GString *before_log; /* lines said before the log was opened */
    GError *log_error;   /* the first failure to write it */
};

void report_say(struct report *r, enum report_level level, const char *format, ...) G_GNUC_PRINTF(3, 4);
#define report_info(r, ...) report_say(r, REPORT_INFO, __VA_ARGS__)
#define report_warn(r, ...) report_say(r, REPORT_WARN, __VA_ARGS__)

/* What the journal's line of this act is to say beside its outcome, as "size": 123. Takes the reference; a key that is
 * there already is replaced. One thread at a time. */
void report_fact(struct report *r, const char *key, json_t *value);

/* The same with text, which need not be valid UTF-8; NULL: no such fact. */
void report_fact_text(struct report *r, const char *key, const char *text);

/* Adds the time since START_US (monotonic) to the phase of that name in fact "phases", in seconds. */
void report_phase(struct report *r, const char *phase, gint64 start_us);

/* Says an error as one line: message and hint. */
void report_error(struct report *r, const GError *error);

/* Creates the log (0600; it must not exist) and writes what was said so far into it. If that fails there is no log. */
gboolean report_open_log(struct report *r, const char *path, GError **error);

/* For before what cannot be undone: FALSE if the log lacks a line so far, or cannot be brought to disk. */
gboolean report_check_log(struct report *r, GError **error);

/* fsync and close. FALSE if any line could not be written. Fine if no log is open. */
gboolean report_close_log(struct report *r, GError **error);

void report_progress_start(struct report *r, const char *phase, guint64 total_bytes, guint tables_total);
void report_progress_add(struct report *r, guint64 bytes);
void report_progress_table(struct report *r);
void report_progress_end(struct report *r);
