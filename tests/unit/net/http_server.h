/*
 * A server that misbehaves as told, for the tests of net/http.c: threads on plain sockets. No library's server would
 * cut, stall and lie like this. Included by one test only, so it is one file.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum then { THEN_KEEP, THEN_CLOSE, THEN_RESET, THEN_STALL, THEN_DROP_NEXT /* reads one more request and closes */ };

struct script {
    const char *answer;        /* NULL: none */
    gsize answer_length;       /* 0: up to its NUL */
    gsize read_limit;          /* answers after so many bytes of the request's body; 0: after the whole request */
    gboolean talk_first, echo; /* before any request; the request's body as the answer's */
    enum then then;
};

struct server {
    int listener, port;
    struct script script;
    GThread *thread;
    GMutex mutex;
    GPtrArray *handlers; /* GThread * */
    GPtrArray *requests; /* GString *: head and body as received */
    guint connections;
    gint stopping;
};

struct connection {
    struct server *server;
    int fd;
};

static gsize wanted_body(const char *request, gsize head_length)
{
    g_autofree char *head = g_ascii_strdown(request, (gssize)head_length);
    const char *at = strstr(head, "\r\ncontent-length:");
    return at ? (gsize)g_ascii_strtoull(at + strlen("\r\ncontent-length:"), NULL, 10) : 0;
}

/* FALSE: the client closed before a whole request came. */
static gboolean read_request(int fd, const struct script *script, GString *request)
{
    char buffer[16384];
    for (;;) {
        const char *end = strstr(request->str, "\r\n\r\n");
        if (end) {
            gsize head = (gsize)(end - request->str);
            gsize body = script->read_limit ? script->read_limit : wanted_body(request->str, head);
            if (request->len >= head + 4 + body)
                return TRUE;
        }
        ssize_t n = recv(fd, buffer, script->read_limit ? MIN(sizeof buffer, 512) : sizeof buffer, 0);
        if (n <= 0)
            return FALSE;
        g_string_append_len(request, buffer, n);
    }
}

static void send_all(int fd, const char *data, gsize length)
{
    while (length > 0) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        data += n;
        length -= (gsize)n;
    }
}

static void send_echo(int fd, const GString *request)
{
    const char *body = strstr(request->str, "\r\n\r\n") + 4;
    gsize length = request->len - (gsize)(body - request->str);
    g_autofree char *head = g_strdup_printf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    send_all(fd, head, strlen(head));
    send_all(fd, body, length);
}

/* That a client has gone cannot be seen behind data that nobody reads: server_stop ends such a wait. */
static void wait_for_close(struct server *s, int fd)
{
    char buffer[1];
    while (!g_atomic_int_get(&s->stopping)) {
        ssize_t n = recv(fd, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
        g_usleep(G_USEC_PER_SEC / 100);
    }
}

static void finish(struct server *s, int fd, enum then then)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (then == THEN_RESET)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (then == THEN_STALL)
        wait_for_close(s, fd);
    close(fd);
}

static gboolean serve_one(struct server *s, int fd)
{
    GString *request = g_string_new(NULL);
    gboolean whole = s->script.talk_first || read_request(fd, &s->script, request);
    g_mutex_lock(&s->mutex);
    g_ptr_array_add(s->requests, request);
    g_mutex_unlock(&s->mutex);
    if (whole && s->script.echo)
        send_echo(fd, request);
    else if (whole && s->script.answer)
        send_all(fd, s->script.answer, s->script.answer_length ? s->script.answer_length : strlen(s->script.answer));
    return whole;
}

static void *handle(void *data)
{
    g_autofree struct connection *c = data;
    enum then then = c->server->script.then;
    gboolean go_on = serve_one(c->server, c->fd);
    while (go_on && then == THEN_KEEP)
        go_on = serve_one(c->server, c->fd);
    if (go_on && then == THEN_DROP_NEXT) {
        GString *request = g_string_new(NULL);
        read_request(c->fd, &c->server->script, request);
        g_mutex_lock(&c->server->mutex);
        g_ptr_array_add(c->server->requests, request);
        g_mutex_unlock(&c->server->mutex);
    }
    finish(c->server, c->fd, then);
    return NULL;
}

static void *accept_all(void *data)
{
    struct server *s = data;
    for (;;) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        struct connection *c = g_new0(struct connection, 1);
        c->server = s;
        c->fd = fd;
        g_mutex_lock(&s->mutex);
        s->connections++;
        g_ptr_array_add(s->handlers, g_thread_new("connection", handle, c));
        g_mutex_unlock(&s->mutex);
    }
}

static void free_request(void *request)
{
    g_string_free(request, TRUE);
}

/* A port that is ours and where nobody listens yet. */
static int bind_port(int *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, length), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &length), ==, 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static struct server *server_start(struct script script)
{
    struct server *s = g_new0(struct server, 1);
    s->script = script;
    s->listener = bind_port(&s->port);
    int small = 4096;
    if (script.read_limit)
        setsockopt(s->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    g_assert_cmpint(listen(s->listener, 64), ==, 0);
    g_mutex_init(&s->mutex);
    s->handlers = g_ptr_array_new();
    s->requests = g_ptr_array_new_with_free_func(free_request);
    s->thread = g_thread_new("server", accept_all, s);
    return s;
}

/* The clients must be gone. */
static void server_stop(struct server *s)
{
    g_atomic_int_set(&s->stopping, TRUE);
    shutdown(s->listener, SHUT_RDWR);
    g_thread_join(s->thread);
    close(s->listener);
    for (guint i = 0; i < s->handlers->len; i++)
        g_thread_join(s->handlers->pdata[i]);
    g_ptr_array_free(s->handlers, TRUE);
    g_ptr_array_free(s->requests, TRUE);
    g_mutex_clear(&s->mutex);
    g_free(s);
}

static guint server_connections(struct server *s)
{
    g_mutex_lock(&s->mutex);
    guint n = s->connections;
    g_mutex_unlock(&s->mutex);
    return n;
}

/* Whole requests, and one that was cut; not the nothing that a client leaves when it closes. */
static guint server_requests(struct server *s)
{
    guint n = 0;
    g_mutex_lock(&s->mutex);
    for (guint i = 0; i < s->requests->len; i++)
        n += ((GString *)s->requests->pdata[i])->len > 0;
    g_mutex_unlock(&s->mutex);
    return n;
}

/* To be freed. */
static char *server_request(struct server *s, guint index)
{
    g_mutex_lock(&s->mutex);
    g_assert_cmpuint(index, <, s->requests->len);
    char *text = g_strdup(((GString *)s->requests->pdata[index])->str);
    g_mutex_unlock(&s->mutex);
    return text;
}

static char *server_url(const struct server *s, const char *path)
{
    return g_strdup_printf("http://127.0.0.1:%d%s", s->port, path);
}
