/* Locks, then the snapshot, then a look whether both fit; and the watch for those who wait for us. */
#include "pg/snapshot.h"

#include <string.h>

#define LOCKS_PER_STATEMENT 200
#define TRIES 20
#define WATCH_PERIOD_MS 500

/* What pg_dump locks: ordinary and partitioned tables outside the system's schemas. The third column, whether we may
 * read (and so lock) it, looks at the present and not at the snapshot: it is null for a table dropped since. */
#define TABLES_SQL                                                                                                     \
    "SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname),"                                           \
    " pg_catalog.has_table_privilege(c.oid, 'SELECT')"                                                                 \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                             \
    " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1"

struct snapshot {
    struct session *session;
    char *id;
    gint64 time;
    guint lock_timeout_ms;
    /* the watch */
    GThread *watcher;
    struct session *watch_session;
    GMutex mutex; /* of the rest */
    GCond stop_cond;
    gboolean stop;
    char *gave_way_to;
};

struct session *snapshot_open_for_rows(const struct pg_target *t, const char *dbname, const char *encoding,
                                       GError **error)
{
    g_autoptr(session) s = session_open(t, dbname, error);
    if (!s)
        return NULL;
    g_autofree char *literal = session_quote_literal(s, encoding ? encoding : "UTF8");
    if (!session_execf(s, error, "SET client_encoding = %s", literal))
        return NULL;
    return g_steal_pointer(&s);
}

/* ---- the watch ---- */

/* Who waits for an exclusive lock on a table that the first session has locked; pg_locks shows this to every role. All
 * our sessions and children read the same tables, so to watch the first one is enough. */
#define WAITERS_SQL                                                                                                    \
    "SELECT w.pid, max(w.relation::regclass::text) FROM pg_catalog.pg_locks w"                                         \
    " JOIN pg_catalog.pg_locks h ON h.locktype = 'relation' AND h.database = w.database AND h.relation = w.relation"   \
    " AND h.granted AND h.pid = $1::int"                                                                               \
    " WHERE NOT w.granted AND w.locktype = 'relation' AND w.mode = 'AccessExclusiveLock' GROUP BY 1"

#define END_ALL_SQL                                                                                                    \
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"                                     \
    " WHERE application_name = $1 AND pid <> pg_catalog.pg_backend_pid()"

static gboolean name_session(struct session *s, GError **error)
{
    return session_execf(s, error, "SET application_name = '%s'", session_run_name());
}

/* Seen waiting, by pid: since when (monotonic microseconds). Those who no longer wait are forgotten. */
static char *longest_waiter(const PGresult *waiters, GHashTable **seen, gint64 limit_us)
{
    gint64 now = g_get_monotonic_time();
    GHashTable *still = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    char *result = NULL;
    for (int i = 0; i < PQntuples(waiters); i++) {
        gpointer pid = GINT_TO_POINTER((int)g_ascii_strtoll(PQgetvalue(waiters, i, 0), NULL, 10));
        gint64 *since = g_hash_table_lookup(*seen, pid);
        gint64 *kept = g_memdup2(since ? since : &now, sizeof now);
        g_hash_table_insert(still, pid, kept);
        if (now - *kept >= limit_us && !result)
            result = g_strdup_printf("process %s of the server, which waits for an exclusive lock on %s",
                                     PQgetvalue(waiters, i, 0), PQgetvalue(waiters, i, 1));
    }
    g_hash_table_unref(*seen);
    *seen = still;
    return result;
}

static gboolean wait_or_stop(struct snapshot *s)
{
    gint64 until = g_get_monotonic_time() + WATCH_PERIOD_MS * 1000;
    g_mutex_lock(&s->mutex);
    while (!s->stop && g_cond_wait_until(&s->stop_cond, &s->mutex, until))
        ;
    gboolean stop = s->stop;
    g_mutex_unlock(&s->mutex);
    return stop;
}

static void give_way(struct snapshot *s, char *waiter)
{
    g_mutex_lock(&s->mutex);
    s->gave_way_to = waiter;
    g_mutex_unlock(&s->mutex);
    const char *params[] = {session_run_name()};
    PQclear(session_query(s->watch_session, NULL, END_ALL_SQL, 1, params));
}

