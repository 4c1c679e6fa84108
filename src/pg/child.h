/* Children that connect to the server as a session of ours does. */
#pragma once

#include "base/subprocess.h"
#include "pg/session.h"

/* For subprocess_options.started, with the session as its data: ends the child if the server stops answering
 * (pg/silence.h). The session may be freed before the child. */
void session_watch_child(struct subprocess *p, void *data);
