/*
 * Options and variables: one table says their names, limits, defaults and help; all here is read from it.
 * It does not know --help, --version or the command words, and it prints nothing.
 */
#pragma once

#include "config/settings.h"

/* The commands an option is for; rows of the table carry a mask of these. */
enum {
    CMD_BACKUP = 1 << 0,
    CMD_VERIFY = 1 << 1,
    CMD_RESTORE = 1 << 2,
    CMD_LIST = 1 << 3,
    CMD_SYNC = 1 << 4,
    CMD_BUCKET = 1 << 5,
    CMD_PRUNE = 1 << 6,
    CMD_RETENTION = 1 << 7,
    CMD_HOLD = 1 << 8,
    CMD_SCHEDULE = 1 << 9,
    CMD_STATUS = 1 << 10,
    CMD_ALERT = 1 << 11,
    CMD_AUDIT = 1 << 12,
    CMD_SERVE = 1 << 13,
    CMD_ADOPT = 1 << 14,
    CMD_CONFIG = 1 << 15,
};

/*
 * Fills S (its former content is not freed) for COMMAND, one of CMD_*. Sources, strongest first: ARGV (ARGC words
 * after the command word), ENVIRON_LIKE ("NAME=VALUE" strings, NULL at the end), the .env file, defaults.
 *
 * - .env file: --env-file, else OPSTOWER_ENV_FILE (the one named must exist), else ./.env, else
 *   /etc/opstower/backup.env. It is only read: the process's environment is not changed.
 * - An empty variable counts as not there, so the next weaker source decides. An empty flag value is an error:
 *   `--target-db "$UNSET"` must not become a restore over production.
 * - A list takes one entry per flag, or comma-separated entries in a variable (commas in double quotes do not split).
 * - BACKUP_* variables that are not in the table are errors; so are ALERT_* and HOOK_* ones, in ENVIRON_LIKE only where
 *   they differ from one in the table by a slip of the hand. Another name that differs so, while that one is not set,
 *   is an error in the .env file and a warning in ENVIRON_LIKE. All others are not ours.
 *
 * *RET_POSITIONAL becomes the words that are not options (never NULL; g_strfreev). Texts for the user are added to
 * WARNINGS (char *, which the array must free with g_free); it may be NULL.
 * Errors: OT_USAGE; OT_IO where a file cannot be read; OT_REFUSED where strangers could have written it. They never
 * hold a secret. On error S is empty and
 * *RET_POSITIONAL untouched.
 */
gboolean settings_load(struct settings *s, unsigned command, int argc, char **argv, char **environ_like,
                       char ***ret_positional, GPtrArray *warnings, GError **error);

/* Puts libpq's and the proxies' variables of the .env file into this process's environment, where libpq and libcurl
 * find them, and takes our secrets out of it, which no child needs. Before there are threads. */
void options_settle_environment(const struct settings *s);

struct option_shown {
    char *name;   /* the variable */
    char *value;  /* NULL: it is not set; of a secret only that it is */
    char *source; /* where the value came from; NULL: it is not set */
};

/* Every variable, and those of libpq and proxies that the .env file has: struct option_shown *. The caller unrefs it.
 */
GPtrArray *options_shown(const struct settings *s);

/* The option and variable sections of COMMAND's --help: aligned lines of at most 100 columns. g_free. */
char *options_help(unsigned command);

/* What secrets_clean (base/secrets.h) takes out of others' texts from now on. Before there are threads. */
void options_declare_secrets(const struct settings *s);

/*
 * A copy of TEXT, a message of ours, with "***" in place of the secrets that S holds, where they are so odd that they
 * cannot be a part of the message by chance: not of words, short ones, or what names the database, too. g_free.
 */
char *options_redact(const struct settings *s, const char *text);

/* The variables of ENVIRON_LIKE that may be handed on: without those of the tables that are secret, and without libpq's
 * passwords. g_strfreev. */
char **options_without_secrets(char **environ_like);

/* The word of the NULL-terminated list that a mistyped one was most likely meant to be; NULL if none is near. */
const char *options_nearest_word(const char *wrong, const char *const *words);
