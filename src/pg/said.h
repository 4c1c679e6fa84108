/* What pg_dump and its relatives say on stderr although they succeed. */
#pragma once

#include <glib.h>

/* Adds the warnings in text ("pg_dump: warning: ...", without that prefix) to warnings: char *. Details and hints, and
 * what the server says through them, are no warnings. */
void said_add_warnings(const char *text, GPtrArray *warnings);

/* Whether a warning of that text means that something is not in the dump. One that is not known means it. */
gboolean said_is_loss(const char *warning);
