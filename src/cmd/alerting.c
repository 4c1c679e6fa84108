/* From settings to alerts. Whatever goes wrong here is a warning: an act's outcome does not depend on it. */
#include "cmd/alerting.h"

#include <string.h>

static int choice(const char *word, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (g_str_equal(word, words[i]))
            return i;
    return 0;
}

static enum notify_severity level(const char *word)
{
    static const char *const words[] = {"info", "warning", "critical", NULL};
    return (enum notify_severity)choice(word, words);
}

static struct notify_config notify_of(const struct settings *s)
{
    static const char *const words[] = {"auto", "always", "never", NULL};
    return (struct notify_config){
        .slack_url = s->slack_webhook_url,
        .pagerduty_key = s->pagerduty_key,
        .pagerduty_url = s->pagerduty_url,
        .email_to = (const char *const *)s->alert_email,
        .email_from = s->alert_email_from,
        .smtp_url = s->smtp_url,
        .smtp_starttls = choice(s->smtp_starttls, words),
        .webhook_url = s->alert_webhook_url,
        .webhook_secret = s->alert_webhook_secret,
        .heartbeat_url = s->heartbeat_url,
        .ca_file = s->alert_ca_bundle,
        .allow_http = g_str_equal(s->alert_allow_http, "true"),
        .timeout_ms = (guint)s->alert_timeout_s * 1000,
    };
}

struct alert_config alerting_config(struct console *c, char **ret_database)
{
    const struct settings *s = &c->settings;
    *ret_database = pg_target_database(&c->target, NULL);
    return (struct alert_config){
        .notify = notify_of(s),
        .slack_level = level(s->alert_slack_level),
        .pagerduty_level = level(s->alert_pagerduty_level),
        .email_level = level(s->alert_email_level),
        .webhook_level = level(s->alert_webhook_level),
        .reminder_hours = s->alert_reminder_hours,
        .max_per_hour = s->alert_max_per_hour,
        .dir = s->backup_dir,
        .spare_dir = s->tmp_dir ? s->tmp_dir : g_get_tmp_dir(),
        .database = *ret_database,
    };
}

GPtrArray *alerting_channels(const struct notify_config *config)
{
    GPtrArray *list = g_ptr_array_new();
    for (const struct notify_channel *const *channel = notify_channels; *channel; channel++)
        if ((*channel)->is_configured(config))
            g_ptr_array_add(list, (gpointer)*channel);
    return list;
}

static void beat(struct console *c, const struct notify_config *config, enum notify_beat what, const char *text)
{
    g_autoptr(GError) error = NULL;
    if (!config->heartbeat_url)
        return;
    g_autoptr(notifier) n = notifier_new(config);
    if (!notify_heartbeat(n, what, text, &error))
        report_warn(&c->report, "The heartbeat was not taken: %s", error->message);
}

void alerting_backup_starts(struct console *c)
{
    struct notify_config config = notify_of(&c->settings);
    beat(c, &config, NOTIFY_BEAT_START, "");
}

void alerting_act(struct console *c, const GError *problem)
{
    g_autofree char *database = NULL, *text = NULL;
    struct alert_config config = alerting_config(c, &database);
    if (problem) {
        g_autofree char *valid = g_utf8_make_valid(problem->message, -1);
        text = options_redact(&c->settings, valid);
    }
    if (g_str_equal(c->act, "backup"))
        beat(c, &config.notify, problem ? NOTIFY_BEAT_FAIL : NOTIFY_BEAT_SUCCESS, text ? text : "");
    alert_act(&config, c->act, problem ? console_exit_code(problem) : OT_OK, text, &c->report);
}
