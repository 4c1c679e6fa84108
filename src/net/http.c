/*
 * HTTP by libcurl's easy interface. Each call has a handle, and so connections, of its own; between calls handles wait
 * in the client. What a curl result means stands in net/http_failure.c.
 */
#include "net/http.h"

#include <string.h>

#include "base/interrupt.h"
#include "net/http_call.h"
#include "net/uri.h"

#define DEFAULT_CONNECT_MS 10000
#define DEFAULT_STALL_S 30
#define DEFAULT_ANSWER_BYTES (16u << 20)
#define MAX_ANSWER_BYTES (G_MAXUINT32 / 2) /* GByteArray counts in 32 bits */
#define MAX_HEADER_BYTES (64u << 10)
#define MAX_HEADER_LINES 256
#define UPLOAD_BUFFER (512L << 10)
#define RECEIVE_BUFFER (128L << 10)

struct http_client {
    struct http_options options;
    char *ca_file;
    GMutex mutex;
    GPtrArray *idle; /* CURL *; the last one given back is taken first: its connection is the freshest */
};

typedef struct curl_slist curl_slist;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(curl_slist, curl_slist_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURLU, curl_url_cleanup)

/* What fails here is memory, or a libcurl without TLS: there is no way on. */
static void must(CURLcode code)
{
    if (code != CURLE_OK)
        g_error("libcurl: %s", curl_easy_strerror(code));
}

static void init_curl(void)
{
    static gsize done;
    if (g_once_init_enter(&done)) {
        must(curl_global_init(CURL_GLOBAL_DEFAULT));
        g_once_init_leave(&done, 1);
    }
}

struct http_client *http_client_new(const struct http_options *options)
{
    init_curl();
    struct http_client *c = g_new0(struct http_client, 1);
    if (options)
        c->options = *options;
    c->ca_file = g_strdup(c->options.ca_file);
    c->options.ca_file = c->ca_file;
    if (!c->options.connect_timeout_ms)
        c->options.connect_timeout_ms = DEFAULT_CONNECT_MS;
    if (!c->options.stall_timeout_s)
        c->options.stall_timeout_s = DEFAULT_STALL_S;
    g_mutex_init(&c->mutex);
    c->idle = g_ptr_array_new_with_free_func(curl_easy_cleanup);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    g_ptr_array_free(c->idle, TRUE);
    g_mutex_clear(&c->mutex);
    g_free(c->ca_file);
    g_free(c);
}

static CURL *take_handle(struct http_client *c)
{
    g_mutex_lock(&c->mutex);
    CURL *curl = c->idle->len ? g_ptr_array_steal_index(c->idle, c->idle->len - 1) : NULL;
    g_mutex_unlock(&c->mutex);
    if (!curl)
        curl = curl_easy_init();
    if (!curl)
        must(CURLE_OUT_OF_MEMORY);
    return curl;
}

/* Options go, connections stay. Where a call failed, nothing of it is trusted any more. */
static void give_back(struct http_client *c, CURL *curl, gboolean failed)
{
    if (failed) {
        curl_easy_cleanup(curl);
        return;
    }
    curl_easy_reset(curl);
    g_mutex_lock(&c->mutex);
    g_ptr_array_add(c->idle, curl);
    g_mutex_unlock(&c->mutex);
}

static size_t stop(struct http_call *call, enum http_stop why)
{
    call->stop = why;
    return 0;
}

static size_t on_read(char *buffer, size_t size, size_t count, void *data)
{
    struct http_call *call = data;
    gsize n = MIN(size * count, call->request->body_length - call->body_sent);
    if (n > 0)
        memcpy(buffer, (const char *)call->request->body + call->body_sent, n);
    call->body_sent += n;
    return n;
}

/* curl goes back to the start when a connection that was kept open turns out to be closed. */
static int on_seek(void *data, curl_off_t offset, int origin)
{
    struct http_call *call = data;
    if (origin != SEEK_SET || offset < 0 || (guint64)offset > call->request->body_length)
        return CURL_SEEKFUNC_FAIL;
    call->body_sent = (gsize)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t count, void *data)
{
    struct http_call *call = data;
    gsize n = size * count;
    call->header_bytes += n;
    /* An interim answer's head is followed by another one. */
    gboolean first = n >= 5 && memcmp(line, "HTTP/", 5) == 0;
    call->head_ended = *line == '\r' || *line == '\n' || (call->head_ended && !first);
    if (call->header_bytes > MAX_HEADER_BYTES || ++call->header_lines > MAX_HEADER_LINES)
        return stop(call, HTTP_STOP_HEADERS);
    return n;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *data)
{
    struct http_call *call = data;
    gsize n = size * count;
    if (n > call->max_answer_bytes - call->body->len)
        return stop(call, HTTP_STOP_LARGE);
    g_byte_array_append(call->body, (const guint8 *)bytes, (guint)n);
    return n;
}

