/*
 * Event triggers of a database in which we make tables: whoever wrote them did not mean ours, and what they do (raise,
 * or alter what was just made) would keep rows from coming back as they were.
 */
#pragma once

#include "pg/session.h"

/* As far as the session's role may decide it, they do not fire on its statements from here on; before version 17 nor do
 * triggers. *ret_heard: names of those that still would on CREATE; NULL: none. The caller frees it with g_free. */
gboolean eventtriggers_quiet(struct session *s, char **ret_heard, GError **error);

/* Triggers fire again. */
gboolean eventtriggers_loud(struct session *s, GError **error);

/* A statement of ours failed: the error gets the names of who may have refused it, and what helps. */
void eventtriggers_explain(const char *heard, GError **error);
