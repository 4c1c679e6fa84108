/*
 * The snapshot that a whole backup is read in, and the locks that keep the tables as they are meanwhile.
 *
 * Every table is locked (ACCESS SHARE, what reading takes), and the snapshot is seen to show exactly what is locked. So
 * no table can be altered between plan and data, as long as the transaction that holds the locks lives: which is proved
 * time and again, and once more after the last row (snapshot_prove). A database with more tables than the server has
 * room to lock twice is locked by pg_dump alone, which is then kept until the end.
 *
 * Politeness: nobody waits long behind us. A lock that is not had in lock_timeout_ms is not waited for, and whoever
 * waits longer than that for us makes the backup give way (pg/watch.h). Whatever is worth another try, with a new
 * snapshot, is OT_LOCK_TIMEOUT.
 */
#pragma once

#include "pg/session.h"
#include "pg/toc.h"

/* Opens a session for rows in another encoding than the database's own (NULL: UTF8). */
struct session *snapshot_open_for_rows(const struct pg_target *t, const char *dbname, const char *encoding,
                                       GError **error);

struct snapshot;
typedef struct snapshot snapshot;

/* Also begins the watch. */
struct snapshot *snapshot_begin(const struct pg_target *t, guint lock_timeout_ms, GError **error);

/* The session that took it, for planning; after snapshot_planned it answers to snapshot_check alone. */
struct session *snapshot_session(struct snapshot *s);
void snapshot_planned(struct snapshot *s);
const char *snapshot_id(const struct snapshot *s);

/* When it was taken: seconds since 1970. */
gint64 snapshot_time(const struct snapshot *s);

/* pg_dump's table of contents in this snapshot, in which every name means what it meant. warnings: as for pgdump_toc.
 */
struct toc *snapshot_toc(struct snapshot *s, const char *bindir, GPtrArray *warnings, GError **error);

/* A further session that sees this snapshot, and reads tables only: no view, no foreign table, so that nobody's code is
 * run (see snapshot_guards). The caller owns it. */
struct session *snapshot_join(struct snapshot *s, const struct pg_target *t, GError **error);

/* Whether the server can refuse views to a session. */
gboolean snapshot_guards(const struct snapshot *s);

/* TRUE once the run is to end: the watch made us give way, or the locks were found lost. Thread-safe, and quick. */
gboolean snapshot_is_lost(struct snapshot *s);

/* Asks whether the transaction with the locks lives. Thread-safe. OT_LOCK_TIMEOUT if not; OT_DUMP if an administrator
 * ended it, who is not to be worked against. */
gboolean snapshot_check(struct snapshot *s, GError **error);

/* The proof, when the last row has been read: it lives, and each table still lies where it lay. OT_LOCK_TIMEOUT if
 * not. */
gboolean snapshot_prove(struct snapshot *s, GError **error);

/* Replaces the error of a failure by the reason behind it, if that is a lost lock. Thread-safe. */
void snapshot_explain(struct snapshot *s, GError **error);

/* What a table is called at present, with its schema, as session_quote_pair of that session writes it. Thread-safe; the
 * caller frees it. OT_LOCK_TIMEOUT if it is not there any more. */
char *snapshot_name_now(struct snapshot *s, struct session *quoting, guint64 oid, GError **error);

/* Ends the watch and gives up the locks, when all has been read; snapshot_session is then gone. FALSE with
 * OT_LOCK_TIMEOUT if we gave way before. */
gboolean snapshot_end(struct snapshot *s, GError **error);
void snapshot_free(struct snapshot *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(snapshot, snapshot_free)
