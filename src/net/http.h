/*
 * The one door to libcurl: one HTTP request and its whole answer, in memory. It knows TLS, time limits and what went
 * wrong on the wire; it does not retry, sign, or judge a status code.
 */
#pragma once

#include "base/error.h"

struct http_options {
    const char *ca_file;      /* PEM file of trusted certificates, in place of the system's; NULL: the system's */
    gboolean tls13;           /* refuse anything older than TLS 1.3; else anything older than 1.2 */
    guint connect_timeout_ms; /* for name, TCP and TLS; 0: 10 seconds */
    guint stall_timeout_s;    /* give up when so long nothing moves, in either direction; 0: 30 seconds */
    guint total_timeout_ms;   /* for the whole request; 0: no limit */
    gboolean no_proxy;        /* go there directly, whatever http_proxy and https_proxy say */
};

/* A set of connections that stay open between requests. Any thread may use it; each call has one of its own. Proxies
 * are those of the environment (https_proxy, no_proxy, ...), but for this machine itself none. options are copied;
 * NULL: all as 0. No call may be under way when it is freed. */
struct http_client;
typedef struct http_client http_client;
struct http_client *http_client_new(const struct http_options *options);
void http_client_free(struct http_client *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(http_client, http_client_free)

struct http_request {
    const char *method;         /* "GET", "PUT", ... ; "HEAD" expects no body */
    const char *url;            /* sent as it stands: escaping is the caller's */
    const char *const *headers; /* "Name: value", NULL at the end; "Name:" is sent with an empty value. NULL: none */
    const void *body;           /* NULL and length 0: none; a PUT or POST then says Content-Length: 0 */
    gsize body_length;
    gsize max_answer_bytes;     /* a longer body is an error; 0: 16 MiB; at most 2 GiB */
    gboolean despite_interrupt; /* also when the run was interrupted: for cleaning up after it */
    gboolean exactly_once;      /* on a new connection: over an old one that the server just closed, curl sends again */
};

struct http_response {
    long status;         /* as 200 */
    GHashTable *headers; /* char * (lower case) to char * (trimmed); the last answer's, not those of a 100 */
    GByteArray *body;    /* never NULL */
};
void http_response_clear(struct http_response *r);

/* NULL if the header is not there. name: lower case. */
const char *http_header(const struct http_response *r, const char *name);

/* What kind of failure it was, so that a caller knows whether trying again makes sense. */
enum http_failure {
    HTTP_NONE,
    HTTP_TRANSIENT, /* refused, reset, timed out, name not found just now, cut body, broken TLS record, garbage */
    HTTP_FINAL,     /* certificate or TLS version refused, URL or header that cannot be used, answer too large (or more
                       than 64 KiB or 256 lines of headers), interrupted */
};

/* Sends one request. TRUE if a whole answer came, whatever its status; *r is filled (clear it). FALSE: *r is empty,
 * *ret_failure says what kind, and the message names the host and what happened, never a header. A redirection is an
 * answer like any other: it is not followed. So is a refusal before the whole body was sent; a 2xx then is a failure.
 * A body without Content-Length or chunks ends where the connection does: whether it is whole, only the caller can
 * know. Ends within two seconds, OT_INTERRUPTED, if the run is interrupted; all other failures are OT_S3. */
gboolean http_perform(struct http_client *c, const struct http_request *request, struct http_response *r,
                      enum http_failure *ret_failure, GError **error);
