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
    g_autofree char *name = pg_target_database(&c->target, NULL);
    *ret_database = name ? g_utf8_make_valid(name, -1) : NULL; /* it may come from an environment of any encoding */
    return (struct alert_config){
        .notify = notify_of(s),
        .slack_level = level(s->alert_slack_level),
        .pagerduty_level = level(s->alert_pagerduty_level),
        .email_level = level(s->alert_email_level),
        .webhook_level = level(s->alert_webhook_level),
        .reminder_hours = s->alert_reminder_hours,
        .max_per_hour = s->alert_max_per_hour,
        .rpo_minutes = s->rpo_minutes,
        .dir = s->backup_dir,
        .spare_dir = s->tmp_dir ? s->tmp_dir : g_get_tmp_dir(),
        .database = *ret_database,
        .source = s->s3_bucket,
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

/* From one run of this program to those it starts: the digest of the address that it calls itself; not a setting. */
#define BEATS_VARIABLE "OPSTOWER_HEARTBEAT_CALLED"

static gboolean is_called_by_parent(const char *url)
{
    const char *theirs = g_getenv(BEATS_VARIABLE);
    g_autofree char *ours = g_compute_checksum_for_string(G_CHECKSUM_SHA256, url, -1);
    return g_strcmp0(theirs, ours) == 0;
}

static void beat(struct console *c, const struct notify_config *config, enum notify_beat what, const char *text)
{
    g_autoptr(GError) error = NULL;
    if (!config->heartbeat_url || is_called_by_parent(config->heartbeat_url))
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

void alerting_several_start(struct console *c)
{
    const char *url = c->settings.heartbeat_url;
    alerting_backup_starts(c);
    if (!url)
        return;
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, url, -1);
    g_setenv(BEATS_VARIABLE, digest, TRUE);
}

/* NULL for no problem. */
static char *problem_text(struct console *c, const GError *problem)
{
    if (!problem)
        return NULL;
    g_autofree char *valid = g_utf8_make_valid(problem->message, -1);
    return options_redact(&c->settings, valid);
}

void alerting_several_found(struct console *c, const GError *problem)
{
    g_autofree char *database = NULL, *text = problem_text(c, problem);
    struct alert_config config = alerting_config(c, &database);
    config.database = NULL;
    alert_act(&config, "backups", problem ? console_exit_code(problem) : OT_OK, text, NULL, &c->report);
}

void alerting_several_end(struct console *c, const GError *problem)
{
    g_autofree char *text = problem_text(c, problem);
    struct notify_config config = notify_of(&c->settings);
    gboolean busy = g_error_matches(problem, OT_ERROR, OT_BUSY); /* the other run says how it ends */
    g_unsetenv(BEATS_VARIABLE);
    beat(c, &config, busy ? NOTIFY_BEAT_LOG : problem ? NOTIFY_BEAT_FAIL : NOTIFY_BEAT_SUCCESS, text ? text : "");
}

/* What the act has noted for the journal, as far as it is text or a number. */
static json_t *facts_text(const json_t *facts)
{
    json_t *all = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)facts, key, value)
    {
        if (json_is_integer(value))
            json_object_set_new(all, key, json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value)));
        else if (json_is_string(value) && *json_string_value(value))
            json_object_set(all, key, value);
    }
    return all;
}

void alerting_act(struct console *c, const GError *problem)
{
    g_autofree char *database = NULL, *text = problem_text(c, problem);
    struct alert_config config = alerting_config(c, &database);
    if (g_str_equal(c->act, "backup"))
        beat(c, &config.notify, problem ? NOTIFY_BEAT_FAIL : NOTIFY_BEAT_SUCCESS, text ? text : "");
    json_t *facts = facts_text(c->report.facts);
    alert_act(&config, c->act, problem ? console_exit_code(problem) : OT_OK, text, facts, &c->report);
    json_decref(facts);
}

/* ---- the watch ---- */

void alerting_watch(struct console *c, const GError *problem)
{
    g_autofree char *database = NULL, *text = problem_text(c, problem);
    struct alert_config config = alerting_config(c, &database);
    alert_act(&config, "status", problem ? console_exit_code(problem) : OT_OK, text, NULL, &c->report);
}

void alerting_watch_several(struct console *c, const GError *problem)
{
    g_autofree char *database = NULL, *text = problem_text(c, problem);
    struct alert_config config = alerting_config(c, &database);
    config.database = NULL;
    alert_act(&config, "watch", problem ? console_exit_code(problem) : OT_OK, text, NULL, &c->report);
}

static enum alert_verdict verdict_of(const struct health_check *check)
{
    static const enum alert_verdict verdicts[] = {[HEALTH_OK] = ALERT_FINE,
                                                  [HEALTH_WARNING] = ALERT_WARNING,
                                                  [HEALTH_CRITICAL] = ALERT_CRITICAL,
                                                  [HEALTH_UNKNOWN] = ALERT_UNKNOWN};
    return check->cause ? ALERT_EXCUSED : verdicts[check->verdict];
}

/* Checks that ask servers. */
static const char *const fickle[] = {"s3_copies", "database", "credentials", "certificates", NULL};

/* What is found in a check belongs to it and to the lists that free it. */
static struct alert_finding finding_of(struct console *c, const struct health_check *check, GPtrArray *texts,
                                       GPtrArray *objects)
{
    g_autofree char *raw = g_strdup_printf("%s: %s", check->title, check->value);
    g_autofree char *valid = g_utf8_make_valid(raw, -1),
                    *advice = g_utf8_make_valid(check->advice ? check->advice : "", -1);
    char *title = options_redact(&c->settings, valid), *text = options_redact(&c->settings, advice);
    json_t *facts = json_pack("{ss* ss*}", "target", check->target, "limits", check->threshold);
    g_ptr_array_add(texts, title);
    g_ptr_array_add(texts, text);
    g_ptr_array_add(objects, facts);
    return (struct alert_finding){.name = check->name,
                                  .verdict = verdict_of(check),
                                  .title = title,
                                  .text = text,
                                  .facts = facts,
                                  .subject = check->subject,
                                  .fickle = g_strv_contains(fickle, check->name)};
}

static void unref(gpointer object)
{
    json_decref(object);
}

void alerting_health(struct console *c, const struct health *h, gboolean complete)
{
    g_autofree char *database = NULL, *looked_at = g_utf8_make_valid(h->database, -1);
    struct alert_config config = alerting_config(c, &database);
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) objects = g_ptr_array_new_with_free_func(unref);
    g_autofree struct alert_finding *list = g_new0(struct alert_finding, h->checks->len + 1);
    for (guint i = 0; i < h->checks->len; i++)
        list[i] = finding_of(c, &g_array_index(h->checks, struct health_check, i), texts, objects);
    config.database = looked_at;
    alert_checks(&config, list, h->checks->len, complete, &c->report);
}
