/*
 * Libraries that a server loads when it starts (shared_preload_libraries). Some extensions cannot be created without
 * theirs, so a test server loads what the backed-up one did, as far as its host has it.
 */
#pragma once

#include "pg/session.h"

/* Of the setting's value, the libraries that the server's own program has among its libraries, as such a value; NULL if
 * there are none, or on failure. Names of files elsewhere are left out: a backup does not say what is run here. */
char *preload_installed(struct session *s, const char *setting, GError **error);

/* Of the setting's value, the libraries that the server has not loaded, as "a, b"; NULL if there are none, or on
 * failure. A server that does not show its own setting is taken to have all. */
char *preload_missing(struct session *s, const char *setting, GError **error);
