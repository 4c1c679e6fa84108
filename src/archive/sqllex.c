/* Quotes and comments of PostgreSQL's SQL (see "Lexical Structure" in its documentation). */
#include "archive/sqllex.h"

#include <string.h>

static gboolean is_name_char(char c)
{
    return g_ascii_isalnum(c) || c == '_' || c == '$' || (guchar)c >= 0x80;
}

/* The length of a dollar quote's tag at text ("$$", "$body$"); 0 if there is none. */
static gsize dollar_tag(const char *text, gsize left)
{
    gsize n = 1;
    while (n < left && n < 65 && text[n] != '$' && is_name_char(text[n]))
        n++;
    gboolean digit_first = n > 1 && g_ascii_isdigit(text[1]);
    return n < left && text[n] == '$' && !digit_first ? n + 1 : 0;
}

/* Outside of everything: returns how many bytes were taken. */
static gsize take_plain(struct sqllex *lex, const char *line, gsize at, gsize length)
{
    const char *c = line + at;
    gsize left = length - at;
    gboolean after_name = at > 0 && is_name_char(c[-1]);
    if (*c == '\'') {
        gboolean escape = at > 0 && (c[-1] == 'E' || c[-1] == 'e') && !(at > 1 && is_name_char(c[-2]));
        lex->state = escape ? SQLLEX_ESCAPE_STRING : SQLLEX_STRING;
    } else if (*c == '\\') {
        lex->backslash = TRUE;
    } else if (*c == '"') {
        lex->state = SQLLEX_NAME;
    } else if (*c == '-' && left > 1 && c[1] == '-') {
        return left;
    } else if (*c == '/' && left > 1 && c[1] == '*') {
        lex->state = SQLLEX_COMMENT;
        lex->comment_depth = 1;
        return 2;
    } else if (*c == '$' && !after_name) {
        gsize tag = dollar_tag(c, left);
        if (tag > 0) {
            memcpy(lex->tag, c, tag);
            lex->tag[tag] = '\0';
            lex->state = SQLLEX_DOLLAR;
            return tag;
        }
    }
    return 1;
}

static gsize take_comment(struct sqllex *lex, const char *c, gsize left)
{
    gboolean opens = left > 1 && c[0] == '/' && c[1] == '*';
    gboolean closes = left > 1 && c[0] == '*' && c[1] == '/';
    lex->comment_depth += opens - closes;
    if (lex->comment_depth == 0)
        lex->state = SQLLEX_PLAIN;
    return opens || closes ? 2 : 1;
}

static gsize take_quoted(struct sqllex *lex, const char *c, gsize left)
{
    char quote = lex->state == SQLLEX_NAME ? '"' : '\'';
    if (lex->state == SQLLEX_ESCAPE_STRING && *c == '\\')
        return MIN(left, 2);
    if (*c == quote)
        lex->state = SQLLEX_PLAIN; /* a doubled quote opens it again at once */
    return 1;
}

void sqllex_line(struct sqllex *lex, const char *line, gsize length)
{
    for (gsize at = 0; at < length;) {
        gsize left = length - at, tag = strlen(lex->tag);
        switch (lex->state) {
        case SQLLEX_PLAIN:
            at += take_plain(lex, line, at, length);
            break;
        case SQLLEX_COMMENT:
            at += take_comment(lex, line + at, left);
            break;
        case SQLLEX_DOLLAR:
            if (left >= tag && memcmp(line + at, lex->tag, tag) == 0) {
                lex->state = SQLLEX_PLAIN;
                at += tag;
            } else {
                at++;
            }
            break;
        default:
            at += take_quoted(lex, line + at, left);
        }
    }
}
