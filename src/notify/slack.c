/*
 * Slack's incoming webhooks: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, with the limits
 * of https://docs.slack.dev/reference/block-kit/blocks.
 */
#include <string.h>

#include "base/text.h"
#include "notify/post.h"

/* Slack counts characters. The text of a section may have 3000 after escaping, which makes at most five of one. */
#define MAX_HEADER 150
#define MAX_TEXT 590
#define MAX_FIELD_VALUE 350
#define MAX_FIELDS 10

static gboolean is_configured(const struct notify_config *config)
{
    return config->slack_url != NULL;
}

/* In Slack's text only these three mean something everywhere. What looks like emphasis is harmless; what looks like a
 * mention or a link begins with <. */
static char *escape(const char *text, gsize max_characters)
{
    g_autofree char *part = notify_text(text, max_characters);
    g_autoptr(GString) out = g_string_new(part);
    g_string_replace(out, "&", "&amp;", 0);
    g_string_replace(out, "<", "&lt;", 0);
    g_string_replace(out, ">", "&gt;", 0);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static json_t *section(const char *text)
{
    g_autofree char *escaped = escape(text, MAX_TEXT);
    return json_pack("{s:s, s:{s:s, s:s}}", "type", "section", "text", "type", "mrkdwn", "text", escaped);
}

static json_t *fields(const json_t *facts)
{
    json_t *list = json_array();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)facts, name, value)
    {
        const char *text = json_string_value(value);
        if (!text || json_array_size(list) == MAX_FIELDS)
            continue;
        g_autofree char *label = escape(name, 50), *shown = escape(text, MAX_FIELD_VALUE);
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "type", "mrkdwn", "text", json_sprintf("*%s*\n%s", label, shown)));
    }
    return json_pack("{s:s, s:o}", "type", "section", "fields", list);
}

static json_t *context(const struct notify_event *e)
{
    g_autofree char *time = text_iso_time(e->when);
    g_autofree char *raw = e->database ? g_strdup_printf("%s on %s, %s", e->database, e->host, time)
                                       : g_strdup_printf("%s, %s", e->host, time);
    g_autofree char *text = escape(raw, MAX_TEXT);
    return json_pack("{s:s, s:[{s:s, s:s}]}", "type", "context", "elements", "type", "mrkdwn", "text", text);
}

static const char *color(const struct notify_event *e)
{
    static const char *const colors[] = {"#439FE0", "#DAA038", "#A30200"};
    return e->state == NOTIFY_RESOLVE ? "#2EB886" : colors[e->severity];
}

/* The text is what notifications show; the blocks stand in an attachment, for only that has a colour. */
static json_t *message(const struct notify_event *e)
{
    g_autofree char *head = notify_headline(e, MAX_HEADER), *plain = escape(head, MAX_HEADER);
    json_t *blocks = json_array();
    json_array_append_new(
        blocks, json_pack("{s:s, s:{s:s, s:s}}", "type", "header", "text", "type", "plain_text", "text", head));
    if (*e->text)
        json_array_append_new(blocks, section(e->text));
    if (json_object_size(e->facts) > 0)
        json_array_append_new(blocks, fields(e->facts));
    json_array_append_new(blocks, context(e));
    return json_pack("{s:s, s:[{s:s, s:s, s:o}]}", "text", plain, "attachments", "color", color(e), "fallback", plain,
                     "blocks", blocks);
}

static gboolean send(struct notifier *n, const struct notify_event *e, struct notify_failure *failure, GError **error)
{
    return notify_post_json(n, "Slack", notifier_config(n)->slack_url, NULL, message(e), failure, error);
}

const struct notify_channel notify_slack = {"slack", is_configured, send};
