/* COPY out of and into the server, row by row, with the server's own count held against ours. */
#pragma once

#include "pg/session.h"

/* One row as COPY text, its newline included; valid during the call. */
typedef gboolean (*copy_row)(const char *row, gsize length, void *data, GError **error);

/* Runs "COPY ... TO stdout". TRUE only if the server said that it sent all rows, and as many as came. */
gboolean copy_out(struct session *s, const char *sql, copy_row take, void *data, GError **error);

/* "COPY ... FROM stdin": begin, any number of puts of COPY text (whole rows or parts), end. end is TRUE only if the
 * server took exactly expected_rows. After a failure the statement is over. */
gboolean copy_in_begin(struct session *s, const char *sql, GError **error);
gboolean copy_in_put(struct session *s, const char *text, gsize length, GError **error);
gboolean copy_in_end(struct session *s, guint64 expected_rows, GError **error);

/* Ends the statement without effect, after a failure elsewhere. */
void copy_in_abort(struct session *s);
