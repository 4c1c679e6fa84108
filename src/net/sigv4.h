/*
 * AWS Signature Version 4, by hand: libcurl 7.88's own cannot sign header sets that S3 needs (one header's name being
 * the beginning of another's, as with SSE-KMS and a key id). The rules and test vectors are AWS's published ones.
 */
#pragma once

#include "base/error.h"

struct sigv4_request {
    const char *method;
    const char *host; /* as in the Host header, with a port that is not the scheme's own */
    const char *path; /* plain, not escaped, begins with "/" */
    char **query;     /* plain "name", "value", "name", "value", ..., NULL at the end, in any order; or NULL */
    const char *const *headers; /* "Name: value", all to be signed; none of those that sigv4_sign adds, nor host */
    const char *payload_sha256; /* 64 hex digits, or UNSIGNED-PAYLOAD */
    const char *access_key, *secret_key, *session_token; /* token: NULL or "" if there is none */
    const char *region, *service;                        /* "s3", "sts" */
    gint64 now;                                          /* seconds since 1970, by the server's clock */
};

/* The headers to send: the given ones, then x-amz-date, x-amz-content-sha256 (service s3 only), x-amz-security-token
 * (with a token) and Authorization. NULL-terminated; g_strfreev. */
char **sigv4_sign(const struct sigv4_request *r);

/* The query as it must be sent for the signature to hold: sorted, escaped, "name=value&name="; "" if there is none. */
char *sigv4_query(char **query);

/* The steps in between, for the tests against the published vectors. To be freed; ret_signed_headers may be NULL. */
char *sigv4_canonical_request(const struct sigv4_request *r, char **ret_signed_headers);
char *sigv4_string_to_sign(const struct sigv4_request *r);

/* SHA-256 of data as 64 lower-case hex digits; to be freed. */
char *sigv4_sha256(const void *data, gsize length);
