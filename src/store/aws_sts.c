/* Requests to STS: a form out, XML back. It does not know who wants the role, or why. */
#include "store/aws_sts.h"

#include <string.h>

#include "net/sigv4.h"
#include "net/uri.h"
#include "store/aws_partition.h"
#include "store/aws_remote.h"

#define TRIES 3
#define SESSION_NAME "opstower-backup"
#define FORM_TYPE "Content-Type: application/x-www-form-urlencoded"

struct sts_endpoint {
    char *url, *host, *path; /* host: as in the Host header */
};
typedef struct sts_endpoint sts_endpoint;

static void sts_endpoint_clear(struct sts_endpoint *e)
{
    g_free(e->url);
    g_free(e->host);
    g_free(e->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(sts_endpoint, sts_endpoint_clear)

static char *endpoint_address(const struct aws_context *ctx, const char *region)
{
    if (aws_is_set(ctx->config->sts_endpoint))
        return g_strdup(ctx->config->sts_endpoint);
    if (!aws_is_set(region))
        return g_strdup("https://sts.amazonaws.com");
    return g_strdup_printf("https://sts.%s.%s", region, aws_domain(region));
}

/* host:port as curl puts it into the Host header, for that is what is signed. */
static char *host_header(const struct uri_parts *parts)
{
    gboolean brackets = strchr(parts->host, ':') != NULL;
    g_autofree char *host = brackets ? g_strdup_printf("[%s]", parts->host) : g_strdup(parts->host);
    if (parts->port == 0 || parts->port == (parts->https ? 443 : 80))
        return g_steal_pointer(&host);
    return g_strdup_printf("%s:%d", host, parts->port);
}

static gboolean find_endpoint(const struct aws_context *ctx, const char *region, struct sts_endpoint *ret,
                              GError **error)
{
    g_autofree char *address = endpoint_address(ctx, region);
    struct uri_parts parts = {0};
    if (!aws_is_token(address) || !uri_parse(address, &parts))
        return ot_fail(error, OT_PREREQUISITE, "the address of STS cannot be used: look at %s",
                       aws_is_set(ctx->config->sts_endpoint) ? "AWS_ENDPOINT_URL_STS" : "the region");
    gboolean ok = parts.https || uri_is_loopback(parts.host);
    if (!ok)
        ot_fail(error, OT_PREREQUISITE, "AWS_ENDPOINT_URL_STS leads to %s by plain http: use https", parts.host);
    else {
        ret->host = host_header(&parts);
        ret->path = g_strconcat(parts.path, "/", NULL);
        g_autofree char *escaped = uri_escape(ret->path, TRUE);
        ret->url = g_strconcat(parts.https ? "https://" : "http://", ret->host, escaped, NULL);
    }
    uri_parts_clear(&parts);
    return ok;
}

static void add_field(GString *form, const char *name, const char *value)
{
    if (!aws_is_set(value))
        return;
    g_autoptr(aws_secret) escaped = uri_escape(value, FALSE);
    g_string_append_printf(form, "&%s=%s", name, escaped);
}

/* The form without a token, which only one of the two has. */
static GString *new_form(const char *action, const struct sts_role *role)
{
    GString *form = g_string_sized_new(AWS_MAX_BYTES); /* so that it never moves, and leaves no copy of the token */
    g_string_append_printf(form, "Action=%s&Version=2011-06-15", action);
    add_field(form, "RoleArn", role->arn);
    add_field(form, "RoleSessionName", aws_is_set(role->session_name) ? role->session_name : SESSION_NAME);
    add_field(form, "ExternalId", role->external_id);
    add_field(form, "DurationSeconds", role->duration_seconds);
    return form;
}

static struct credentials *send_form(struct aws_context *ctx, const struct sts_endpoint *endpoint, const GString *form,
                                     const char *const *headers, const char *origin, GError **error)
{
    struct http_request request = {
        .method = "POST",
        .url = endpoint->url,
        .headers = headers,
        .body = form->str,
        .body_length = form->len,
        .max_answer_bytes = AWS_MAX_BYTES,
    };
    g_auto(aws_response) r = {0};
    if (!aws_ask(ctx->remote, &request, TRIES, &r, error))
        return NULL;
    const char *text = aws_response_text(&r);
    if (r.status == 200)
        return aws_keys_from_xml(text, r.body->len, origin, error);
    g_autofree char *problem = aws_problem_from_xml(text, r.body->len);
    ot_fail(error, OT_PREREQUISITE, "HTTP %ld%s%s", r.status, problem ? ", " : "", problem ? problem : "");
    return NULL;
}

struct credentials *sts_web_identity(struct aws_context *ctx, const struct sts_role *role, const char *token_file,
                                     const char *origin, GError **error)
{
    g_autoptr(aws_secret) token = aws_secret_from_file(token_file, error);
    g_auto(sts_endpoint) endpoint = {0};
    if (!token || !find_endpoint(ctx, role->region, &endpoint, error))
        return NULL;
    GString *form = new_form("AssumeRoleWithWebIdentity", role);
    add_field(form, "WebIdentityToken", token);
    static const char *const headers[] = {FORM_TYPE, NULL};
    struct credentials *c = send_form(ctx, &endpoint, form, headers, origin, error);
    if (!c)
        g_prefix_error(error, "%s gave no credentials for %s: ", endpoint.host, role->arn);
    explicit_bzero(form->str, form->len);
    g_string_free(form, TRUE);
    return c;
}

struct credentials *sts_assume_role(struct aws_context *ctx, const struct sts_role *role,
                                    const struct credentials *with, const char *origin, GError **error)
{
    g_auto(sts_endpoint) endpoint = {0};
    if (!find_endpoint(ctx, role->region, &endpoint, error))
        return NULL;
    g_autoptr(GString) form = new_form("AssumeRole", role);
    g_autofree char *digest = sigv4_sha256(form->str, form->len);
    static const char *const own[] = {FORM_TYPE, NULL};
    g_auto(GStrv) headers = sigv4_sign(&(struct sigv4_request){
        .method = "POST",
        .host = endpoint.host,
        .path = endpoint.path,
        .headers = own,
        .payload_sha256 = digest,
        .access_key = with->access_key,
        .secret_key = with->secret_key,
        .session_token = with->session_token,
        .region = aws_is_set(role->region) ? role->region : "us-east-1", /* the global one's home */
        .service = "sts",
        .now = ctx->now,
    });
    struct credentials *c = send_form(ctx, &endpoint, form, (const char *const *)headers, origin, error);
    if (!c)
        g_prefix_error(error, "%s gave no credentials for %s: ", endpoint.host, role->arn);
    return c;
}
