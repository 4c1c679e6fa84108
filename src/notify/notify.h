/*
 * Alerts to people: one interface, one file per channel. It sends when told to, once; what is worth telling, whom, and
 * when again is the business of engine/alert.h.
 */
#pragma once

#include <jansson.h>

#include "net/http.h"
#include "net/smtp.h"

enum notify_severity { NOTIFY_INFO, NOTIFY_WARNING, NOTIFY_CRITICAL };

enum notify_state {
    NOTIFY_TRIGGER, /* there is trouble, or it changed */
    NOTIFY_RESOLVE, /* it is over */
    NOTIFY_NEWS,    /* neither: for people to know */
};

/* What is told. Texts are UTF-8 without secrets; longer ones than a channel takes are cut by the channel. */
struct notify_event {
    enum notify_severity severity; /* of a resolve: how bad it was */
    enum notify_state state;
    const char *id;    /* one per event, the same for each try to send it: A-Z a-z 0-9 - */
    const char *key;   /* one per trouble: trigger and resolve have the same */
    const char *title; /* one line */
    const char *text;  /* what, and what to do; "" for none */
    json_t *facts;     /* object of strings, for tables; NULL: none */
    gint64 when;       /* unix seconds */
    const char *host;
    const char *database;  /* NULL: of none */
    const char *const *to; /* mail: to these alone, NULL at the end; NULL: to all that are set */
};

enum { NOTIFY_STARTTLS_AUTO, NOTIFY_STARTTLS_ALWAYS, NOTIFY_STARTTLS_NEVER };

/* Where to. Borrowed by the notifier, NULL where there is none. */
struct notify_config {
    const char *slack_url;
    const char *pagerduty_key, *pagerduty_url;
    const char *const *email_to; /* NULL at the end */
    const char *email_from;      /* NULL: opstower@HOST */
    const char *smtp_url;
    int smtp_starttls; /* NOTIFY_STARTTLS_* */
    const char *webhook_url, *webhook_secret;
    const char *heartbeat_url;
    const char *ca_file;
    gboolean allow_http; /* plain http to others than this machine */
    guint timeout_ms;    /* for one try */
};

struct notifier;
typedef struct notifier notifier;
struct notifier *notifier_new(const struct notify_config *config);
void notifier_free(struct notifier *n);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(notifier, notifier_free)

const struct notify_config *notifier_config(const struct notifier *n);

/* Why it was not sent. */
struct notify_failure {
    gboolean refused; /* the same again would most likely be refused again: a key, an address, a setting is wrong */
    guint64 retry_after_s; /* the server's wish; 0: none */
    GPtrArray *refusals;   /* it was sent, but not to these receivers: struct smtp_refusal *; NULL: to all */
};
void notify_failure_clear(struct notify_failure *f);

struct notify_channel {
    const char *name; /* as "slack" */
    gboolean (*is_configured)(const struct notify_config *config);
    /* TRUE if the server said that it has it, for one receiver at least. Else error (never with a secret of the config's in it, but for what the
     * server itself says) and *failure. An interrupt ends it (OT_INTERRUPTED); once there was one, it works as ever. */
    gboolean (*send)(struct notifier *n, const struct notify_event *e, struct notify_failure *failure, GError **error);
};

extern const struct notify_channel notify_slack, notify_pagerduty, notify_email, notify_webhook;

/* All of them, NULL at the end. The heartbeat is none: it tells a machine, not people. */
extern const struct notify_channel *const notify_channels[];
const struct notify_channel *notify_find(const char *name);

/* The dead-man's switch: what it hears of. Errors as of send. */
enum notify_beat { NOTIFY_BEAT_START, NOTIFY_BEAT_SUCCESS, NOTIFY_BEAT_FAIL, NOTIFY_BEAT_LOG };
gboolean notify_heartbeat(struct notifier *n, enum notify_beat beat, const char *text, GError **error);

const char *notify_severity_name(enum notify_severity s); /* "info", "warning", "critical" */
const char *notify_state_name(enum notify_state s);       /* "trigger", "resolve", "info" */
