/* The terminal side of a command: lines to stdout, a progress line, errors to stderr, secrets removed. */
#pragma once

#include <jansson.h>

#include "config/options.h"
#include "engine/offsite.h"
#include "engine/report.h"
#include "engine/server_identity.h"
#include "pg/session.h"

struct console {
    struct settings settings;
    struct pg_target target; /* from the settings */
    struct report report;
    struct s3 *s3; /* made by request_s3; NULL until then */
    guint s3_missing; /* enum s3_optional: what the S3 server does not have */
    struct offsite offsite;
    struct server_identity identity; /* made by request_identity */
    char *s3_problem; /* why there is none; of the last request_health */
    const char *act;  /* static; set by a command whose outcome is to be recorded in the journal. NULL: none */
    gboolean untold;  /* a watch, one of several, that has nobody to tell */
    gboolean begun;   /* the act has begun: from here on OT_BUSY does not mean that another run is at work */
    int verdict;      /* the exit code of a command that ended without an error */
    gint64 started_us;
    GThread *ticker; /* draws the progress line on a terminal */
    gint ticker_stop;
    GMutex mutex;
    gint64 phase_started_us;
    const char *phase_shown;
    gboolean line_drawn;
};

/* Fills target and report from the settings (already loaded) and starts the progress line if stdout is a terminal. */
void console_start(struct console *c);

/* What the settings gave reason to say: WARNINGS (char *), and where the database's URL and parts disagree. */
void console_warn(struct console *c, const GPtrArray *warnings);

/* Stops the progress line. */
void console_stop(struct console *c);

/* Reports the error (stderr, log), closes the log. error may be NULL. The exit code. */
int console_finish(struct console *c, GError *error);

/* What the program ends with after this error. */
int console_exit_code(const GError *error);
void console_clear(struct console *c);

/* One JSON document on stdout; takes the reference. */
gboolean console_print_json(json_t *value, GError **error);
