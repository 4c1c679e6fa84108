/*
 * Version skew. pg_restore writes for the newest server it knows: its first lines set parameters that an older server
 * refuses. Which server the text is for decides which of them may stay.
 */
#pragma once

#include <glib.h>

/* Removes from the SET lines at the head of pg_restore's text those of parameters that a server of that major version
 * does not know. Nothing behind the head is touched: it may be a function's body. */
void skew_strip_settings(GString *sql, int server_major);

/* Removes from an entry's SQL (desc: its kind in the table of contents) what a newer pg_dump writes although a server
 * of that major version, where it comes from, refuses it. In place; TRUE if there was something. */
gboolean skew_mend_definition(char *sql, const char *desc, int server_major);

/* Whether a server of that major version knows all that such a pg_restore sends to it unasked. */
gboolean skew_can_connect(int client_major, int server_major);

/* Removes from what pg_restore said (in place) its complaints that such a server does not know a parameter. TRUE if no
 * other complaint is left: then nothing failed. */
gboolean skew_strip_complaints(char *said, int server_major);
