/*
 * Tests of HTTP against a server that refuses, cuts, stalls, lies and keeps open (net/http_server.h). TLS with
 * certificates is tested with a real server elsewhere; here only what a plain socket can do to a handshake.
 */
#include "net/http.h"

#include <signal.h>

#include "base/interrupt.h"
#include "http_server.h"

#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define OK_0 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BIG (8u << 20)

static char *big_body;

/* One request, as GET / to s. As http_perform; the client is gone afterwards. */
static gboolean ask(struct server *s, struct http_request request, struct http_options options, struct http_response *r,
                    enum http_failure *kind, GError **error)
{
    g_autofree char *url = request.url ? g_strdup(request.url) : server_url(s, "/");
    request.url = url;
    if (!request.method)
        request.method = "GET";
    g_autoptr(http_client) client = http_client_new(&options);
    return http_perform(client, &request, r, kind, error);
}

/* The same, and all went well. */
static struct http_response answer_of(struct server *s, struct http_request request)
{
    struct http_response r;
    enum http_failure kind = HTTP_FINAL;
    g_autoptr(GError) error = NULL;
    ask(s, request, (struct http_options){.stall_timeout_s = 60}, &r, &kind, &error);
    g_assert_no_error(error);
    g_assert_cmpint(kind, ==, HTTP_NONE);
    g_assert_nonnull(r.body);
    return r;
}

/* g_assert_cmpmem counts in int. */
static void assert_same(const void *data, gsize length, const void *expected, gsize expected_length)
{
    g_assert_cmpuint(length, ==, expected_length);
    g_assert_true(length == 0 || memcmp(data, expected, length) == 0);
}

static void assert_body(const struct http_response *r, const char *expected)
{
    assert_same(r->body->data, r->body->len, expected, strlen(expected));
}

static void assert_failed(gboolean ok, const struct http_response *r, enum http_failure kind,
                          enum http_failure expected_kind, const GError *error, const char *text)
{
    g_assert_false(ok);
    g_assert_error(error, OT_ERROR, OT_S3);
    g_test_message("%s", error->message);
    g_assert_cmpint(kind, ==, expected_kind);
    g_assert_nonnull(strstr(error->message, text));
    g_assert_cmpint(r->status, ==, 0);
    g_assert_null(r->headers);
    g_assert_null(r->body);
}

static void test_get(void)
{
    struct server *s =
        server_start((struct script){.answer = "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nX-Amz-Meta-A: \t "
                                               "one  two \r\nX-Empty:\r\n\r\nhello"});
    g_autofree char *url = server_url(s, "/b/a/../x//y/./%2B%20%C3%A4?prefix=a%2Fb&uploads=");
    struct http_response r =
        answer_of(s, (struct http_request){.url = url, .headers = HEADERS("X-Empty:", "X-Blank: ", "x-one: a:b")});
    g_assert_cmpint(r.status, ==, 206);
    assert_body(&r, "hello");
    g_assert_cmpstr(http_header(&r, "x-amz-meta-a"), ==, "one  two");
    g_assert_cmpstr(http_header(&r, "x-empty"), ==, "");
    g_assert_cmpstr(http_header(&r, "content-length"), ==, "5");
    g_assert_null(http_header(&r, "etag"));
    g_autofree char *seen = server_request(s, 0);
    g_assert_true(g_str_has_prefix(seen, "GET /b/a/../x//y/./%2B%20%C3%A4?prefix=a%2Fb&uploads= HTTP/1.1\r\n"));
    g_assert_nonnull(strstr(seen, "\r\nUser-Agent: opstower\r\n"));
    g_assert_nonnull(strstr(seen, "\r\nX-Empty:\r\n"));
    g_assert_nonnull(strstr(seen, "\r\nX-Blank:\r\n"));
    g_assert_nonnull(strstr(seen, "\r\nx-one: a:b\r\n"));
    g_assert_null(strstr(seen, "Content-Length"));
    http_response_clear(&r);
    g_assert_null(http_header(&r, "etag"));
    server_stop(s);
}

static const struct {
    const char *method;
    gsize body_length;
    const char *content_length; /* NULL: no such header */
} methods[] = {
    {"PUT", 0, "0"},          {"PUT", 5, "5"},     {"PUT", BIG, "8388608"}, {"POST", 0, "0"}, {"POST", 5, "5"},
    {"POST", BIG, "8388608"}, {"DELETE", 0, NULL}, {"DELETE", 5, "5"},      {"GET", 0, NULL},
};

