/* What became of several runs: as a table, as JSON, and as one verdict. */
#pragma once

#include <jansson.h>

#include "base/error.h"

struct several_part {
    char *label;        /* of the file, or the database's name: any bytes */
    char *word;         /* the option that tells its run what it is about */
    char **environment; /* of its run */
    gboolean untold;    /* a watch that has nobody to tell */
    gboolean ran;       /* FALSE: an interrupt came first */
    int code;           /* its exit code */
    gint64 seconds;
    char *id, *error; /* NULL: none */
    json_t *output;   /* what it printed, with --json; NULL: nothing that is JSON */
};

void several_part_free(struct several_part *p);

/* The label fit for a line on a terminal: valid UTF-8, no control characters. To be freed. */
char *several_label(const struct several_part *p);

/* To stdout; parts: struct several_part *. */
void several_print(const GPtrArray *parts);
gboolean several_print_json(const GPtrArray *parts, GError **error);

/* The highest exit code: for commands whose codes are grades, not failures. */
int several_worst(const GPtrArray *parts);

/* A watch of several databases may have nobody to tell of some of them. OT_USAGE if of all. */
gboolean several_check_told(const GPtrArray *parts, GError **error);

/* TRUE if all are good; else an error with the exit code of the first that failed, which names each; OT_BUSY if none
 * failed, but some met another run at work. */
gboolean several_judge(const GPtrArray *parts, GError **error);
