/* By what a secret is made of: whether it can be told from ordinary text. */
#include "base/secrets.h"

#include <string.h>

#define TELLING_BYTES 4
#define STRONG_BYTES 8
#define LONG_LETTERS 20 /* no word that we use is so long */
#define PHRASE_BYTES 12 /* several words in one order */
#define TELLING_DIGITS 10
#define STRONG_DIGITS 16
#define MASK "***"

static GMutex mutex;
static GPtrArray *known; /* char *, the longest first; under mutex */

/* ---- which kind ---- */

static gboolean is_letter(char c)
{
    return g_ascii_isalpha(c) || (c & 0x80);
}

/* Between words of ordinary text. */
static gboolean is_separator(char c)
{
    return strchr("-_./:,; `'\"()[]", c) != NULL;
}

static gsize longest_letters(const char *text)
{
    gsize longest = 0, run = 0;
    for (; *text; text++) {
        run = is_letter(*text) ? run + 1 : 0;
        longest = MAX(longest, run);
    }
    return longest;
}

enum secret_kind secrets_kind(const char *secret)
{
    gsize letters = 0, digits = 0, signs = 0, length = strlen(secret);
    for (const char *p = secret; *p; p++) {
        if (is_letter(*p))
            letters++;
        else if (g_ascii_isdigit(*p))
            digits++;
        else if (!is_separator(*p))
            signs++;
    }
    if (longest_letters(secret) >= LONG_LETTERS)
        return SECRET_STRONG;
    if (!signs && !digits)
        return letters < length && length >= PHRASE_BYTES ? SECRET_TELLING : SECRET_WORD;
    if (!signs && !letters)
        return digits >= STRONG_DIGITS ? SECRET_STRONG : digits >= TELLING_DIGITS ? SECRET_TELLING : SECRET_WORD;
    if (!letters && !digits)
        return length < STRONG_BYTES ? SECRET_WORD : SECRET_TELLING; /* a line of dashes or stars */
    return length < TELLING_BYTES ? SECRET_WORD : length < STRONG_BYTES ? SECRET_TELLING : SECRET_STRONG;
}

/* ---- looked for ---- */

/* A secret may be the beginning of another: the longer one must be tried first. */
static gint longer_first(gconstpointer a, gconstpointer b)
{
    gsize la = strlen(*(char *const *)a), lb = strlen(*(char *const *)b);
    return (la < lb) - (la > lb);
}

static gsize length_at(const char *p, const GPtrArray *secrets, enum secret_kind least)
{
    for (guint i = 0; i < secrets->len; i++) {
        const char *secret = secrets->pdata[i];
        if (g_str_has_prefix(p, secret) && secrets_kind(secret) >= least)
            return strlen(secret);
    }
    return 0;
}

static char *mask_sorted(const char *text, const GPtrArray *secrets, enum secret_kind least)
{
    GString *out = g_string_new(NULL);
    while (*text) {
        gsize length = length_at(text, secrets, least);
        if (length)
            g_string_append(out, MASK);
        else
            g_string_append_c(out, *text);
        text += length ? length : 1;
    }
    return g_string_free(out, FALSE);
}

static GPtrArray *sorted(const GPtrArray *secrets)
{
    GPtrArray *copy = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < secrets->len; i++)
        if (secrets_kind(secrets->pdata[i]) > SECRET_WORD)
            g_ptr_array_add(copy, g_strdup(secrets->pdata[i]));
    g_ptr_array_sort(copy, longer_first);
    return copy;
}

char *secrets_mask(const char *text, const GPtrArray *secrets, enum secret_kind least)
{
    g_autoptr(GPtrArray) copy = sorted(secrets);
    return mask_sorted(text, copy, least);
}

void secrets_set(const GPtrArray *secrets)
{
    g_mutex_lock(&mutex);
    g_clear_pointer(&known, g_ptr_array_unref);
    known = sorted(secrets);
    g_mutex_unlock(&mutex);
}

/* ---- where they stand ---- */

/* The end of what stands between "://" and @, if it has a password; NULL if not. */
static const char *userinfo_end(const char *authority)
{
    const char *end = authority + strcspn(authority, "/?#@ \t\r\n\"'<>");
    return *end == '@' && memchr(authority, ':', (gsize)(end - authority)) ? end : NULL;
}

static gsize password_value(const char *p)
{
    if (*p == '\'' || *p == '"') {
        const char *end = strchr(p + 1, *p);
        return end ? (gsize)(end + 1 - p) : strlen(p);
    }
    return strcspn(p, " \t\r\n&\"'<>,;)");
}

/* Of P, a place in the text, how much is shown as it is before a secret, whose bytes are *RET_HIDDEN; 0: none is. */
static gsize shown_before(const char *p, gsize *ret_hidden)
{
    static const char separator[] = "://", name[] = "password=";
    if (g_str_has_prefix(p, separator)) {
        const char *authority = p + strlen(separator), *end = userinfo_end(authority);
        const char *colon = end ? strchr(authority, ':') : NULL;
        *ret_hidden = colon ? (gsize)(end - colon - 1) : 0;
        return *ret_hidden ? (gsize)(colon + 1 - p) : 0;
    }
    if (g_ascii_strncasecmp(p, name, strlen(name)) == 0) {
        *ret_hidden = password_value(p + strlen(name));
        return *ret_hidden ? strlen(name) : 0;
    }
    return 0;
}

static char *cut_by_structure(const char *text)
{
    GString *out = g_string_new(NULL);
    while (*text) {
        gsize hidden = 0, shown = shown_before(text, &hidden);
        g_string_append_len(out, text, shown ? (gssize)shown : 1);
        if (shown)
            g_string_append(out, MASK);
        text += shown ? shown + hidden : 1;
    }
    return g_string_free(out, FALSE);
}

char *secrets_clean(const char *text)
{
    g_mutex_lock(&mutex);
    char *masked = known ? mask_sorted(text, known, SECRET_TELLING) : g_strdup(text);
    g_mutex_unlock(&mutex);
    char *clean = cut_by_structure(masked);
    g_free(masked);
    return clean;
}

void secrets_wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    g_free(text);
}
