/* From a request to an answer that can be believed, or an error that can be understood. */
#include "store/s3.h"

#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/secrets.h"
#include "base/text.h"
#include "net/sigv4.h"
#include "net/uri.h"
#include "store/s3_address.h"
#include "store/s3_optional.h"
#include "store/s3_xml.h"

#define DEFAULT_REGION "us-east-1"
#define DEFAULT_RETRY_S 300
#define FIRST_PAUSE_MS 200
#define LONGEST_PAUSE_MS 20000
#define MAX_ERROR_BYTES (1u << 20)

struct s3 {
    struct s3_config config;
    char *region;
    struct s3_address at;
    struct http_client *http;
    struct credential_chain *chain;
    GMutex mutex;
    char *credentials_source;
    gint64 clock_offset_s; /* the server's clock minus ours */
    guint64 bytes_received;
    guint *missing, own_missing; /* enum s3_optional: what the server does not have */
};

struct s3 *s3_new(const struct s3_config *config, GError **error)
{
    g_autoptr(s3) s = g_new0(struct s3, 1);
    s->config = *config;
    s->missing = config->missing ? config->missing : &s->own_missing;
    g_mutex_init(&s->mutex);
    s->region = config->region ? g_strdup(config->region) : credentials_profile_region(&config->credentials);
    if (!s->region)
        s->region = g_strdup(DEFAULT_REGION);
    if (!s3_address_find(config, s->region, &s->at, error))
        return NULL;
    struct http_options options = {
        .ca_file = config->ca_file, .tls13 = config->tls13, .stall_timeout_s = config->stall_timeout_s};
    s->http = http_client_new(&options);
    s->config.credentials.region = s->region;
    s->chain = credential_chain_new(&s->config.credentials);
    return g_steal_pointer(&s);
}

void s3_free(struct s3 *s)
{
    if (!s)
        return;
    http_client_free(s->http);
    credential_chain_free(s->chain);
    g_mutex_clear(&s->mutex);
    g_free(s->credentials_source);
    g_free(s->region);
    s3_address_clear(&s->at);
    g_free(s);
}

const char *s3_bucket(const struct s3 *s)
{
    return s->config.bucket;
}

const char *s3_region(const struct s3 *s)
{
    return s->region;
}

gboolean s3_is_aws(const struct s3 *s)
{
    return s->at.is_aws;
}

struct credentials *s3_credentials(struct s3 *s, GError **error)
{
    return credential_chain_get(s->chain, FALSE, error);
}

const char *s3_endpoint(const struct s3 *s)
{
    return s->at.url;
}

char *s3_credentials_source(struct s3 *s)
{
    g_mutex_lock(&s->mutex);
    char *text = g_strdup(s->credentials_source ? s->credentials_source : "none yet");
    g_mutex_unlock(&s->mutex);
    return text;
}

guint64 s3_bytes_received(struct s3 *s)
{
    return __atomic_load_n(&s->bytes_received, __ATOMIC_RELAXED);
}

char *s3_url(const struct s3 *s, const char *key)
{
    return key ? g_strdup_printf("s3://%s/%s", s->config.bucket, key) : g_strdup_printf("s3://%s", s->config.bucket);
}

/* ---- one try ---- */

/* A request with what its tries have in common. */
struct sending {
    struct s3 *s;
    const struct s3_request *request;
    char *payload_sha256, *checksum; /* of the body: hex; the header's line, NULL if none */
    gint64 started_us;
    guint tries;
    gboolean renew, renewed, clock_corrected;
    guint present;                   /* optional parts of the last try */
    guint candidates, named;         /* what may be left out; what the server named */
    guint single, grown;             /* what was last left out alone; with others */
    guint dropped;                   /* left out of the next try */
    gboolean at_once;                /* the next try is another request, which waits for nothing */
};

static void sending_clear(struct sending *q)
{
    g_free(q->payload_sha256);
    g_free(q->checksum);
}

