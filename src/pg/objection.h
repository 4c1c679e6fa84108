/* Telling what a server objects to from what it cannot do just now. */
#pragma once

#include "pg/session.h"

/* After a failure: TRUE if the server objects to what the statement asks for, and would again. FALSE if the connection,
 * the server's resources or an interrupt was the reason. */
gboolean objection_is(struct session *s);
