/*
 * A restore under the database's own name, for extensions that can be created in no other (pg_cron, by
 * cron.database_name): the live database steps aside, under the name that it would have after the swap, and the new one
 * takes its name at once, closed and empty. Its comment says so, and what the old one is called: whatever ends the run,
 * this one or the next puts the old one back.
 */
#pragma once

#include "engine/report.h"
#include "pg/session.h"

/* Whether a setting of the server binds something to a database of that name. */
gboolean ownname_is_bound(struct session *admin, const char *live);

/* side becomes live, live becomes old (NULL: there is no live database). In one transaction. */
gboolean ownname_begin(const struct pg_target *t, struct session *admin, const char *live, const char *side,
                       const char *old, GError **error);

/* The way back; the half-loaded database is dropped. */
gboolean ownname_take_back(const struct pg_target *t, struct session *admin, const char *live, const char *old,
                           GError **error);

/* The same for a run that was killed, if there was one. */
gboolean ownname_recover(const struct pg_target *t, struct session *admin, const char *live, struct report *report,
                         GError **error);
