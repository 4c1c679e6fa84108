/* The HTTP server: libmicrohttpd with limits, each request judged, answered and counted. */
#include <fcntl.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "web/access.h"
#include "web/certificate.h"
#include "web/guard.h"
#include "web/routes.h"

#define THREADS 4
#define HEADER_BYTES 16384u /* of one connection: request line, headers and the answer's headers */
#define IDLE_S 15u
#define LOOK_S 2      /* at the certificate's files */
#define LEAVE_S 90    /* to those who are connected under the last one: longer than guard.c lets a request take */
#define MHD_SLACK 64u /* more connections than the guard lets live: those it has just ended are still closing */

struct server {
    const struct web_config *config;
    struct address address;
    struct guard *guard;
    struct sight_feeds *feeds;
    int listener; /* the daemons have copies of it */
    struct certificate_files files;
    struct MHD_Daemon *daemon;
    struct MHD_Daemon *leaving; /* has the certificate before, and takes nobody new; NULL: there is none */
    gint64 leave_us;            /* when it ends at the latest */
    GMutex mutex;
    GCond ended;
    gboolean stop;
    gint64 warned_us; /* when a refusal was last reported */
};

/* ---- answers ---- */

static const char *const safe_headers[][2] = {
    {"Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
                                "base-uri 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-store"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
};

/* Takes the body. */
static struct MHD_Response *new_response(GString *body, const char *type)
{
    gsize length = body->len;
    struct MHD_Response *r =
        MHD_create_response_from_buffer_with_free_callback(length, g_string_free(body, FALSE), g_free);
    MHD_add_response_header(r, "Content-Type", type);
    for (gsize i = 0; i < G_N_ELEMENTS(safe_headers); i++)
        MHD_add_response_header(r, safe_headers[i][0], safe_headers[i][1]);
    return r;
}

static enum MHD_Result send_response(struct MHD_Connection *connection, guint status, struct MHD_Response *r)
{
    enum MHD_Result sent = MHD_queue_response(connection, status, r);
    MHD_destroy_response(r);
    return sent;
}

static struct MHD_Response *plain(const char *text)
{
    return new_response(g_string_new(text), "text/plain; charset=utf-8");
}

static enum MHD_Result refuse_method(struct MHD_Connection *connection)
{
    struct MHD_Response *r = plain("This dashboard only shows: GET and HEAD are all it knows.\n");
    MHD_add_response_header(r, "Allow", "GET, HEAD");
    MHD_add_response_header(r, "Connection", "close");
    return send_response(connection, 405, r);
}

/* ---- refusals ---- */

#define WARN_EVERY_S 60

/* At most once a minute, so that whoever guesses does not fill the log. */
static void report_refusal(struct server *s, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    gint64 now = g_get_monotonic_time();
    g_mutex_lock(&s->mutex);
    gboolean due = !s->warned_us || now - s->warned_us > (gint64)WARN_EVERY_S * G_USEC_PER_SEC;
    if (due) {
        s->warned_us = now;
        g_autofree char *peer = info ? address_text(info->client_addr) : g_strdup("?");
        report_warn(s->config->report, "refused a request from %s: wrong token or password", peer);
    }
    g_mutex_unlock(&s->mutex);
}

static enum MHD_Result deny(struct server *s, struct MHD_Connection *connection, gboolean tried)
{
    struct MHD_Response *r = plain("Token or password, please.\n");
    MHD_add_response_header(r, "WWW-Authenticate", "Basic realm=\"OpsTower Backup\", charset=\"UTF-8\"");
    if (tried)
        report_refusal(s, connection);
    return send_response(connection, 401, r);
}

/* ---- requests ---- */

static enum MHD_Result serve_route(struct server *s, struct MHD_Connection *connection, const char *path,
                                   const struct route *route, const char *rest)
{
    struct view v = {.config = s->config, .connection = connection, .path = path, .rest = rest};
    GString *body = g_string_new(NULL);
    if (!route || route->looks)
        sight_look(s->feeds, route && route->retention, &v.sight);
    guint status = route ? route->write(&v, body) : routes_not_found(&v, body);
    sight_clear(&v.sight);
    return send_response(connection, status, new_response(body, route ? route->type : "text/html; charset=utf-8"));
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result serve_request(struct server *s, struct MHD_Connection *connection, const char *path,
                                     const char *method)
{
    const char *rest, *authorization = header(connection, "Authorization");
    const struct route *route = routes_find(path, &rest);
    switch (access_judge(s->config, &s->address, header(connection, "Host"), authorization, route && route->open)) {
    case ACCESS_MISDIRECTED:
        return send_response(connection, 421,
                             plain("This dashboard does not go by that name. DASHBOARD_HOSTS can add it.\n"));
    case ACCESS_DENIED:
        return deny(s, connection, authorization != NULL);
    case ACCESS_GRANTED:
        break;
    }
    if (!g_str_equal(method, MHD_HTTP_METHOD_GET) && !g_str_equal(method, MHD_HTTP_METHOD_HEAD))
        return refuse_method(connection);
    if (!g_utf8_validate(path, -1, NULL))
        return send_response(connection, 400, plain("That address is not UTF-8.\n"));
    return serve_route(s, connection, path, route, rest);
}

static struct guard_entry *entry_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static gboolean announces_body(struct MHD_Connection *connection)
{
    const char *length = header(connection, "Content-Length");
    return header(connection, "Transfer-Encoding") || (length && !g_str_equal(length, "0"));
}

/* Called when the header is whole, and again when the request is. An answer to the first call ends the connection, so
 * that a body, which no request of ours has, is not read. */
static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **context)
{
    (void)version;
    (void)upload;
    (void)upload_size;
    static char begun;
    struct server *s = data;
    if (!*context && !announces_body(connection)) {
        *context = &begun;
        return MHD_YES;
    }
    struct guard_entry *e = entry_of(connection);
    if (e)
        guard_answering(s->guard, e);
    return serve_request(s, connection, url, method);
}

static void on_answered(void *data, struct MHD_Connection *connection, void **context,
                        enum MHD_RequestTerminationCode why)
{
    (void)context;
    (void)why;
    struct guard_entry *e = entry_of(connection);
    if (e)
        guard_waiting(((struct server *)data)->guard, e);
}

static void on_connection(void *data, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct server *s = data;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        const union MHD_ConnectionInfo *peer = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        *context = guard_enter(s->guard, fd->connect_fd, peer->client_addr);
    } else if (*context) {
        guard_leave(s->guard, *context);
        *context = NULL;
    }
}

