/* The environment of this process: what was changed in it, and who gets what of it. */
#pragma once

#include <glib.h>

/* Sets NAME, or removes it (value NULL), and remembers what was there. Before there are threads. */
void environment_change(const char *name, const char *value);

/* As it was before all changes: for another run of this program. g_strfreev. */
char **environment_of_caller(void);

/* For programs that do not connect to the database: without libpq's passwords. g_strfreev. */
char **environment_for_others(void);
