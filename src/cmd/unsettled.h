/* A run that could not begin, because its settings or its words are wrong. */
#pragma once

#include "cmd/command.h"

/* Tells those who would have been told of its outcome, as far as the settings still say who they are: where a clock
 * started it, that is, and not a person who has seen the error. Before there are threads. */
void unsettled_tell(const struct command *command, int argc, char **argv, char **envp, const GError *problem);