/* At least once a second. curl's own CURLOPT_LOW_SPEED_TIME sleeps while an answer is waited for; this clock does not.
 */
static int on_progress(void *data, curl_off_t to_receive, curl_off_t received, curl_off_t to_send, curl_off_t sent)
{
    (void)to_receive, (void)to_send;
    struct http_call *call = data;
    gint64 now = g_get_monotonic_time();
    gint64 moved = (gint64)received + (gint64)sent + (gint64)call->header_bytes;
    if (moved != call->moved) {
        call->moved = moved;
        call->moved_at = now;
    }
    if (interrupt_ends(call->request->despite_interrupt))
        call->stop = HTTP_STOP_INTERRUPTED;
    else if (now - call->moved_at > (gint64)call->options->stall_timeout_s * G_USEC_PER_SEC)
        call->stop = HTTP_STOP_STALLED;
    return call->stop != HTTP_STOP_NOT;
}

/* "Name:" would tell curl to leave that header out; "Name;" sends it empty. */
static char *header_line(const char *line)
{
    gsize name_length = strcspn(line, ":");
    gboolean empty = line[name_length + strspn(line + name_length, ": \t")] == '\0';
    return empty ? g_strdup_printf("%.*s;", (int)name_length, line) : g_strdup(line);
}

/* Expect: 100-continue costs a round trip, and its interim answer has confused servers. */
static struct curl_slist *make_headers(const struct http_request *request)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (const char *const *at = request->headers; at && *at; at++) {
        g_autofree char *line = header_line(*at);
        list = curl_slist_append(list, line);
    }
    return list;
}

static gboolean check_headers(const struct http_request *request, GError **error)
{
    for (const char *const *at = request->headers; at && *at; at++)
        if (strpbrk(*at, "\r\n") || strcspn(*at, ": \t") == 0 || (*at)[strcspn(*at, ": \t")] != ':')
            return ot_fail(error, OT_S3,
                           "a header of the request cannot be sent: its name or value has a character "
                           "that HTTP does not allow");
    return TRUE;
}

/* The place is "host:port", for messages; the URL itself may have a secret in its query. */
static gboolean check_url(const char *url, char **ret_place, gboolean *ret_loopback, GError **error)
{
    g_autoptr(CURLU) parts = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    gboolean ok = parts && !curl_url_set(parts, CURLUPART_URL, url, CURLU_PATH_AS_IS | CURLU_DISALLOW_USER) &&
                  !curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) &&
                  (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0) &&
                  !curl_url_get(parts, CURLUPART_HOST, &host, 0) &&
                  !curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    if (ok) {
        g_autofree char *bare = g_strdup(*host == '[' ? host + 1 : host);
        *ret_loopback = uri_is_loopback(g_strdelimit(bare, "]", '\0'));
        *ret_place = g_strdup_printf("%s:%s", host, port);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return ok || ot_fail(error, OT_S3, "the address of the server cannot be used: it is no plain URL of http or https");
}

static void set_limits(CURL *curl, const struct http_options *o)
{
    must(curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms));
    must(curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)o->total_timeout_ms));
    must(curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L));
    /* Else a time limit or an interrupt would wait until the resolver gives up by itself. */
    must(curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L));
    /* Wishes: curl refuses them while it has a buffer. */
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
}

static void set_tls(CURL *curl, const struct http_options *o)
{
    must(curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L));
    must(curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L));
    must(curl_easy_setopt(curl, CURLOPT_SSLVERSION,
                          (long)(o->tls13 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2)));
    if (!o->ca_file)
        return;
    must(curl_easy_setopt(curl, CURLOPT_CAINFO, o->ca_file));
    /* The folder of the system's certificates would still be believed. */
    must(curl_easy_setopt(curl, CURLOPT_CAPATH, NULL));
}

