/* What follows an act that is worth remembering, whatever became of it. */
#pragma once

#include "cmd/console.h"

/* Called once, after the command has run and before its last words. problem: its error, NULL if it went well. Does
 * nothing unless c->act is set. If the act cannot be recorded, that is said; and where it went well, it becomes the
 * run's error: TRUE unless *error was set. */
gboolean aftermath(struct console *c, const GError *problem, GError **error);
