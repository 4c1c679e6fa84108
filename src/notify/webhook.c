/*
 * Any other service: one JSON document by POST. With a secret, X-Opstower-Signature is "sha256=" and the HMAC-SHA256 of
 * the body in hexadecimal digits; the time and the id in the body tell an old document that is sent again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/version.h"
#include "notify/post.h"

#define MAX_TITLE 500
#define MAX_TEXT 10000

static gboolean is_configured(const struct notify_config *config)
{
    return config->webhook_url != NULL;
}

static json_t *document(const struct notify_event *e)
{
    g_autofree char *title = notify_line(e->title, MAX_TITLE), *text = notify_text(e->text, MAX_TEXT);
    g_autofree char *time = text_iso_time(e->when);
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s?, s:O?, s:s}", "format", 1, "id", e->id,
                     "state", notify_state_name(e->state), "severity", notify_severity_name(e->severity), "key", e->key,
                     "title", title, "text", text, "time", time, "host", e->host, "database", e->database, "facts",
                     e->facts, "opstower", TOOL_VERSION);
}

static char *signature(const char *secret, const char *body)
{
    g_autofree char *hmac =
        g_compute_hmac_for_string(G_CHECKSUM_SHA256, (const guchar *)secret, strlen(secret), body, -1);
    return g_strconcat("X-Opstower-Signature: sha256=", hmac, NULL);
}

static gboolean send(struct notifier *n, const struct notify_event *e, struct notify_failure *failure, GError **error)
{
    const struct notify_config *config = notifier_config(n);
    json_t *all = document(e);
    char *body = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(all);
    *failure = (struct notify_failure){.refused = TRUE};
    if (!body)
        return ot_fail(error, OT_FAILED, "the alert for the webhook cannot be written as JSON");
    g_autofree char *extra = config->webhook_secret ? signature(config->webhook_secret, body) : NULL;
    struct notify_post post = {.what = "the webhook",
                               .url = config->webhook_url,
                               .type = "application/json",
                               .extra = extra,
                               .body = body,
                               .length = strlen(body)};
    gboolean ok = notify_post(n, &post, NULL, failure, error);
    free(body);
    return ok;
}

const struct notify_channel notify_webhook = {"webhook", is_configured, send};
