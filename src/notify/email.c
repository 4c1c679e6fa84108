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

#define ADVICE "it is written NAME@HOST in "

/* One mail on its way: receivers are parted into those that have it and those that do not. */
struct mailing {
    struct notifier *notifier;
    const struct notify_event *event;
    const char *from;
    GPtrArray *refusals; /* struct smtp_refusal * */
    enum http_failure failure;
};

/* The addresses that are some, NULL at the end; the others are refused. */
static GPtrArray *receivers(struct mailing *m)
{
    const char *const *all = m->event->to ? m->event->to : notifier_config(m->notifier)->email_to;
    GPtrArray *list = g_ptr_array_new();
    for (; *all; all++)
        if (smtp_is_address(*all))
            g_ptr_array_add(list, (gpointer)*all);
        else
            g_ptr_array_add(m->refusals, smtp_refusal_new(*all, "not a mail address; " ADVICE "ALERT_EMAIL", TRUE));
    g_ptr_array_add(list, NULL);
    return list;
}

static gboolean send_to(struct mailing *m, const char *const *to, struct smtp_outcome *ret, GError **error)
{
    const struct notify_config *config = notifier_config(m->notifier);
    g_autofree char *text = mailtext(m->event, m->from, to);
    struct smtp_server server = {.url = config->smtp_url,
                                 .tls = tls_of(config->smtp_starttls),
                                 .ca_file = config->ca_file,
                                 .timeout_ms = config->timeout_ms};
    struct smtp_mail mail = {.from = m->from, .to = to, .text = text, .length = strlen(text)};
    gboolean ok = smtp_send(&server, &mail, ret, error);
    m->failure = ret->failure;
    return ok;
}

static void take_refusals(struct mailing *m, struct smtp_outcome *o)
{
    g_ptr_array_extend_and_steal(m->refusals, g_steal_pointer(&o->refusals));
}

static gboolean is_refused(const GPtrArray *refusals, const char *address)
{
    for (guint i = 0; i < refusals->len; i++)
        if (strcmp(((const struct smtp_refusal *)refusals->pdata[i])->to, address) == 0)
            return TRUE;
    return FALSE;
}

/* Each by itself. TRUE if one has it. An error is the last one's. */
static gboolean send_singly(struct mailing *m, const char *const *to, GError **error)
{
    gboolean one = FALSE;
    for (; *to; to++) {
        const char *const alone[] = {*to, NULL};
        g_autoptr(GError) problem = NULL;
        struct smtp_outcome o;
        gboolean ok = send_to(m, alone, &o, &problem);
        smtp_outcome_clear(&o);
        one = one || ok;
        if (!ok)
            g_ptr_array_add(m->refusals, smtp_refusal_new(*to, problem->message, m->failure == HTTP_FINAL));
    }
    return one || ot_fail(error, OT_FAILED, "%s",
                          ((const struct smtp_refusal *)m->refusals->pdata[m->refusals->len - 1])->said);
}

/* Without those that were refused, after whom the server took nothing more. */
static gboolean send_to_rest(struct mailing *m, const char *const *to, GError **error)
{
    g_autoptr(GPtrArray) rest = g_ptr_array_new();
    for (; *to; to++)
        if (!is_refused(m->refusals, *to))
            g_ptr_array_add(rest, (gpointer)*to);
    g_ptr_array_add(rest, NULL);
    struct smtp_outcome o;
    gboolean ok = send_to(m, (const char *const *)rest->pdata, &o, error);
    take_refusals(m, &o);
    return ok;
}

/* One receiver that a server does not want keeps the mail from no other, in whichever way it is refused: alone, with the
 * connection, or with the text. */
static gboolean send_to_all(struct mailing *m, const char *const *to, GError **error)
{
    g_autoptr(GError) problem = NULL;
    struct smtp_outcome o;
    guint count = g_strv_length((char **)to);
    gboolean ok = send_to(m, to, &o, &problem), offered = o.was_offered;
    guint refused = o.refusals->len;
    take_refusals(m, &o);
    if (ok)
        return TRUE;
    if (!g_error_matches(problem, OT_ERROR, OT_INTERRUPTED)) {
        if (!offered && refused > 0 && refused < count)
            return send_to_rest(m, to, error);
        if (offered && refused == 0 && count > 1 && m->failure == HTTP_FINAL)
            return send_singly(m, to, error);
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

static gboolean send(struct notifier *n, const struct notify_event *e, struct notify_failure *failure, GError **error)
{
    *failure = (struct notify_failure){.refused = TRUE};
    g_autofree char *from = sender(notifier_config(n));
    if (!smtp_is_address(from))
        return ot_fail(error, OT_USAGE, "\"%s\" is not a mail address; " ADVICE "ALERT_EMAIL_FROM", from);
    g_autoptr(GPtrArray) refusals = smtp_refusals_new();
    struct mailing m = {.notifier = n, .event = e, .from = from, .refusals = refusals, .failure = HTTP_FINAL};
    g_autoptr(GPtrArray) to = receivers(&m);
    if (!to->pdata[0])
        return ot_fail(error, OT_USAGE, "\"%s\" is not a mail address; " ADVICE "ALERT_EMAIL",
                       ((const struct smtp_refusal *)refusals->pdata[0])->to);
    gboolean ok = send_to_all(&m, (const char *const *)to->pdata, error);
    failure->refused = m.failure == HTTP_FINAL;
    if (ok && refusals->len)
        failure->refusals = g_steal_pointer(&refusals);
    return ok;
}

const struct notify_channel notify_email = {"email", is_configured, send};
