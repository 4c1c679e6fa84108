/*
 * What the settings of a server, a database or a role may not change for us. Every session is prepared when it is
 * opened (session_open), so that it lives as long as we need it, reads what is there, and words it as pg_dump would;
 * children are given what they do not set themselves.
 */
#pragma once

#include "pg/session.h"

/* What is set first of all, so that nothing ends while the rest is set; to be read before, in this order. */
#define PREPARE_FIRST "statement_timeout", "exit_on_error"
#define PREPARE_N_FIRST 2

/* Sets what is not as we need it. first: the values of PREPARE_FIRST as the server gave them. *ret_child_options: "-c name=value ..." for a child's PGOPTIONS, NULL if it needs
 * none; the caller frees it with g_free. OT_PREREQUISITE if a setting that would make a backup wrong cannot be set. */
gboolean prepare_session(struct session *s, const char *const first[PREPARE_N_FIRST], char **ret_child_options,
                         GError **error);
