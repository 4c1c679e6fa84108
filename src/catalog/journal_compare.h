/* A stretch of the journal held against a copy of it, line by line. Pure: it reads no file. */
#pragma once

#include "catalog/journal_check.h"

struct journal_copied {
    const char *name; /* of the copy, for messages */
    const char *text; /* the copy, from the begin of a line */
    gsize length;
    gint64 first_seq;  /* the record that it begins with */
    gint64 needed_seq; /* the record up to which it must go, if the journal does; it may go further */
};

/* JOURNAL (LENGTH bytes) from START on must be what is in the copy. The first line that differs is added to the state's
 * findings, and which of the two is not as it was written, as far as sums and digests tell. *RET_SEQ: the last record
 * of the copy that is the same in both; 0: none. */
void journal_compare(struct journal_state *s, const char *journal, gsize length, const char *start,
                     const struct journal_copied *copy, gint64 *ret_seq);
