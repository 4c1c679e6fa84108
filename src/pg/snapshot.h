/*
 * The snapshot that a whole backup is read in, and the locks that keep the tables as they are meanwhile.
 *
 * Locks come first: every table is locked (ACCESS SHARE, what reading takes), then the snapshot is taken, then it is
 * checked that it shows exactly the locked tables. So no table can be altered between plan and data.
 *
 * Politeness: nobody waits long behind us. A lock that is not had in lock_timeout_ms is not waited for, and a session
 * that waits longer than that for an exclusive lock on a table of ours makes the backup give way: a watch, on a
 * connection and thread of its own from the first lock on, ends all sessions of this run. Both are OT_LOCK_TIMEOUT.
 */
#pragma once

#include "pg/session.h"

/* Opens a session for rows in another encoding than the database's own (NULL: UTF8). */
struct session *snapshot_open_for_rows(const struct pg_target *t, const char *dbname, const char *encoding,
                                       GError **error);

struct snapshot;
typedef struct snapshot snapshot;

/* Also begins the watch. */
struct snapshot *snapshot_begin(const struct pg_target *t, guint lock_timeout_ms, GError **error);
struct session *snapshot_session(struct snapshot *s);
const char *snapshot_id(const struct snapshot *s);

/* When it was taken: seconds since 1970. */
gint64 snapshot_time(const struct snapshot *s);

/* A further session that sees this snapshot. The caller owns it. */
struct session *snapshot_join(struct snapshot *s, const struct pg_target *t, GError **error);

/* TRUE once the watch made us give way. */
gboolean snapshot_gave_way(struct snapshot *s);

/* Ends the watch and gives up the locks, when all has been read; snapshot_session is then gone. FALSE with
 * OT_LOCK_TIMEOUT if we gave way before. */
gboolean snapshot_end(struct snapshot *s, GError **error);
void snapshot_free(struct snapshot *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(snapshot, snapshot_free)