/* ---- start and end ---- */

static void warn_readable(const struct web_config *config)
{
    struct stat st;
    if (stat(config->key_file, &st) == 0 && (st.st_mode & 077))
        report_warn(config->report, "other users can read the private key %s (mode %03o); chmod 600 it",
                    config->key_file, (unsigned)st.st_mode & 0777);
}

/* NULL: failed. */
static struct MHD_Daemon *start(struct server *s, const struct certificate_text *pem, GError **error)
{
    const char *certificate = pem->certificate, *key = pem->key;
    unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC | (key ? MHD_USE_TLS : 0);
    int fd = fcntl(s->listener, F_DUPFD_CLOEXEC, 0);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    struct MHD_Daemon *daemon =
        fd < 0
            ? NULL
            : MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
                               MHD_OPTION_THREAD_POOL_SIZE, THREADS, MHD_OPTION_CONNECTION_LIMIT,
                               GUARD_MAX_CONNECTIONS + MHD_SLACK, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                               (size_t)HEADER_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
                               MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, on_answered,
                               s, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, key ? tls : none, MHD_OPTION_END);
    if (daemon)
        return daemon;
    if (fd >= 0)
        close(fd);
    ot_fail(error, OT_PREREQUISITE,
            key ? "the server could not be started: certificate and key are not a pair "
                  "of PEM files, or threads cannot be made"
                : "the server could not be started: no threads or descriptors");
    return NULL;
}

/* Connections that are there go on: they are asked to come again, or end by themselves. */
static void let_go(struct server *s)
{
    if (s->leaving)
        MHD_stop_daemon(s->leaving);
    s->leaving = s->daemon;
    s->leave_us = g_get_monotonic_time() + LEAVE_S * G_USEC_PER_SEC;
    int fd = MHD_quiesce_daemon(s->leaving);
    if (fd >= 0)
        close(fd);
}

