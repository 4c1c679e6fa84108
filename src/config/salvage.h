/*
 * What can still be had of settings that were refused: enough to tell somebody. Values that are wrong are passed over,
 * and where a .env file cannot be read, the addresses of alerts count that the last good run has found in it.
 */
#pragma once

#include "config/settings.h"

/* Fills S (its former content is not freed). It never fails; what cannot be had is as by default. */
void settings_salvage(struct settings *s, int argc, char **argv, char **environ_like);

/* Remembers the addresses of alerts in the .env file that S were read from, in a private file of the state folder
 * ($STATE_DIRECTORY, XDG_STATE_HOME/opstower, root's /var/lib/opstower, or ~/.local/state/opstower), as far as there
 * are any, and the database (NULL: not known). FALSE: it could not be written, which is no fault. */
gboolean settings_remember(const struct settings *s, const char *database, char **environ_like);
