/*
 * What we leave to pg_dump, pg_restore and pg_dumpall: the plan, the schema's SQL, large objects, roles.
 * warnings: what they warn of although they succeed is added, see pg/said.h (char *); NULL: it is not wanted.
 * SQL text is made for a server of the given major version: what that one would refuse is not in it, see pg/skew.h.
 */
#pragma once

#include "base/subprocess.h"
#include "pg/session.h"
#include "pg/toc.h"

/* pg_dump's table of contents of the session's database, in the given snapshot (NULL: in its own). pg_dump is ended
 * once it has said it: the data is not read. lock_timeout_ms 0: wait for locks as long as it takes. */
struct toc *pgdump_toc(struct session *s, const char *bindir, const char *snapshot, guint lock_timeout_ms,
                       GPtrArray *warnings, GError **error);

/* The same. ret_running, if not NULL, becomes pg_dump itself: it has locked every table, and wants to write their data
 * to its pipe, which nobody reads. The caller ends it with subprocess_free. */
struct toc *pgdump_toc_kept(struct session *s, const char *bindir, const char *snapshot, guint lock_timeout_ms,
                            GPtrArray *warnings, struct subprocess **ret_running, GError **error);

/* The version of the pg_restore that reads the table of contents for a server of that major version ("15.13"); the
 * caller frees it. */
char *pgdump_restore_version(const struct toc *t, const char *bindir, int server_major, GError **error);

/* The SQL text of a section ("pre-data", "post-data") as pg_restore prints it. extra: further
 * arguments for it, NULL-terminated, or NULL. */
GString *pgdump_section_sql(const struct toc *t, const char *bindir, int server_major, const char *section,
                            const char *const *extra, GPtrArray *warnings, GError **error);

/* The SQL of one entry (with owner, tablespace and access method), to be run by a session of ours. option: a further
 * argument for pg_restore, or NULL. */
GString *pgdump_entry_sql(const struct toc *t, const char *bindir, int server_major, const struct toc_entry *e,
                          const char *option, GError **error);

/* The SQL that fills the large objects, given to take in pieces as pg_dump writes it. lock_timeout_ms: as above. */
gboolean pgdump_large_objects(struct session *s, const char *bindir, const char *snapshot, guint lock_timeout_ms,
                              gboolean (*take)(const char *text, gsize length, void *data, GError **error), void *data,
                              GPtrArray *warnings, GError **error);

/* Roles, their memberships and settings, tablespaces; without passwords. */
GString *pgdump_globals(struct session *s, const char *bindir, GPtrArray *warnings, GError **error);

/* The pg_restore that reads the table of contents for a server of that major version. */
char *pgdump_find_restore(const struct toc *t, const char *bindir, int server_major, GError **error);

/* The pre-data section as a list for pg_restore's -L, where --section=pre-data would lack the large objects: pg_dump 17
 * and later has them in the data section. NULL: it would not. The caller frees it with g_free. */
char *pgdump_list_before_data(const struct toc *t);

/* For pg_restore: a file in memory, and one with the table of contents, read from its beginning. -1 on failure. */
int pgdump_memory_file(const char *name, GError **error);
int pgdump_toc_file(const struct toc *t, GError **error);
