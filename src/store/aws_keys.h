/*
 * What the sources of AWS credentials share: what they may use, keys that are fit to be sent, and keys out of the
 * answers that AWS gives as JSON or XML. It asks nobody.
 *
 * A source is a function (struct aws_context *, GError **) that returns credentials. Its error is OT_NOT_FOUND where
 * the source is not set up here, so that the next one is asked; any other where it is set up and does not work: then
 * nobody else is asked, for that would be an identity that was not meant.
 */
#pragma once

#include "net/http.h"
#include "store/credentials.h"

/* The longest answer, token file or command output that is read. */
#define AWS_MAX_BYTES 65536

/* Keys are renewed from so long before they expire. */
#define AWS_RENEW_BEFORE_S 300

struct aws_context {
    const struct credentials_config *config;
    struct http_client *nearby; /* container and instance: short limits, never through a proxy */
    struct http_client *remote; /* STS */
    gint64 now;                 /* seconds since 1970 */
};

/* A variable that is set to nothing counts as not set. */
static inline gboolean aws_is_set(const char *text)
{
    return text && *text;
}

/* Text that is overwritten before it is freed. NULL is fine. */
typedef char aws_secret;
void aws_secret_free(char *text);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(aws_secret, aws_secret_free)

/* A http_response whose body is overwritten before it is freed. */
typedef struct http_response aws_response;
void aws_response_clear(struct http_response *r);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(aws_response, aws_response_clear)

/* The body's bytes; "" where there are none, for which GByteArray has NULL. */
static inline const char *aws_response_text(const struct http_response *r)
{
    return r->body->len ? (const char *)r->body->data : "";
}

/* TRUE if a header can carry it: printable ASCII without blanks, not empty, not endless. */
gboolean aws_is_token(const char *text);

/* What a file holds, without blanks around it. NULL on failure, also where it is not there. */
char *aws_secret_from_file(const char *path, GError **error);

/* Text from outside as it may stand in a message: valid, one line, not long. To be freed. */
char *aws_tidy(const char *text);

/* Credentials of copies. session_token and expiration (ISO 8601) may be NULL or "". Where a key is missing or not fit
 * to be sent, OT_PREREQUISITE with a message that says which, never what. origin becomes `source`. */
struct credentials *aws_keys_new(const char *access_key, const char *secret_key, const char *session_token,
                                 const char *expiration, const char *origin, GError **error);

/* A source: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. */
struct credentials *aws_environment_credentials(struct aws_context *ctx, GError **error);

struct credentials *aws_keys_copy(const struct credentials *c);

/* From {"AccessKeyId": ..., "SecretAccessKey": ..., TOKEN_NAME: ..., "Expiration": ...}. A "Code" other than Success
 * is an error, and so is a "Version" other than 1. */
struct credentials *aws_keys_from_json(const char *text, gsize length, const char *token_name, const char *origin,
                                       GError **error);

/* From the <Credentials> of an answer of STS. */
struct credentials *aws_keys_from_xml(const char *text, gsize length, const char *origin, GError **error);

/* "CODE: MESSAGE" of an <Error> of STS; NULL if there is none. To be freed. */
char *aws_problem_from_xml(const char *text, gsize length);
