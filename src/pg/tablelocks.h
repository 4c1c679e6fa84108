/*
 * The database's tables as a session sees them, the locks that keep them so, and whether they still are what they were.
 * A table is known by its oid: its name may stand for another one at any time.
 */
#pragma once

#include "pg/session.h"

struct seen_table {
    guint32 oid;
    char *name; /* with its schema, quoted */
    char *filenode;
    gboolean readable, gone; /* may be read; was dropped since the snapshot that shows it */
};

/* What pg_dump locks: ordinary and partitioned tables outside the system's schemas. struct seen_table *. */
GPtrArray *tablelocks_list(struct session *s, GError **error);

/* OT_PREREQUISITE if the role may not read one of them, an extension's aside. */
gboolean tablelocks_check_readable(struct session *s, GError **error);

/* Locks those of the tables that can be read (ACCESS SHARE), in few statements. held: without these oids; may be NULL.
 * *ret_gone if it failed because one of them is not there any more. */
gboolean tablelocks_take(struct session *s, const GPtrArray *tables, GHashTable *held, gboolean *ret_gone,
                         GError **error);

/* A set of oids (guint32 in a pointer): which tables of this database the process has locked for reading, as any
 * session sees it. */
GHashTable *tablelocks_held(struct session *s, const char *pid, GError **error);

/* A query for that set's rows, with the pid as its parameter; its first column is the oid. */
extern const char *const tablelocks_held_sql;
GHashTable *tablelocks_set(const PGresult *rows);

/* Those of the tables that are not in the set, though they can be read; a container. */
GPtrArray *tablelocks_missing(const GPtrArray *tables, GHashTable *held);

/* An array of their oids as SQL text; the caller frees it with g_free. */
char *tablelocks_oids(const GPtrArray *tables);

/* A query whose parameter is such an array: each table's oid, and a text that changes with whatever is changed in the
 * table's definition. */
extern const char *const tablelocks_identity_sql;

/* Whether two results of such a query are the same. */
gboolean tablelocks_same(const PGresult *a, const PGresult *b);

/* Every table's oid and the file its rows lie in, without a parameter. */
extern const char *const tablelocks_filenodes_sql;

/* Whether each of the tables still lies where it did, by the result of that query. OT_LOCK_TIMEOUT if not. */
gboolean tablelocks_check_filenodes(const GPtrArray *tables, const PGresult *now, GError **error);
