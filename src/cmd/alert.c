/* opstower alert */
#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/text.h"
#include "cmd/alerting.h"
#include "cmd/command.h"

#define HEARTBEAT "heartbeat"

static gboolean fail_unconfigured(GError **error)
{
    return ot_fail(error, OT_USAGE,
                   "no alert channel is set: SLACK_WEBHOOK_URL, PAGERDUTY_SERVICE_KEY, ALERT_EMAIL, ALERT_WEBHOOK_URL "
                   "or HEARTBEAT_URL names one");
}

/* ---- test ---- */

/* What is to be tested, by name; the heartbeat with the others. */
static GPtrArray *chosen(const struct notify_config *config, const char *name, GError **error)
{
    static const char *const names[] = {"slack", "pagerduty", "email", "webhook", HEARTBEAT, NULL};
    if (name && !g_strv_contains(names, name)) {
        const char *near = options_nearest_word(name, names);
        ot_fail(error, OT_USAGE, "there is no channel \"%s\"%s%s; there are slack, pagerduty, email, webhook and %s",
                name, near ? "; did you mean " : "", near ? near : "", HEARTBEAT);
        return NULL;
    }
    g_autoptr(GPtrArray) set = alerting_channels(config), list = g_ptr_array_new();
    for (guint i = 0; i < set->len; i++) {
        const struct notify_channel *channel = set->pdata[i];
        if (!name || g_str_equal(name, channel->name))
            g_ptr_array_add(list, (gpointer)channel->name);
    }
    if (config->heartbeat_url && (!name || g_str_equal(name, HEARTBEAT)))
        g_ptr_array_add(list, (gpointer)HEARTBEAT);
    if (list->len > 0)
        return g_steal_pointer(&list);
    if (name)
        ot_fail(error, OT_USAGE, "the channel %s is not set; `opstower alert --help` names its variables", name);
    else
        fail_unconfigured(error);
    return NULL;
}

static gboolean test_one(struct console *c, const struct alert_config *config, const char *name, GError **error)
{
    const struct notify_channel *channel = notify_find(name);
    if (channel)
        return alert_test(config, channel, &c->report, error);
    g_autoptr(notifier) n = notifier_new(&config->notify);
    return notify_heartbeat(n, NOTIFY_BEAT_LOG, "Test of the heartbeat's address", error);
}

static json_t *outcome_json(const char *name, const char *problem)
{
    return json_pack("{ss sb ss*}", "channel", name, "accepted", problem == NULL, "error", problem);
}

static gboolean fail_refused(guint failed, guint all, GError **error)
{
    return ot_fail(error, OT_FAILED, "%u of %u channels did not accept the test alert", failed, all);
}

static gboolean test(struct console *c, const char *name, GError **error)
{
    g_autofree char *database = NULL;
    struct alert_config config = alerting_config(c, &database);
    g_autoptr(GPtrArray) list = chosen(&config.notify, name, error);
    if (!list)
        return FALSE;
    json_t *outcomes = json_array();
    guint failed = 0;
    for (guint i = 0; i < list->len && !interrupt_signal(); i++) {
        const char *each = list->pdata[i];
        g_autoptr(GError) problem = NULL;
        gboolean ok = test_one(c, &config, each, &problem);
        g_autofree char *text = ok ? NULL : options_redact(&c->settings, problem->message);
        failed += !ok;
        json_array_append_new(outcomes, outcome_json(each, text));
        if (ok)
            report_info(&c->report, "%s: accepted", each);
        else
            report_warn(&c->report, "%s: %s", each, text);
    }
    gboolean whole = interrupt_check(error);
    if (!whole || !c->settings.json)
        json_decref(outcomes);
    else if (!console_print_json(outcomes, error))
        return FALSE;
    return whole && (failed == 0 || fail_refused(failed, list->len, error));
}

/* ---- list ---- */

static const char *text_of(const json_t *each, const char *key)
{
    const char *text = json_string_value(json_object_get(each, key));
    return text ? text : "";
}

static char *time_of(const json_t *each, const char *key)
{
    return text_iso_time(json_integer_value(json_object_get(each, key)));
}

static void print_list(struct console *c, const json_t *state)
{
    const json_t *open = json_object_get(state, "open"), *queue = json_object_get(state, "queue"), *each;
    gsize i;
    json_array_foreach(open, i, each)
    {
        g_autofree char *since = time_of(each, "since");
        report_info(&c->report, "%s: %s, since %s: %s", text_of(each, "key"), text_of(each, "severity"), since,
                    text_of(each, "title"));
    }
    json_array_foreach(queue, i, each)
    {
        g_autofree char *when = time_of(each, "when"), *next = time_of(each, "next_try");
        report_info(&c->report, "Waits for %s since %s, next try %s: %s%s%s", text_of(each, "channel"), when, next,
                    text_of(each, "title"), *text_of(each, "error") ? ". " : "", text_of(each, "error"));
    }
    json_int_t dropped = json_integer_value(json_object_get(state, "dropped"));
    if (dropped > 0)
        report_warn(&c->report, "%d alerts were dropped, for too many waited", (int)dropped);
    report_info(&c->report, "%d open alerts, %d waiting to be sent", (int)json_array_size(open),
                (int)json_array_size(queue));
}

static gboolean list_all(struct console *c, GError **error)
{
    g_autofree char *database = NULL;
    struct alert_config config = alerting_config(c, &database);
    json_t *state = alert_state(&config);
    if (c->settings.json)
        return console_print_json(state, error);
    print_list(c, state);
    json_decref(state);
    return TRUE;
}

static gboolean close_one(struct console *c, const char *key, GError **error)
{
    g_autofree char *database = NULL;
    struct alert_config config = alerting_config(c, &database);
    if (!key)
        return ot_fail(error, OT_USAGE,
                       "opstower alert close needs the key of an alert, as `opstower alert list` shows");
    if (!alert_close(&config, key, &c->report, error))
        return FALSE;
    report_info(&c->report, "%s is closed", key);
    return TRUE;
}

static gboolean run(struct console *c, char **words, GError **error)
{
    static const char *const verbs[] = {"test", "list", "close", NULL};
    if (g_str_equal(words[0], "test"))
        return test(c, words[1], error);
    if (g_str_equal(words[0], "close"))
        return close_one(c, words[1], error);
    if (g_str_equal(words[0], "list"))
        return words[1] ? ot_fail(error, OT_USAGE, "one word too many: %s", words[1]) : list_all(c, error);
    const char *near = options_nearest_word(words[0], verbs);
    return ot_fail(error, OT_USAGE, "opstower alert knows test, list and close, not \"%s\"%s%s", words[0],
                   near ? "; did you mean " : "", near ? near : "");
}

const struct command cmd_alert = {
    .name = "alert",
    .mask = CMD_ALERT,
    .usage = "test [CHANNEL] | list | close KEY [OPTION]...",
    .summary = "Try the alert channels; show open alerts.",
    .details =
        "test sends a test alert through every channel that is set, or the one named (slack, pagerduty, email,\n"
        "webhook, heartbeat), and says of each what its server answered.\n"
        "list shows the trouble that was told and is not over, and the alerts that wait because they could not\n"
        "be sent. close ends one of them by hand, for what no later run can find to be over.\n"
        "Alerts come from acts that fail and from `opstower status --alert`: once when trouble begins, again when\n"
        "it becomes worse or better, and once when it is over.",
    .min_words = 1,
    .max_words = 2,
    .run = run,
};
