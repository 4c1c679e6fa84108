/* Statements, told apart by their first words. */
#include "archive/plain_gate.h"

#include <string.h>

#define MAX_WORD 64
#define EXCERPT_WORDS 3

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NAME, TOKEN_STRING, TOKEN_SIGN };

struct token {
    enum token_kind kind;
    const char *begin, *end;
    char word[MAX_WORD]; /* of a word, in lower case; of a sign, the sign */
};

/* ---- tokens ---- */

static gboolean begins_word(char c)
{
    return g_ascii_isalpha(c) || c == '_' || (guchar)c >= 0x80;
}

static gboolean goes_on_word(char c)
{
    return begins_word(c) || g_ascii_isdigit(c) || c == '$';
}

static const char *skip_comment(const char *c)
{
    int depth = 0;
    do {
        if (c[0] == '/' && c[1] == '*') {
            depth++;
            c += 2;
        } else if (c[0] == '*' && c[1] == '/') {
            depth--;
            c += 2;
        } else {
            c++;
        }
    } while (*c && depth > 0);
    return c;
}

static const char *skip_space(const char *c)
{
    for (;;) {
        if (*c && strchr(" \t\r\n\f\v", *c))
            c++;
        else if (c[0] == '-' && c[1] == '-')
            c += strcspn(c, "\r\n");
        else if (c[0] == '/' && c[1] == '*')
            c = skip_comment(c);
        else
            return c;
    }
}

static const char *skip_quoted(const char *c, gboolean escapes)
{
    char quote = *c++;
    for (; *c; c++) {
        if (escapes && *c == '\\' && c[1])
            c++;
        else if (*c == quote && *++c != quote)
            break;
    }
    return c;
}

