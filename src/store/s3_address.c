/* Endpoint, region and bucket become the URL that keys are appended to. */
#include "store/s3_address.h"

#include <string.h>

#include "net/uri.h"
#include "store/aws_partition.h"

static gboolean check_scheme(const struct s3_config *config, const struct uri_parts *parts, GError **error)
{
    if (parts->https || config->allow_http || uri_is_loopback(parts->host))
        return TRUE;
    return ot_fail(
        error, OT_USAGE,
        "the S3 endpoint %s is plain http: rows and roles would cross the network in the clear; use https, or "
        "set BACKUP_S3_ALLOW_HTTP=true",
        config->endpoint);
}

/* A bucket name with a dot is no label of *.s3.amazonaws.com's certificate. */
static gboolean is_virtual(const struct s3_config *config, gboolean is_aws, const struct uri_parts *parts)
{
    if (config->addressing != S3_ADDRESS_AUTO)
        return config->addressing == S3_ADDRESS_VIRTUAL;
    return is_aws && !(parts->https && strchr(config->bucket, '.'));
}

static void build(const struct s3_config *config, const struct uri_parts *parts, struct s3_address *at)
{
    gboolean own_port = parts->port && parts->port != (parts->https ? 443 : 80);
    g_autofree char *port = own_port ? g_strdup_printf(":%d", parts->port) : g_strdup("");
    const char *open = strchr(parts->host, ':') ? "[" : "", *close = *open ? "]" : "";
    gboolean virtual_host = is_virtual(config, at->is_aws, parts);
    at->host = virtual_host ? g_strdup_printf("%s.%s%s", config->bucket, parts->host, port)
                            : g_strdup_printf("%s%s%s%s", open, parts->host, close, port);
    at->prefix = virtual_host ? g_strdup(parts->path) : g_strdup_printf("%s/%s", parts->path, config->bucket);
    g_autofree char *escaped = uri_escape(at->prefix, TRUE);
    at->url = g_strdup_printf("%s://%s%s", parts->https ? "https" : "http", at->host, escaped);
}

/* The rules of bucket names, as far as they keep a name from becoming something else in a URL. */
static gboolean check_bucket(const char *bucket, GError **error)
{
    gsize length = strlen(bucket);
    gboolean ok = length >= 3 && length <= 63 && g_ascii_isalnum(bucket[0]) && !strstr(bucket, "..");
    for (gsize i = 0; i < length; i++)
        ok = ok && (g_ascii_islower(bucket[i]) || g_ascii_isdigit(bucket[i]) || strchr(".-", bucket[i]));
    return ok || ot_fail(error, OT_USAGE,
                         "BACKUP_S3_BUCKET=%s is not a bucket's name: 3 to 63 lower-case letters, digits, dots and "
                         "hyphens, without s3:// and path",
                         bucket);
}

gboolean s3_address_find(const struct s3_config *config, const char *region, struct s3_address *at, GError **error)
{
    g_autofree char *aws = g_strdup_printf("https://s3.%s.%s", region, aws_domain(region));
    const char *endpoint = config->endpoint ? config->endpoint : aws;
    struct uri_parts parts = {0};
    if (!check_bucket(config->bucket, error))
        return FALSE;
    if (!uri_parse(endpoint, &parts))
        return ot_fail(error, OT_USAGE, "the S3 endpoint %s is not a URL such as https://s3.example.com", endpoint);
    at->is_aws = aws_is_host(parts.host);
    gboolean ok = check_scheme(config, &parts, error);
    if (ok)
        build(config, &parts, at);
    uri_parts_clear(&parts);
    return ok;
}

void s3_address_clear(struct s3_address *at)
{
    g_free(at->url);
    g_free(at->host);
    g_free(at->prefix);
    memset(at, 0, sizeof *at);
}
