/*
 * AWS credentials by AWS's own chain, in its order: the environment (and .env); web identity; the shared credentials
 * and config files; the container's credentials; the instance's metadata, version 2. What was found is kept until it
 * is about to expire. It never says a secret; `source` says where one came from.
 */
#pragma once

#include "base/error.h"

/* What the settings say; all may be NULL. Borrowed: they must outlive the chain. */
struct credentials_config {
    const char *access_key, *secret_key, *session_token;     /* AWS_ACCESS_KEY_ID, ... */
    const char *profile;                                     /* AWS_PROFILE */
    const char *config_file, *credentials_file;              /* AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE */
    const char *role_arn, *web_identity_file, *session_name; /* AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, ... */
    const char *container_relative_uri, *container_full_uri; /* AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, ..._FULL_URI */
    const char *container_token, *container_token_file;      /* AWS_CONTAINER_AUTHORIZATION_TOKEN, ..._TOKEN_FILE */
    const char *metadata_endpoint;                           /* AWS_EC2_METADATA_SERVICE_ENDPOINT */
    gboolean metadata_disabled;                              /* AWS_EC2_METADATA_DISABLED=true */
    const char *sts_endpoint;                                /* AWS_ENDPOINT_URL_STS */
    const char *region;
    const char *ca_file;
    gboolean tls13;
};

struct credentials {
    char *access_key, *secret_key, *session_token; /* token: NULL if there is none */
    gint64 expires_at;                             /* seconds since 1970; 0: never */
    /* "environment", "web identity (ROLE)", "profile NAME in FILE", "profile NAME in FILE (ROLE)", "container",
     * "instance role NAME" */
    char *source;
};
typedef struct credentials credentials;
void credentials_free(struct credentials *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(credentials, credentials_free)

struct credential_chain;
typedef struct credential_chain credential_chain;
struct credential_chain *credential_chain_new(const struct credentials_config *config);
void credential_chain_free(struct credential_chain *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(credential_chain, credential_chain_free)

/* A copy of what is to be used now. Fetched at the first call, and again from five minutes before it expires (if that
 * fails, the old one serves while it lasts, and the next try is a minute later). With renew, for when a server refused
 * the old one, in any case: then a failure is an error. Thread-safe; one thread fetches, others wait.
 * OT_PREREQUISITE if no source has any: the message names every source that was tried and why it gave none. A source
 * that is set up and fails is the last that is tried. OT_INTERRUPTED if the run was interrupted. */
struct credentials *credential_chain_get(struct credential_chain *c, gboolean renew, GError **error);

/* For tests: seconds since 1970, in place of the machine's clock. */
void credential_chain_set_clock(struct credential_chain *c, gint64 (*seconds)(void));

/* The region of the profile in the config file; NULL if it names none. To be freed. */
char *credentials_profile_region(const struct credentials_config *config);
