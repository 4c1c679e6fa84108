/*
 * The option table seen from inside config/: rows and what is done with a single one.
 * Nothing outside this floor includes it; options.h is the door.
 */
#pragma once

#include "config/options.h"

#define CMD_ALL (~0u)

#ifndef OPSTOWER_SYSTEM_ENV_FILE
#define OPSTOWER_SYSTEM_ENV_FILE "/etc/opstower/backup.env"
#endif

enum option_type {
    OPTION_TEXT,       /* char * */
    OPTION_URL,        /* char *; of a server of HTTP or SMTP, of which only the password is secret */
    OPTION_CONNECTION, /* char *; a connection URL or conninfo string, of which only the password is secret */
    OPTION_NUMBER,     /* int between min and max; one of the choices, if there are any, is stored as 0 */
    OPTION_CHOICE,     /* char *; one of the choices */
    OPTION_LIST,       /* char **; has a flag (one entry each) or a variable (comma separated), never both */
    OPTION_ON,         /* gboolean; flag only, takes no value, makes it TRUE */
    OPTION_OFF,        /* gboolean; flag only, takes no value, makes it FALSE; TRUE by default */
};

struct option_row {
    const char *flag; /* without dashes; NULL = variable only */
    const char *env;  /* NULL = flag only */
    enum option_type type;
    unsigned commands;    /* for a row without a flag: whose help names it; its value is read for all */
    gsize offset;         /* in struct settings */
    const char *standard; /* default, as a user would write it; NULL = NULL or 0 */
    int min, max;
    const char *const *choices; /* NULL at the end */
    const char *arg;            /* the value's name in help; NULL = takes none */
    const char *bare;           /* the value of a flag without one, which only a number after it is; NULL = needs one */
    gboolean secret;
    gboolean web_address; /* OPTION_TEXT: a URL, all of it secret */
    const char *help;     /* never NULL, but in the row after the last */
};

/* Every table (each ends with a row whose help is NULL); NULL at the end. */
extern const struct option_row *const option_tables[];

/* Every row, table by table. break leaves only the table. */
#define OPTION_ROWS_EACH(row)                                                                                          \
    for (const struct option_row *const *table_ = option_tables; *table_; table_++)                                    \
        for (const struct option_row *row = *table_; row->help; row++)

/* The row of a flag (without dashes) or a variable; NULL if there is none. */
const struct option_row *option_by_flag(const char *flag);
const struct option_row *option_by_env(const char *env);

/* The row whose value the variable NAME, as DATABASE_PASSWORD_FILE, says to be in a file; NULL if there is none. */
const struct option_row *option_by_file_env(const char *name);

/* The row whose name is most like a mistyped one, NULL if none is near. COMMANDS limits which flags are looked at. */
const struct option_row *option_nearest_flag(const char *flag, unsigned commands);
const struct option_row *option_nearest_env(const char *env);

/* The row whose variable ENV, which may well be another program's, differs from by no more than a slip of the hand;
 * NULL if there is none. Not for variables of which a mistake shows by itself (AWS_*, DATABASE_*, PG_*). */
const struct option_row *option_misspelt_env(const char *env);

/* Whether the names in ENTRIES (struct dotenv_entry *, read from PATH, which may be NULL if there are none) and in
 * ENVIRON_LIKE are known, or not ours: see settings_load. Error: OT_USAGE, with the name and never the value. */
gboolean options_check_names(const GPtrArray *entries, const char *path, char **environ_like, GPtrArray *warnings,
                             GError **error);

/* The words of COMMANDS, as "opstower verify or opstower restore". g_free. */
char *option_commands_text(unsigned commands);

/* Stores TEXT, which was given under the name WHERE (for messages), in S. TEXT is NULL for OPTION_ON and _OFF.
 * A list from a variable is replaced; use option_append for flags. Error: OT_USAGE. */
gboolean option_set(const struct option_row *row, struct settings *s, const char *text, const char *where,
                    GError **error);

/* The same with the text of the file PATH, without a newline at its end, and adds PATH to s->secret_files. Also OT_IO,
 * OT_REFUSED (everyone may write to it). */
gboolean option_set_from_file(const struct option_row *row, struct settings *s, const char *path, const char *where,
                              GPtrArray *warnings, GError **error);

/* Adds one entry to an OPTION_LIST. */
void option_append(const struct option_row *row, struct settings *s, const char *entry);

/* Fills S, which is all zero, with every row's default. */
void option_defaults(struct settings *s);

/* Adds to SECRETS (char *) every spelling of what is secret in TEXT, a value of ROW; nothing if nothing is. */
void option_secrets(const struct option_row *row, const char *text, GPtrArray *secrets);

/* The names of ROW's choices, as "a, b, c". g_free. */
char *option_choices_text(const struct option_row *row);

/* ---- variables that are not ours (foreign.c, kubernetes.c) ---- */

struct dotenv_entry;

/* Of libpq or of proxies: these count in a .env file as they do in the environment. */
gboolean foreign_is_known(const char *name);

/* The one of libpq's that NAME was meant to be; NULL if it is one, or nobody's. */
const char *foreign_misspelt(const char *name);

/* Named as libpq's are, and not one of them. */
gboolean foreign_is_stray(const char *name);

/* Whether a password is in it. */
gboolean foreign_is_secret(const char *name, const char *value);

/* Adds ENTRY of a .env file to s->foreign, if it is such a variable and ENVIRON_LIKE has none of the name. */
void foreign_take(struct settings *s, const struct dotenv_entry *entry, char **environ_like);

/* Adds the secrets of s->foreign, and of such variables in this process's environment, to SECRETS (char *). */
void foreign_secrets(const struct settings *s, GPtrArray *secrets);

/* Whether the variable was made by Kubernetes or Docker for a Service of that name, which ENVIRON_LIKE shows. */
gboolean kubernetes_made(const char *name, const char *value, char **environ_like);