/* A failing watch (the server went away) ends in silence: the workers will meet the same failure and report it. */
static void *watch(void *data)
{
    struct snapshot *s = data;
    GHashTable *seen = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    g_autofree char *pid = g_strdup_printf("%d", session_backend_pid(s->session));
    const char *params[] = {pid};
    char *waiter = NULL;
    while (!waiter && !wait_or_stop(s)) {
        g_autoptr(PGresult) waiters = session_query(s->watch_session, NULL, WAITERS_SQL, 1, params);
        if (!waiters)
            break;
        waiter = longest_waiter(waiters, &seen, (gint64)s->lock_timeout_ms * 1000);
    }
    g_hash_table_unref(seen);
    if (waiter)
        give_way(s, waiter);
    return NULL;
}

static gboolean start_watch(struct snapshot *s, const struct pg_target *t, GError **error)
{
    s->watch_session = session_open(t, NULL, error);
    if (!s->watch_session || !session_exec(s->watch_session, "SET statement_timeout = '10s'", error))
        return FALSE;
    s->watcher = g_thread_new("watch", watch, s);
    return TRUE;
}

static void stop_watch(struct snapshot *s)
{
    if (!s->watcher)
        return;
    g_mutex_lock(&s->mutex);
    s->stop = TRUE;
    g_cond_signal(&s->stop_cond);
    g_mutex_unlock(&s->mutex);
    g_thread_join(s->watcher);
    s->watcher = NULL;
}

gboolean snapshot_gave_way(struct snapshot *s)
{
    g_mutex_lock(&s->mutex);
    gboolean result = s->gave_way_to != NULL;
    g_mutex_unlock(&s->mutex);
    return result;
}

gboolean snapshot_end(struct snapshot *s, GError **error)
{
    stop_watch(s);
    session_free(g_steal_pointer(&s->session));
    if (!s->gave_way_to)
        return TRUE;
    return ot_fail(error, OT_LOCK_TIMEOUT, "the backup gave way to %s", s->gave_way_to);
}

/* ---- the snapshot ---- */

static gboolean lock_some(struct session *s, const GString *names, GError **error)
{
    g_autofree char *sql = g_strdup_printf("LOCK TABLE %s IN ACCESS SHARE MODE", names->str);
    g_autoptr(PGresult) result = session_run(s, sql);
    return PQresultStatus(result) == PGRES_COMMAND_OK ||
           session_fail(s, result, OT_DUMP, "cannot lock the tables for reading", error);
}

static gboolean lock_tables(struct session *s, const PGresult *tables, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    int n = 0;
    for (int i = 0; i < PQntuples(tables); i++) {
        if (PQgetvalue(tables, i, 2)[0] != 't')
            continue;
        g_string_append_printf(names, "%sONLY %s", names->len ? ", " : "", PQgetvalue(tables, i, 1));
        if (++n % LOCKS_PER_STATEMENT != 0)
            continue;
        if (!lock_some(s, names, error))
            return FALSE;
        g_string_truncate(names, 0);
    }
    return names->len == 0 || lock_some(s, names, error);
}

static gboolean same_tables(const PGresult *a, const PGresult *b)
{
    if (PQntuples(a) != PQntuples(b))
        return FALSE;
    for (int i = 0; i < PQntuples(a); i++)
        if (PQgetisnull(b, i, 2) || strcmp(PQgetvalue(a, i, 0), PQgetvalue(b, i, 0)) != 0 ||
            strcmp(PQgetvalue(a, i, 1), PQgetvalue(b, i, 1)) != 0)
            return FALSE;
    return TRUE;
}

/* Tables that a dump holds but this role may not read: pg_dump would only say "permission denied". */
static gboolean check_readable(struct session *s, GError **error)
{
    g_autofree char *table = NULL;
    if (!session_get_text(s, error,
                          "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_catalog.pg_class c"
                          " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                          " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
                          " AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') AND NOT EXISTS"
                          " (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_class'::regclass"
                          " AND objid = c.oid AND deptype = 'e') LIMIT 1",
                          0, NULL, &table))
        return FALSE;
    return !table || ot_fail(error, OT_PREREQUISITE,
                             "the role %s may not read table %s: GRANT pg_read_all_data TO it (and GRANT USAGE on the "
                             "schema before version 14)",
                             PQuser(session_pg(s)), table);
}

