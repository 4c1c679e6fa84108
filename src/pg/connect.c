/* libpq's own calls cannot be interrupted while the server says nothing: so these go step by step. */
#include "pg/connect.h"

#include <poll.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/secrets.h"
#include "pg/silence.h"

#define CONNECT_TIMEOUT_S 60
#define POLL_MS 100

/* "connection to server at ... failed: FATAL:  x" becomes "psql: FATAL: x (connection to ...)": the guide's wording,
 * the cause first. */
static gboolean connect_failed(PGconn *pg, GError **error)
{
    g_autofree char *valid = g_utf8_make_valid(PQerrorMessage(pg), -1);
    g_autofree char *all = secrets_clean(valid);
    g_strstrip(all);
    char *fatal = strstr(all, "FATAL:");
    if (!fatal)
        return ot_fail(error, OT_CONNECT, "cannot connect to the database server: %s", *all ? all : "out of memory");
    g_autofree char *where = g_strndup(all, (gsize)(fatal - all));
    g_strchomp(where);
    if (g_str_has_suffix(where, " failed:"))
        where[strlen(where) - strlen(" failed:")] = '\0';
    return ot_fail(error, OT_CONNECT, "psql: FATAL: %s (%s)", g_strchug(fatal + strlen("FATAL:")), where);
}

static gint64 connect_timeout_us(PGconn *pg)
{
    gint64 seconds = 0;
    PQconninfoOption *options = PQconninfo(pg);
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (g_str_equal(o->keyword, "connect_timeout") && o->val)
            seconds = g_ascii_strtoll(o->val, NULL, 10);
    PQconninfoFree(options);
    return (seconds > 0 ? seconds : MIN(CONNECT_TIMEOUT_S, silence_limit())) * G_USEC_PER_SEC;
}

static gboolean may_go_on(const struct connect_limit *limit, GError **error)
{
    return !interrupt_ends(limit->despite_interrupt) || interrupt_check(error);
}

static gboolean connect_in_steps(PGconn *pg, const struct connect_limit *limit, gboolean *ret_silent, GError **error)
{
    gint64 until = limit->until_us ? limit->until_us : g_get_monotonic_time() + connect_timeout_us(pg);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (PQstatus(pg) != CONNECTION_BAD && status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        struct pollfd p = {PQsocket(pg), status == PGRES_POLLING_READING ? POLLIN : POLLOUT, 0};
        int ready = poll(&p, 1, POLL_MS);
        if (!may_go_on(limit, error))
            return FALSE;
        if (ready > 0) {
            status = PQconnectPoll(pg);
        } else if (g_get_monotonic_time() > until) {
            *ret_silent = TRUE;
            return ot_fail(error, OT_CONNECT, "cannot connect to the database server: no answer from %s in time",
                           PQhost(pg) && *PQhost(pg) ? PQhost(pg) : "it");
        }
    }
    return PQstatus(pg) == CONNECTION_OK || connect_failed(pg, error);
}

static void drop_notice(void *data, const PGresult *result)
{
    (void)data;
    (void)result;
}

PGconn *connect_open(const struct conninfo *c, const struct connect_limit *limit, gboolean *ret_silent, GError **error)
{
    gboolean unused;
    gboolean *silent = ret_silent ? ret_silent : &unused;
    *silent = FALSE;
    PGconn *pg =
        PQconnectStartParams((const char *const *)c->keywords->pdata, (const char *const *)c->values->pdata, 0);
    if (!pg) {
        ot_fail(error, OT_CONNECT, "cannot connect to the database server: out of memory");
        return NULL;
    }
    PQsetNoticeReceiver(pg, drop_notice, NULL);
    if (!connect_in_steps(pg, limit, silent, error)) {
        PQfinish(pg);
        return NULL;
    }
    return pg;
}

PGresult *connect_ask(PGconn *pg, const char *sql, const struct connect_limit *limit)
{
    PGresult *last = NULL;
    if (!PQsendQuery(pg, sql))
        return PQmakeEmptyPGresult(pg, PGRES_FATAL_ERROR);
    for (;;) {
        while (PQisBusy(pg)) {
            struct pollfd p = {PQsocket(pg), POLLIN, 0};
            gboolean over = g_get_monotonic_time() > limit->until_us || !may_go_on(limit, NULL);
            if (over || (poll(&p, 1, POLL_MS) > 0 && !PQconsumeInput(pg))) {
                PQclear(last);
                return over ? NULL : PQmakeEmptyPGresult(pg, PGRES_FATAL_ERROR);
            }
        }
        PGresult *next = PQgetResult(pg);
        if (!next)
            return last;
        PQclear(last);
        last = next;
    }
}
