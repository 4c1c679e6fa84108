/* Sequences that feed a table whose rows were put back. */
#pragma once

#include "engine/putsql.h"
#include "engine/report.h"
#include "pg/toc.h"

/* Moves each sequence of the live table on to where the backup had it, if it stands before that (TRUNCATE ... RESTART
 * IDENTITY): else the next number that it gives is one that a row put back has already. Never back. */
gboolean putsequence_move_on(struct session *s, const struct toc *t, const struct put_rows *rows, struct report *report,
                             GError **error);
