/* Putting one database in another's place, and the small acts on whole databases around it. */
#pragma once

#include "pg/session.h"

/* A session on a database that is not live, the one to be replaced: on postgres, else template1, else any that lets us
 * in. Opened despite an interrupt. OT_PREREQUISITE if there is none but live. */
struct session *swap_admin(const struct pg_target *t, const char *live, GError **error);

gboolean swap_exists(struct session *admin, const char *dbname, gboolean *ret_exists, GError **error);

/* In one transaction: live becomes replaced, side becomes live. Sessions on live are ended and new ones kept out
 * meanwhile; nobody ever sees neither, and a crash at any moment leaves either both names as they were or both
 * changed. replaced NULL: there is no live database, side just gets the name. also: a further statement for that
 * transaction, before the names change. An interrupt that came before does not end it: then it is the way back. */
gboolean swap_names(const struct pg_target *t, struct session *admin, const char *live, const char *side,
                    const char *replaced, const char *also, GError **error);

/* Renames one database, ending its sessions; new ones are kept out meanwhile. */
gboolean swap_rename(const struct pg_target *t, struct session *admin, const char *from, const char *to, GError **error);

/* Ends the sessions of all who have a role, one by one. *ret_kept (NULL: no matter): who may not be ended, and why; the
 * caller frees it. FALSE: the server cannot be asked. */
gboolean swap_end_sessions(struct session *killer, const char *dbname, char **ret_kept, GError **error);

/* Drops a database, ending its sessions; a template's mark and subscriptions in it go first (their publishers are not
 * told). That it is not there is fine. OT_SPACE, and nothing is done, if the server's disk is full: DROP DATABASE would
 * then end the whole server. */
gboolean swap_drop(const struct pg_target *t, struct session *admin, const char *dbname, GError **error);

/* Drops a database that nobody needs: where there is no space to drop it as it is, its tables go first. */
gboolean swap_discard(const struct pg_target *t, struct session *admin, const char *dbname, GError **error);

/* base + suffix, base cut so that the whole fits PostgreSQL's 63 bytes, at a character's boundary. */
char *swap_name(const char *base, const char *suffix);
