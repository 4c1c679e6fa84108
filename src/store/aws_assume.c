/* From a profile to credentials. It reads no file and asks nobody itself. */
#include "store/aws_assume.h"

#include <string.h>

#include "store/aws_process.h"
#include "store/aws_profile.h"
#include "store/aws_remote.h"
#include "store/aws_sts.h"

#define MAX_PROFILES 8 /* roles over roles over ... */

struct search {
    struct aws_context *ctx;
    struct aws_profiles *files;
    int n_profiles; /* that were looked into by now, each for the one before */
};

static struct credentials *credentials_of(struct search *s, const char *profile, GError **error);

/* What another profile or source lacks is a fault of the profile that relies on it. */
static void blame_profile(GError **error, const char *profile, const char *relies_on)
{
    if (error && *error && (*error)->code == OT_NOT_FOUND)
        (*error)->code = OT_PREREQUISITE;
    g_prefix_error(error, "profile \"%s\" relies on %s: ", profile, relies_on);
}

static struct sts_role role_of(const struct search *s, const char *profile)
{
    const char *region = s->ctx->config->region;
    return (struct sts_role){
        .arn = aws_profiles_get(s->files, profile, "role_arn"),
        .session_name = aws_profiles_get(s->files, profile, "role_session_name"),
        .external_id = aws_profiles_get(s->files, profile, "external_id"),
        .duration_seconds = aws_profiles_get(s->files, profile, "duration_seconds"),
        .region = aws_is_set(region) ? region : aws_profiles_get(s->files, profile, "region"),
    };
}

static char *origin_of_role(const struct search *s, const char *profile, const struct sts_role *role)
{
    g_autofree char *place = aws_profiles_origin(s->files, profile, "role_arn");
    return g_strdup_printf("%s (%s)", place, role->arn);
}

static struct credentials *from_token(struct search *s, const char *profile, GError **error)
{
    struct sts_role role = role_of(s, profile);
    const char *token_file = aws_profiles_get(s->files, profile, "web_identity_token_file");
    g_autofree char *origin = origin_of_role(s, profile, &role);
    return sts_web_identity(s->ctx, &role, token_file, origin, error);
}

/* The keys that credential_source names. */
static struct credentials *from_named_source(struct search *s, const char *name, GError **error)
{
    static const struct {
        const char *name;
        struct credentials *(*get)(struct aws_context *ctx, GError **error);
    } known[] = {
        {"Environment", aws_environment_credentials},
        {"EcsContainer", aws_container_credentials},
        {"Ec2InstanceMetadata", aws_instance_credentials},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].get(s->ctx, error);
    ot_fail(error, OT_PREREQUISITE, "nobody knows this credential_source");
    return NULL;
}

/* TRUE if the profile has keys of its own, or half of them: then *ret is NULL and error says so. */
static gboolean own_keys(struct search *s, const char *profile, struct credentials **ret, GError **error)
{
    g_autoptr(GError) problem = NULL;
    *ret = aws_profiles_keys(s->files, profile, &problem);
    if (!*ret && problem->code == OT_NOT_FOUND)
        return FALSE;
    if (!*ret)
        g_propagate_error(error, g_steal_pointer(&problem));
    return TRUE;
}

/* The keys of the profile that another one relies on. Its own keys come before its role, so that a profile may name
 * itself: it assumes its role with its own keys. */
static struct credentials *from_source_profile(struct search *s, const char *profile, GError **error)
{
    if (!aws_profiles_has(s->files, profile)) {
        g_autofree char *places = aws_profiles_places(s->files);
        ot_fail(error, OT_PREREQUISITE, "there is none of that name in %s", places);
        return NULL;
    }
    struct credentials *keys = NULL;
    return own_keys(s, profile, &keys, error) ? keys : credentials_of(s, profile, error);
}

static struct credentials *from_role(struct search *s, const char *profile, GError **error)
{
    const char *other = aws_profiles_get(s->files, profile, "source_profile");
    const char *name = aws_profiles_get(s->files, profile, "credential_source");
    if (aws_profiles_get(s->files, profile, "mfa_serial")) {
        ot_fail(error, OT_PREREQUISITE,
                "profile \"%s\" has an mfa_serial, but there is nobody to type the code: choose a profile without one",
                profile);
        return NULL;
    }
    g_autoptr(credentials) keys = other ? from_source_profile(s, other, error) : from_named_source(s, name, error);
    if (!keys) {
        g_autofree char *relies_on =
            other ? g_strdup_printf("profile \"%s\"", other) : g_strdup_printf("credential_source %s", name);
        blame_profile(error, profile, relies_on);
        return NULL;
    }
    struct sts_role role = role_of(s, profile);
    g_autofree char *origin = origin_of_role(s, profile, &role);
    return sts_assume_role(s->ctx, &role, keys, origin, error);
}

static struct credentials *from_process(struct search *s, const char *profile, GError **error)
{
    g_autofree char *origin = aws_profiles_origin(s->files, profile, "credential_process");
    return aws_process_credentials(aws_profiles_get(s->files, profile, "credential_process"), origin, error);
}

/* A profile whose settings name a way that is not ours, or none. */
static struct credentials *fail_without(struct search *s, const char *profile, GError **error)
{
    gboolean sso =
        aws_profiles_get(s->files, profile, "sso_session") || aws_profiles_get(s->files, profile, "sso_start_url");
    if (sso)
        ot_fail(error, OT_PREREQUISITE,
                "profile \"%s\" signs in by AWS SSO, which is not supported here: choose a profile that has "
                "`credential_process = aws configure export-credentials --profile %s`, or one with a role or keys",
                profile, profile);
    else if (aws_profiles_get(s->files, profile, "role_arn"))
        ot_fail(error, OT_PREREQUISITE,
                "profile \"%s\" has a role_arn, but no source_profile, credential_source or web_identity_token_file",
                profile);
    else
        ot_fail(error, OT_NOT_FOUND, "profile \"%s\" has no credentials", profile);
    return NULL;
}

static struct credentials *credentials_of(struct search *s, const char *profile, GError **error)
{
    if (s->n_profiles++ == MAX_PROFILES) {
        ot_fail(error, OT_PREREQUISITE, "source_profile leads in a circle, or over more than %d profiles",
                MAX_PROFILES);
        return NULL;
    }
    const struct aws_profiles *files = s->files;
    if (aws_profiles_get(files, profile, "role_arn")) {
        if (aws_profiles_get(files, profile, "source_profile") || aws_profiles_get(files, profile, "credential_source"))
            return from_role(s, profile, error);
        if (aws_profiles_get(files, profile, "web_identity_token_file"))
            return from_token(s, profile, error);
    }
    struct credentials *keys = NULL;
    if (own_keys(s, profile, &keys, error))
        return keys;
    return aws_profiles_get(files, profile, "credential_process") ? from_process(s, profile, error)
                                                                  : fail_without(s, profile, error);
}

struct credentials *aws_profile_credentials(struct aws_context *ctx, GError **error)
{
    const char *profile = aws_profiles_chosen(ctx->config);
    g_autoptr(aws_profiles) files = aws_profiles_load(ctx->config, error);
    if (!files)
        return NULL;
    if (aws_profiles_has(files, profile)) {
        struct search s = {.ctx = ctx, .files = files};
        return credentials_of(&s, profile, error);
    }
    /* Who named a profile meant it: what comes later in the chain would be another identity. */
    g_autofree char *places = aws_profiles_places(files);
    ot_fail(error, aws_is_set(ctx->config->profile) ? OT_PREREQUISITE : OT_NOT_FOUND, "no profile \"%s\" in %s",
            profile, places);
    return NULL;
}
