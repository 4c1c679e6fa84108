/* The summary of several runs. It starts none. */
#include "cmd/several_summary.h"

#include <stdio.h>

#include "base/text.h"
#include "cmd/console.h"

void several_part_free(struct several_part *p)
{
    g_free(p->label);
    g_free(p->word);
    g_strfreev(p->environment);
    g_free(p->id);
    g_free(p->error);
    json_decref(p->output);
    g_free(p);
}

char *several_label(const struct several_part *p)
{
    g_autofree char *valid = g_utf8_make_valid(p->label, -1);
    g_autoptr(GString) text = g_string_new(NULL);
    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar letter = g_utf8_get_char(at);
        g_string_append_unichar(text, g_unichar_isprint(letter) ? letter : '?');
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static const char *result_word(const struct several_part *p)
{
    return !p->ran ? "not run" : p->code == 0 ? "ok" : p->code == OT_BUSY ? "busy" : "failed";
}

static char *result_text(const struct several_part *p)
{
    return p->ran && p->code ? g_strdup_printf("%s (%d)", result_word(p), p->code) : g_strdup(result_word(p));
}

/* printf pads by bytes. */
static void print_padded(const char *text, glong columns)
{
    printf("%s%*s", text, (int)MAX(0, columns - g_utf8_strlen(text, -1)), "");
}

void several_print(const GPtrArray *parts)
{
    glong columns = g_utf8_strlen("DATABASE", -1);
    for (guint i = 0; i < parts->len; i++) {
        g_autofree char *label = several_label(parts->pdata[i]);
        columns = MAX(columns, g_utf8_strlen(label, -1));
    }
    print_padded("DATABASE", columns);
    printf("  %-13s %-14s %s\n", "RESULT", "DURATION", "ID");
    for (guint i = 0; i < parts->len; i++) {
        const struct several_part *p = parts->pdata[i];
        g_autofree char *label = several_label(p);
        g_autofree char *result = result_text(p);
        g_autofree char *duration = p->ran ? text_duration(p->seconds) : g_strdup("-");
        print_padded(label, columns);
        printf("  %-13s %-14s %s\n", result, duration, p->id ? p->id : "-");
    }
}

static json_t *part_json(const struct several_part *p)
{
    g_autofree char *label = g_utf8_make_valid(p->label, -1);
    json_t *o = json_pack("{ss ss ss*}", "label", label, "result", result_word(p), "id", p->id);
    if (p->ran)
        json_object_update_new(o, json_pack("{si sI}", "code", p->code, "duration_seconds", (json_int_t)p->seconds));
    if (p->error)
        json_object_set_new(o, "error", json_string(p->error));
    if (p->output)
        json_object_set(o, "output", p->output);
    return o;
}

gboolean several_print_json(const GPtrArray *parts, GError **error)
{
    json_t *array = json_array();
    for (guint i = 0; i < parts->len; i++)
        json_array_append_new(array, part_json(parts->pdata[i]));
    return console_print_json(array, error);
}

/* Those that failed, or those that met another run at work. */
static guint name_parts(const GPtrArray *parts, gboolean busy, GString *names, int *ret_first)
{
    guint count = 0;
    for (guint i = 0; i < parts->len; i++) {
        const struct several_part *p = parts->pdata[i];
        if (p->code == 0 || (p->code == OT_BUSY) != busy)
            continue;
        g_autofree char *label = several_label(p);
        g_string_append_printf(names, "%s%s (exit code %d)", count ? ", " : "", label, p->code);
        *ret_first = count++ ? *ret_first : p->code;
    }
    return count;
}

gboolean several_judge(const GPtrArray *parts, GError **error)
{
    g_autoptr(GString) failed = g_string_new(NULL), busy = g_string_new(NULL);
    int first = 0, unused = 0;
    guint bad = name_parts(parts, FALSE, failed, &first), at_work = name_parts(parts, TRUE, busy, &unused);
    if (bad)
        return ot_fail(error, (enum ot_code)first, "%u of %u databases failed: %s", bad, parts->len, failed->str);
    return at_work == 0 ||
           ot_fail(error, OT_BUSY, "another run is at work on %u of %u databases: %s", at_work, parts->len, busy->str);
}

gboolean several_check_told(const GPtrArray *parts, GError **error)
{
    for (guint i = 0; i < parts->len; i++)
        if (!((const struct several_part *)parts->pdata[i])->untold)
            return TRUE;
    return ot_fail(error, OT_USAGE,
                   "--alert has nobody to tell of any database: set SLACK_WEBHOOK_URL, PAGERDUTY_SERVICE_KEY, "
                   "ALERT_EMAIL or ALERT_WEBHOOK_URL");
}

int several_worst(const GPtrArray *parts)
{
    int worst = 0;
    for (guint i = 0; i < parts->len; i++)
        worst = MAX(worst, ((const struct several_part *)parts->pdata[i])->code);
    return worst;
}