/* Behind a dollar quote that begins here; NULL if none does. */
static const char *skip_dollar(const char *c)
{
    gsize n = 1 + strspn(c + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    if (c[n] != '$' || g_ascii_isdigit(c[1]))
        return NULL;
    g_autofree char *tag = g_strndup(c, n + 1);
    const char *end = strstr(c + n + 1, tag);
    return end ? end + n + 1 : c + strlen(c);
}

static const char *next_token(const char *at, struct token *t)
{
    const char *c = skip_space(at);
    const char *behind_dollar = *c == '$' ? skip_dollar(c) : NULL;
    *t = (struct token){.kind = TOKEN_END, .begin = c};
    if ((*c == 'E' || *c == 'e') && c[1] == '\'') {
        t->kind = TOKEN_STRING;
        c = skip_quoted(c + 1, TRUE);
    } else if (begins_word(*c)) {
        t->kind = TOKEN_WORD;
        for (gsize n = 0; goes_on_word(*c); c++)
            if (n < MAX_WORD - 1)
                t->word[n++] = g_ascii_tolower(*c);
    } else if (*c == '"' || *c == '\'') {
        t->kind = *c == '"' ? TOKEN_NAME : TOKEN_STRING;
        c = skip_quoted(c, FALSE);
    } else if (behind_dollar) {
        t->kind = TOKEN_STRING;
        c = behind_dollar;
    } else if (*c) {
        t->kind = TOKEN_SIGN;
        t->word[0] = *c++;
    }
    t->end = c;
    return c;
}

static gboolean is(const struct token *t, const char *word)
{
    return (t->kind == TOKEN_WORD || t->kind == TOKEN_SIGN) && g_str_equal(t->word, word);
}

/* Moves on behind the words (in one string, with spaces between) if they stand there. */
static gboolean take(const char **at, const char *words)
{
    const char *c = *at;
    g_auto(GStrv) each = g_strsplit(words, " ", -1);
    for (char **word = each; *word; word++) {
        struct token t;
        c = next_token(c, &t);
        if (!is(&t, *word))
            return FALSE;
    }
    *at = c;
    return TRUE;
}

static gboolean holds(const char *at, const char *words)
{
    for (struct token t = {.kind = TOKEN_SIGN}; t.kind != TOKEN_END;) {
        const char *here = at;
        if (take(&here, words))
            return TRUE;
        at = next_token(at, &t);
    }
    return FALSE;
}

/* Behind a name, which may have a schema; NULL if there is none. */
static const char *skip_name(const char *at)
{
    for (;;) {
        struct token t;
        at = next_token(at, &t);
        if (t.kind != TOKEN_WORD && t.kind != TOKEN_NAME)
            return NULL;
        if (!take(&at, "."))
            return at;
    }
}

/* ---- what a statement acts on ---- */

/* Of all databases of the server, or of the server itself. */
static gboolean is_shared(const char *at)
{
    static const char *const things[] = {"database", "role", "group", "tablespace", "system", "parameter"};
    for (gsize i = 0; i < G_N_ELEMENTS(things); i++) {
        const char *here = at;
        if (take(&here, things[i]))
            return TRUE;
    }
    const char *here = at;
    return take(&here, "user") && !take(&here, "mapping");
}

static enum plain_verdict judge_create(const char *at)
{
    const char *here = at;
    if (is_shared(at))
        return PLAIN_BEYOND;
    /* pg_dump's own never connects when it is made. */
    return take(&here, "subscription") && !holds(here, "connect = false") ? PLAIN_BEYOND : PLAIN_ALLOWED;
}

static enum plain_verdict judge_alter(const char *at)
{
    if (is_shared(at))
        return PLAIN_BEYOND;
    if (!take(&at, "subscription"))
        return PLAIN_ALLOWED;
    at = skip_name(at);
    return at && take(&at, "owner to") ? PLAIN_ALLOWED : PLAIN_BEYOND;
}

static enum plain_verdict judge_drop(const char *at)
{
    const char *here = at;
    return is_shared(at) || take(&here, "owned") || take(&here, "subscription") ? PLAIN_BEYOND : PLAIN_ALLOWED;
}

static enum plain_verdict judge_on(const char *at)
{
    return take(&at, "on") && is_shared(at) ? PLAIN_BEYOND : PLAIN_ALLOWED;
}

static enum plain_verdict judge_label(const char *at)
{
    struct token provider;
    if (!take(&at, "label"))
        return PLAIN_UNUSUAL;
    const char *here = at;
    if (take(&here, "for"))
        at = next_token(here, &provider);
    return judge_on(at);
}

/* Privileges have an ON before their object; without it a role is given to others. */
static enum plain_verdict judge_grant(const char *at)
{
    for (struct token t = {.kind = TOKEN_SIGN}; t.kind != TOKEN_END;) {
        const char *here = at;
        if (take(&here, "on"))
            return is_shared(here) ? PLAIN_BEYOND : PLAIN_ALLOWED;
        at = next_token(at, &t);
        if (is(&t, "to") || is(&t, "from"))
            break;
    }
    return PLAIN_BEYOND;
}

/* The functions that pg_dump calls: sequences, large objects, statistics, the search path. */
static enum plain_verdict judge_select(const char *at)
{
    static const char *const functions[] = {"setval",
                                            "lo_create",
                                            "lo_open",
                                            "lowrite",
                                            "lo_close",
                                            "lo_unlink",
                                            "set_config",
                                            "pg_restore_relation_stats",
                                            "pg_restore_attribute_stats",
                                            "pg_restore_extended_stats"};
    struct token name;
    take(&at, "* from");
    if (!take(&at, "pg_catalog ."))
        return PLAIN_UNUSUAL;
    at = next_token(at, &name);
    for (gsize i = 0; i < G_N_ELEMENTS(functions); i++)
        if (is(&name, functions[i])) {
            next_token(next_token(at, &name), &name); /* behind the parenthesis */
            gboolean sets = g_str_equal(functions[i], "set_config");
            return sets && !g_str_has_prefix(name.begin, "'search_path'") ? PLAIN_UNUSUAL : PLAIN_ALLOWED;
        }
    return PLAIN_UNUSUAL;
}

static const char *skip_columns(const char *at)
{
    if (!take(&at, "("))
        return at;
    struct token t = {.kind = TOKEN_SIGN};
    while (t.kind != TOKEN_END && !is(&t, ")"))
        at = next_token(at, &t);
    return at;
}

static enum plain_verdict judge_copy(const char *at)
{
    const char *after = skip_name(at);
    if (!after)
        return PLAIN_BEYOND;
    after = skip_columns(after);
    struct token end;
    if (!take(&after, "from stdin"))
        return PLAIN_BEYOND; /* a file of the server's, a program, or a query */
    next_token(after, &end);
    return is(&end, ";") ? PLAIN_COPY : PLAIN_UNUSUAL; /* rows in another format end in other ways */
}

static enum plain_verdict always(const char *at)
{
    (void)at;
    return PLAIN_ALLOWED;
}

static enum plain_verdict never_beyond(const char *at)
{
    (void)at;
    return PLAIN_BEYOND;
}

/* What does not stand here is unusual. */
static const struct {
    const char *verb;
    enum plain_verdict (*judge)(const char *behind_verb);
} verbs[] = {
    {"set", always},          {"reset", always},         {"begin", always},          {"start", always},
    {"commit", always},       {"end", always},           {"insert", always},         {"refresh", always},
    {"select", judge_select}, {"create", judge_create},  {"alter", judge_alter},     {"drop", judge_drop},
    {"comment", judge_on},    {"security", judge_label}, {"grant", judge_grant},     {"revoke", judge_grant},
    {"copy", judge_copy},     {"load", never_beyond},    {"reassign", never_beyond},
};

enum plain_verdict plain_gate_judge(const char *statement)
{
    struct token verb;
    const char *behind = next_token(statement, &verb);
    if (is(&verb, ";") || verb.kind == TOKEN_END)
        return PLAIN_ALLOWED;
    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (is(&verb, verbs[i].verb))
            return verbs[i].judge(behind);
    return PLAIN_UNUSUAL;
}

/* ---- for messages and the reader ---- */

char *plain_gate_excerpt(const char *statement)
{
    GString *text = g_string_new(NULL);
    for (int i = 0; i < EXCERPT_WORDS; i++) {
        struct token t;
        statement = next_token(statement, &t);
        if (t.kind != TOKEN_WORD)
            break;
        g_string_append_printf(text, "%s%s", text->len ? " " : "", t.word);
    }
    return g_string_free(text, FALSE);
}

char *plain_gate_copy_table(const char *statement)
{
    struct token t;
    const char *behind = next_token(statement, &t);
    next_token(behind, &t);
    const char *end = skip_name(behind);
    return g_strndup(t.begin, (gsize)((end ? end : t.begin) - t.begin));
}

gboolean plain_gate_sets_strings(const char *statement, gboolean *ret_conforming)
{
    struct token value;
    if (!take(&statement, "set standard_conforming_strings =") &&
        !take(&statement, "set standard_conforming_strings to"))
        return FALSE;
    next_token(statement, &value);
    *ret_conforming = is(&value, "on");
    return TRUE;
}
