/* Alerts by mail: the text (notify/mailtext.c) to the server (net/smtp.c). */
#include <string.h>

#include "net/smtp.h"
#include "notify/mailtext.h"

static gboolean is_configured(const struct notify_config *config)
{
    return config->email_to != NULL;
}

/* A host without a domain is an address that many servers refuse: ALERT_EMAIL_FROM is for that. */
static char *sender(const struct notify_config *config)
{
    return config->email_from ? g_strdup(config->email_from) : g_strconcat("opstower@", g_get_host_name(), NULL);
}

static enum smtp_tls tls_of(int starttls)
{
    return starttls == NOTIFY_STARTTLS_ALWAYS  ? SMTP_TLS_ALWAYS
           : starttls == NOTIFY_STARTTLS_NEVER ? SMTP_TLS_NEVER
                                               : SMTP_TLS_AUTO;
}

static gboolean check_address(const char *address, const char *variable, GError **error)
{
    return smtp_is_address(address) ||
           ot_fail(error, OT_USAGE, "\"%s\" is not a mail address; it is written NAME@HOST in %s", address, variable);
}

static gboolean check_addresses(const struct notify_config *config, const char *from, GError **error)
{
    for (const char *const *to = config->email_to; *to; to++)
        if (!check_address(*to, "ALERT_EMAIL", error))
            return FALSE;
    return check_address(from, "ALERT_EMAIL_FROM", error);
}

static gboolean send(struct notifier *n, const struct notify_event *e, struct notify_failure *failure, GError **error)
{
    const struct notify_config *config = notifier_config(n);
    *failure = (struct notify_failure){.refused = TRUE};
    g_autofree char *from = sender(config);
    if (!check_addresses(config, from, error))
        return FALSE;
    g_autofree char *text = mailtext(e, from, config->email_to);
    struct smtp_server server = {.url = config->smtp_url,
                                 .tls = tls_of(config->smtp_starttls),
                                 .ca_file = config->ca_file,
                                 .timeout_ms = config->timeout_ms};
    struct smtp_mail mail = {.from = from, .to = config->email_to, .text = text, .length = strlen(text)};
    enum http_failure kind;
    gboolean ok = smtp_send(&server, &mail, &kind, error);
    failure->refused = kind == HTTP_FINAL;
    return ok;
}

const struct notify_channel notify_email = {"email", is_configured, send};
