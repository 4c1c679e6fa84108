/*
 * Reads a plain-text dump that is not ours (`pg_dump`, `pg_dump | gzip`) from front to back, and says whether it is
 * complete as far as such a file can show it: begun and ended as pg_dump does, every COPY block closed, gzip whole.
 * It carries no proof, so rows that are missing as whole lines cannot be noticed.
 */
#pragma once

#include "archive/reader.h"

struct plain_summary {
    guint64 plain_bytes;
    guint64 rows;         /* lines of COPY data */
    guint64 tables;       /* CREATE TABLE statements */
    GHashTable *copied;   /* char * (the table's name as it stands in COPY) to guint64 * (rows) */
    char *sha256;         /* of the file */
    char *server_version; /* from "-- Dumped from database version", NULL if it is not there */
    char *encoding;       /* of "SET client_encoding", NULL if it is not there */
    char *beyond;     /* the first line that acts beyond one database: on databases, roles, tablespaces, or by a psql
                         command such as \\connect; NULL if there is none */
    GPtrArray *roles; /* char *: names, as SQL, that own something or are granted something */
};
void plain_summary_clear(struct plain_summary *s);

/* Calls take for each unpacked piece of the file in turn (take may be NULL). With take, a line that acts beyond one
 * database ends the scan with OT_REFUSED before it is given: it would reach others than the database it is loaded into.
 */
typedef gboolean (*plain_take)(const char *text, gsize length, void *data, GError **error);

/* OT_CORRUPT if the file is damaged, cut, or not a dump. kind: ARCHIVE_PLAIN_GZIP or ARCHIVE_PLAIN_SQL. */
gboolean plain_scan(struct source *s, enum archive_kind kind, plain_take take, void *data,
                    struct plain_summary *ret_summary, GError **error);
