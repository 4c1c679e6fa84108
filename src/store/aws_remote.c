/* Container and instance metadata. It does not know when to ask, nor what comes before and after it in the chain. */
#include "store/aws_remote.h"

#include <string.h>

#include "base/files.h"
#include "net/uri.h"

#define CONTAINER_ADDRESS "http://169.254.170.2"
#define INSTANCE_ADDRESS "http://169.254.169.254"
#define ROLES_PATH "/latest/meta-data/iam/security-credentials/"
#define TRIES 2
#define PAUSE_US 200000

/* STS says this with status 400, and AWS that it is to be tried again: the identity provider did not answer in time. */
#define PROVIDER_SLOW "IDPCommunicationError"

static gboolean is_busy(const struct http_response *r)
{
    if (r->status == 400)
        return memmem(aws_response_text(r), r->body->len, PROVIDER_SLOW, strlen(PROVIDER_SLOW)) != NULL;
    return r->status == 429 || r->status >= 500;
}

gboolean aws_ask(struct http_client *client, const struct http_request *request, guint tries, struct http_response *r,
                 GError **error)
{
    for (guint left = tries; left > 0; left--) {
        enum http_failure failure = HTTP_NONE;
        g_autoptr(GError) problem = NULL;
        gboolean answered = http_perform(client, request, r, &failure, &problem);
        gboolean again = answered ? is_busy(r) : failure == HTTP_TRANSIENT;
        if (answered && (!again || left == 1))
            return TRUE;
        if (!again || left == 1) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
        if (answered)
            aws_response_clear(r);
        g_usleep(PAUSE_US * (tries - left + 1));
    }
    return FALSE;
}

/* GET, or PUT for a token, of something nearby with one header (NULL: none). TRUE only on 200. */
static gboolean ask_nearby(struct aws_context *ctx, const char *method, const char *url, const char *header,
                           struct http_response *r, GError **error)
{
    const char *const headers[] = {header, NULL};
    struct http_request request = {.method = method, .url = url, .headers = headers, .max_answer_bytes = AWS_MAX_BYTES};
    if (!aws_ask(ctx->nearby, &request, TRIES, r, error))
        return FALSE;
    if (r->status == 200)
        return TRUE;
    /* Not the URL: a container's has in it what others must not know. */
    return ot_fail(error, OT_PREREQUISITE, "the answer is HTTP %ld", r->status);
}

static struct credentials *keys_of_answer(const struct http_response *r, const char *origin, GError **error)
{
    return aws_keys_from_json(aws_response_text(r), r->body->len, "Token", origin, error);
}

/* The answer as text, if it is one word as tokens and names of roles are. To be freed; NULL if not. */
static char *word_of_answer(const struct http_response *r)
{
    g_autoptr(aws_secret) text = g_strndup(aws_response_text(r), r->body->len);
    g_strstrip(text);
    return aws_is_token(text) ? g_steal_pointer(&text) : NULL;
}