/* One try. *ret_again: a table came, went or was renamed meanwhile, so it is worth another. */
static gboolean try_begin(struct snapshot *s, gboolean *ret_again, GError **error)
{
    struct session *c = s->session;
    g_autoptr(PGresult) before = session_query(c, error, TABLES_SQL, 0, NULL);
    if (!before || !session_exec(c, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", error))
        return FALSE;
    g_autoptr(GError) lock_error = NULL;
    if (!lock_tables(c, before, &lock_error)) {
        /* A table or schema that was dropped since the list was read is no reason to give up. */
        static const char *const gone[] = {"42P01", "3F000", NULL};
        *ret_again = g_strv_contains(gone, session_sqlstate(c));
        g_propagate_error(error, g_steal_pointer(&lock_error));
        return FALSE;
    }
    /* The statement's time is just before its snapshot is taken; the transaction began before the locks were had. */
    g_autoptr(PGresult) taken = session_query(
        c, error,
        "SELECT pg_catalog.pg_export_snapshot(), floor(extract(epoch FROM pg_catalog.statement_timestamp()))::bigint",
        0, NULL);
    if (!taken)
        return FALSE;
    g_free(s->id);
    s->id = g_strdup(PQgetvalue(taken, 0, 0));
    s->time = g_ascii_strtoll(PQgetvalue(taken, 0, 1), NULL, 10);
    g_autoptr(PGresult) after = session_query(c, error, TABLES_SQL, 0, NULL);
    if (!after)
        return FALSE;
    *ret_again = !same_tables(before, after);
    return !*ret_again || ot_fail(error, OT_LOCK_TIMEOUT, "tables keep being created or dropped");
}

struct snapshot *snapshot_begin(const struct pg_target *t, guint lock_timeout_ms, GError **error)
{
    g_autoptr(snapshot) s = g_new0(struct snapshot, 1);
    g_mutex_init(&s->mutex);
    g_cond_init(&s->stop_cond);
    s->lock_timeout_ms = lock_timeout_ms;
    s->session = session_open(t, NULL, error);
    if (!s->session || !name_session(s->session, error) ||
        !session_set_lock_timeout(s->session, lock_timeout_ms, error) || !check_readable(s->session, error) ||
        !start_watch(s, t, error))
        return NULL;
    for (int i = 0; i < TRIES; i++) {
        gboolean again = FALSE;
        g_autoptr(GError) try_error = NULL;
        if (try_begin(s, &again, &try_error))
            return g_steal_pointer(&s);
        if (snapshot_gave_way(s)) {
            snapshot_end(s, error);
            return NULL;
        }
        if (!again || i == TRIES - 1) {
            g_propagate_error(error, g_steal_pointer(&try_error));
            return NULL;
        }
        if (!session_exec(s->session, "ROLLBACK", error))
            return NULL;
    }
    return NULL;
}

struct session *snapshot_session(struct snapshot *s)
{
    return s->session;
}

const char *snapshot_id(const struct snapshot *s)
{
    return s->id;
}

gint64 snapshot_time(const struct snapshot *s)
{
    return s->time;
}

struct session *snapshot_join(struct snapshot *s, const struct pg_target *t, GError **error)
{
    g_autoptr(session) joined = session_open(t, NULL, error);
    if (!joined || !name_session(joined, error) || !session_set_lock_timeout(joined, s->lock_timeout_ms, error) ||
        !session_exec(joined, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", error) ||
        !session_execf(joined, error, "SET TRANSACTION SNAPSHOT '%s'", s->id))
        return NULL;
    return g_steal_pointer(&joined);
}

void snapshot_free(struct snapshot *s)
{
    if (!s)
        return;
    stop_watch(s);
    session_free(s->watch_session);
    session_free(s->session);
    g_mutex_clear(&s->mutex);
    g_cond_clear(&s->stop_cond);
    g_free(s->gave_way_to);
    g_free(s->id);
    g_free(s);
}
