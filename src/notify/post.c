/* POST, and what answers mean. */
#include "notify/post.h"

#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/secrets.h"
#include "base/text.h"
#include "net/uri.h"
#include "notify/notifier.h"

#define MAX_ANSWER_BYTES (64u << 10)
#define MAX_SAID 200
#define MAX_RETRY_AFTER_S 86400

/* An address may have a user in front of the host or be no URL at all: net/http.h judges that. */
static gboolean is_plain_http_elsewhere(const char *url)
{
    g_autofree char *host = NULL;
    if (g_ascii_strncasecmp(url, "http://", strlen("http://")) != 0)
        return FALSE;
    g_uri_split_network(url, G_URI_FLAGS_NONE, NULL, &host, NULL, NULL);
    return !host || !uri_is_loopback(host);
}

static gboolean check_url(const struct notifier *n, const struct notify_post *post, GError **error)
{
    for (const char *p = post->url; *p; p++)
        if (!g_ascii_isgraph(*p))
            return ot_fail(error, OT_USAGE, "the address of %s has a blank or another character that a URL cannot have",
                           post->what);
    return n->config.allow_http || !is_plain_http_elsewhere(post->url) ||
           ot_fail(error, OT_USAGE,
                   "the address of %s is plain http, where everyone on the way can read: use https, or "
                   "set ALERT_ALLOW_HTTP=true",
                   post->what);
}

/* Seconds, or a date. */
static guint64 retry_after(const struct http_response *r)
{
    const char *text = http_header(r, "retry-after");
    gint64 then, now = g_get_real_time() / G_USEC_PER_SEC;
    guint64 seconds = 0;
    if (text && !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &seconds, NULL) &&
        text_parse_http_date(text, &then))
        seconds = then > now ? (guint64)(then - now) : 0;
    return MIN(seconds, MAX_RETRY_AFTER_S);
}

static gboolean is_worth_another_try(long status)
{
    return status >= 500 || status == 408 || status == 425 || status == 429;
}

static gboolean judge(const struct notify_post *post, const struct http_response *r, const char *said,
                      struct notify_failure *failure, GError **error)
{
    if (r->status >= 200 && r->status < 300)
        return TRUE;
    failure->refused = !is_worth_another_try(r->status);
    failure->retry_after_s = retry_after(r);
    return ot_fail(error, OT_FAILED, "%s answered %ld%s%s", post->what, r->status, *said ? ": " : "", said);
}

gboolean notify_post(struct notifier *n, const struct notify_post *post, char **ret_said,
                     struct notify_failure *failure, GError **error)
{
    *failure = (struct notify_failure){.refused = TRUE};
    if (!check_url(n, post, error))
        return FALSE;
    g_autofree char *type = g_strconcat("Content-Type: ", post->type, NULL);
    const char *const headers[] = {type, post->extra, NULL};
    struct http_request request = {.method = "POST",
                                   .url = post->url,
                                   .headers = headers,
                                   .body = post->body,
                                   .body_length = post->length,
                                   .max_answer_bytes = MAX_ANSWER_BYTES,
                                   .despite_interrupt = interrupt_signal() != 0,
                                   .exactly_once = TRUE};
    struct http_response r;
    enum http_failure kind;
    if (!http_perform(n->http, &request, &r, &kind, error)) {
        gboolean interrupted = g_error_matches(*error, OT_ERROR, OT_INTERRUPTED);
        failure->refused = kind == HTTP_FINAL && !interrupted;
        if (!interrupted)
            (*error)->code = OT_FAILED; /* it is not S3 that failed */
        return FALSE;
    }
    g_autofree char *body = r.body->len ? g_strndup((const char *)r.body->data, r.body->len) : g_strdup("");
    g_autofree char *clean = secrets_clean(body);
    g_autofree char *said = g_strstrip(notify_line(clean, MAX_SAID));
    gboolean ok = judge(post, &r, said, failure, error);
    http_response_clear(&r);
    if (ok && ret_said)
        *ret_said = g_steal_pointer(&said);
    return ok;
}

gboolean notify_post_json(struct notifier *n, const char *what, const char *url, const char *extra, json_t *document,
                          struct notify_failure *failure, GError **error)
{
    char *text = json_dumps(document, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(document);
    *failure = (struct notify_failure){.refused = TRUE};
    if (!text)
        return ot_fail(error, OT_FAILED, "the alert for %s cannot be written as JSON", what);
    struct notify_post post = {
        .what = what, .url = url, .type = "application/json", .extra = extra, .body = text, .length = strlen(text)};
    gboolean ok = notify_post(n, &post, NULL, failure, error);
    free(text);
    return ok;
}