static void set_callbacks(CURL *curl, struct http_call *call)
{
    must(curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read));
    must(curl_easy_setopt(curl, CURLOPT_READDATA, call));
    must(curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek));
    must(curl_easy_setopt(curl, CURLOPT_SEEKDATA, call));
    must(curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header));
    must(curl_easy_setopt(curl, CURLOPT_HEADERDATA, call));
    must(curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write));
    must(curl_easy_setopt(curl, CURLOPT_WRITEDATA, call));
    must(curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress));
    must(curl_easy_setopt(curl, CURLOPT_XFERINFODATA, call));
    must(curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L));
    must(curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->said));
}

/* A body goes as an upload under whatever method: POSTFIELDS would add a Content-Type, which S3 keeps for the object.
 */
static void set_method(CURL *curl, const struct http_request *request)
{
    if (strcmp(request->method, "HEAD") == 0) {
        must(curl_easy_setopt(curl, CURLOPT_NOBODY, 1L));
        return;
    }
    if (request->body_length > 0 || strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0) {
        must(curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L));
        must(curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_length));
    }
    must(curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method));
}

static void set_request(CURL *curl, const struct http_call *call, struct curl_slist *headers)
{
    set_method(curl, call->request);
    must(curl_easy_setopt(curl, CURLOPT_URL, call->request->url));
    must(curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers));
    must(curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L));
    must(curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https"));
    must(curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L));
    /* A connection has one request at a time: HTTP/2 would bring nothing. */
    must(curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1));
    must(curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L));
    must(curl_easy_setopt(curl, CURLOPT_USERAGENT, "opstower"));
    must(curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, call->request->exactly_once ? 1L : 0L));
    /* A proxy's localhost would be another machine. */
    if (call->loopback || call->options->no_proxy)
        must(curl_easy_setopt(curl, CURLOPT_PROXY, ""));
}

/* Only the last answer's own: neither those of a 100 Continue or a proxy, nor what follows a chunked body. */
static GHashTable *collect_headers(CURL *curl)
{
    GHashTable *headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (struct curl_header *h = NULL; (h = curl_easy_nextheader(curl, CURLH_HEADER, -1, h));)
        g_hash_table_replace(headers, g_ascii_strdown(h->name, -1), g_strstrip(g_strdup(h->value)));
    return headers;
}

static gboolean run(struct http_call *call, struct http_response *r, enum http_failure *ret_failure, GError **error)
{
    g_autoptr(curl_slist) headers = make_headers(call->request);
    set_limits(call->curl, call->options);
    set_tls(call->curl, call->options);
    set_callbacks(call->curl, call);
    set_request(call->curl, call, headers);
    call->moved_at = g_get_monotonic_time();
    CURLcode code = curl_easy_perform(call->curl);
    g_strchomp(call->said);
    if (!http_call_judge(call, code, ret_failure, error))
        return FALSE;
    must(curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &r->status));
    r->headers = collect_headers(call->curl);
    r->body = g_steal_pointer(&call->body);
    return TRUE;
}

gboolean http_perform(struct http_client *c, const struct http_request *request, struct http_response *r,
                      enum http_failure *ret_failure, GError **error)
{
    memset(r, 0, sizeof *r);
    *ret_failure = HTTP_FINAL;
    g_autofree char *place = NULL;
    struct http_call call = {.request = request, .options = &c->options};
    if ((interrupt_ends(request->despite_interrupt) && !interrupt_check(error)) || !check_headers(request, error) ||
        !check_url(request->url, &place, &call.loopback, error))
        return FALSE;
    call.place = place;
    call.max_answer_bytes = request->max_answer_bytes ? request->max_answer_bytes : DEFAULT_ANSWER_BYTES;
    call.max_answer_bytes = MIN(call.max_answer_bytes, MAX_ANSWER_BYTES);
    call.body = g_byte_array_new();
    call.curl = take_handle(c);
    gboolean ok = run(&call, r, ret_failure, error);
    give_back(c, call.curl, !ok);
    g_clear_pointer(&call.body, g_byte_array_unref);
    return ok;
}

const char *http_header(const struct http_response *r, const char *name)
{
    return r->headers ? g_hash_table_lookup(r->headers, name) : NULL;
}

void http_response_clear(struct http_response *r)
{
    g_clear_pointer(&r->headers, g_hash_table_unref);
    g_clear_pointer(&r->body, g_byte_array_unref);
    r->status = 0;
}