static char *checksum_header(const char *sha256_hex)
{
    guchar raw[32];
    for (gsize i = 0; i < sizeof raw; i++)
        raw[i] = (guchar)(g_ascii_xdigit_value(sha256_hex[2 * i]) << 4 | g_ascii_xdigit_value(sha256_hex[2 * i + 1]));
    g_autofree char *text = g_base64_encode(raw, sizeof raw);
    return g_strconcat("x-amz-checksum-sha256: ", text, NULL);
}

static void add_unless_missing(struct sending *q, GPtrArray *list, const char *header)
{
    guint part = s3_optional_of_header(header);
    if (part & (q->dropped | __atomic_load_n(q->s->missing, __ATOMIC_RELAXED)))
        return;
    q->present |= part;
    g_ptr_array_add(list, g_strdup(header));
}

static char **unsigned_headers(struct sending *q)
{
    GPtrArray *list = g_ptr_array_new();
    q->present = 0;
    for (const char *const *h = q->request->headers; h && *h; h++)
        add_unless_missing(q, list, *h);
    if (q->checksum)
        add_unless_missing(q, list, q->checksum);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

static void remember_credentials(struct sending *q, const struct credentials *c)
{
    g_mutex_lock(&q->s->mutex);
    g_free(q->s->credentials_source);
    q->s->credentials_source = g_strdup(c->source);
    g_mutex_unlock(&q->s->mutex);
}

gint64 s3_server_time(struct s3 *s)
{
    return g_get_real_time() / G_USEC_PER_SEC + __atomic_load_n(&s->clock_offset_s, __ATOMIC_RELAXED);
}

static char **sign(struct sending *q, const char *path, GError **error)
{
    struct s3 *s = q->s;
    g_autoptr(credentials) found = credential_chain_get(s->chain, q->renew, error);
    q->renew = FALSE;
    if (!found)
        return NULL;
    remember_credentials(q, found);
    g_auto(GStrv) headers = unsigned_headers(q);
    struct sigv4_request sign = {
        .method = q->request->method,
        .host = s->at.host,
        .path = path,
        .query = q->request->query,
        .headers = (const char *const *)headers,
        .payload_sha256 = q->payload_sha256,
        .access_key = found->access_key,
        .secret_key = found->secret_key,
        .session_token = found->session_token,
        .region = s->region,
        .service = "s3",
        .now = s3_server_time(s),
    };
    return sigv4_sign(&sign);
}

static gboolean try_once(struct sending *q, struct http_response *r, enum http_failure *ret_failure, GError **error)
{
    struct s3 *s = q->s;
    const char *key = q->request->key;
    g_autofree char *path =
        key || !*s->at.prefix ? g_strdup_printf("%s/%s", s->at.prefix, key ? key : "") : g_strdup(s->at.prefix);
    g_auto(GStrv) headers = sign(q, path, error);
    *ret_failure = HTTP_FINAL;
    if (!headers)
        return FALSE;
    g_autofree char *escaped = key ? uri_escape(key, TRUE) : NULL;
    g_autofree char *query = sigv4_query(q->request->query);
    g_autofree char *url = g_strdup_printf("%s%s%s%s%s", s->at.url, escaped || !*s->at.prefix ? "/" : "",
                                           escaped ? escaped : "", *query ? "?" : "", query);
    struct http_request request = {
        .method = q->request->method,
        .url = url,
        .headers = (const char *const *)headers,
        .body = q->request->body,
        .body_length = q->request->body_length,
        .max_answer_bytes = MAX(q->request->max_answer_bytes, q->request->max_answer_bytes ? MAX_ERROR_BYTES : 0),
        .despite_interrupt = q->request->despite_interrupt,
        .exactly_once = q->request->exactly_once,
    };
    gboolean ok = http_perform(s->http, &request, r, ret_failure, error);
    if (ok)
        __atomic_fetch_add(&s->bytes_received, r->body->len, __ATOMIC_RELAXED);
    q->tries++;
    return ok;
}

/* ---- what an answer means ---- */

enum verdict { DONE, AGAIN, REFUSED };

struct judgement {
    struct s3_failure failure;
    char *message, *region;
};

static void read_error(const struct http_response *r, struct judgement *j)
{
    g_autofree char *code = NULL, *region = NULL, *message = NULL;
    if (s3_xml_error(r->body->data, r->body->len, &code, &message, &region) && code)
        g_strlcpy(j->failure.code, code, sizeof j->failure.code);
    j->message = message ? secrets_clean(message) : NULL;
    const char *header = http_header(r, "x-amz-bucket-region");
    j->region = g_strdup(header ? header : region);
}

static gboolean is_one_of(const char *code, const char *const *list)
{
    for (; *list; list++)
        if (g_str_equal(code, *list))
            return TRUE;
    return FALSE;
}

/* RequestTimeout comes with status 400: the server waited too long for the body. */
static gboolean is_transient(const struct s3_failure *f)
{
    static const char *const codes[] = {"RequestTimeout", "InternalError",    "ServiceUnavailable",
                                        "SlowDown",       "OperationAborted", NULL};
    return f->status == 429 || f->status == 500 || f->status == 502 || f->status == 503 || f->status == 504 ||
           is_one_of(f->code, codes);
}

/* The server refused the time in the signature: from here on its clock counts. Once only: a second refusal is real. */
static gboolean correct_clock(struct sending *q, const struct http_response *r, const struct s3_failure *f)
{
    gint64 theirs;
    const char *date = http_header(r, "date");
    if (q->clock_corrected || !g_str_equal(f->code, "RequestTimeTooSkewed") || !date ||
        !text_parse_http_date(date, &theirs))
        return FALSE;
    gint64 ours = g_get_real_time() / G_USEC_PER_SEC;
    __atomic_store_n(&q->s->clock_offset_s, theirs - ours, __ATOMIC_RELAXED);
    q->clock_corrected = TRUE;
    g_autofree char *here = text_iso_time(ours), *there = text_iso_time(theirs);
    g_autofree char *text = g_strdup_printf(
        "This machine's clock says %s, that of the S3 server %s: going on with the server's. Mend the clock (NTP)",
        here, there);
    if (q->s->config.warn)
        q->s->config.warn(text, q->s->config.warn_data);
    return TRUE;
}

static gboolean renew_credentials(struct sending *q, const struct s3_failure *f)
{
    static const char *const codes[] = {"ExpiredToken", "TokenRefreshRequired", "InvalidToken", NULL};
    if (q->renewed || !is_one_of(f->code, codes))
        return FALSE;
    q->renew = q->renewed = TRUE;
    return TRUE;
}

/* ---- what a server does not have ---- */

guint s3_missing(const struct s3 *s)
{
    return __atomic_load_n(s->missing, __ATOMIC_RELAXED);
}

void s3_learn_missing(struct s3 *s, guint parts)
{
    guint news = parts & ~__atomic_fetch_or(s->missing, parts, __ATOMIC_RELAXED);
    for (guint part = 1; part <= S3_OPTIONAL_LAST; part <<= 1) {
        if (!(news & part) || !s->config.warn)
            continue;
        g_autofree char *text = g_strdup_printf("The S3 server at %s does not take %s: going on without; %s", s->at.host,
                                                s3_optional_title(part), s3_optional_meaning(part));
        s->config.warn(text, s->config.warn_data);
    }
}

gboolean s3_is_not_implemented(const struct s3_failure *f)
{
    return f->status == 501 || f->status == 405 || g_str_equal(f->code, "NotImplemented") ||
           g_str_equal(f->code, "MethodNotAllowed");
}

/* "A header you provided implies functionality that is not implemented", and other words for it. */
static gboolean may_mean_a_header(const struct s3_failure *f)
{
    static const char *const codes[] = {"NotImplemented", "InvalidArgument", "InvalidRequest", "InvalidStorageClass",
                                        NULL};
    return f->status == 501 || (f->status == 400 && is_one_of(f->code, codes));
}

/* At AWS a refusal of anything else is a mistake in the settings. */
static guint droppable(const struct sending *q)
{
    return q->present & (q->s->at.is_aws ? S3_CHECKSUMS : ~0u);
}

/* The next one that was not left out alone yet; 0: each was. */
static guint next_single(struct sending *q)
{
    guint rest = q->candidates & ~q->named;
    for (guint part = q->single ? q->single << 1 : 1; part <= S3_OPTIONAL_LAST; part <<= 1)
        if (rest & part)
            return q->single = part;
    return 0;
}

/* One more of them together; 0: all were. */
static guint next_grown(struct sending *q)
{
    guint rest = q->candidates & ~q->named & ~q->grown;
    for (guint part = 1; part <= S3_OPTIONAL_LAST; part <<= 1) {
        if (!(rest & part))
            continue;
        gboolean alone = q->grown == 0; /* that was tried */
        q->grown |= part;
        if (!alone)
            return q->grown;
    }
    return 0;
}

/* What the server names is left out; if it names nothing, each optional part by itself, then more and more of them,
 * encryption last. */
static gboolean drop_optional(struct sending *q, const struct s3_failure *f, const char *message)
{
    guint able = droppable(q), named = s3_optional_named(message);
    if (!able || !may_mean_a_header(f))
        return FALSE;
    q->candidates |= able;
    named |= g_str_equal(f->code, "InvalidStorageClass") ? S3_STORAGE_CLASS : 0;
    q->named |= named & able;
    guint single = named & able ? 0 : next_single(q);
    guint more = named & able || single ? single : next_grown(q);
    if (!(named & able) && !more)
        return FALSE;
    q->dropped = q->named | more;
    q->at_once = TRUE;
    return TRUE;
}

static enum verdict judge(struct sending *q, const struct http_response *r, struct judgement *j)
{
    j->failure.status = r->status;
    gboolean is_2xx = r->status >= 200 && r->status < 300;
    gboolean may_hide_error = g_str_equal(q->request->method, "POST") || g_str_equal(q->request->method, "PUT");
    if (is_2xx && !(may_hide_error && r->body->len > 0))
        return DONE;
    read_error(r, j);
    if (is_2xx && !*j->failure.code)
        return DONE;
    return is_transient(&j->failure) || correct_clock(q, r, &j->failure) || renew_credentials(q, &j->failure) ||
                   drop_optional(q, &j->failure, j->message)
               ? AGAIN
               : REFUSED;
}

/* ---- errors ---- */

static void explain(GString *text, const struct s3 *s, const struct judgement *j)
{
    const char *code = j->failure.code;
    if (j->region && !g_str_equal(j->region, s->region))
        g_string_append_printf(text, "; the bucket is in region %s: set AWS_REGION=%s", j->region, j->region);
    else if (g_str_equal(code, "InvalidObjectState"))
        g_string_append(text, "; the object is archived (GLACIER): ask S3 to restore it first");
    else if (g_str_equal(code, "RequestTimeTooSkewed"))
        g_string_append(text, "; this machine's clock is wrong: mend it (NTP)");
    else if (g_str_equal(code, "ExpiredToken"))
        g_string_append(text, "; the credentials have expired: fetch new ones");
}

static int code_of(const struct s3_failure *f)
{
    if (g_str_equal(f->code, "InvalidObjectState"))
        return OT_REFUSED;
    return f->status == 404 && !g_str_equal(f->code, "NoSuchBucket") ? OT_NOT_FOUND : OT_S3;
}

static gboolean fail_refused(struct sending *q, const struct judgement *j, GError **error)
{
    g_autofree char *place = s3_url(q->s, q->request->key);
    g_autofree char *from = s3_credentials_source(q->s);
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_printf(text, "S3 refused %s %s: %ld", q->request->method, place, j->failure.status);
    if (*j->failure.code)
        g_string_append_printf(text, " %s", j->failure.code);
    if (j->message && *j->message)
        g_string_append_printf(text, ": %s", j->message);
    explain(text, q->s, j);
    g_string_append_printf(text, " (credentials: %s", from);
    if (q->tries > 1)
        g_string_append_printf(text, "; %u tries", q->tries);
    g_string_append_c(text, ')');
    return ot_fail(error, code_of(&j->failure), "%s", text->str);
}

/* ---- again ---- */

static gboolean out_of_time(const struct sending *q)
{
    guint usual_s = q->s->config.retry_s ? q->s->config.retry_s : DEFAULT_RETRY_S;
    guint limit_s = q->request->retry_s ? q->request->retry_s : usual_s;
    return g_get_monotonic_time() - q->started_us > (gint64)limit_s * G_USEC_PER_SEC;
}

static gboolean is_cancelled(const struct sending *q)
{
    return q->request->cancelled && g_atomic_int_get(q->request->cancelled);
}

/* Full jitter: anything from nothing to a limit that doubles with every try. */
static gboolean pause_before_next(const struct sending *q, GError **error)
{
    gint limit_ms = MIN(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << MIN(q->tries, 7u));
    gint64 until = g_get_monotonic_time() + g_random_int_range(0, limit_ms) * (gint64)1000;
    while (g_get_monotonic_time() < until && !is_cancelled(q)) {
        if (interrupt_ends(q->request->despite_interrupt) && !interrupt_check(error))
            return FALSE;
        g_usleep(20000);
    }
    return TRUE;
}

/* One try and what follows from it. AGAIN: *error says why, in case it was the last. */
static enum verdict attempt(struct sending *q, struct http_response *r, struct s3_failure *ret_failure, GError **error)
{
    enum http_failure wire = HTTP_NONE;
    memset(ret_failure, 0, sizeof *ret_failure);
    if (!try_once(q, r, &wire, error)) {
        if (q->tries > 1)
            g_prefix_error(error, "after %u tries: ", q->tries);
        return wire == HTTP_TRANSIENT ? AGAIN : REFUSED;
    }
    struct judgement j = {0};
    enum verdict verdict = judge(q, r, &j);
    *ret_failure = j.failure;
    if (verdict == DONE)
        s3_learn_missing(q->s, q->dropped);
    else {
        fail_refused(q, &j, error);
        http_response_clear(r);
    }
    g_free(j.message);
    g_free(j.region);
    return verdict;
}

/* The server says what it stored: that must be what was sent. */
static gboolean check_echo(const struct sending *q, struct http_response *r, GError **error)
{
    const char *echo = q->checksum ? http_header(r, "x-amz-checksum-sha256") : NULL;
    if (!echo || g_str_has_suffix(q->checksum, echo))
        return TRUE;
    http_response_clear(r);
    return ot_fail(error, OT_S3, "S3 stored something else than was sent: the checksums differ");
}

static gboolean send_until_done(struct sending *q, struct http_response *r, struct s3_failure *f, GError **error)
{
    for (;;) {
        GError *problem = NULL;
        q->at_once = FALSE;
        enum verdict verdict = attempt(q, r, f, &problem);
        f->tries = q->tries;
        if (verdict == DONE)
            return check_echo(q, r, error);
        if (verdict == REFUSED || (!q->at_once && out_of_time(q)) || is_cancelled(q)) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        g_error_free(problem);
        if (!q->at_once && !pause_before_next(q, error))
            return FALSE;
    }
}

gboolean s3_send(struct s3 *s, const struct s3_request *request, struct http_response *r, struct s3_failure *failure,
                 GError **error)
{
    struct s3_failure unused;
    struct sending q = {.s = s, .request = request, .started_us = g_get_monotonic_time()};
    q.payload_sha256 = sigv4_sha256(request->body, request->body_length);
    q.checksum = request->checksum ? checksum_header(q.payload_sha256) : NULL;
    gboolean ok = send_until_done(&q, r, failure ? failure : &unused, error);
    sending_clear(&q);
    return ok;
}
