/* From a record to a line and fields. */
#include "cmd/telling.h"

#include <glib.h>
#include <string.h>

#include "base/error.h"
#include "base/systemlog.h"

#define MAX_MESSAGE_BYTES 4000 /* syslog servers cut at 8 KiB, older ones sooner */
/* Ours, made at random, so that `journalctl MESSAGE_ID=...` finds the one or the other. */
#define MESSAGE_ID_OK "MESSAGE_ID=dc4bfadf37df4c99948649eb1b599194"
#define MESSAGE_ID_FAILED "MESSAGE_ID=b0740a0fd69149d4b3f3c0a347fccda2"

static const char *const with_own_name[] = {"backup", "restore", "verify", NULL};

static char *value_text(const json_t *value)
{
    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (json_is_integer(value))
        return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_boolean(value))
        return g_strdup(json_is_true(value) ? "true" : "false");
    return NULL;
}

/* "OPSTOWER_NAME=VALUE" of every plain fact, NULL at the end. */
static GPtrArray *fields_of(const json_t *record, gboolean ok)
{
    GPtrArray *fields = g_ptr_array_new_with_free_func(g_free);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)record, key, value)
    {
        g_autofree char *text = value_text(value);
        g_autofree char *name = g_ascii_strup(key, -1);
        if (text)
            g_ptr_array_add(fields, g_strdup_printf("OPSTOWER_%s=%s", name, text));
    }
    g_ptr_array_add(fields, g_strdup(ok ? MESSAGE_ID_OK : MESSAGE_ID_FAILED));
    g_ptr_array_add(fields, NULL);
    return fields;
}

static const char *text_in(const json_t *record, const char *key)
{
    return json_string_value(json_object_get(record, key));
}

/* It met another run at work, and left it to that. */
static gboolean has_stood_aside(const json_t *record)
{
    return json_integer_value(json_object_get(record, "code")) == OT_BUSY;
}

/* "backup ok: code=0 duration_seconds=12 database=app ...", or "[ERROR] why (backup failed: code=5 ...)". */
static char *message_of(const json_t *record, gboolean ok)
{
    g_autoptr(GString) facts = g_string_new(NULL);
    const char *act = text_in(record, "act"), *why = text_in(record, "error"), *key;
    json_t *value;
    json_object_foreach((json_t *)record, key, value)
    {
        g_autofree char *text = value_text(value);
        if (text && !g_str_equal(key, "act") && !g_str_equal(key, "result") && !g_str_equal(key, "error"))
            g_string_append_printf(facts, " %s=%s", key, text);
    }
    char *line =
        ok ? g_strdup_printf("%s ok:%s", act, facts->str)
           : g_strdup_printf("%s%.*s (%s %s:%s)", has_stood_aside(record) ? "" : "[ERROR] ", MAX_MESSAGE_BYTES / 2,
                             why ? why : "", act, has_stood_aside(record) ? "not done" : "failed", facts->str);
    g_strdelimit(line, "\n\r\t", ' ');
    if (strlen(line) > MAX_MESSAGE_BYTES)
        line[MAX_MESSAGE_BYTES] = '\0';
    char *valid = g_utf8_make_valid(line, -1);
    g_free(line);
    return valid;
}

void telling_system(const json_t *record)
{
    const char *act = text_in(record, "act");
    gboolean ok = g_strcmp0(text_in(record, "result"), "ok") == 0;
    g_autofree char *own = g_strdup_printf("opstower-%s", act);
    g_autofree char *message = message_of(record, ok);
    g_autoptr(GPtrArray) fields = fields_of(record, ok);
    int level = ok ? LOG_INFO : has_stood_aside(record) ? LOG_NOTICE : LOG_ERR;
    systemlog_send(g_strv_contains(with_own_name, act) ? own : "opstower", level, message,
                   (const char *const *)fields->pdata);
}
