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

/* Whether a pg_restore of that major version can connect to such a server: it sends the same lines. */
gboolean skew_can_connect(int client_major, int server_major);
