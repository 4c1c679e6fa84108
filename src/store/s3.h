/*
 * One request to S3: address, credentials, signature, time limits, retries, and what the server's answer means.
 * It knows no operation: those are in store/s3_objects.h, store/upload.h and store/bucket.h.
 */
#pragma once

#include "net/http.h"
#include "store/credentials.h"

enum s3_addressing {
    S3_ADDRESS_AUTO,    /* virtual host at AWS, path anywhere else */
    S3_ADDRESS_PATH,    /* https://endpoint/bucket/key */
    S3_ADDRESS_VIRTUAL, /* https://bucket.endpoint/key */
};

/* What a client of a bucket is made of. Borrowed strings: they must outlive it. */
struct s3_config {
    const char *bucket;
    const char *region;   /* NULL: the profile's, else us-east-1 */
    const char *endpoint; /* as http://127.0.0.1:9000; NULL: AWS's of the region */
    enum s3_addressing addressing;
    const char *ca_file;
    gboolean tls13;
    gboolean allow_http;            /* also to other hosts than this one */
    guint stall_timeout_s, retry_s; /* one try without progress; one request with all its tries. 0: 30, 300 */
    struct credentials_config credentials;
    guint *missing; /* what clients of one server know of it together (s3_missing); NULL: each for itself */
    void (*warn)(const char *text, void *data); /* what a person should know though it went well; any thread */
    void *warn_data;
};

/* A client of one bucket. Any thread may use it. */
struct s3;
typedef struct s3 s3;
struct s3 *s3_new(const struct s3_config *config, GError **error);
void s3_free(struct s3 *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(s3, s3_free)

const char *s3_bucket(const struct s3 *s);
const char *s3_region(const struct s3 *s);

/* TRUE if the endpoint is AWS's own: some checks exist only there. */
gboolean s3_is_aws(const struct s3 *s);

/* Where the credentials in use come from; "none yet" before the first request. To be freed. */
char *s3_credentials_source(struct s3 *s);

/* The time by the server's clock as far as it is known, seconds since 1970: it is asked for when it refuses ours. */
gint64 s3_server_time(struct s3 *s);

/* A copy of the credentials in use, fetched if there are none yet. See credential_chain_get. */
struct credentials *s3_credentials(struct s3 *s, GError **error);

/* The URL below which keys lie: scheme, host, port, and the bucket. */
const char *s3_endpoint(const struct s3 *s);

/* Bytes of answers' bodies so far. */
guint64 s3_bytes_received(struct s3 *s);

struct s3_request {
    const char *method;
    const char *key;            /* plain; NULL: the bucket itself */
    char **query;               /* plain name, value, ..., NULL at the end; NULL: none */
    const char *const *headers; /* "Name: value"; all are signed */
    const void *body;
    gsize body_length;
    gboolean checksum;      /* also send x-amz-checksum-sha256 of the body, if the server takes such */
    gsize max_answer_bytes; /* as in http_request */
    gboolean despite_interrupt;
    guint retry_s;         /* other than the client's; 0: the client's */
    gboolean exactly_once; /* see http_request: a try is not sent twice */
    const gint *cancelled; /* another thread sets it to end the tries; NULL: none */
};

/* What the server said when it refused. */
struct s3_failure {
    long status;   /* 0: no answer at all; also after success */
    char code[64]; /* S3's own, as NoSuchKey; "" if there is none */
    guint tries;   /* also after success */
};

/* TRUE on a 2xx answer without an <Error> in its body; r is then filled (clear it). Tries again, with full jitter,
 * until the deadline: on failures of the wire, 429, 500, 502, 503, 504, and once with renewed credentials or a
 * corrected clock where the server says those were the reason. Never on another 4xx.
 * FALSE: OT_NOT_FOUND (no such key or bucket), OT_REFUSED (archived: not readable now) or OT_S3; the message names
 * method and place, the server's code and the credentials' source. failure may be NULL. */
gboolean s3_send(struct s3 *s, const struct s3_request *request, struct http_response *r, struct s3_failure *failure,
                 GError **error);

/* enum s3_optional: what the server turned out not to have. Requests leave it out. */
guint s3_missing(const struct s3 *s);

/* More of it; what was not known yet is told once, by config.warn. */
void s3_learn_missing(struct s3 *s, guint parts);

/* TRUE if the server says that it has no such call. */
gboolean s3_is_not_implemented(const struct s3_failure *failure);

/* s3://bucket/key, for messages. To be freed. */
char *s3_url(const struct s3 *s, const char *key);
