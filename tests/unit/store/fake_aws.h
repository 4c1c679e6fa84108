/*
 * A small HTTP server for tests, on a thread: routes with fixed answers, and a log of what was asked. One request per
 * connection, one after the other. Also the clock and the chain that the tests use.
 */
#pragma once

#include "base/error.h"
#include "store/credentials.h"

#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* All secrets in these tests hold it, so that no message may. */
#define SECRET "hunter2"

struct fake_route {
    char *line;  /* "GET /path" */
    char *wants; /* a header line that must be there, else the answer is 401; NULL: none */
    int status;
    char *body;
};

struct fake {
    int fd;
    char *address; /* http://127.0.0.1:PORT */
    GThread *thread;
    GMutex mutex; /* of what follows */
    GPtrArray *routes;
    GString *log;                   /* whole requests */
    guint n_requests, busy, silent; /* the next so many are answered with 503; not at all */
    gboolean ends;
};

static void fake_route_free(gpointer data)
{
    struct fake_route *route = data;
    g_free(route->line);
    g_free(route->wants);
    g_free(route->body);
    g_free(route);
}

/* Sets, or replaces, the answer to LINE. Any thread. */
static G_GNUC_UNUSED void fake_set(struct fake *f, const char *line, const char *wants, int status, const char *body)
{
    struct fake_route *route = g_new0(struct fake_route, 1);
    *route =
        (struct fake_route){.line = g_strdup(line), .wants = g_strdup(wants), .status = status, .body = g_strdup(body)};
    g_mutex_lock(&f->mutex);
    for (guint i = 0; i < f->routes->len; i++)
        if (strcmp(((struct fake_route *)f->routes->pdata[i])->line, line) == 0)
            g_ptr_array_remove_index(f->routes, i--);
    g_ptr_array_add(f->routes, route);
    g_mutex_unlock(&f->mutex);
}

/* Reads until the header's end and as much as Content-Length says after it. */
static GString *fake_read(int fd)
{
    GString *request = g_string_new(NULL);
    char block[4096];
    for (;;) {
        const char *end = strstr(request->str, "\r\n\r\n");
        g_autofree char *lower = g_ascii_strdown(request->str, -1);
        const char *length = strstr(lower, "\r\ncontent-length:");
        gsize wanted = length ? (gsize)g_ascii_strtoull(length + 17, NULL, 10) : 0;
        if (end && request->len >= (gsize)(end + 4 - request->str) + wanted)
            return request;
        ssize_t n = read(fd, block, sizeof block);
        if (n <= 0)
            return request;
        g_string_append_len(request, block, n);
    }
}

static gboolean fake_has_header(const GString *request, const char *header)
{
    g_autofree char *line = g_strdup_printf("\r\n%s\r\n", header);
    return strstr(request->str, line) != NULL;
}

/* The answer, under the lock; NULL: none. */
static char *fake_answer(struct fake *f, const GString *request)
{
    int status = 404;
    const char *body = "<html>hunter2 not found</html>";
    g_string_append_printf(f->log, "%s\n", request->str);
    f->n_requests++;
    if (f->silent && f->silent--)
        return NULL;
    for (guint i = 0; i < f->routes->len; i++) {
        const struct fake_route *route = f->routes->pdata[i];
        g_autofree char *start = g_strconcat(route->line, " HTTP/1.1\r\n", NULL);
        if (!g_str_has_prefix(request->str, start))
            continue;
        gboolean allowed = !route->wants || fake_has_header(request, route->wants);
        status = allowed ? route->status : 401;
        body = allowed ? route->body : "hunter2 is refused";
    }
    if (f->busy && f->busy--)
        status = 503;
    return g_strdup_printf("HTTP/1.1 %d So\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status, strlen(body),
                           body);
}

static void fake_serve(struct fake *f, int fd)
{
    g_autoptr(GString) request = fake_read(fd);
    g_mutex_lock(&f->mutex);
    g_autofree char *answer = fake_answer(f, request);
    g_mutex_unlock(&f->mutex);
    /* Silent: until the client gives up. */
    char byte;
    if (!answer)
        while (read(fd, &byte, 1) > 0)
            ;
    for (gsize sent = 0; answer && answer[sent];) {
        ssize_t n = send(fd, answer + sent, strlen(answer + sent), MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (gsize)n;
    }
}

static void *fake_run(void *data)
{
    struct fake *f = data;
    for (;;) {
        int fd = accept(f->fd, NULL, NULL);
        g_mutex_lock(&f->mutex);
        gboolean ends = f->ends;
        g_mutex_unlock(&f->mutex);
        if (!ends && fd >= 0)
            fake_serve(f, fd);
        if (fd >= 0)
            close(fd);
        if (ends)
            return NULL;
    }
}

static void fake_begin(struct fake *f)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    memset(f, 0, sizeof *f);
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(f->fd, (struct sockaddr *)&at, sizeof at), ==, 0);
    g_assert_cmpint(listen(f->fd, 64), ==, 0);
    g_assert_cmpint(getsockname(f->fd, (struct sockaddr *)&at, &length), ==, 0);
    f->address = g_strdup_printf("http://127.0.0.1:%d", ntohs(at.sin_port));
    f->routes = g_ptr_array_new_with_free_func(fake_route_free);
    f->log = g_string_new(NULL);
    g_mutex_init(&f->mutex);
    f->thread = g_thread_new("fake", fake_run, f);
}

