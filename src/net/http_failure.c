/* What a curl result means: whether it was a whole answer, whether trying again makes sense, and that in words. */
#include <string.h>

#include "base/interrupt.h"
#include "base/secrets.h"
#include "net/http_call.h"

/* Those that another try would meet again. */
static const CURLcode final_codes[] = {
    CURLE_URL_MALFORMAT,
    CURLE_NOT_BUILT_IN,
    CURLE_BAD_FUNCTION_ARGUMENT,
    CURLE_PEER_FAILED_VERIFICATION,
    CURLE_SSL_CACERT_BADFILE,
    CURLE_SSL_CERTPROBLEM,
    CURLE_SSL_CIPHER,
    CURLE_SSL_ISSUER_ERROR,
    CURLE_SSL_CRL_BADFILE,
    CURLE_SSL_INVALIDCERTSTATUS,
};

/* curl has one code for a handshake that was refused and for one that was cut; OpenSSL's words tell them apart. "wrong
 * version number" is a server that speaks no TLS on that port. */
static const char *const tls_refusals[] = {
    "protocol version",  "unsupported protocol",   "wrong version number",  "version too low",
    "handshake failure", "no protocols available", "insufficient security",
};

static gboolean is_tls_refusal(const char *said)
{
    for (gsize i = 0; i < G_N_ELEMENTS(tls_refusals); i++)
        if (strstr(said, tls_refusals[i]))
            return TRUE;
    return FALSE;
}

static enum http_failure kind_of(const struct http_call *call, CURLcode code)
{
    if (call->stop != HTTP_STOP_NOT)
        return call->stop == HTTP_STOP_STALLED ? HTTP_TRANSIENT : HTTP_FINAL;
    for (gsize i = 0; i < G_N_ELEMENTS(final_codes); i++)
        if (code == final_codes[i])
            return HTTP_FINAL;
    return code == CURLE_SSL_CONNECT_ERROR && is_tls_refusal(call->said) ? HTTP_FINAL : HTTP_TRANSIENT;
}

static gboolean fail_stopped(const struct http_call *call, GError **error)
{
    switch (call->stop) {
    case HTTP_STOP_INTERRUPTED:
        return interrupt_check(error);
    case HTTP_STOP_STALLED:
        return ot_fail(error, OT_S3, "%s: nothing moved for %u s", call->place, call->options->stall_timeout_s);
    case HTTP_STOP_LARGE:
        return ot_fail(error, OT_S3, "the answer of %s is larger than %" G_GSIZE_FORMAT " bytes", call->place,
                       call->max_answer_bytes);
    case HTTP_STOP_HEADERS:
        return ot_fail(error, OT_S3, "the answer of %s has too many headers, or too long ones", call->place);
    case HTTP_STOP_NOT:
        break;
    }
    return FALSE;
}

/* Before a connection stood? */
static gboolean while_connecting(const struct http_call *call)
{
    curl_off_t microseconds = 0;
    curl_easy_getinfo(call->curl, CURLINFO_PRETRANSFER_TIME_T, &microseconds);
    return microseconds == 0;
}

/* curl says "Couldn't connect to server"; the system knows why. */
static const char *connect_reason(const struct http_call *call, const char *said)
{
    long number = 0;
    curl_easy_getinfo(call->curl, CURLINFO_OS_ERRNO, &number);
    return number ? g_strerror((int)number) : said;
}

static gboolean fail_code(const struct http_call *call, CURLcode code, GError **error)
{
    g_autofree char *said = secrets_clean(*call->said ? call->said : curl_easy_strerror(code));
    const char *place = call->place;
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return ot_fail(error, OT_S3, "cannot find the address of %s", place);
    case CURLE_COULDNT_RESOLVE_PROXY:
        return ot_fail(error, OT_S3, "cannot find the address of the proxy on the way to %s", place);
    case CURLE_COULDNT_CONNECT:
        return ot_fail(error, OT_S3, "cannot connect to %s: %s", place, connect_reason(call, said));
    case CURLE_OPERATION_TIMEDOUT:
        return ot_fail(error, OT_S3, while_connecting(call) ? "cannot connect to %s: %s" : "no answer from %s: %s",
                       place, said);
    case CURLE_PEER_FAILED_VERIFICATION:
        return ot_fail(error, OT_S3, "the certificate of %s is not trusted: %s", place, said);
    case CURLE_SSL_CONNECT_ERROR:
        return ot_fail(error, OT_S3, "no TLS connection to %s: %s", place, said);
    case CURLE_SSL_CACERT_BADFILE:
        return ot_fail(error, OT_S3, "cannot use the certificates in %s", call->options->ca_file);
    case CURLE_GOT_NOTHING:
        return ot_fail(error, OT_S3, "%s closed the connection without an answer", place);
    case CURLE_PARTIAL_FILE:
        return ot_fail(error, OT_S3, "%s closed the connection in the middle of its answer", place);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return ot_fail(error, OT_S3, "the connection to %s broke: %s", place, said);
    default:
        return ot_fail(error, OT_S3, "the request to %s failed: %s", place, said);
    }
}

/* A server that says 200 before it has read everything cannot have kept everything. A refusal may come early. */
static gboolean check_whole(const struct http_call *call, GError **error)
{
    long status = 0;
    curl_off_t sent = 0;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->curl, CURLINFO_SIZE_UPLOAD_T, &sent);
    /* curl is content with half a head. */
    if (status < 200 || !call->head_ended)
        return ot_fail(error, OT_S3, "%s closed the connection without a final answer", call->place);
    if (status < 300 && (guint64)sent < call->request->body_length)
        return ot_fail(error, OT_S3, "%s answered before it had the whole request", call->place);
    return TRUE;
}

gboolean http_call_judge(const struct http_call *call, CURLcode code, enum http_failure *ret_failure, GError **error)
{
    *ret_failure = HTTP_NONE;
    if (code == CURLE_OK && check_whole(call, error))
        return TRUE;
    *ret_failure = kind_of(call, code);
    if (code == CURLE_OK)
        return FALSE;
    return call->stop != HTTP_STOP_NOT ? fail_stopped(call, error) : fail_code(call, code, error);
}