static void end_left(struct server *s)
{
    const union MHD_DaemonInfo *info =
        s->leaving ? MHD_get_daemon_info(s->leaving, MHD_DAEMON_INFO_CURRENT_CONNECTIONS) : NULL;
    if (!s->leaving || (info && info->num_connections > 0 && g_get_monotonic_time() < s->leave_us))
        return;
    MHD_stop_daemon(s->leaving);
    s->leaving = NULL;
}

/* A new pair that cannot be used changes nothing, and is told once. */
static void look_at_certificate(struct server *s)
{
    g_autoptr(GError) problem = NULL;
    struct certificate_text pem;
    end_left(s);
    if (!certificate_is_new(&s->files))
        return;
    struct MHD_Daemon *fresh = certificate_read(&s->files, &pem, &problem) ? start(s, &pem, &problem) : NULL;
    certificate_text_clear(&pem);
    if (!fresh) {
        report_warn(s->config->report,
                    "The files for TLS have changed, and cannot be used; the certificate before them stays: %s",
                    problem->message);
        return;
    }
    let_go(s);
    s->daemon = fresh;
    warn_readable(s->config);
    report_info(s->config->report, "The new certificate in %s is used", s->config->certificate_file);
}

static gboolean start_listening(struct server *s, GError **error)
{
    const struct web_config *config = s->config;
    struct certificate_text pem;
    if (!config->certificate_file != !config->key_file)
        return ot_fail(error, OT_USAGE, "--tls-cert and --tls-key go together: one of them is not set");
    s->files = (struct certificate_files){.certificate = config->certificate_file, .key = config->key_file};
    if (!certificate_read(&s->files, &pem, error))
        return FALSE;
    if (config->key_file)
        warn_readable(config);
    s->listener = address_listen(&s->address, error);
    if (s->listener >= 0)
        s->daemon = start(s, &pem, error);
    certificate_text_clear(&pem);
    return s->daemon != NULL;
}

static void on_signal(void *data)
{
    struct server *s = data;
    g_mutex_lock(&s->mutex);
    s->stop = TRUE;
    g_cond_signal(&s->ended);
    g_mutex_unlock(&s->mutex);
}

static void wait_for_end(struct server *s)
{
    guint id = interrupt_add(on_signal, s);
    g_mutex_lock(&s->mutex);
    while (!s->stop) {
        gint64 next = g_get_monotonic_time() + LOOK_S * G_USEC_PER_SEC;
        if (g_cond_wait_until(&s->ended, &s->mutex, next))
            continue;
        g_mutex_unlock(&s->mutex); /* requests that are answered meanwhile need it */
        look_at_certificate(s);
        g_mutex_lock(&s->mutex);
    }
    g_mutex_unlock(&s->mutex);
    interrupt_remove(id);
}

static void tell_address(const struct server *s)
{
    gboolean six = strchr(s->address.host, ':') != NULL;
    report_info(s->config->report, "Dashboard at %s://%s%s%s:%u/", s->config->key_file ? "https" : "http",
                six ? "[" : "", s->address.host, six ? "]" : "", s->address.port);
    if (!s->address.loopback && !s->config->key_file)
        report_warn(s->config->report, "without TLS, passwords and pages cross the network readable: give --tls-cert "
                                       "and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS");
}

gboolean web_serve(const struct web_config *config, GError **error)
{
    struct server s = {.config = config, .listener = -1};
    if (!address_parse(&s.address, config->listen, error))
        return FALSE;
    g_mutex_init(&s.mutex);
    g_cond_init(&s.ended);
    s.guard = guard_new();
    s.feeds = sight_feeds_new(config);
    gboolean ok = access_check_settings(config, &s.address, error) && start_listening(&s, error);
    if (ok) {
        tell_address(&s);
        wait_for_end(&s);
        if (s.leaving)
            MHD_stop_daemon(s.leaving);
        MHD_stop_daemon(s.daemon);
        report_info(config->report, "Dashboard ended");
    }
    if (s.listener >= 0)
        close(s.listener);
    certificate_files_clear(&s.files);
    guard_free(s.guard);
    sight_feeds_free(s.feeds);
    address_clear(&s.address);
    g_mutex_clear(&s.mutex);
    g_cond_clear(&s.ended);
    return ok;
}
