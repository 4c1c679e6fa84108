/*
 * Knows, line by line, whether SQL text is inside a quoted string, a quoted name, a dollar-quoted body or a comment:
 * there, a line that looks like a statement is none. Not a parser.
 */
#pragma once

#include <glib.h>

enum sqllex_state { SQLLEX_PLAIN, SQLLEX_STRING, SQLLEX_ESCAPE_STRING, SQLLEX_NAME, SQLLEX_DOLLAR, SQLLEX_COMMENT };

struct sqllex {
    enum sqllex_state state;
    int comment_depth;
    gboolean backslash; /* a backslash stood outside of quotes and comments: a psql command, for SQL knows none there */
    char tag[68];       /* of the dollar quote, with both dollars; a tag is a name, so at most 63 bytes */
};

/* Reads one line (without its newline). All zero is the state at the beginning of a file. */
void sqllex_line(struct sqllex *lex, const char *line, gsize length);
