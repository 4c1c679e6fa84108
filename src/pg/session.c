/* Connections and queries by libpq. */
#include "pg/session.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "pg/prepare.h"

struct session {
    PGconn *pg;
    PGcancel *cancel;
    char *child_options; /* what prepare_session says children need; NULL: nothing */
    guint interrupt_id;
    char sqlstate[6];
};

#define CONNECT_TIMEOUT_S 60
#define CONNECT_POLL_MS 200
#define STANDARD_PORT 5432

void pg_target_clear(struct pg_target *t)
{
    g_free(t->url);
    g_free(t->host);
    g_free(t->name);
    g_free(t->user);
    g_free(t->password);
    g_free(t->database);
    memset(t, 0, sizeof *t);
}

struct pg_target pg_target_copy(const struct pg_target *t)
{
    return (struct pg_target){g_strdup(t->url),      g_strdup(t->host), g_strdup(t->name),     g_strdup(t->user),
                              g_strdup(t->password), t->port,           g_strdup(t->database), t->timeout_s};
}

/* ---- connection parameters ---- */

struct params {
    GPtrArray *keywords, *values;
};

static void params_set(struct params *p, const char *keyword, const char *value)
{
    for (guint i = 0; i < p->keywords->len; i++)
        if (g_str_equal(p->keywords->pdata[i], keyword))
            return;
    if (!value || !*value)
        return;
    g_ptr_array_add(p->keywords, g_strdup(keyword));
    g_ptr_array_add(p->values, g_strdup(value));
}

static void params_clear(struct params *p)
{
    g_ptr_array_unref(p->keywords);
    g_ptr_array_unref(p->values);
}

/* The first to set a keyword wins: the override, the URL, the parts. */
static gboolean params_fill(struct params *p, const struct pg_target *t, const char *dbname, GError **error)
{
    p->keywords = g_ptr_array_new_with_free_func(g_free);
    p->values = g_ptr_array_new_with_free_func(g_free);
    params_set(p, "dbname", dbname ? dbname : t->database);
    if (t->url) {
        char *message = NULL;
        PQconninfoOption *options = PQconninfoParse(t->url, &message);
        if (!options) {
            ot_fail(error, OT_USAGE, "DATABASE_URL cannot be read: %s",
                    message ? g_strchomp(message) : "out of memory");
            PQfreemem(message);
            return FALSE;
        }
        for (PQconninfoOption *o = options; o->keyword; o++)
            params_set(p, o->keyword, o->val);
        PQconninfoFree(options);
    }
    g_autofree char *port = t->port ? g_strdup_printf("%d", t->port) : NULL;
    params_set(p, "host", t->host);
    params_set(p, "port", port);
    params_set(p, "dbname", t->name);
    params_set(p, "user", t->user);
    params_set(p, "password", t->password);
    params_set(p, "fallback_application_name", "opstower");
    g_ptr_array_add(p->keywords, NULL);
    g_ptr_array_add(p->values, NULL);
    return TRUE;
}

static const char *params_get(const struct params *p, const char *keyword)
{
    for (guint i = 0; i + 1 < p->keywords->len; i++)
        if (g_str_equal(p->keywords->pdata[i], keyword))
            return p->values->pdata[i];
    return NULL;
}

static char *default_value(const char *keyword)
{
    char *result = NULL;
    PQconninfoOption *defaults = PQconndefaults();
    for (PQconninfoOption *o = defaults; o && o->keyword; o++)
        if (g_str_equal(o->keyword, keyword))
            result = g_strdup(o->val);
    PQconninfoFree(defaults);
    return result;
}

char *pg_target_database(const struct pg_target *t, GError **error)
{
    struct params p = {0};
    char *name = NULL;
    if (params_fill(&p, t, NULL, error)) {
        name = g_strdup(params_get(&p, "dbname"));
        if (!name)
            name = default_value("dbname");
        if (!name)
            name = g_strdup(params_get(&p, "user"));
        if (!name)
            name = default_value("user");
        if (!name)
            ot_fail(error, OT_USAGE, "no database is named: set DATABASE_URL or DATABASE_NAME");
    }
    params_clear(&p);
    return name;
}

