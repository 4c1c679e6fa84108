/*
 * What a load ended with beside "all is there": objects that came back only with help, and objects that could not come
 * back although all rows did.
 */
#pragma once

#include "base/table.h"
#include "engine/report.h"
#include "pg/toc.h"

struct load_outcome {
    GPtrArray *helped;          /* char *: what stock tools would not have loaded from this file, and what helped */
    GPtrArray *left_out;        /* char *: what is not there, or not in force, and why */
    GHashTable *left_entries;   /* dump ids (GINT_TO_POINTER) of what may not be as in the backup for that */
    gboolean extension_refused; /* the load failed, for the server refused to create an extension in this database */
};
typedef struct load_outcome load_outcome;

struct load_outcome *load_outcome_new(void);
void load_outcome_free(struct load_outcome *o);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(load_outcome, load_outcome_free)

/* Notes it, and says it to the report. Not thread-safe. */
void load_outcome_help(struct load_outcome *o, struct report *report, const char *format, ...) G_GNUC_PRINTF(3, 4);
void load_outcome_leave(struct load_outcome *o, struct report *report, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* The same of an entry of the table of contents. reason: a GError's message, of which the first line is kept. */
void load_outcome_leave_entry(struct load_outcome *o, struct report *report, const struct toc_entry *e,
                              const char *encoding, const char *what_became, const char *reason);

/* Rules of this table are not all as in the backup. */
void load_outcome_touch(struct load_outcome *o, const struct toc *t, const struct table_def *table);

/* "INDEX public.i; FK CONSTRAINT public.b x" in one text, the first few of them; the caller frees it with g_free. */
char *load_outcome_text(const GPtrArray *of);

/* What was left out as an array of text. New reference. */
json_t *load_outcome_json(const struct load_outcome *o);

/* The first line of a message, without what may quote rows; the caller frees it with g_free. */
char *load_first_line(const char *message);
