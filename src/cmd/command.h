/* A subcommand: one file, one table entry. */
#pragma once

#include "cmd/console.h"

struct command {
    const char *name;
    unsigned mask;            /* its CMD_ bit in the option table */
    const char *usage;        /* what follows "opstower NAME" */
    const char *summary;      /* one line */
    const char *details;      /* paragraphs for --help */
    int min_words, max_words; /* words that are not options */
    gboolean several;         /* can be run once for each of several databases; see cmd/several.h */
    int failed_code;          /* what it ends with instead of an error's own code; 0: with that. Not for signals */
    /* Runs it. FALSE with *error set makes the exit code. */
    gboolean (*run)(struct console *c, char **words, GError **error);
};

extern const struct command cmd_backup;
extern const struct command cmd_verify;
extern const struct command cmd_restore;
extern const struct command cmd_list;
extern const struct command cmd_sync;
extern const struct command cmd_status;
extern const struct command cmd_bucket;
extern const struct command cmd_prune;
extern const struct command cmd_retention;
extern const struct command cmd_serve;
extern const struct command cmd_audit;
extern const struct command cmd_schedule;
extern const struct command cmd_hold;
extern const struct command cmd_alert;
extern const struct command cmd_adopt;
extern const struct command cmd_config;