static void check_sent(const char *seen, const char *method, gsize body_length, const char *content_length)
{
    g_autofree char *first = g_strdup_printf("%s / HTTP/1.1\r\n", method);
    g_assert_true(g_str_has_prefix(seen, first));
    const char *end = strstr(seen, "\r\n\r\n");
    g_assert_nonnull(end);
    g_autofree char *head = g_strndup(seen, (gsize)(end - seen) + 2);
    g_autofree char *length = g_strdup_printf("\r\nContent-Length: %s\r\n", content_length);
    g_assert_cmpint(strstr(head, length) != NULL, ==, content_length != NULL);
    g_assert_null(strstr(head, "Content-Type"));
    g_assert_null(strstr(head, "Expect"));
    g_assert_null(strstr(head, "Transfer-Encoding"));
    assert_same(end + 4, strlen(end + 4), big_body, body_length);
}

static void test_methods(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(methods); i++) {
        g_test_message("%s %zu", methods[i].method, methods[i].body_length);
        struct server *s = server_start((struct script){.answer = OK_2});
        struct http_response r =
            answer_of(s, (struct http_request){
                             .method = methods[i].method, .body = big_body, .body_length = methods[i].body_length});
        g_assert_cmpint(r.status, ==, 200);
        assert_body(&r, "ok");
        http_response_clear(&r);
        g_autofree char *seen = server_request(s, 0);
        check_sent(seen, methods[i].method, methods[i].body_length, methods[i].content_length);
        server_stop(s);
    }
}

static void test_head(void)
{
    struct server *s =
        server_start((struct script){.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\nETag: \"x\"\r\n\r\n"});
    struct http_response r = answer_of(s, (struct http_request){.method = "HEAD"});
    g_assert_cmpint(r.status, ==, 200);
    assert_body(&r, "");
    g_assert_cmpstr(http_header(&r, "content-length"), ==, "5368709120");
    g_assert_cmpstr(http_header(&r, "etag"), ==, "\"x\"");
    http_response_clear(&r);
    g_autofree char *seen = server_request(s, 0);
    g_assert_true(g_str_has_prefix(seen, "HEAD / HTTP/1.1\r\n"));
    server_stop(s);
}

static const struct {
    const char *answer;
    enum then then;
    long status;
    const char *body;
} answers[] = {
    {OK_0, THEN_KEEP, 200, ""},
    {"HTTP/1.1 204 No Content\r\n\r\n", THEN_KEEP, 204, ""},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nnix", THEN_KEEP, 404, "nix"},
    {"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n", THEN_CLOSE, 503, ""},
    {"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", THEN_KEEP, 301, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", THEN_KEEP, 200,
     "hello world"},
    {"HTTP/1.1 200 OK\r\n\r\nuntil it closes", THEN_CLOSE, 200, "until it closes"},
    {"HTTP/1.0 200 OK\r\n\r\nold", THEN_CLOSE, 200, "old"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhello", THEN_CLOSE, 200, "hel"},
    {"HTTP/1.1 100 Continue\r\nX-Wrong: 1\r\n\r\n" OK_2, THEN_KEEP, 200, "ok"},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX-Wrong: 1\r\n\r\n" OK_2, THEN_KEEP, 200, "ok"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Wrong: 1\r\n\r\n", THEN_KEEP, 200, "ok"},
};

static void test_answers(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_test_message("%s", answers[i].answer);
        struct server *s = server_start((struct script){.answer = answers[i].answer, .then = answers[i].then});
        struct http_response r = answer_of(s, (struct http_request){.method = i % 2 ? "PUT" : "GET"});
        g_assert_cmpint(r.status, ==, answers[i].status);
        assert_body(&r, answers[i].body);
        g_assert_null(http_header(&r, "x-wrong"));
        http_response_clear(&r);
        server_stop(s);
    }
}

