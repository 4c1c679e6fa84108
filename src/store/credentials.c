/* The chain: who is asked in which order, and when again. How each source answers is in the aws_*.c beside it. */
#include "store/credentials.h"

#include "store/aws_assume.h"
#include "store/aws_keys.h"
#include "store/aws_profile.h"
#include "store/aws_remote.h"
#include "store/aws_sts.h"

#define RETRY_PAUSE_S 60 /* between two tries while there are keys that still last */

struct credential_chain {
    struct credentials_config config;
    struct http_client *nearby, *remote;
    gint64 (*clock)(void);
    gint generation; /* how often keys were fetched; atomic */
    GMutex mutex;    /* of what follows */
    struct credentials *current;
    gint64 tried_at;
};

static gint64 machine_clock(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

void credentials_free(struct credentials *c)
{
    if (!c)
        return;
    aws_secret_free(c->access_key);
    aws_secret_free(c->secret_key);
    aws_secret_free(c->session_token);
    g_free(c->source);
    g_free(c);
}

static struct credentials *from_web_identity(struct aws_context *ctx, GError **error)
{
    const struct credentials_config *config = ctx->config;
    if (!aws_is_set(config->web_identity_file)) {
        ot_fail(error, OT_NOT_FOUND, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
        return NULL;
    }
    if (!aws_is_set(config->role_arn)) {
        ot_fail(error, OT_PREREQUISITE, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
        return NULL;
    }
    g_autofree char *own_region = aws_is_set(config->region) ? NULL : credentials_profile_region(config);
    struct sts_role role = {
        .arn = config->role_arn,
        .session_name = config->session_name,
        .region = aws_is_set(config->region) ? config->region : own_region,
    };
    g_autofree char *origin = g_strdup_printf("web identity (%s)", role.arn);
    return sts_web_identity(ctx, &role, config->web_identity_file, origin, error);
}

static const struct {
    const char *name;
    struct credentials *(*get)(struct aws_context *ctx, GError **error);
} chain_links[] = {
    {"environment", aws_environment_credentials}, {"web identity", from_web_identity},
    {"shared files", aws_profile_credentials},    {"container", aws_container_credentials},
    {"instance role", aws_instance_credentials},
};

/* Asks one after the other. What each lacked is the message if none has any. */
static struct credentials *ask_sources(struct aws_context *ctx, GError **error)
{
    g_autoptr(GString) reasons = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(chain_links); i++) {
        g_autoptr(GError) problem = NULL;
        struct credentials *found = chain_links[i].get(ctx, &problem);
        if (found)
            return found;
        if (g_error_matches(problem, OT_ERROR, OT_INTERRUPTED)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
        g_string_append_printf(reasons, "%s%s: %s", reasons->len ? "; " : "", chain_links[i].name, problem->message);
        if (problem->code != OT_NOT_FOUND)
            break;
    }
    ot_fail(error, OT_PREREQUISITE, "no AWS credentials: %s", reasons->str);
    return NULL;
}

struct credential_chain *credential_chain_new(const struct credentials_config *config)
{
    struct credential_chain *c = g_new0(struct credential_chain, 1);
    c->config = *config;
    c->clock = machine_clock;
    /* On a machine that is not in AWS nothing answers, and that must not take long to find out. */
    c->nearby = http_client_new(&(struct http_options){.ca_file = config->ca_file,
                                                       .tls13 = config->tls13,
                                                       .no_proxy = TRUE,
                                                       .connect_timeout_ms = 1000,
                                                       .total_timeout_ms = 3000});
    c->remote = http_client_new(&(struct http_options){
        .ca_file = config->ca_file, .tls13 = config->tls13, .connect_timeout_ms = 5000, .total_timeout_ms = 20000});
    g_mutex_init(&c->mutex);
    return c;
}

void credential_chain_free(struct credential_chain *c)
{
    if (!c)
        return;
    credentials_free(c->current);
    http_client_free(c->nearby);
    http_client_free(c->remote);
    g_mutex_clear(&c->mutex);
    g_free(c);
}

void credential_chain_set_clock(struct credential_chain *c, gint64 (*seconds)(void))
{
    c->clock = seconds;
}

static gboolean still_last(const struct credential_chain *c, gint64 now)
{
    return c->current && (c->current->expires_at == 0 || now < c->current->expires_at);
}

static gboolean is_due(const struct credential_chain *c, gint64 now)
{
    if (!still_last(c, now))
        return TRUE;
    if (c->current->expires_at == 0 || now < c->current->expires_at - AWS_RENEW_BEFORE_S)
        return FALSE;
    /* A clock that was set back must not put the next try off for as long. */
    return now >= c->tried_at + RETRY_PAUSE_S || now < c->tried_at;
}

static gboolean fetch(struct credential_chain *c, gint64 now, GError **error)
{
    struct aws_context ctx = {.config = &c->config, .nearby = c->nearby, .remote = c->remote, .now = now};
    struct credentials *fresh = ask_sources(&ctx, error);
    c->tried_at = now;
    if (!fresh)
        return FALSE;
    credentials_free(c->current);
    c->current = fresh;
    g_atomic_int_inc(&c->generation);
    return TRUE;
}

struct credentials *credential_chain_get(struct credential_chain *c, gboolean renew, GError **error)
{
    gint seen = g_atomic_int_get(&c->generation);
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&c->mutex);
    gint64 now = c->clock();
    /* Who waited for another thread's renewal has what it wanted. */
    gboolean forced = renew && seen == g_atomic_int_get(&c->generation);
    if (!forced && !is_due(c, now))
        return aws_keys_copy(c->current);
    g_autoptr(GError) problem = NULL;
    if (!fetch(c, now, &problem) && (forced || !still_last(c, now))) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    return aws_keys_copy(c->current);
}

char *credentials_profile_region(const struct credentials_config *config)
{
    g_autoptr(aws_profiles) files = aws_profiles_load(config, NULL);
    return files ? g_strdup(aws_profiles_get(files, aws_profiles_chosen(config), "region")) : NULL;
}
