/* Sessions and queries by libpq. */
#include "pg/session.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "pg/cancel.h"
#include "pg/connect.h"
#include "pg/message.h"
#include "pg/pooler.h"
#include "pg/prepare.h"
#include "pg/session_parts.h"
#include "pg/silence.h"

#define FIRST_ANSWER_S 60

/* Of what a server may set for us, only these can end a session before it is prepared. */
#define LIVE_OPTIONS "-c statement_timeout=0"
#define LIVE_OPTIONS_14 LIVE_OPTIONS " -c idle_session_timeout=0"

struct session {
    PGconn *pg;
    int socket; /* a copy: libpq closes its own where a call fails, and another file may get its number */
    struct conninfo conninfo;
    struct cancel *cancel;
    struct silence *silence;
    char *silent; /* atomic: why it was given up */
    int backend_pid;
    gboolean pooled, despite_interrupt;
    char *child_options; /* what prepare_session says children need; NULL: nothing */
    guint interrupt_id;
    char sqlstate[6];
};

/* ---- ending what does not answer ---- */

/* Whoever waits for an answer gets an error at once, and so does who sends. */
static void hang_up(void *data)
{
    struct session *s = data;
    shutdown(s->socket, SHUT_RDWR);
}

static void on_interrupt(void *data)
{
    struct session *s = data;
    cancel_send(s->cancel, INTERRUPT_GRACE_MS / 2 - interrupt_age_ms());
}

gboolean session_was_silent(struct session *s)
{
    return g_atomic_pointer_get(&s->silent) != NULL;
}

static void on_silence(void *data, const char *why)
{
    struct session *s = data;
    g_atomic_pointer_compare_and_exchange(&s->silent, NULL, g_strdup(why));
    hang_up(s);
}

static guint listen_to_interrupts(struct session *s, gboolean despite_one)
{
    struct interrupt_calls calls = {
        .at_once = despite_one ? NULL : on_interrupt,
        .after_grace = s->despite_interrupt ? NULL : hang_up,
        .at_last = hang_up,
    };
    return interrupt_add_calls(&calls, s);
}

/* ---- opening ---- */

static PGresult *ask_who(struct session *s, const struct connect_limit *limit)
{
    struct connect_limit bounded = *limit;
    if (!bounded.until_us)
        bounded.until_us = g_get_monotonic_time() + MIN(FIRST_ANSWER_S, silence_limit()) * (gint64)G_USEC_PER_SEC;
    static const char *const first[] = {PREPARE_FIRST};
    g_autofree char *sql = g_strdup_printf("SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_postmaster_start_time(),"
                                           " pg_catalog.current_setting('%s'), pg_catalog.current_setting('%s')",
                                           first[0], first[1]);
    return connect_ask(s->pg, sql, &bounded);
}

/* The first words with the server: who it is, and whether it will stay the same one. */
static gboolean meet_server(struct session *s, const struct connect_limit *limit, GError **error)
{
    g_autoptr(PGresult) who = ask_who(s, limit);
    if (PQresultStatus(who) != PGRES_TUPLES_OK)
        return session_fail(s, who, OT_CONNECT, "cannot connect to the database server", error);
    s->backend_pid = (int)g_ascii_strtoll(PQgetvalue(who, 0, 0), NULL, 10);
    s->pooled = s->backend_pid != PQbackendPID(s->pg);
    if (!pooler_check(s->pg, &s->conninfo, s->backend_pid, limit, error))
        return FALSE;
    struct silence_subject subject = {
        .conninfo = &s->conninfo,
        .backend_pid = s->backend_pid,
        .server_started = PQgetvalue(who, 0, 1),
        .end = on_silence,
        .data = s,
    };
    silence_free(s->silence);
    s->silence = silence_new(&subject);
    const char *const first[] = {PQgetvalue(who, 0, 2), PQgetvalue(who, 0, 3)};
    if (!prepare_session(s, first, &s->child_options, error))
        return FALSE;
    if (s->pooled && s->child_options && !pooler_takes_options(&s->conninfo, s->child_options, limit))
        g_clear_pointer(&s->child_options, g_free);
    return TRUE;
}

static struct session *connect_session(const struct conninfo *c, const struct connect_limit *limit,
                                       gboolean despite_interrupt, GError **error)
{
    PGconn *pg = connect_open(c, limit, NULL, error);
    if (!pg)
        return NULL;
    struct session *s = g_new0(struct session, 1);
    s->pg = pg;
    s->conninfo = conninfo_copy(c);
    s->socket = fcntl(PQsocket(pg), F_DUPFD_CLOEXEC, 3);
    s->cancel = cancel_new(pg);
    s->despite_interrupt = despite_interrupt;
    s->silence = silence_new(&(struct silence_subject){.conninfo = c, .end = on_silence, .data = s});
    s->interrupt_id = listen_to_interrupts(s, limit->despite_interrupt);
    return s;
}

