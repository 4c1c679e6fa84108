/*
 * A connection to PostgreSQL: made from DATABASE_URL and its parts, ended by interrupt, with the server's errors as
 * GErrors. Only pg/ knows libpq.
 */
#pragma once

#include <libpq-fe.h>

#include "base/error.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(PGresult, PQclear)

/* Where to connect. database, if set, is the one whatever else says so; then the URL wins, the parts fill what it
 * lacks, libpq's PG* variables and .pgpass fill the rest. */
struct pg_target {
    char *url, *host, *name, *user, *password;
    int port; /* 0: not given */
    char *database;
    int timeout_s; /* to connect; 0: connect_timeout, else 60 s */
};

void pg_target_clear(struct pg_target *t);
struct pg_target pg_target_copy(const struct pg_target *t);

/* The database that a connection would use, without connecting. NULL if the URL cannot be read (OT_USAGE). */
char *pg_target_database(const struct pg_target *t, GError **error);

/* The host and port that a connection would try first, without connecting; *ret_host NULL: libpq's own socket. To be
 * freed. */
gboolean pg_target_address(const struct pg_target *t, char **ret_host, int *ret_port, GError **error);

struct session;
typedef struct session session;

/* Connects, and prepares the session as all of ours are (pg/prepare.h): no time limits, no search path, the client
 * encoding is the database's, times in UTC, floats in full. dbname replaces the target's database if not NULL. OT_CONNECT if that fails, or takes longer than
 * connect_timeout (as libpq's parameter of that name; 60 s if it is not given). OT_INTERRUPTED at an interrupt, even
 * one that came before. */
struct session *session_open(const struct pg_target *t, const char *dbname, GError **error);

/* The same, to clean up: an interrupt that has come before neither ends this nor cancels what the session does, and one
 * that comes later only cancels. Until the time for cleaning up is over (base/interrupt.h). */
struct session *session_open_despite_interrupt(const struct pg_target *t, const char *dbname, GError **error);
void session_free(struct session *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(session, session_free)

PGconn *session_pg(struct session *s);
int session_version(struct session *s); /* e.g. 150020 */
const char *session_database(struct session *s);

/* When the server's certificate ends, seconds since 1970; 0: the connection has no TLS, or it does not say. */
gint64 session_certificate_until(struct session *s);

/* The pid of the session's process on the server. (PQbackendPID is what a pooler invents, where there is one.) */
int session_backend_pid(const struct session *s);

/* Runs SQL (several statements are fine): the last result, which is not checked. */
PGresult *session_run(struct session *s, const char *sql);

/* Whether the session was given up because the server said nothing for too long. */
gboolean session_was_silent(struct session *s);

/* Around a call of libpq that waits for the server: if it is silent for too long, the call fails (pg/silence.h). */
void session_wait_begins(struct session *s);
void session_wait_ends(struct session *s);

/* Runs SQL (several statements are fine) and checks each result. */
gboolean session_exec(struct session *s, const char *sql, GError **error);
gboolean session_execf(struct session *s, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Locks that cannot be had in so many milliseconds are OT_LOCK_TIMEOUT; 0: they are waited for. */
gboolean session_set_lock_timeout(struct session *s, guint milliseconds, GError **error);

/* One statement with text parameters ($1...), which must return rows. NULL on failure. */
PGresult *session_query(struct session *s, GError **error, const char *sql, int n_params, const char *const *params);

/* The first column of the first row; NULL (no error) if there is none or it is null. */
gboolean session_get_text(struct session *s, GError **error, const char *sql, int n_params, const char *const *params,
                          char **ret_text);
gboolean session_get_number(struct session *s, GError **error, const char *sql, int n_params, const char *const *params,
                            gint64 *ret_number);

/* Quoted by libpq; the caller frees it. */
char *session_quote_name(struct session *s, const char *name);
char *session_quote_literal(struct session *s, const char *text);

/* "schema"."name" */
char *session_quote_pair(struct session *s, const char *schema, const char *name);

/* Asks the server to stop what this session is doing; thread-safe; takes a second at most. */
void session_cancel(struct session *s);

/* Whether the server can convert the database's encoding to UTF-8. */
gboolean session_can_utf8(struct session *s);

/* The SQLSTATE of the last failure that session_fail reported ("42P01"); "" if there was none. */
const char *session_sqlstate(const struct session *s);

/* *error from the connection's last failure; CODE unless the SQLSTATE says more. Returns FALSE. result may be NULL. */
gboolean session_fail(struct session *s, const PGresult *result, enum ot_code code, const char *what, GError **error);

/* The name under which children of ours appear in pg_stat_activity, and sessions that ask for it: unique to this run.
 */
const char *session_run_name(void);

/* Environment for a child like pg_dump to connect as this session does, and with settings as it has them where the
 * child does not set its own: the caller's environment with PG* set.
 * helpful_options: further server settings that help but are not needed, "-c name=value ...", or NULL. */
char **session_child_environment(struct session *s, const char *helpful_options);

/* What to give a child as its -d: names the database, and holds no secret. */
char *session_child_conninfo(struct session *s, const char *dbname);
