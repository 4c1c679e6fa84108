/* Quotes, comments and ends of statements (see "Lexical Structure" in PostgreSQL's documentation). */
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

/* ---- words, which tell a function's body of statements from its other forms ---- */

static gboolean is_word(const char *word, gsize length, const char *expected)
{
    return strlen(expected) == length && g_ascii_strncasecmp(word, expected, length) == 0;
}

static gboolean makes_function(const struct sqllex *lex)
{
    const char *first = lex->first_words;
    gboolean replaces = first[1] == 'o' && first[2] == 'r';
    char what = replaces ? first[3] : first[1];
    return first[0] == 'c' && (what == 'f' || what == 'p');
}

static void note_first_word(struct sqllex *lex, const char *word, gsize length)
{
    static const char *const known[] = {"create", "or", "replace", "function", "procedure"};
    for (gsize i = 0; i < G_N_ELEMENTS(known) && lex->n_words < G_N_ELEMENTS(lex->first_words); i++)
        if (is_word(word, length, known[i]))
            lex->first_words[lex->n_words] = *known[i];
    lex->n_words++;
}

static void note_word(struct sqllex *lex, const char *word, gsize length)
{
    note_first_word(lex, word, length);
    if (!makes_function(lex) || lex->paren_depth > 0)
        return;
    if (is_word(word, length, "begin") || (is_word(word, length, "case") && lex->begin_depth > 0))
        lex->begin_depth++;
    else if (is_word(word, length, "end") && lex->begin_depth > 0)
        lex->begin_depth--;
}

/* Outside of everything, at the beginning of a word. "E" before a quote belongs to the string. */
static gsize take_word(struct sqllex *lex, const char *c, gsize left)
{
    gsize n = 1;
    while (n < left && is_name_char(c[n]))
        n++;
    if (n < left && c[n] == '\'') {
        gboolean escapes = n == 1 && (*c == 'E' || *c == 'e');
        lex->state = escapes || lex->strings_escape ? SQLLEX_ESCAPE_STRING : SQLLEX_STRING;
        return n + 1;
    }
    note_word(lex, c, n);
    return n;
}

/* ---- states ---- */

static void end_statement(struct sqllex *lex)
{
    lex->paren_depth = lex->begin_depth = 0;
    lex->n_words = 0;
    memset(lex->first_words, 0, sizeof lex->first_words);
}

static gsize take_dollar(struct sqllex *lex, const char *c, gsize left)
{
    gsize tag = dollar_tag(c, left);
    if (tag == 0)
        return 1;
    memcpy(lex->tag, c, tag);
    lex->tag[tag] = '\0';
    lex->state = SQLLEX_DOLLAR;
    return tag;
}

/* Outside of everything: returns how many bytes were taken. */
static gsize take_plain(struct sqllex *lex, const char *c, gsize left, gboolean *ret_end)
{
    if (*c == '\'') {
        lex->state = lex->strings_escape ? SQLLEX_ESCAPE_STRING : SQLLEX_STRING;
    } else if (*c == '\\') {
        lex->backslash = TRUE;
    } else if (*c == '"') {
        lex->state = SQLLEX_NAME;
    } else if (*c == '(') {
        lex->paren_depth++;
    } else if (*c == ')') {
        lex->paren_depth -= lex->paren_depth > 0;
    } else if (*c == '-' && left > 1 && c[1] == '-') {
        return left;
    } else if (*c == '/' && left > 1 && c[1] == '*') {
        lex->state = SQLLEX_COMMENT;
        lex->comment_depth = 1;
        return 2;
    } else if (*c == '$') {
        return take_dollar(lex, c, left);
    } else if (*c == ';' && lex->paren_depth == 0 && lex->begin_depth == 0) {
        end_statement(lex);
        *ret_end = TRUE;
    } else if (is_name_char(*c)) {
        return take_word(lex, c, left);
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

static gsize take_body(struct sqllex *lex, const char *c, gsize left)
{
    gsize tag = strlen(lex->tag);
    if (left < tag || memcmp(c, lex->tag, tag) != 0)
        return 1;
    lex->state = SQLLEX_PLAIN;
    return tag;
}

static gsize take_quoted(struct sqllex *lex, const char *c, gsize left)
{
    char quote = lex->state == SQLLEX_NAME ? '"' : '\'';
    if (lex->state == SQLLEX_ESCAPE_STRING && *c == '\\')
        return MIN(left, 2);
    if (*c != quote)
        return 1;
    if (left > 1 && c[1] == quote)
        return 2;
    lex->state = SQLLEX_PLAIN;
    return 1;
}

gsize sqllex_take(struct sqllex *lex, const char *line, gsize length, gboolean *ret_end)
{
    gsize at = 0;
    *ret_end = FALSE;
    while (at < length && !*ret_end) {
        const char *c = line + at;
        gsize left = length - at;
        switch (lex->state) {
        case SQLLEX_PLAIN:
            at += take_plain(lex, c, left, ret_end);
            break;
        case SQLLEX_COMMENT:
            at += take_comment(lex, c, left);
            break;
        case SQLLEX_DOLLAR:
            at += take_body(lex, c, left);
            break;
        default:
            at += take_quoted(lex, c, left);
        }
    }
    return at;
}
