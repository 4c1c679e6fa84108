/* How things stand after a restore, in lines that can be acted upon: the way back, or what state everything is in. */
#pragma once

#include "engine/replaced.h"
#include "pg/toc.h"

/* After success: the line that undoes it. */
void outcome_tell_undo(const struct replaced *old, gboolean existed);

/* After success: what must be done so that the restored database receives again. facts: its backup's; t may be NULL. */
void outcome_tell_subscriptions(const struct replaced *old, const json_t *facts, const struct toc *t);

/* After a failure or an interrupt: what is there on the server, asked with a session of its own. side: the side
 * database's name, NULL: none was made. */
void outcome_tell_state(const struct replaced *old, const char *side);
