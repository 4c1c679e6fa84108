/*
 * Reads SQL text piece by piece as psql does: knows whether it is inside a quoted string, a quoted name, a
 * dollar-quoted body or a comment, and where a statement ends. Not a parser.
 */
#pragma once

#include <glib.h>

enum sqllex_state { SQLLEX_PLAIN, SQLLEX_STRING, SQLLEX_ESCAPE_STRING, SQLLEX_NAME, SQLLEX_DOLLAR, SQLLEX_COMMENT };

/* All zero is the state at the beginning of a text. */
struct sqllex {
    enum sqllex_state state;
    int comment_depth;
    gboolean strings_escape; /* standard_conforming_strings is off: a backslash escapes in every string */
    gboolean backslash;      /* one stood outside of quotes and comments: a psql command, for SQL knows none there */
    char tag[68];            /* of the dollar quote, with both dollars; a tag is a name, so at most 63 bytes */
    /* of the statement at hand */
    int paren_depth;
    int begin_depth; /* BEGIN ATOMIC ... END of a function's body, in which a semicolon ends no statement */
    guint n_words;
    char first_words[4]; /* their first letters, if they are of CREATE [OR REPLACE] FUNCTION | PROCEDURE */
};

/* Reads one line (without its newline), or up to the semicolon that ends a statement. Returns how many bytes it took;
 * *ret_end: they end a statement. */
gsize sqllex_take(struct sqllex *lex, const char *line, gsize length, gboolean *ret_end);