/* AWS's own list: this machine, the agents of ECS and EKS. */
static gboolean is_container_agent(const char *host)
{
    static const char *const agents[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23", NULL};
    return uri_is_loopback(host) || g_strv_contains(agents, host);
}

static gboolean check_full_uri(const char *url, GError **error)
{
    /* The query is no part of what uri_parse takes, and says nothing about where the request goes. */
    g_autofree char *address = g_strndup(url, strcspn(url, "?"));
    struct uri_parts parts = {0};
    if (!aws_is_token(url) || strpbrk(url, "\\#") || !uri_parse(address, &parts))
        return ot_fail(error, OT_PREREQUISITE, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not an http or https address");
    gboolean ok = parts.https || is_container_agent(parts.host);
    if (!ok)
        ot_fail(error, OT_PREREQUISITE,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI leads to %s by plain http, which is only good for this machine "
                "and the agents of ECS and EKS: use https",
                parts.host);
    uri_parts_clear(&parts);
    return ok;
}

char *aws_container_url(const struct credentials_config *config, GError **error)
{
    const char *relative = config->container_relative_uri;
    if (aws_is_set(relative)) {
        /* Without the slash it could make another host of the address. */
        if (*relative == '/' && aws_is_token(relative))
            return g_strconcat(CONTAINER_ADDRESS, relative, NULL);
        ot_fail(error, OT_PREREQUISITE, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /, or has blanks");
        return NULL;
    }
    if (!aws_is_set(config->container_full_uri)) {
        ot_fail(error, OT_NOT_FOUND, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set");
        return NULL;
    }
    return check_full_uri(config->container_full_uri, error) ? g_strdup(config->container_full_uri) : NULL;
}

/* The header that proves who asks; NULL if there is nothing to send. The file is read each time: the
 * agent replaces what is in it. Unlike other tokens, this one may have blanks in it, as "Basic xyz". */
static gboolean container_authorization(const struct credentials_config *config, char **ret_header, GError **error)
{
    g_autoptr(aws_secret) token = NULL;
    if (aws_is_set(config->container_token_file)) {
        token = aws_secret_from_file(config->container_token_file, error);
        if (!token)
            return FALSE;
    } else if (aws_is_set(config->container_token)) {
        token = g_strdup(config->container_token);
    }
    for (const char *p = token; p && *p; p++)
        if (!g_ascii_isprint(*p))
            return ot_fail(error, OT_PREREQUISITE, "the authorization token is not one line of ASCII");
    *ret_header = aws_is_set(token) ? g_strconcat("Authorization: ", token, NULL) : NULL;
    return TRUE;
}

struct credentials *aws_container_credentials(struct aws_context *ctx, GError **error)
{
    g_autofree char *url = aws_container_url(ctx->config, error);
    g_autoptr(aws_secret) header = NULL;
    if (!url || !container_authorization(ctx->config, &header, error))
        return NULL;
    g_auto(aws_response) r = {0};
    if (!ask_nearby(ctx, "GET", url, header, &r, error))
        return NULL;
    return keys_of_answer(&r, "container", error);
}

static char *instance_address(const struct credentials_config *config, GError **error)
{
    if (!aws_is_set(config->metadata_endpoint))
        return g_strdup(INSTANCE_ADDRESS);
    struct uri_parts parts = {0};
    char *address = NULL;
    if (aws_is_token(config->metadata_endpoint) && uri_parse(config->metadata_endpoint, &parts))
        address = g_strdup(config->metadata_endpoint);
    else
        ot_fail(error, OT_PREREQUISITE, "AWS_EC2_METADATA_SERVICE_ENDPOINT is not an http or https address");
    uri_parts_clear(&parts);
    if (address && g_str_has_suffix(address, "/"))
        address[strlen(address) - 1] = '\0';
    return address;
}

/* The header that every later request needs. It is asked for anew each time: keys are fetched once in hours. */
static char *session_header(struct aws_context *ctx, const char *address, GError **error)
{
    g_autofree char *url = g_strconcat(address, "/latest/api/token", NULL);
    g_auto(aws_response) r = {0};
    if (!ask_nearby(ctx, "PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: 300", &r, error)) {
        g_prefix_error(error, "no metadata service answers as EC2's does (on EC2 in a container, its hop limit must be "
                              "2 or more): ");
        return NULL;
    }
    g_autoptr(aws_secret) token = word_of_answer(&r);
    if (token)
        return g_strconcat("X-aws-ec2-metadata-token: ", token, NULL);
    ot_fail(error, OT_PREREQUISITE, "%s: the answer is not a token", url);
    return NULL;
}

static char *role_of_instance(struct aws_context *ctx, const char *address, const char *header, GError **error)
{
    g_autofree char *url = g_strconcat(address, ROLES_PATH, NULL);
    g_auto(aws_response) r = {0};
    if (!ask_nearby(ctx, "GET", url, header, &r, error)) {
        g_prefix_error(error, "%s",
                       r.status == 404 ? "no role is attached to this instance: " : "the instance's role: ");
        return NULL;
    }
    char *role = word_of_answer(&r);
    if (!role)
        ot_fail(error, OT_PREREQUISITE, "no role is attached to this instance");
    return role;
}

struct credentials *aws_instance_credentials(struct aws_context *ctx, GError **error)
{
    if (ctx->config->metadata_disabled) {
        ot_fail(error, OT_NOT_FOUND, "switched off by AWS_EC2_METADATA_DISABLED");
        return NULL;
    }
    g_autofree char *address = instance_address(ctx->config, error);
    g_autoptr(aws_secret) header = address ? session_header(ctx, address, error) : NULL;
    g_autofree char *role = header ? role_of_instance(ctx, address, header, error) : NULL;
    if (!role)
        return NULL;
    g_autofree char *escaped = uri_escape(role, FALSE);
    g_autofree char *url = g_strconcat(address, ROLES_PATH, escaped, NULL);
    g_autofree char *origin = g_strdup_printf("instance role %s", role);
    g_auto(aws_response) r = {0};
    struct credentials *c = NULL;
    if (ask_nearby(ctx, "GET", url, header, &r, error))
        c = keys_of_answer(&r, origin, error);
    if (!c)
        g_prefix_error(error, "%s: ", origin);
    /* While AWS cannot renew them it goes on giving the last ones, and its services go on taking them. So they are
     * used, and in a minute asked for again. */
    if (c && c->expires_at && c->expires_at <= ctx->now)
        c->expires_at = ctx->now + AWS_RENEW_BEFORE_S;
    return c;
}
