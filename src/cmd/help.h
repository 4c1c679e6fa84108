/* The list of commands, and what --help prints of them. */
#pragma once

#include "cmd/command.h"

/* The command of that name, or NULL. */
const struct command *help_find(const char *name);

/* Help of one command, or of all if name is NULL. The exit code. */
int help_print(const char *name);

/* The program's name and version. The exit code. */
int help_version(void);

/* Says that there is no such command and names the nearest one. The exit code. */
int help_unknown(const char *name);
