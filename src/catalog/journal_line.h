/* One line of the journal as text: how it is made and read. For the files of journal_ only. */
#pragma once

#include "catalog/journal.h"

/* The line (with its newline) of RECORD after the one with that seq and digest; torn_bytes: of the torn line between,
 * 0: there is none. NULL: it cannot be written as JSON. To be freed. */
char *journal_line_make(const json_t *record, gint64 seq, const char *prev, gsize torn_bytes);

/* The record in a line (without newline): an object with a seq; else NULL. New reference. */
json_t *journal_line_parse(const char *line, gsize length);

/* Its seq without reading the rest of it; 0: it does not begin as a record of ours. */
gint64 journal_line_seq(const char *line, gsize length);

/* TRUE if the line's sum is that of its text. */
gboolean journal_line_sum_is_right(const char *line, gsize length);

/* SHA-256, as 64 hexadecimal digits. To be freed. */
char *journal_line_digest(const char *line, gsize length);
