/*
 * Which statements of a dump that is not ours are run: those that pg_dump writes, as far as they stay within their own
 * database. A dump is a program of somebody else; this keeps what it says openly from reaching other databases, roles,
 * files and programs of the server. What its functions do when they are called is not seen here.
 */
#pragma once

#include <glib.h>

enum plain_verdict {
    PLAIN_ALLOWED,
    PLAIN_COPY,    /* COPY ... FROM stdin: allowed, and rows follow */
    PLAIN_BEYOND,  /* acts on databases, roles, tablespaces, the server's settings, files or programs */
    PLAIN_UNUSUAL, /* pg_dump writes nothing like it */
};

/* One whole statement; comments before and in it are skipped as the server skips them. */
enum plain_verdict plain_gate_judge(const char *statement);

/* The statement's first words without anything that may be a value, for a message. Free with g_free. */
char *plain_gate_excerpt(const char *statement);

/* Of a PLAIN_COPY: the table's name as it stands there. Free with g_free. */
char *plain_gate_copy_table(const char *statement);

/* Whether it is SET standard_conforming_strings, and to what. */
gboolean plain_gate_sets_strings(const char *statement, gboolean *ret_conforming);
