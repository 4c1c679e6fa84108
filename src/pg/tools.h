/* PostgreSQL's own programs: where they are, and of which version. */
#pragma once

#include "base/error.h"

/* The path of a program (pg_dump, initdb, ...): in bindir if given; else in the newest /usr/lib/postgresql/N/bin that
 * has it, else in PATH. NULL with OT_PREREQUISITE. */
char *tools_find(const char *bindir, const char *program, GError **error);

/* The major version that the program reports (15). */
gboolean tools_major(const char *path, int *ret_major, char **ret_text, GError **error);

/* As tools_find, for a client of a server of that major version: the same major if there is one, else the oldest
 * newer one. An older client cannot dump a newer server: OT_PREREQUISITE says so. */
char *tools_find_for(const char *bindir, const char *program, int server_major, GError **error);

/* The same for a program of at least that major version; why ends the error's "pg_restore is version 15: ...". */
char *tools_find_at_least(const char *bindir, const char *program, int major, const char *why, GError **error);

/* That all programs which a dump needs are there for a server of that major version, and that it is one we know. */
gboolean tools_check_for_dump(const char *bindir, int server_major, GError **error);
