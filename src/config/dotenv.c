/*
 * The .env parser: one pass over the text with a cursor, no regular expressions.
 * It does not know what the keys mean.
 */
#include "config/dotenv.h"

#include "base/error.h"

#include <string.h>

struct cursor {
    const char *at; /* ends with NUL, and holds no other */
    guint line;
    const char *name;
    char **environ_like;
    GHashTable *by_key; /* struct dotenv_entry *: those before */
};

static void entry_free(gpointer data)
{
    struct dotenv_entry *entry = data;
    g_free(entry->key);
    g_free(entry->value);
    g_free(entry);
}

static gboolean fail_at(const struct cursor *c, guint line, const char *what, GError **error)
{
    return ot_fail(error, OT_USAGE, "%s:%u: %s", c->name, line, what);
}

static gboolean is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct cursor *c)
{
    while (is_blank(*c->at))
        c->at++;
}

static void skip_to_line_end(struct cursor *c)
{
    c->at += strcspn(c->at, "\n");
}

/* `export` is a prefix only if a key follows: `export=1` and `export = 1` set a variable of that name. */
static void skip_export(struct cursor *c)
{
    if (!g_str_has_prefix(c->at, "export") || !is_blank(c->at[6]))
        return;
    const char *next = c->at + 6 + strspn(c->at + 6, " \t");
    if (*next != '=')
        c->at = next;
}

static char *read_key(struct cursor *c, GError **error)
{
    const char *start = c->at;
    if (g_ascii_isalpha(*c->at) || *c->at == '_')
        while (g_ascii_isalnum(*c->at) || (*c->at && strchr("_.-", *c->at)))
            c->at++;
    const char *end = c->at;
    skip_blanks(c);
    if (end == start || *c->at != '=') {
        fail_at(c, c->line, "KEY=VALUE is wanted here", error);
        return NULL;
    }
    c->at++;
    skip_blanks(c);
    return g_strndup(start, (gsize)(end - start));
}

/* ---- ${NAME} ---- */

#define WORD_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789"

/* As settings: the environment wins over the file, and an empty variable of it is none. NULL: it is not set. */
static const char *variable(const struct cursor *c, const char *name)
{
    const char *value = c->environ_like ? g_environ_getenv(c->environ_like, name) : NULL;
    const struct dotenv_entry *entry = g_hash_table_lookup(c->by_key, name);
    return value && *value ? value : entry ? entry->value : value;
}

/* Nothing of what stands there is told: it may be a piece of a password. */
static gboolean fail_variable(const struct cursor *c, const char *what, GError **error)
{
    g_autofree char *text = g_strdup_printf("a ${...} %s; a value with ${ in it stands in single quotes", what);
    return fail_at(c, c->line, text, error);
}

/* At "${": appends what ${NAME}, ${NAME:-default} or ${NAME-default} stands for, and moves behind it. */
static gboolean read_variable(struct cursor *c, GString *value, GError **error)
{
    const char *start = c->at + 2;
    gsize length = g_ascii_isdigit(*start) ? 0 : strspn(start, WORD_BYTES);
    const char *rest = start + length, *close = rest + strcspn(rest, "}\n");
    gboolean or_empty = g_str_has_prefix(rest, ":-"), has_default = or_empty || *rest == '-';
    if (!length || *close != '}' || (rest != close && !has_default))
        return fail_variable(c, "is not the name of a variable", error);
    g_autofree char *name = g_strndup(start, length);
    const char *found = variable(c, name);
    if (has_default && (!found || (or_empty && !*found)))
        g_string_append_len(value, rest + 1 + or_empty, close - (rest + 1 + or_empty));
    else if (found)
        g_string_append(value, found);
    else
        return fail_variable(c, "names a variable that is not set", error);
    c->at = close + 1;
    return TRUE;
}

/* ---- values ---- */

static char *read_bare(struct cursor *c, GError **error)
{
    g_autoptr(GString) value = g_string_new(NULL);
    gsize end = 0;
    /* A # right after the = is part of the value, as in a shell; `KEY= # note` is an empty value. */
    while (*c->at && *c->at != '\n' && !(*c->at == '#' && is_blank(c->at[-1]))) {
        if (c->at[0] == '$' && c->at[1] == '{') {
            if (!read_variable(c, value, error))
                return NULL;
            end = value->len;
            continue;
        }
        g_string_append_c(value, *c->at);
        if (!is_blank(*c->at))
            end = value->len;
        c->at++;
    }
    skip_to_line_end(c);
    g_string_truncate(value, end);
    return g_string_free(g_steal_pointer(&value), FALSE);
}

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '\\':
    case '"':
    case '$':
        return c;
    default:
        return '\0';
    }
}

