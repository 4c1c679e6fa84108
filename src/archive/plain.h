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
    guint64 inserts;      /* INSERT statements, of one row or many */
    guint64 tables;       /* CREATE TABLE statements */
    GHashTable *copied;   /* char * (the table's name as it stands in COPY) to guint64 * (rows) */
    char *sha256;         /* of the file */
    char *server_version; /* from "-- Dumped from database version", NULL if it is not there */
    char *encoding;       /* of "SET client_encoding", NULL if it is not there */
    char *refusal;    /* why it is not to be run: its first statement or psql command that acts beyond one database, or
                         that pg_dump does not write, with its line; NULL if there is none */
    GPtrArray *roles; /* char *: names, as SQL, that own something or are granted something */
};
void plain_summary_clear(struct plain_summary *s);

/* What is done with the statements, in their order. After statement with is_copy, which must have made the server wait
 * for rows, come the rows as COPY text in pieces of any size, and rows_end. */
struct plain_taker {
    gboolean (*statement)(const char *sql, guint64 line, gboolean is_copy, void *data, GError **error);
    gboolean (*rows)(const char *text, gsize length, void *data, GError **error);
    gboolean (*rows_end)(guint64 rows, void *data, GError **error);
};

/* OT_CORRUPT if the file is damaged, cut, or not a dump. kind: ARCHIVE_PLAIN_GZIP or ARCHIVE_PLAIN_SQL. taker may be
 * NULL; with one, what is a refusal ends the scan with OT_REFUSED before it is given. */
gboolean plain_scan(struct source *s, enum archive_kind kind, const struct plain_taker *taker, void *data,
                    struct plain_summary *ret_summary, GError **error);

/* OT_REFUSED, with what to do instead, if there is a refusal. */
gboolean plain_check_refusal(const struct plain_summary *s, GError **error);
