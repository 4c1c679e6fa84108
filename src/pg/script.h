/* Statements of somebody else's script, one at a time. */
#pragma once

#include "pg/session.h"

/* Runs one statement; text that holds more than one is refused by the server, whatever quotes it plays with, for it is
 * sent by the extended protocol. is_copy: the statement is to make the server wait for rows (then go on with
 * copy_in_put and copy_in_end), and nothing else may. OT_RESTORE if it fails. */
gboolean script_run(struct session *s, const char *sql, gboolean is_copy, GError **error);