/* A limit so short that it ended the session before it could be set: it is set with the connection. Not always, for
 * poolers do not know that way. */
static gboolean may_help(const struct session *s, const GError *problem)
{
    static const char *const ended_by_limits[] = {"57014", "57P05", NULL};
    return g_strv_contains(ended_by_limits, s->sqlstate) ||
           (PQstatus(s->pg) != CONNECTION_OK && g_error_matches(problem, OT_ERROR, OT_CONNECT));
}

static struct session *open_session(const struct pg_target *t, const char *dbname, gboolean despite_interrupt,
                                    GError **error)
{
    struct conninfo c = {0};
    struct connect_limit limit = {
        .until_us = t->timeout_s ? g_get_monotonic_time() + t->timeout_s * (gint64)G_USEC_PER_SEC : 0,
        .despite_interrupt = despite_interrupt && interrupt_signal() != 0,
    };
    g_autoptr(session) s = NULL;
    if (conninfo_fill(&c, t, dbname, error))
        s = connect_session(&c, &limit, despite_interrupt, error);
    GError *problem = NULL;
    gboolean ok = s && meet_server(s, &limit, &problem);
    if (s && !ok && !interrupt_signal() && may_help(s, problem)) {
        conninfo_add_options(&c, session_version(s) >= 140000 ? LIVE_OPTIONS_14 : LIVE_OPTIONS);
        session_free(s);
        g_clear_error(&problem);
        s = connect_session(&c, &limit, despite_interrupt, &problem);
        ok = s && meet_server(s, &limit, &problem);
    }
    conninfo_clear(&c);
    if (ok)
        return g_steal_pointer(&s);
    if (problem)
        g_propagate_error(error, problem);
    return NULL;
}

struct session *session_open(const struct pg_target *t, const char *dbname, GError **error)
{
    return open_session(t, dbname, FALSE, error);
}

struct session *session_open_despite_interrupt(const struct pg_target *t, const char *dbname, GError **error)
{
    return open_session(t, dbname, TRUE, error);
}

/* What a pooler gives to the next client is as we found it; most see to that themselves. */
static void leave_pool(struct session *s)
{
    struct connect_limit limit = {.until_us = g_get_monotonic_time() + G_USEC_PER_SEC};
    if (PQstatus(s->pg) == CONNECTION_OK && PQtransactionStatus(s->pg) == PQTRANS_IDLE)
        PQclear(connect_ask(s->pg, "DISCARD ALL", &limit));
}

void session_free(struct session *s)
{
    if (!s)
        return;
    interrupt_remove(s->interrupt_id);
    silence_free(s->silence);
    if (s->pooled)
        leave_pool(s);
    if (PQtransactionStatus(s->pg) == PQTRANS_ACTIVE || interrupt_time_is_over())
        hang_up(s); /* else libpq would say goodbye, and might have to wait for that */
    cancel_unref(s->cancel);
    PQfinish(s->pg);
    close(s->socket);
    conninfo_clear(&s->conninfo);
    g_free(s->silent);
    g_free(s->child_options);
    g_free(s);
}

void session_cancel(struct session *s)
{
    if (s)
        cancel_send(s->cancel, CANCEL_WAIT_MS);
}

const struct conninfo *session_conninfo(const struct session *s)
{
    return &s->conninfo;
}

const char *session_child_options(const struct session *s)
{
    return s->child_options;
}

gboolean session_is_pooled(const struct session *s)
{
    return s->pooled;
}

int session_backend_pid(const struct session *s)
{
    return s->backend_pid;
}

void session_wait_begins(struct session *s)
{
    silence_begin(s->silence);
}

void session_wait_ends(struct session *s)
{
    silence_end(s->silence);
}

PGconn *session_pg(struct session *s)
{
    return s->pg;
}

int session_version(struct session *s)
{
    return PQserverVersion(s->pg);
}

const char *session_database(struct session *s)
{
    return PQdb(s->pg);
}

gboolean session_can_utf8(struct session *s)
{
    static const char *const unknown[] = {"SQL_ASCII", "MULE_INTERNAL", NULL};
    return !g_strv_contains(unknown, PQparameterStatus(s->pg, "server_encoding"));
}

const char *session_sqlstate(const struct session *s)
{
    return s->sqlstate;
}

/* ---- queries ---- */

static const struct {
    const char *sqlstate; /* a prefix */
    enum ot_code code;
} sqlstates[] = {
    {"55P03", OT_LOCK_TIMEOUT}, {"40P01", OT_LOCK_TIMEOUT}, {"40001", OT_LOCK_TIMEOUT}, {"28", OT_CONNECT},
    {"53100", OT_SPACE},        {"57P", OT_CONNECT},        {"08", OT_CONNECT},
};

