/*
 * What a backup lacks of its database, because the role may not see it, a standby does not have it, or pg_dump leaves
 * it out, and of which pg_dump does not say a word.
 */
#pragma once

#include "pg/session.h"
#include "pg/toc.h"

/* Adds a short text for each (char *, UTF-8), "subscription audit (only a superuser can read it)"; of one kind at most
 * OMITTED_MAX, then how many more there are. encoding: of the database. In the session's transaction. */
gboolean omitted_read(struct session *s, const struct toc *t, const char *encoding, GPtrArray *omitted, GError **error);

#define OMITTED_MAX 20
