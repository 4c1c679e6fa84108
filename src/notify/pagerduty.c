/*
 * PagerDuty's Events API v2: https://developer.pagerduty.com/docs/events-api-v2-overview. A trigger opens an incident
 * or joins the one of its dedup_key, a resolve with the same key closes it. News are triggers that are closed at once:
 * there is no other way to show them on a service.
 */
#include <string.h>

#include "base/text.h"
#include "base/version.h"
#include "notify/post.h"

#define MAX_SUMMARY 1024
#define MAX_KEY 255
#define MAX_DETAIL 4000

static gboolean is_configured(const struct notify_config *config)
{
    return config->pagerduty_key != NULL;
}

/* A longer key is told apart by its digest. */
static char *dedup_key(const char *key)
{
    if (strlen(key) <= MAX_KEY)
        return g_strdup(key);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, key, -1);
}

static json_t *details(const struct notify_event *e)
{
    g_autofree char *text = notify_text(e->text, MAX_DETAIL);
    json_t *all = json_object();
    if (*text)
        json_object_set_new(all, "text", json_string(text));
    if (e->facts)
        json_object_update(all, e->facts);
    json_object_set_new(all, "opstower", json_string(TOOL_VERSION));
    return all;
}

static json_t *payload(const struct notify_event *e)
{
    g_autofree char *summary = notify_line(e->title, MAX_SUMMARY), *time = text_iso_time(e->when);
    g_autofree char *source = notify_line(e->host, MAX_SUMMARY);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:o}", "summary", summary, "source", source, "severity",
                     notify_severity_name(e->severity), "timestamp", time, "component", "opstower", "group",
                     e->database, "custom_details", details(e));
}

static gboolean send_action(struct notifier *n, const struct notify_event *e, const char *action,
                            struct notify_failure *failure, GError **error)
{
    const struct notify_config *config = notifier_config(n);
    g_autofree char *key = dedup_key(e->key);
    json_t *event = json_pack("{s:s, s:s, s:s, s:s, s:o}", "routing_key", config->pagerduty_key, "event_action", action,
                              "dedup_key", key, "client", "OpsTower Backup", "payload", payload(e));
    return notify_post_json(n, "PagerDuty", config->pagerduty_url, NULL, event, failure, error);
}

static gboolean send(struct notifier *n, const struct notify_event *e, struct notify_failure *failure, GError **error)
{
    if (e->state == NOTIFY_RESOLVE)
        return send_action(n, e, "resolve", failure, error);
    return send_action(n, e, "trigger", failure, error) &&
           (e->state == NOTIFY_TRIGGER || send_action(n, e, "resolve", failure, error));
}

const struct notify_channel notify_pagerduty = {"pagerduty", is_configured, send};
