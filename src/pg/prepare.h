/*
 * What the settings of a server, a database or a role may not change for us. Every session is prepared when it is
 * opened (session_open), so that it lives as long as we need it, reads what is there, and words it as pg_dump would;
 * children are given what they do not set themselves.
 */
#pragma once

#include "pg/session.h"

/* Sets what is not as we need it. *ret_child_options: "-c name=value ..." for a child's PGOPTIONS, NULL if it needs
 * none; the caller frees it with g_free. OT_PREREQUISITE if a setting that would make a backup wrong cannot be set. */
gboolean prepare_session(struct session *s, char **ret_child_options, GError **error);
