/* From a record to its line, and back. */
#include "catalog/journal_line.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/files.h"
#include "base/text.h"
#include "base/version.h"

#define MAX_TEXT_BYTES 4096
#define MAX_NAME_BYTES 64
#define REAL_DIGITS 9 /* 0.013, not 0.012999999999999999 */
#define SUM_KEY ",\"sum\":\""
#define SUM_LENGTH (sizeof SUM_KEY - 1 + JOURNAL_DIGEST_LENGTH + 2) /* with the last quote and brace */
#define NO_LOGIN G_MAXUINT32                                        /* loginuid of what no login started */

char *journal_line_digest(const char *line, gsize length)
{
    g_autoptr(digest) d = digest_new();
    digest_add(d, line, length);
    return digest_text(d);
}

/* ---- who ---- */

static json_t *user_name(uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    json_t *name = user ? json_string(user->pw_name) : NULL;
    return name ? name : json_sprintf("%u", (unsigned)uid);
}

/* The user of the login session, which su and sudo do not change; NULL: a daemon's child, or a kernel without it. */
static json_t *login_name(void)
{
    g_autofree char *text = NULL;
    guint64 uid = NO_LOGIN;
    if (!files_read("/proc/self/loginuid", 32, &text, NULL, NULL) ||
        !g_ascii_string_to_unsigned(g_strstrip(text), 10, 0, G_MAXUINT32, &uid, NULL) || uid == NO_LOGIN)
        return NULL;
    return user_name((uid_t)uid);
}

static json_t *sudo_name(void)
{
    const char *name = g_getenv("SUDO_USER");
    return name && *name && strlen(name) <= MAX_NAME_BYTES ? json_string(name) : NULL;
}

/* ---- making one ---- */

/* Text as long as a person will read. */
static json_t *shortened(const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text || strlen(text) <= MAX_TEXT_BYTES)
        return NULL;
    g_autofree char *cut = g_strndup(text, MAX_TEXT_BYTES);
    g_autofree char *valid = g_utf8_make_valid(cut, -1);
    return json_sprintf("%s...", valid);
}

static const char *const core[] = {"act", "result", "code", "error", "duration_seconds", "database", "id", NULL};
static const char *const ours[] = {"seq", "time",    "who",  "login", "sudo_user",   "host",
                                   "pid", "version", "prev", "sum",   "torn_before", NULL};

/* Adds what RECORD says; all of it, or only what every act says. */
static void add_facts(json_t *line, const json_t *record, gboolean all)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)record, key, value)
    {
        json_t *brief = shortened(value);
        if (!g_strv_contains(ours, key) && (all || g_strv_contains(core, key)))
            json_object_set(line, key, brief ? brief : value);
        json_decref(brief);
    }
    if (!all)
        json_object_set_new(line, "facts_left_out", json_true());
}

static char *print(const json_t *record, gboolean all, gint64 seq, const char *prev, gsize torn_bytes)
{
    g_autofree char *now = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
    json_t *line = json_pack("{sI ss}", "seq", (json_int_t)seq, "time", now);
    add_facts(line, record, all);
    json_object_update_new(line, json_pack("{so so* so* ss si ss}", "who", user_name(geteuid()), "login", login_name(),
                                           "sudo_user", sudo_name(), "host", g_get_host_name(), "pid", (int)getpid(),
                                           "version", TOOL_VERSION));
    if (torn_bytes > 0)
        json_object_set_new(line, "torn_before", json_integer((json_int_t)torn_bytes));
    json_object_set_new(line, "prev", json_string(prev));
    char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(REAL_DIGITS));
    json_decref(line);
    return text;
}

char *journal_line_make(const json_t *record, gint64 seq, const char *prev, gsize torn_bytes)
{
    char *text = print(record, TRUE, seq, prev, torn_bytes);
    if (text && strlen(text) + SUM_LENGTH >= JOURNAL_MAX_LINE) {
        free(text);
        text = print(record, FALSE, seq, prev, torn_bytes);
    }
    if (!text)
        return NULL;
    text[strlen(text) - 1] = '\0'; /* its brace */
    g_autofree char *sum = journal_line_digest(text, strlen(text));
    char *line = g_strconcat(text, SUM_KEY, sum, "\"}\n", NULL);
    free(text);
    return line;
}

/* ---- reading one ---- */

json_t *journal_line_parse(const char *line, gsize length)
{
    json_t *record = length > 0 && length <= JOURNAL_MAX_LINE ? json_loadb(line, length, 0, NULL) : NULL;
    if (json_is_object(record) && json_integer_value(json_object_get(record, "seq")) > 0)
        return record;
    json_decref(record);
    return NULL;
}

gint64 journal_line_seq(const char *line, gsize length)
{
    static const char begin[] = "{\"seq\":";
    if (length < sizeof begin || strncmp(line, begin, sizeof begin - 1) != 0 || line[length - 1] != '}')
        return 0;
    return g_ascii_strtoll(line + sizeof begin - 1, NULL, 10);
}

gboolean journal_line_sum_is_right(const char *line, gsize length)
{
    if (length < SUM_LENGTH + 1)
        return FALSE;
    const char *tail = line + length - SUM_LENGTH;
    g_autofree char *sum = journal_line_digest(line, length - SUM_LENGTH);
    g_autofree char *expected = g_strconcat(SUM_KEY, sum, "\"}", NULL);
    return memcmp(tail, expected, SUM_LENGTH) == 0;
}