static const struct failure {
    const char *name;
    struct script script;
    gsize body_length, max_answer_bytes;
    enum http_failure kind;
    const char *text;
} failures[] = {
    {"closes at once", {.talk_first = TRUE, .then = THEN_CLOSE}, 0, 0, HTTP_TRANSIENT, ""},
    {"resets at once", {.talk_first = TRUE, .then = THEN_RESET}, 0, 0, HTTP_TRANSIENT, "127.0.0.1:"},
    {"closes after the request", {.then = THEN_CLOSE}, 0, 0, HTTP_TRANSIENT, "without an answer"},
    {"resets after the request", {.then = THEN_RESET}, 0, 0, HTTP_TRANSIENT, "broke"},
    {"resets after 100 bytes", {.read_limit = 100, .then = THEN_RESET}, BIG, 0, HTTP_TRANSIENT, "broke"},
    {"resets after 1 MB", {.read_limit = 1000000, .then = THEN_RESET}, BIG, 0, HTTP_TRANSIENT, "broke"},
    {"only a 100, closed", {.answer = "HTTP/1.1 100 Continue\r\n\r\n", .then = THEN_CLOSE}, 5, 0, HTTP_TRANSIENT, ""},
    {"only a 100, reset",
     {.read_limit = 1000, .answer = "HTTP/1.1 100 Continue\r\n\r\n", .then = THEN_RESET},
     BIG,
     0,
     HTTP_TRANSIENT,
     "broke"},
    {"half a head", {.answer = "HTTP/1.1 200 OK\r\nContent-Len", .then = THEN_CLOSE}, 0, 0, HTTP_TRANSIENT, ""},
    {"head only",
     {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", .then = THEN_CLOSE},
     0,
     0,
     HTTP_TRANSIENT,
     "in the middle of its answer"},
    {"half a body",
     {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", .then = THEN_CLOSE},
     0,
     0,
     HTTP_TRANSIENT,
     "in the middle of its answer"},
    {"half a body, of an upload",
     {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", .then = THEN_CLOSE},
     BIG,
     0,
     HTTP_TRANSIENT,
     "in the middle of its answer"},
    {"half a body, reset",
     {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", .then = THEN_RESET},
     0,
     0,
     HTTP_TRANSIENT,
     "127.0.0.1:"},
    {"chunks without an end",
     {.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", .then = THEN_CLOSE},
     0,
     0,
     HTTP_TRANSIENT,
     "in the middle of its answer"},
    {"garbage", {.answer = "what? no.\r\n\r\n", .then = THEN_CLOSE}, 0, 0, HTTP_TRANSIENT, "127.0.0.1:"},
    {"a length that is none",
     {.answer = "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello", .then = THEN_CLOSE},
     0,
     0,
     HTTP_TRANSIENT,
     "127.0.0.1:"},
    {"200 in the middle of the upload",
     {.read_limit = 1000, .answer = OK_0, .then = THEN_STALL},
     BIG,
     0,
     HTTP_TRANSIENT,
     ""},
    {"200 in the middle of the upload, closed",
     {.read_limit = 1000,
      .answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      .then = THEN_CLOSE},
     BIG,
     0,
     HTTP_TRANSIENT,
     ""},
    {"too large by its length",
     {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
     0,
     4,
     HTTP_FINAL,
     "larger than 4 bytes"},
    {"too large in chunks",
     {.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"},
     0,
     4,
     HTTP_FINAL,
     "larger than 4 bytes"},
    {"too large until it closes",
     {.answer = "HTTP/1.1 200 OK\r\n\r\nhello", .then = THEN_CLOSE},
     0,
     4,
     HTTP_FINAL,
     "larger than 4 bytes"},
    {"never answers", {.then = THEN_STALL}, 0, 0, HTTP_TRANSIENT, "nothing moved for 1 s"},
    {"never answers an upload", {.then = THEN_STALL}, BIG, 0, HTTP_TRANSIENT, "nothing moved for 1 s"},
    {"never reads", {.read_limit = 1000, .then = THEN_STALL}, BIG, 0, HTTP_TRANSIENT, "nothing moved for 1 s"},
    {"stalls after a 100",
     {.answer = "HTTP/1.1 100 Continue\r\n\r\n", .then = THEN_STALL},
     5,
     0,
     HTTP_TRANSIENT,
     "nothing moved for 1 s"},
    {"stalls in the body",
     {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", .then = THEN_STALL},
     0,
     0,
     HTTP_TRANSIENT,
     "nothing moved for 1 s"},
};

static void test_failures(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(failures); i++) {
        const struct failure *f = &failures[i];
        g_test_message("%s", f->name);
        struct server *s = server_start(f->script);
        struct http_response r;
        enum http_failure kind = HTTP_NONE;
        g_autoptr(GError) error = NULL;
        gint64 began = g_get_monotonic_time();
        gboolean ok = ask(s,
                          (struct http_request){.method = f->body_length ? "PUT" : "GET",
                                                .body = big_body,
                                                .body_length = f->body_length,
                                                .max_answer_bytes = f->max_answer_bytes},
                          (struct http_options){.stall_timeout_s = 1}, &r, &kind, &error);
        assert_failed(ok, &r, kind, f->kind, error, f->text);
        g_assert_cmpint(g_get_monotonic_time() - began, <, 20 * G_USEC_PER_SEC);
        server_stop(s);
    }
}

/* A refusal may come before the whole body was sent, and is an answer. */
static void test_early_refusal(void)
{
    struct server *s = server_start(
        (struct script){.read_limit = 1000,
                        .answer = "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
                        .then = THEN_STALL});
    struct http_response r = answer_of(s, (struct http_request){.method = "PUT", .body = big_body, .body_length = BIG});
    g_assert_cmpint(r.status, ==, 403);
    assert_body(&r, "no");
    http_response_clear(&r);
    server_stop(s);
}

static void test_headers_are_bounded(void)
{
    g_autofree char *long_value = g_strnfill(70000, 'x');
    g_autoptr(GString) many = g_string_new(NULL);
    for (int i = 0; i < 300; i++)
        g_string_append_printf(many, "X-%d: y\r\n", i);
    g_autofree char *long_one = g_strdup_printf("HTTP/1.1 200 OK\r\nX: %s\r\nContent-Length: 0\r\n\r\n", long_value);
    g_autofree char *many_lines = g_strdup_printf("HTTP/1.1 200 OK\r\n%sContent-Length: 0\r\n\r\n", many->str);
    const char *const flood[] = {long_one, many_lines};
    for (gsize i = 0; i < G_N_ELEMENTS(flood); i++) {
        struct server *s = server_start((struct script){.answer = flood[i]});
        struct http_response r;
        enum http_failure kind = HTTP_NONE;
        g_autoptr(GError) error = NULL;
        gboolean ok = ask(s, (struct http_request){0}, (struct http_options){0}, &r, &kind, &error);
        assert_failed(ok, &r, kind, HTTP_FINAL, error, "headers");
        server_stop(s);
    }
}

static void test_refused(void)
{
    int port = 0;
    int fd = bind_port(&port);
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%d/secret?X-Amz-Signature=s", port);
    g_autofree char *text = g_strdup_printf("cannot connect to 127.0.0.1:%d: Connection refused", port);
    struct http_response r;
    enum http_failure kind = HTTP_NONE;
    g_autoptr(GError) error = NULL;
    gboolean ok = ask(NULL, (struct http_request){.url = url}, (struct http_options){0}, &r, &kind, &error);
    assert_failed(ok, &r, kind, HTTP_TRANSIENT, error, text);
    g_assert_cmpstr(error->message, ==, text);
    close(fd);
}

/* A listener whose queue is full answers no handshake of TCP. */
static void test_connect_timeout(void)
{
    int port = 0, fd = bind_port(&port), fillers[4];
    g_assert_cmpint(listen(fd, 0), ==, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((guint16)port)};
    for (gsize i = 0; i < G_N_ELEMENTS(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%d/", port);
    struct http_response r;
    enum http_failure kind = HTTP_NONE;
    g_autoptr(GError) error = NULL;
    gint64 began = g_get_monotonic_time();
    gboolean ok = ask(NULL, (struct http_request){.url = url}, (struct http_options){.connect_timeout_ms = 500}, &r,
                      &kind, &error);
    assert_failed(ok, &r, kind, HTTP_TRANSIENT, error, "cannot connect to 127.0.0.1:");
    g_assert_cmpint(g_get_monotonic_time() - began, <, 5 * G_USEC_PER_SEC);
    for (gsize i = 0; i < G_N_ELEMENTS(fillers); i++)
        close(fillers[i]);
    close(fd);
}

static void test_total_timeout(void)
{
    struct server *s = server_start((struct script){.then = THEN_STALL});
    struct http_response r;
    enum http_failure kind = HTTP_NONE;
    g_autoptr(GError) error = NULL;
    gint64 began = g_get_monotonic_time();
    gboolean ok = ask(s, (struct http_request){0}, (struct http_options){.total_timeout_ms = 300}, &r, &kind, &error);
    assert_failed(ok, &r, kind, HTTP_TRANSIENT, error, "no answer from 127.0.0.1:");
    g_assert_cmpint(g_get_monotonic_time() - began, <, 5 * G_USEC_PER_SEC);
    server_stop(s);
}

static const struct {
    const char *url, *header, *text;
} unusable[] = {
    {"", NULL, "no plain URL"},
    {"127.0.0.1:1/", NULL, "no plain URL"},
    {"ftp://127.0.0.1:1/", NULL, "no plain URL"},
    {"file:///etc/passwd", NULL, "no plain URL"},
    {"http://", NULL, "no plain URL"},
    {"http://127.0.0.1:1/a b", NULL, "no plain URL"},
    {"http://127.0.0.1:99999/", NULL, "no plain URL"},
    {"http://user:password@127.0.0.1:1/", NULL, "no plain URL"},
    {"http://user@127.0.0.1:1/", NULL, "no plain URL"},
    {"http://127.0.0.1:1/", "X-Secret: a\r\nX-B: c", "cannot be sent"},
    {"http://127.0.0.1:1/", "X-Secret: a\nb", "cannot be sent"},
    {"http://127.0.0.1:1/", "X-Secret", "cannot be sent"},
    {"http://127.0.0.1:1/", "X Secret: a", "cannot be sent"},
    {"http://127.0.0.1:1/", ": a", "cannot be sent"},
    {"http://127.0.0.1:1/", "", "cannot be sent"},
};

static void test_unusable(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(unusable); i++) {
        g_test_message("%s %s", unusable[i].url, unusable[i].header);
        struct http_response r;
        enum http_failure kind = HTTP_NONE;
        g_autoptr(GError) error = NULL;
        const char *headers[] = {unusable[i].header, NULL};
        gboolean ok = ask(NULL, (struct http_request){.url = unusable[i].url, .headers = headers},
                          (struct http_options){0}, &r, &kind, &error);
        assert_failed(ok, &r, kind, HTTP_FINAL, error, unusable[i].text);
        g_assert_null(strstr(error->message, "Secret"));
        g_assert_null(strstr(error->message, "password"));
    }
}

static const struct {
    struct script script;
    const char *ca_file;
    enum http_failure kind;
    const char *text;
} handshakes[] = {
    {{.talk_first = TRUE, .then = THEN_CLOSE}, NULL, HTTP_TRANSIENT, "127.0.0.1:"},
    {{.talk_first = TRUE, .then = THEN_RESET}, NULL, HTTP_TRANSIENT, "127.0.0.1:"},
    {{.talk_first = TRUE, .then = THEN_STALL}, NULL, HTTP_TRANSIENT, "cannot connect to 127.0.0.1:"},
    {{.talk_first = TRUE, .answer = "HTTP/1.1 400 Bad Request\r\n\r\n", .then = THEN_STALL},
     NULL,
     HTTP_FINAL,
     "no TLS connection to 127.0.0.1:"},
    /* The other side's fatal alerts protocol_version, handshake_failure and internal_error. */
    {{.talk_first = TRUE, .answer = "\x15\x03\x03\0\x02\x02\x46", .answer_length = 7, .then = THEN_STALL},
     NULL,
     HTTP_FINAL,
     "no TLS"},
    {{.talk_first = TRUE, .answer = "\x15\x03\x03\0\x02\x02\x28", .answer_length = 7, .then = THEN_STALL},
     NULL,
     HTTP_FINAL,
     "no TLS"},
    {{.talk_first = TRUE, .answer = "\x15\x03\x03\0\x02\x02\x50", .answer_length = 7, .then = THEN_STALL},
     NULL,
     HTTP_TRANSIENT,
     "no TLS"},
    {{.talk_first = TRUE, .then = THEN_CLOSE}, "/nonexistent/ca.pem", HTTP_FINAL, "/nonexistent/ca.pem"},
};

static void test_handshakes(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(handshakes); i++) {
        g_test_message("%zu", i);
        struct server *s = server_start(handshakes[i].script);
        g_autofree char *url = g_strdup_printf("https://127.0.0.1:%d/", s->port);
        struct http_response r;
        enum http_failure kind = HTTP_NONE;
        g_autoptr(GError) error = NULL;
        gboolean silent = !handshakes[i].script.answer && handshakes[i].script.then == THEN_STALL;
        gboolean ok =
            ask(s, (struct http_request){.url = url},
                (struct http_options){.connect_timeout_ms = silent ? 700 : 30000, .ca_file = handshakes[i].ca_file}, &r,
                &kind, &error);
        assert_failed(ok, &r, kind, handshakes[i].kind, error, handshakes[i].text);
        server_stop(s);
    }
}

/* count times the same request on one client; all are answered. */
static void repeat(struct http_client *client, struct server *s, struct http_request request, int count)
{
    g_autofree char *url = server_url(s, "/");
    request.method = "PUT";
    request.url = url;
    request.body = "hello";
    request.body_length = 5;
    for (int i = 0; i < count; i++) {
        struct http_response r;
        enum http_failure kind = HTTP_FINAL;
        g_autoptr(GError) error = NULL;
        http_perform(client, &request, &r, &kind, &error);
        g_assert_no_error(error);
        g_assert_cmpint(r.status, ==, 200);
        http_response_clear(&r);
    }
}

static void test_keep_alive(void)
{
    struct server *s = server_start((struct script){.answer = OK_2});
    struct http_client *client = http_client_new(NULL);
    repeat(client, s, (struct http_request){0}, 5);
    g_assert_cmpuint(server_connections(s), ==, 1);
    repeat(client, s, (struct http_request){.exactly_once = TRUE}, 1);
    g_assert_cmpuint(server_connections(s), ==, 2);
    http_client_free(client);
    server_stop(s);
}

/* The server closes what it kept open: curl notices, or sends the request again. */
static void test_closed_meanwhile(void)
{
    const enum then thens[] = {THEN_CLOSE, THEN_RESET, THEN_DROP_NEXT};
    for (gsize i = 0; i < G_N_ELEMENTS(thens); i++) {
        struct server *s = server_start((struct script){.answer = OK_2, .then = thens[i]});
        struct http_client *client = http_client_new(NULL);
        repeat(client, s, (struct http_request){0}, 3);
        g_assert_cmpuint(server_connections(s), ==, 3);
        http_client_free(client);
        server_stop(s);
    }
}

static void test_exactly_once(void)
{
    struct server *s = server_start((struct script){.answer = OK_2, .then = THEN_DROP_NEXT});
    struct http_client *client = http_client_new(NULL);
    repeat(client, s, (struct http_request){0}, 1);
    repeat(client, s, (struct http_request){.exactly_once = TRUE}, 1);
    g_assert_cmpuint(server_requests(s), ==, 2);
    g_assert_cmpuint(server_connections(s), ==, 2);
    http_client_free(client);
    server_stop(s);
}

/* What failed leaves nothing behind in the client; a name that is not found once confused curl's next call. */
static void test_after_failures(void)
{
    const char *const urls[] = {"https://nothing.invalid/", "http://127.0.0.1:1/"};
    struct server *s = server_start((struct script){.answer = OK_2});
    struct http_client *client = http_client_new(&(struct http_options){.connect_timeout_ms = 3000});
    for (int i = 0; i < 4; i++) {
        struct http_response r;
        enum http_failure kind = HTTP_NONE;
        g_autoptr(GError) error = NULL;
        struct http_request request = {.method = "GET", .url = urls[i / 2]};
        gboolean ok = http_perform(client, &request, &r, &kind, &error);
        assert_failed(ok, &r, kind, HTTP_TRANSIENT, error, i / 2 ? "127.0.0.1:1" : "nothing.invalid:443");
        repeat(client, s, (struct http_request){0}, 1);
    }
    http_client_free(client);
    server_stop(s);
}

struct caller {
    struct http_client *client;
    const char *url;
    int number;
};

static void *call_often(void *data)
{
    struct caller *c = data;
    for (int i = 0; i < 25; i++) {
        g_autofree char *body = g_strdup_printf("%d/%d:%.*s", c->number, i, i * 4000, big_body);
        struct http_request request = {.method = "PUT", .url = c->url, .body = body, .body_length = strlen(body)};
        struct http_response r;
        enum http_failure kind = HTTP_FINAL;
        g_autoptr(GError) error = NULL;
        http_perform(c->client, &request, &r, &kind, &error);
        g_assert_no_error(error);
        assert_body(&r, body);
        http_response_clear(&r);
    }
    return NULL;
}

static void test_threads(void)
{
    struct server *s = server_start((struct script){.echo = TRUE});
    g_autofree char *url = server_url(s, "/");
    struct http_client *client = http_client_new(NULL);
    GThread *threads[8];
    struct caller callers[G_N_ELEMENTS(threads)];
    for (int i = 0; i < (int)G_N_ELEMENTS(threads); i++) {
        callers[i] = (struct caller){client, url, i};
        threads[i] = g_thread_new("caller", call_often, &callers[i]);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    g_assert_cmpuint(server_connections(s), <=, G_N_ELEMENTS(threads));
    http_client_free(client);
    server_stop(s);
}

static void set_proxy(int port)
{
    g_autofree char *proxy = g_strdup_printf("http://127.0.0.1:%d", port);
    g_setenv("http_proxy", proxy, TRUE);
}

/* All other tests run with a proxy in the environment where nobody listens: it is not for this machine. */
static void test_proxy(void)
{
    struct server *s = server_start((struct script){.answer = OK_2});
    set_proxy(s->port);
    struct http_response r = answer_of(s, (struct http_request){.url = "http://s3.example.invalid/b/k"});
    assert_body(&r, "ok");
    http_response_clear(&r);
    g_autofree char *seen = server_request(s, 0);
    g_assert_true(g_str_has_prefix(seen, "GET http://s3.example.invalid/b/k HTTP/1.1\r\n"));
    set_proxy(1);
    server_stop(s);
}

static void *interrupt_when_asked(void *server)
{
    while (server_requests(server) == 0)
        g_usleep(1000);
    kill(getpid(), SIGTERM);
    return NULL;
}

static void interrupted_process(void)
{
    interrupt_init();
    struct server *s = server_start((struct script){.then = THEN_STALL});
    struct http_response r;
    enum http_failure kind = HTTP_NONE;
    g_autoptr(GError) first = NULL, second = NULL;
    gint64 began = g_get_monotonic_time();
    GThread *thread = g_thread_new("interrupt", interrupt_when_asked, s);
    g_assert_false(ask(s, (struct http_request){0}, (struct http_options){0}, &r, &kind, &first));
    g_assert_error(first, OT_ERROR, OT_INTERRUPTED);
    g_assert_cmpint(kind, ==, HTTP_FINAL);
    g_assert_null(r.body);
    g_assert_cmpint(g_get_monotonic_time() - began, <, 5 * G_USEC_PER_SEC);
    g_thread_join(thread);
    g_assert_false(ask(s, (struct http_request){0}, (struct http_options){0}, &r, &kind, &second));
    g_assert_error(second, OT_ERROR, OT_INTERRUPTED);
    g_assert_cmpuint(server_connections(s), ==, 1);
    server_stop(s);
    s = server_start((struct script){.answer = OK_2});
    r = answer_of(s, (struct http_request){.method = "DELETE", .despite_interrupt = TRUE});
    assert_body(&r, "ok");
    http_response_clear(&r);
    server_stop(s);
}

/* In a process of its own: an interrupt is for good. */
static void test_interrupt(void)
{
    if (g_test_subprocess()) {
        interrupted_process();
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const char *const others[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"};
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
        g_unsetenv(others[i]);
    set_proxy(1);
    g_test_init(&argc, &argv, NULL);
    big_body = g_strnfill(BIG, 'x');
    for (gsize i = 0; i < BIG; i += 97)
        big_body[i] = (char)('a' + i % 26);
    g_test_add_func("/http/get", test_get);
    g_test_add_func("/http/methods", test_methods);
    g_test_add_func("/http/head", test_head);
    g_test_add_func("/http/answers", test_answers);
    g_test_add_func("/http/failures", test_failures);
    g_test_add_func("/http/early_refusal", test_early_refusal);
    g_test_add_func("/http/headers_are_bounded", test_headers_are_bounded);
    g_test_add_func("/http/refused", test_refused);
    g_test_add_func("/http/connect_timeout", test_connect_timeout);
    g_test_add_func("/http/total_timeout", test_total_timeout);
    g_test_add_func("/http/unusable", test_unusable);
    g_test_add_func("/http/handshakes", test_handshakes);
    g_test_add_func("/http/keep_alive", test_keep_alive);
    g_test_add_func("/http/closed_meanwhile", test_closed_meanwhile);
    g_test_add_func("/http/exactly_once", test_exactly_once);
    g_test_add_func("/http/after_failures", test_after_failures);
    g_test_add_func("/http/threads", test_threads);
    g_test_add_func("/http/proxy", test_proxy);
    g_test_add_func("/http/interrupt", test_interrupt);
    int result = g_test_run();
    g_free(big_body);
    return result;
}