static void fake_end(struct fake *f)
{
    g_mutex_lock(&f->mutex);
    f->ends = TRUE;
    g_mutex_unlock(&f->mutex);
    shutdown(f->fd, SHUT_RDWR); /* wakes accept */
    g_thread_join(f->thread);
    close(f->fd);
    g_ptr_array_free(f->routes, TRUE);
    g_string_free(f->log, TRUE);
    g_mutex_clear(&f->mutex);
    g_free(f->address);
}

/* How many requests there were since the last call; the log begins anew. */
static G_GNUC_UNUSED guint fake_take_count(struct fake *f)
{
    g_mutex_lock(&f->mutex);
    guint n = f->n_requests;
    f->n_requests = 0;
    g_string_truncate(f->log, 0);
    g_mutex_unlock(&f->mutex);
    return n;
}

static G_GNUC_UNUSED void fake_assert_asked(struct fake *f, const char *text)
{
    g_mutex_lock(&f->mutex);
    if (!strstr(f->log->str, text))
        g_error("\"%s\" was not asked, but:\n%s", text, f->log->str);
    g_mutex_unlock(&f->mutex);
}

/* The time, as the chain under test sees it. */
static gint64 fake_time = 1800000000;

static gint64 fake_clock(void)
{
    return fake_time;
}

static G_GNUC_UNUSED char *fake_iso(gint64 seconds)
{
    g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(fake_time + seconds);
    return g_date_time_format(when, "%Y-%m-%dT%H:%M:%SZ");
}

/* What the services answer with: keys that last so long from now. */
static G_GNUC_UNUSED char *fake_json(const char *access_key, gint64 seconds)
{
    g_autofree char *expiration = fake_iso(seconds);
    return g_strdup_printf("{\"Code\": \"Success\", \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"%s-secret\", "
                           "\"Token\": \"%s-token\", \"Expiration\": \"%s\"}",
                           access_key, SECRET, SECRET, expiration);
}

static G_GNUC_UNUSED char *fake_xml(const char *access_key, gint64 seconds)
{
    g_autofree char *expiration = fake_iso(seconds);
    return g_strdup_printf("<R xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><S><Credentials>"
                           "<SessionToken>%s-token</SessionToken><SecretAccessKey>%s-secret</SecretAccessKey>"
                           "<Expiration>%s</Expiration><AccessKeyId>%s</AccessKeyId></Credentials></S></R>",
                           SECRET, SECRET, expiration, access_key);
}

/* A server, an empty folder for files, and settings under which nothing outside of them is asked. */
struct world {
    struct fake fake;
    char *folder, *config, *keys, *token;
    struct credentials_config settings;
    struct credential_chain *chain;
};

static void world_begin(struct world *w, gconstpointer data)
{
    (void)data;
    memset(w, 0, sizeof *w);
    fake_begin(&w->fake);
    fake_time = 1800000000;
    w->folder = g_dir_make_tmp("aws-XXXXXX", NULL);
    w->config = g_build_filename(w->folder, "config", NULL);
    w->keys = g_build_filename(w->folder, "credentials", NULL);
    w->token = g_build_filename(w->folder, "token", NULL);
    w->settings =
        (struct credentials_config){.config_file = w->config, .credentials_file = w->keys, .metadata_disabled = TRUE};
}

static void world_end(struct world *w, gconstpointer data)
{
    (void)data;
    credential_chain_free(w->chain);
    fake_end(&w->fake);
    g_unlink(w->config);
    g_unlink(w->keys);
    g_unlink(w->token);
    g_assert_cmpint(g_rmdir(w->folder), ==, 0);
    g_free(w->folder);
    g_free(w->config);
    g_free(w->keys);
    g_free(w->token);
}

static G_GNUC_UNUSED void world_write(const char *path, const char *text)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static struct credentials *world_get(struct world *w, gboolean renew, GError **error)
{
    if (!w->chain) {
        w->chain = credential_chain_new(&w->settings);
        credential_chain_set_clock(w->chain, fake_clock);
    }
    return credential_chain_get(w->chain, renew, error);
}

/* It must give these, from there. */
static G_GNUC_UNUSED void world_expect(struct world *w, gboolean renew, const char *access_key, const char *origin)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(credentials) c = world_get(w, renew, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(c->access_key, ==, access_key);
    g_assert_true(g_str_has_prefix(c->secret_key, SECRET));
    g_assert_cmpstr(c->source, ==, origin);
}

/* It must fail, with this in the message, and no secret. */
static G_GNUC_UNUSED void world_expect_failure(struct world *w, gboolean renew, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(credentials) c = world_get(w, renew, &error);
    g_assert_null(c);
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
    if (!strstr(error->message, text) || strstr(error->message, SECRET))
        g_error("\"%s\" was wanted, without \"%s\", but: %s", text, SECRET, error->message);
}

static G_GNUC_UNUSED void world_add(const char *path, void (*test)(struct world *, gconstpointer), gsize i)
{
    g_test_add(path, struct world, GSIZE_TO_POINTER(i), world_begin, test, world_end);
}
