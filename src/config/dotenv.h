/*
 * Reader of .env files. It knows the notation only: which names mean something is the option table's business,
 * and the process's environment is not touched.
 *
 * A line is `KEY=VALUE`, optionally after `export `, with blanks allowed around both. KEY is [A-Za-z_][A-Za-z0-9_.-]*.
 * VALUE is one of
 *   bare        up to the end of the line or a # after a blank; blanks at both ends are dropped
 *   'single'    literal, may span lines
 *   "double"    \n \r \t \\ \" \$ are escapes, any other backslash stays; may span lines
 * After a closing quote only blanks and a comment may follow. Empty lines and lines that begin with # are skipped.
 * A byte order mark is skipped; CRLF and CR count as LF, in quotes too.
 *
 * In bare and "double" values ${NAME} stands for the variable of ENVIRON_LIKE, else of a line before;
 * ${NAME-default} and ${NAME:-default} (also where it is empty) have another choice. One that is not set, and any
 * other ${, is an error. A $ without a brace stays as it is, because a password may well hold one.
 */
#pragma once

#include "config/private_file.h"

#define DOTENV_MAX_BYTES (1024 * 1024)

struct dotenv_entry {
    char *key;
    char *value; /* never NULL */
    guint line;  /* from 1: where KEY stands */
};

/* The entries of TEXT (LENGTH bytes), as struct dotenv_entry *, in the order of first appearance, each key once: the
 * last VALUE and its line win. NAME is the file's name for messages. Errors: OT_USAGE with "NAME:LINE: ..." and never
 * the line's text, which may be a secret; also for NUL bytes and for more than DOTENV_MAX_BYTES. */
GPtrArray *dotenv_parse(const char *text, gsize length, const char *name, char **environ_like, GError **error);

struct dotenv_notes {
    gboolean shared; /* others may read it */
    char *warning;   /* of its owner or mode; NULL: none. The caller frees it with g_free */
};

/* dotenv_parse of the file PATH, which may be a pipe if it was named. ret_notes may be NULL. Errors as above, and those
 * of private_file_read. */
GPtrArray *dotenv_load(const char *path, enum file_origin origin, char **environ_like, struct dotenv_notes *ret_notes,
                       GError **error);
