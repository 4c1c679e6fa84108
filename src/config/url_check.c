/*
 * Two readers are compared: RFC 3986, which ends the host at the first / ? or #, and libpq, which looks for the first @
 * before a /. Where they, or what the writer may have meant, could differ, nothing is guessed.
 */
#include "config/url_check.h"

#include <string.h>

static const char *after_prefix(const char *text, const char *prefix)
{
    return g_ascii_strncasecmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : NULL;
}

static gboolean is_within(const char *start, const char *end, char wanted)
{
    return memchr(start, wanted, (gsize)(end - start)) != NULL;
}

static gsize count(const char *start, const char *end, char wanted)
{
    gsize n = 0;
    for (; start < end; start++)
        n += *start == wanted;
    return n;
}

/* ---- host and port ---- */

static gboolean is_port(const char *start, const char *end)
{
    gsize digits = 0;
    while (start + digits < end && g_ascii_isdigit(start[digits]))
        digits++;
    return start + digits == end && digits <= 5;
}

/* host, host:port, [address] or [address]:port, and nothing else. */
static gboolean is_host(const char *start, const char *end)
{
    if (start < end && *start == '[') {
        const char *close = memchr(start, ']', (gsize)(end - start));
        if (!close)
            return FALSE;
        return close + 1 == end || (close[1] == ':' && is_port(close + 2, end));
    }
    const char *colon = memchr(start, ':', (gsize)(end - start));
    return !colon || is_port(colon + 1, end);
}

/* libpq takes several, with commas between. */
static gboolean are_hosts(const char *start, const char *end)
{
    for (;;) {
        const char *comma = memchr(start, ',', (gsize)(end - start));
        if (!is_host(start, comma ? comma : end))
            return FALSE;
        if (!comma)
            return TRUE;
        start = comma + 1;
    }
}

/* From behind "://" to END: behind the last @ there are hosts. */
static gboolean is_authority(const char *start, const char *end)
{
    const char *at = g_strrstr_len(start, end - start, "@");
    return are_hosts(at ? at + 1 : start, end);
}

/* ---- PostgreSQL ---- */

static gboolean has_bad_escape(const char *text)
{
    for (const char *p = strchr(text, '%'); p; p = strchr(p + 1, '%')) {
        gboolean hex = g_ascii_isxdigit(p[1]) && g_ascii_isxdigit(p[2]);
        if (!hex || (p[1] == '0' && p[2] == '0'))
            return TRUE;
    }
    return FALSE;
}

static gboolean is_parameter(const char *start, const char *end)
{
    const char *key_end = start;
    while (key_end < end && (g_ascii_isalnum(*key_end) || *key_end == '_'))
        key_end++;
    return key_end > start && key_end < end && *key_end == '=' && !is_within(key_end + 1, end, '=');
}

static gboolean is_query(const char *query)
{
    g_auto(GStrv) parameters = g_strsplit(query, "&", -1);
    for (char **p = parameters; *p; p++)
        if (!is_parameter(*p, *p + strlen(*p)))
            return FALSE;
    return TRUE;
}

static enum url_problem check_postgres_url(const char *authority)
{
    const char *end = authority + strcspn(authority, "/?");
    const char *path_end = end + strcspn(end, "?");
    gboolean query = *path_end == '?' && path_end[1];
    if (strchr(authority, '#') || count(authority, end, '@') > 1 || is_within(end, path_end, '@') ||
        !is_authority(authority, end))
        return URL_AMBIGUOUS;
    /* Without a / libpq looks for an @ also behind the question mark. */
    if (*end == '?' && !is_within(authority, end, '@') && strchr(end, '@'))
        return URL_AMBIGUOUS;
    if (has_bad_escape(authority))
        return URL_BAD_ESCAPE;
    return query && !is_query(path_end + 1) ? URL_AMBIGUOUS : URL_FINE;
}

/* Behind a value, which may be quoted; NULL: the quote is not closed. */
static const char *skip_value(const char *p)
{
    gboolean quoted = *p == '\'';
    p += quoted;
    while (*p && (quoted ? *p != '\'' : !g_ascii_isspace(*p)))
        p += *p == '\\' && p[1] ? 2 : 1;
    if (quoted && *p != '\'')
        return NULL;
    return p + quoted;
}

static const char *skip_blanks(const char *p)
{
    while (g_ascii_isspace(*p))
        p++;
    return p;
}

static enum url_problem check_pairs(const char *p)
{
    for (p = skip_blanks(p); *p; p = skip_blanks(p)) {
        const char *key = p;
        while (g_ascii_isalnum(*p) || *p == '_')
            p++;
        gboolean named = p > key;
        p = skip_blanks(p);
        if (!named || *p != '=')
            return URL_BARE_VALUE;
        p = skip_value(skip_blanks(p + 1));
        if (!p)
            return URL_BARE_VALUE;
    }
    return URL_FINE;
}

enum url_problem url_check_connection(const char *text)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};
    for (gsize i = 0; i < G_N_ELEMENTS(schemes); i++)
        if (g_str_has_prefix(text, schemes[i]))
            return check_postgres_url(text + strlen(schemes[i]));
    const char *equals = strchr(text, '='), *scheme = strstr(text, "://");
    if (!equals || (scheme && scheme < equals))
        return URL_NO_SCHEME;
    return check_pairs(text);
}

/* ---- others ---- */

/* curl, as browsers, takes the last @ before the path: a user may be a mail address. */
enum url_problem url_check_web(const char *text)
{
    const char *authority = strstr(text, "://");
    if (!authority)
        return URL_FINE;
    authority += strlen("://");
    const char *end = authority + strcspn(authority, "/?#");
    gboolean smtp = after_prefix(text, "smtp://") || after_prefix(text, "smtps://");
    gboolean at_behind = smtp && strchr(end, '@');
    return at_behind || !is_authority(authority, end) ? URL_AMBIGUOUS : URL_FINE;
}

const char *url_problem_text(enum url_problem problem)
{
    switch (problem) {
    case URL_AMBIGUOUS:
        return "is ambiguous: its password holds an unescaped @, / or #, or its port is not a number; write %40, %2F, "
               "%23";
    case URL_BAD_ESCAPE:
        return "is ambiguous: a % in it begins no escape; write %25 for the character itself, %40, %2F, %23 for @, / "
               "and #";
    case URL_NO_SCHEME:
        return "is neither postgresql://USER:PASSWORD@HOST:PORT/NAME nor KEYWORD=VALUE pairs; a password in it must be "
               "escaped: write %40, %2F, %23";
    case URL_BARE_VALUE:
        return "cannot be read as KEYWORD=VALUE pairs: a value with blanks or quotes must stand in single quotes, with "
               "\\ before ' and \\";
    case URL_FINE:
        break;
    }
    return "is fine";
}