gboolean session_fail(struct session *s, const PGresult *result, enum ot_code code, const char *what, GError **error)
{
    if (!interrupt_check(error))
        return FALSE;
    const char *silent = g_atomic_pointer_get(&s->silent);
    if (silent)
        return ot_fail(error, OT_CONNECT, "%s: %s", what, silent);
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    g_strlcpy(s->sqlstate, state ? state : "", sizeof s->sqlstate);
    for (gsize i = 0; state && i < G_N_ELEMENTS(sqlstates); i++)
        if (g_str_has_prefix(state, sqlstates[i].sqlstate))
            code = sqlstates[i].code;
    g_autofree char *message = result ? message_of(result) : NULL;
    if (!message || !*message) {
        g_free(message);
        message = message_without_rows(PQerrorMessage(s->pg));
    }
    /* An error without a SQLSTATE is libpq's own: the connection is lost, whether its status says so yet or not. */
    if (PQstatus(s->pg) != CONNECTION_OK || (!state && PQresultStatus(result) == PGRES_FATAL_ERROR && result))
        code = OT_CONNECT;
    return ot_fail(error, code, "%s: %s", what, *message ? g_strstrip(message) : "no answer from the server");
}

/* The statement's first line, short enough for a message. */
static char *excerpt(const char *sql)
{
    g_autofree char *line = g_strndup(sql, strcspn(sql, "\n"));
    return strlen(line) > 80 ? g_strdup_printf("%.77s...", line) : g_steal_pointer(&line);
}

static gboolean ok_status(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

PGresult *session_run(struct session *s, const char *sql)
{
    session_wait_begins(s);
    PGresult *result = PQexec(s->pg, sql);
    session_wait_ends(s);
    return result;
}

gboolean session_exec(struct session *s, const char *sql, GError **error)
{
    g_autoptr(PGresult) result = session_run(s, sql);
    if (ok_status(result))
        return TRUE;
    g_autofree char *what = excerpt(sql);
    return session_fail(s, result, OT_FAILED, what, error);
}

gboolean session_set_lock_timeout(struct session *s, guint milliseconds, GError **error)
{
    return session_execf(s, error, "SET lock_timeout = %u", milliseconds);
}

gboolean session_execf(struct session *s, GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *sql = g_strdup_vprintf(format, args);
    va_end(args);
    return session_exec(s, sql, error);
}

PGresult *session_query(struct session *s, GError **error, const char *sql, int n_params, const char *const *params)
{
    session_wait_begins(s);
    PGresult *result = PQexecParams(s->pg, sql, n_params, NULL, params, NULL, NULL, 0);
    session_wait_ends(s);
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        return result;
    g_autofree char *what = excerpt(sql);
    session_fail(s, result, OT_FAILED, what, error);
    PQclear(result);
    return NULL;
}

gboolean session_get_text(struct session *s, GError **error, const char *sql, int n_params, const char *const *params,
                          char **ret_text)
{
    g_autoptr(PGresult) result = session_query(s, error, sql, n_params, params);
    if (!result)
        return FALSE;
    gboolean some = PQntuples(result) > 0 && !PQgetisnull(result, 0, 0);
    *ret_text = some ? g_strdup(PQgetvalue(result, 0, 0)) : NULL;
    return TRUE;
}

gboolean session_get_number(struct session *s, GError **error, const char *sql, int n_params, const char *const *params,
                            gint64 *ret_number)
{
    g_autofree char *text = NULL;
    if (!session_get_text(s, error, sql, n_params, params, &text))
        return FALSE;
    *ret_number = text ? g_ascii_strtoll(text, NULL, 10) : 0;
    return TRUE;
}

static char *take_pq(char *from_pq)
{
    char *copy = g_strdup(from_pq);
    PQfreemem(from_pq);
    return copy;
}

char *session_quote_name(struct session *s, const char *name)
{
    char *quoted = take_pq(PQescapeIdentifier(s->pg, name, strlen(name)));
    return quoted ? quoted : g_strdup("\"\""); /* not text in the connection's encoding: no such name */
}

char *session_quote_literal(struct session *s, const char *text)
{
    char *quoted = take_pq(PQescapeLiteral(s->pg, text, strlen(text)));
    return quoted ? quoted : g_strdup("NULL");
}

char *session_quote_pair(struct session *s, const char *schema, const char *name)
{
    g_autofree char *a = session_quote_name(s, schema);
    g_autofree char *b = session_quote_name(s, name);
    return g_strdup_printf("%s.%s", a, b);
}
