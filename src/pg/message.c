/* By the error's class, where there is one; by the words, where there is only text. */
#include "pg/message.h"

#include <string.h>

#include "base/secrets.h"

#define LEFT_OUT "..."
#define RAISED "an exception that a function of the database raised"

/* ---- parts ---- */

/* Whether the error is about a value: data, integrity, raised by a function, WITH CHECK OPTION. */
static gboolean is_about_rows(const char *sqlstate)
{
    static const char *const classes[] = {"22", "23", "P0", "44"};
    for (gsize i = 0; sqlstate && i < G_N_ELEMENTS(classes); i++)
        if (g_str_has_prefix(sqlstate, classes[i]))
            return TRUE;
    return FALSE;
}

static char *replace(const char *text, const char *pattern, const char *with)
{
    g_autoptr(GRegex) regex = g_regex_new(pattern, G_REGEX_DOTALL, 0, NULL);
    return g_regex_replace(regex, text, -1, 0, with, 0, NULL);
}

/* What stands behind the last name: `type integer: "12a"`, `encoding "UTF8": 0xff`; and a value in the middle. */
static char *primary_without_values(const char *primary)
{
    g_autofree char *cut = replace(primary, ": (\"|0x|').*$", ": " LEFT_OUT);
    return replace(cut, "^(.*?)\"[^\"]*\"( is out of range)", "\\1\"" LEFT_OUT "\"\\2");
}

/* "Key (a)=(b) already exists" keeps the names. NULL: nothing is left. */
static char *detail_without_rows(const char *detail, gboolean about_rows)
{
    const char *value = strstr(detail, ")=(");
    if (value)
        return g_strdup_printf("%.*s)=(" LEFT_OUT ")", (int)(value - detail), detail);
    return about_rows ? NULL : g_strdup(detail);
}

/* Of each line what it says of the place: up to ": ". Statements of functions hold values. */
static char *context_without_rows(const char *context)
{
    g_auto(GStrv) lines = g_strsplit(context, "\n", -1);
    g_autoptr(GString) kept = g_string_new(NULL);
    for (char **line = lines; *line; line++) {
        g_autofree char *place =
            g_strndup(*line, (gsize)(strstr(*line, ": ") ? strstr(*line, ": ") - *line : (gssize)strlen(*line)));
        gboolean is_place = strstr(place, "COPY ") || strstr(place, "function ") || strstr(place, ", line ");
        if (is_place && !strstr(place, "SQL statement"))
            g_string_append_printf(kept, "%s%s", kept->len ? "\n" : "", place);
    }
    return kept->len ? g_strdup(kept->str) : NULL;
}

static void add(GString *out, const char *title, const char *text)
{
    if (text)
        g_string_append_printf(out, "%s%s:  %s", out->len ? "\n" : "", title, text);
}

/* ---- a result ---- */

static char *field(const PGresult *result, int code)
{
    const char *text = PQresultErrorField(result, code);
    return text ? g_utf8_make_valid(text, -1) : NULL;
}

static char *primary_of(const char *primary, const char *sqlstate)
{
    if (g_str_has_prefix(sqlstate, "P0"))
        return g_strdup(RAISED);
    return is_about_rows(sqlstate) ? primary_without_values(primary) : g_strdup(primary);
}

static char *valid_and_clean(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    return secrets_clean(valid);
}

char *message_of(const PGresult *result)
{
    g_autofree char *sqlstate = field(result, PG_DIAG_SQLSTATE);
    g_autofree char *primary = field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!sqlstate || !primary)
        return valid_and_clean(PQresultErrorMessage(result)); /* libpq's own */
    g_autofree char *severity = field(result, PG_DIAG_SEVERITY);
    g_autofree char *detail = field(result, PG_DIAG_MESSAGE_DETAIL);
    g_autofree char *context = field(result, PG_DIAG_CONTEXT);
    g_autofree char *hint = field(result, PG_DIAG_MESSAGE_HINT);
    gboolean about_rows = is_about_rows(sqlstate) || (context && strstr(context, "COPY "));
    g_autofree char *message = primary_of(primary, sqlstate);
    g_autofree char *safe_detail = detail ? detail_without_rows(detail, about_rows) : NULL;
    g_autofree char *safe_context = context ? context_without_rows(context) : NULL;
    g_autoptr(GString) out = g_string_new(NULL);
    add(out, severity ? severity : "ERROR", message);
    add(out, "DETAIL", safe_detail);
    if (!g_str_has_prefix(sqlstate, "P0"))
        add(out, "HINT", hint);
    add(out, "CONTEXT", safe_context);
    return secrets_clean(out->str);
}

/* ---- a text ---- */

char *message_without_rows(const char *text)
{
    static const struct {
        const char *pattern, *with;
    } rules[] = {
        {"(ERROR:  )[^\\n]*(\\n(?:[^\\n]*\\n)*?CONTEXT:  [^\\n]* at RAISE)", "\\1" RAISED "\\2"},
        {"(ERROR:  [^\\n]*?: )(\"|0x|')[^\\n]*", "\\1" LEFT_OUT},
        {"(ERROR:  [^\\n]*?)\"[^\"\\n]*\"( is out of range)", "\\1\"" LEFT_OUT "\"\\2"},
        {"(DETAIL:  [^\\n]*?\\)=\\().*?(?=\\n[A-Z][A-Za-z ]+:  |\\npg_|\\nCommand was|\\z)", "\\1" LEFT_OUT ")"},
        {"(DETAIL:  [^\\n]*?)\\([^\\n]*\\)\\.", "\\1(" LEFT_OUT ")."},
        {"\\nLINE \\d+: [^\\n]*(\\n *\\^)?", ""},
        {"\\nQUERY:  .*?(?=\\n[A-Z]+:  |\\npg_|\\nCommand was|\\z)", ""},
        {"(CONTEXT:  [^\\n:]*): [^\\n]*", "\\1"},
        {"((?:CONTEXT:  |\\n)SQL statement) \"[^\\n]*", "\\1"},
    };
    char *clean = valid_and_clean(text);
    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++) {
        char *next = replace(clean, rules[i].pattern, rules[i].with);
        g_free(clean);
        clean = next;
    }
    return clean;
}