static char *read_quoted(struct cursor *c, GError **error)
{
    char quote = *c->at++;
    guint first_line = c->line;
    g_autoptr(GString) value = g_string_new(NULL);
    for (; *c->at && *c->at != quote; c->at++) {
        if (quote == '"' && c->at[0] == '$' && c->at[1] == '{') {
            if (!read_variable(c, value, error))
                return NULL;
            c->at--;
            continue;
        }
        char plain = quote == '"' && *c->at == '\\' ? unescape(c->at[1]) : '\0';
        if (plain)
            c->at++;
        if (*c->at == '\n')
            c->line++;
        g_string_append_c(value, plain ? plain : *c->at);
    }
    if (!*c->at) {
        fail_at(c, first_line, "the quote that begins here is never closed", error);
        return NULL;
    }
    c->at++;
    gboolean blank_follows = is_blank(*c->at);
    skip_blanks(c);
    if (*c->at == '#' && blank_follows)
        skip_to_line_end(c);
    if (*c->at && *c->at != '\n') {
        fail_at(c, c->line, "there is text after the closing quote", error);
        return NULL;
    }
    return g_string_free(g_steal_pointer(&value), FALSE);
}

static gboolean read_entry(struct cursor *c, GPtrArray *entries, GError **error)
{
    guint line = c->line;
    skip_export(c);
    g_autofree char *key = read_key(c, error);
    if (!key)
        return FALSE;
    g_autofree char *value = *c->at == '\'' || *c->at == '"' ? read_quoted(c, error) : read_bare(c, error);
    if (!value)
        return FALSE;
    struct dotenv_entry *entry = g_hash_table_lookup(c->by_key, key);
    if (!entry) {
        entry = g_new0(struct dotenv_entry, 1);
        entry->key = g_steal_pointer(&key);
        g_ptr_array_add(entries, entry);
        g_hash_table_insert(c->by_key, entry->key, entry);
    }
    g_free(entry->value);
    entry->value = g_steal_pointer(&value);
    entry->line = line;
    return TRUE;
}

/* A copy without byte order mark, and with LF as the only line end, so that the rest need not care. */
static char *normalise(const char *text, gsize length)
{
    const char *end = text + length;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    char *copy = g_malloc(length + 1);
    char *out = copy;
    for (; text < end; text++) {
        if (*text == '\r' && text + 1 < end && text[1] == '\n')
            continue;
        *out++ = *text == '\r' ? '\n' : *text;
    }
    *out = '\0';
    return copy;
}

/* What lines cannot hold at all. Without this a NUL would silently cut the file there. */
static gboolean check_bytes(const char *text, gsize length, const char *name, GError **error)
{
    if (length > DOTENV_MAX_BYTES)
        return ot_fail(error, OT_USAGE, "%s is larger than %d bytes; this is not a .env file", name, DOTENV_MAX_BYTES);
    const char *nul = length ? memchr(text, '\0', length) : NULL;
    if (!nul)
        return TRUE;
    g_autofree char *before = normalise(text, (gsize)(nul - text));
    guint line = 1;
    for (const char *p = before; *p; p++)
        line += *p == '\n';
    return ot_fail(error, OT_USAGE, "%s:%u: a NUL byte; this is not a text file", name, line);
}

GPtrArray *dotenv_parse(const char *text, gsize length, const char *name, char **environ_like, GError **error)
{
    if (!check_bytes(text, length, name, error))
        return NULL;
    g_autofree char *copy = normalise(text, length);
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(entry_free);
    g_autoptr(GHashTable) by_key = g_hash_table_new(g_str_hash, g_str_equal);
    struct cursor c = {.at = copy, .line = 1, .name = name, .environ_like = environ_like, .by_key = by_key};
    while (skip_blanks(&c), *c.at) {
        if (*c.at == '#')
            skip_to_line_end(&c);
        if (*c.at && *c.at != '\n' && !read_entry(&c, entries, error))
            return NULL;
        if (*c.at == '\n') {
            c.at++;
            c.line++;
        }
    }
    return g_steal_pointer(&entries);
}

GPtrArray *dotenv_load(const char *path, enum file_origin origin, char **environ_like, struct dotenv_notes *ret_notes,
                       GError **error)
{
    struct private_file file = {0};
    if (!private_file_read(path, origin, DOTENV_MAX_BYTES, &file, error))
        return NULL;
    GPtrArray *entries = dotenv_parse(file.text->str, file.text->len, path, environ_like, error);
    if (entries && ret_notes)
        *ret_notes = (struct dotenv_notes){.shared = file.shared, .warning = g_steal_pointer(&file.warning)};
    private_file_clear(&file);
    return entries;
}