/* The first of several; a server that is named by its address alone has that as its name. */
static char *first_of(const struct params *p, const char *keyword)
{
    const char *given = params_get(p, keyword);
    g_autofree char *all = given ? g_strdup(given) : default_value(keyword);
    g_auto(GStrv) parts = all ? g_strsplit(all, ",", 2) : NULL;
    return parts && parts[0] && *parts[0] ? g_strdup(parts[0]) : NULL;
}

gboolean pg_target_address(const struct pg_target *t, char **ret_host, int *ret_port, GError **error)
{
    struct params p = {0};
    gboolean ok = params_fill(&p, t, NULL, error);
    if (ok) {
        g_autofree char *port = first_of(&p, "port");
        *ret_host = first_of(&p, "host");
        *ret_host = *ret_host ? *ret_host : first_of(&p, "hostaddr");
        *ret_port = port ? (int)g_ascii_strtoll(port, NULL, 10) : STANDARD_PORT;
    }
    params_clear(&p);
    return ok;
}

/* ---- connecting ---- */

/* "connection to server at ... failed: FATAL:  x" becomes "psql: FATAL: x (connection to ...)": the guide's wording,
 * the cause first. */
static gboolean connect_failed(PGconn *pg, GError **error)
{
    g_autofree char *all = g_utf8_make_valid(PQerrorMessage(pg), -1);
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

static void on_interrupt(void *data)
{
    session_cancel(data);
}

static void drop_notice(void *data, const PGresult *result)
{
    (void)data;
    (void)result;
}

static gint64 connect_timeout_us(PGconn *pg)
{
    gint64 seconds = 0;
    PQconninfoOption *options = PQconninfo(pg);
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (g_str_equal(o->keyword, "connect_timeout") && o->val)
            seconds = g_ascii_strtoll(o->val, NULL, 10);
    PQconninfoFree(options);
    return (seconds > 0 ? seconds : CONNECT_TIMEOUT_S) * G_USEC_PER_SEC;
}

/* libpq's own connecting cannot be interrupted while the server says nothing: so it is done in steps. */
static gboolean connect_in_steps(PGconn *pg, int timeout_s, gboolean despite_interrupt, GError **error)
{
    gint64 until = g_get_monotonic_time() + (timeout_s ? timeout_s * G_USEC_PER_SEC : connect_timeout_us(pg));
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (PQstatus(pg) != CONNECTION_BAD && status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        struct pollfd p = {PQsocket(pg), status == PGRES_POLLING_READING ? POLLIN : POLLOUT, 0};
        int ready = poll(&p, 1, CONNECT_POLL_MS);
        if (!despite_interrupt && !interrupt_check(error))
            return FALSE;
        if (ready > 0)
            status = PQconnectPoll(pg);
        else if (g_get_monotonic_time() > until)
            return ot_fail(error, OT_CONNECT, "cannot connect to the database server: no answer from %s in time",
                           PQhost(pg) && *PQhost(pg) ? PQhost(pg) : "it");
    }
    return PQstatus(pg) == CONNECTION_OK || connect_failed(pg, error);
}

static struct session *open_session(const struct pg_target *t, const char *dbname, gboolean despite_interrupt,
                                    GError **error)
{
    struct params p = {0};
    PGconn *pg = NULL;
    if (params_fill(&p, t, dbname, error))
        pg = PQconnectStartParams((const char *const *)p.keywords->pdata, (const char *const *)p.values->pdata, 0);
    params_clear(&p);
    if (!pg)
        return NULL;
    if (!connect_in_steps(pg, t->timeout_s, despite_interrupt, error)) {
        PQfinish(pg);
        return NULL;
    }
    PQsetNoticeReceiver(pg, drop_notice, NULL);
    struct session *s = g_new0(struct session, 1);
    s->pg = pg;
    s->cancel = PQgetCancel(pg);
    if (!despite_interrupt)
        s->interrupt_id = interrupt_add(on_interrupt, s);
    if (!prepare_session(s, &s->child_options, error)) {
        session_free(s);
        return NULL;
    }
    return s;
}

struct session *session_open(const struct pg_target *t, const char *dbname, GError **error)
{
    return open_session(t, dbname, FALSE, error);
}

struct session *session_open_despite_interrupt(const struct pg_target *t, const char *dbname, GError **error)
{
    return open_session(t, dbname, interrupt_signal() != 0, error);
}

void session_free(struct session *s)
{
    if (!s)
        return;
    if (s->interrupt_id)
        interrupt_remove(s->interrupt_id);
    PQfreeCancel(s->cancel);
    PQfinish(s->pg);
    g_free(s->child_options);
    g_free(s);
}

void session_cancel(struct session *s)
{
    char unused[256];
    if (s && s->cancel)
        PQcancel(s->cancel, unused, sizeof unused);
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
    {"55P03", OT_LOCK_TIMEOUT}, {"40P01", OT_LOCK_TIMEOUT}, {"28", OT_CONNECT},
    {"53100", OT_SPACE},        {"57P", OT_CONNECT},        {"08", OT_CONNECT},
};

gboolean session_fail(struct session *s, const PGresult *result, enum ot_code code, const char *what, GError **error)
{
    if (!interrupt_check(error))
        return FALSE;
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    g_strlcpy(s->sqlstate, state ? state : "", sizeof s->sqlstate);
    for (gsize i = 0; state && i < G_N_ELEMENTS(sqlstates); i++)
        if (g_str_has_prefix(state, sqlstates[i].sqlstate))
            code = sqlstates[i].code;
    const char *text = result ? PQresultErrorMessage(result) : "";
    g_autofree char *message = g_utf8_make_valid(*text ? text : PQerrorMessage(s->pg), -1);
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

gboolean session_exec(struct session *s, const char *sql, GError **error)
{
    g_autoptr(PGresult) result = PQexec(s->pg, sql);
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
    PGresult *result = PQexecParams(s->pg, sql, n_params, NULL, params, NULL, NULL, 0);
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

/* ---- children ---- */

const char *session_run_name(void)
{
    static char *name;
    static gsize made;
    if (g_once_init_enter(&made)) {
        name = g_strdup_printf("opstower %d-%08x", (int)getpid(), g_random_int());
        g_once_init_leave(&made, 1);
    }
    return name;
}

/* The server lets the last one win. */
static char *join_options(const char *given, const char *needed, const char *more)
{
    g_autofree char *all = g_strdup_printf("%s %s %s", given ? given : "", needed ? needed : "", more ? more : "");
    return g_strdup(g_strstrip(all));
}

char **session_child_environment(struct session *s, const char *more_options)
{
    char **environment = g_get_environ();
    PQconninfoOption *options = PQconninfo(s->pg);
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (o->envvar && o->val && *o->val)
            environment = g_environ_setenv(environment, o->envvar, o->val, TRUE);
    PQconninfoFree(options);
    const char *given = g_environ_getenv(environment, "PGOPTIONS");
    g_autofree char *all = join_options(given, s->child_options, more_options);
    if (*all)
        environment = g_environ_setenv(environment, "PGOPTIONS", all, TRUE);
    environment = g_environ_setenv(environment, "PGAPPNAME", session_run_name(), TRUE);
    environment = g_environ_unsetenv(environment, "PGDATABASE");
    environment =
        g_environ_setenv(environment, "PGTZ", "UTC", TRUE); /* times as SQL text, whatever the server's zone */
    return g_environ_setenv(environment, "LC_MESSAGES", "C", TRUE);
}

static void append_conninfo(GString *out, const char *keyword, const char *value)
{
    g_string_append_printf(out, "%s%s='", out->len ? " " : "", keyword);
    for (const char *c = value; *c; c++) {
        if (*c == '\'' || *c == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *c);
    }
    g_string_append_c(out, '\'');
}

/* Options that no variable carries go here; secrets all have a variable or are left out. */
char *session_child_conninfo(struct session *s, const char *dbname)
{
    GString *out = g_string_new(NULL);
    append_conninfo(out, "dbname", dbname ? dbname : PQdb(s->pg));
    PQconninfoOption *options = PQconninfo(s->pg);
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        gboolean shown = o->dispchar[0] == '\0' && !strstr(o->keyword, "password");
        if (!o->envvar && o->val && *o->val && shown && !g_str_equal(o->keyword, "fallback_application_name"))
            append_conninfo(out, o->keyword, o->val);
    }
    PQconninfoFree(options);
    return g_string_free(out, FALSE);
}
