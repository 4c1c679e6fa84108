/* A thread that asks the server who waits. */
#include "pg/watch.h"

#include <string.h>

#define PERIOD_US (G_USEC_PER_SEC / 2)
#define BEAT_US (5 * G_USEC_PER_SEC)
#define MAX_SHARE 20 /* looking takes at most one part in so many of the time: with many locks a look is not free */

struct watch {
    struct session *session;
    GMutex session_mutex; /* of session */
    GThread *thread;
    guint limit_ms;
    void (*beat)(void *data);
    void *data;
    GHashTable *seen; /* "PID LOCK" of those who wait -> gint64 *: since when, monotonic */
    GMutex mutex;     /* of the rest */
    GCond stop_cond;
    gboolean stop, failed;
    char *gave_way;
};

/* Who waits: others for a lock that only ours keep from them, and ours for any. pg_locks shows locks to every role, and
 * pg_stat_activity the names of one's own sessions. Reading takes ACCESS SHARE, which only ACCESS EXCLUSIVE waits for. */
#define WAITERS_SQL                                                                                                    \
    "WITH ours AS MATERIALIZED (SELECT pid FROM pg_catalog.pg_stat_activity WHERE application_name = $1),"             \
    " locks AS MATERIALIZED (SELECT pid, database, relation, mode, granted, pid IN (SELECT pid FROM ours) AS ours"     \
    " FROM pg_catalog.pg_locks WHERE locktype = 'relation')"                                                           \
    " SELECT w.pid, w.ours, w.relation::pg_catalog.regclass::text,"                                                    \
    " pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(w.pid), ', ')"                                            \
    " FROM locks w WHERE NOT w.granted AND (w.ours OR w.mode = 'AccessExclusiveLock' AND EXISTS"                       \
    " (SELECT FROM locks h WHERE h.ours AND h.granted AND h.relation = w.relation AND h.database = w.database))"

#define END_ALL_SQL                                                                                                    \
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"                                     \
    " WHERE application_name = $1 AND pid <> pg_catalog.pg_backend_pid()"

PGresult *watch_query(struct watch *w, GError **error, const char *sql, int n_params, const char *const *params)
{
    g_mutex_lock(&w->session_mutex);
    PGresult *result = session_query(w->session, error, sql, n_params, params);
    g_mutex_unlock(&w->session_mutex);
    return result;
}

static char *describe(const PGresult *waiters, int row, guint limit_ms)
{
    const char *pid = PQgetvalue(waiters, row, 0), *what = PQgetvalue(waiters, row, 2);
    if (PQgetvalue(waiters, row, 1)[0] != 't')
        return g_strdup_printf("process %s of the server, which waits for an exclusive lock on %s", pid, what);
    return g_strdup_printf("process %s of the server, which has kept us from %s for %u ms", PQgetvalue(waiters, row, 3),
                           what, limit_ms);
}

/* Those who no longer wait are forgotten. */
static char *longest_waiter(struct watch *w, const PGresult *waiters)
{
    gint64 now = g_get_monotonic_time();
    GHashTable *still = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    char *result = NULL;
    for (int i = 0; i < PQntuples(waiters); i++) {
        char *key = g_strdup_printf("%s %s", PQgetvalue(waiters, i, 0), PQgetvalue(waiters, i, 2));
        gint64 *since = g_hash_table_lookup(w->seen, key);
        gint64 *kept = g_memdup2(since ? since : &now, sizeof now);
        g_hash_table_replace(still, key, kept);
        if (now - *kept >= (gint64)w->limit_ms * 1000 && !result)
            result = describe(waiters, i, w->limit_ms);
    }
    g_hash_table_unref(w->seen);
    w->seen = still;
    return result;
}

static gboolean wait_or_stop(struct watch *w, gint64 period_us)
{
    gint64 until = g_get_monotonic_time() + period_us;
    g_mutex_lock(&w->mutex);
    while (!w->stop && g_cond_wait_until(&w->stop_cond, &w->mutex, until))
        ;
    gboolean stop = w->stop;
    g_mutex_unlock(&w->mutex);
    return stop;
}

static void give_way(struct watch *w, char *reason)
{
    g_mutex_lock(&w->mutex);
    w->gave_way = reason;
    g_mutex_unlock(&w->mutex);
    const char *params[] = {session_run_name()};
    PQclear(watch_query(w, NULL, END_ALL_SQL, 1, params));
}

static void fail(struct watch *w)
{
    g_mutex_lock(&w->mutex);
    w->failed = TRUE;
    g_mutex_unlock(&w->mutex);
}

static gboolean is_connected(struct watch *w)
{
    g_mutex_lock(&w->session_mutex);
    gboolean connected = PQstatus(session_pg(w->session)) == CONNECTION_OK;
    g_mutex_unlock(&w->session_mutex);
    return connected;
}

/* One look; what it found, or NULL. A look that the server had no time for is none. */
static char *look(struct watch *w)
{
    const char *params[] = {session_run_name()};
    g_autoptr(PGresult) waiters = watch_query(w, NULL, WAITERS_SQL, 1, params);
    if (!waiters && !is_connected(w))
        fail(w);
    return waiters ? longest_waiter(w, waiters) : NULL;
}

static void *run(void *data)
{
    struct watch *w = data;
    gint64 period_us = PERIOD_US, beaten = g_get_monotonic_time();
    char *reason = NULL;
    while (!reason && !watch_failed(w) && !wait_or_stop(w, period_us)) {
        gint64 begun = g_get_monotonic_time();
        reason = look(w);
        gint64 now = g_get_monotonic_time();
        period_us = MAX(PERIOD_US, (now - begun) * MAX_SHARE);
        if (!reason && now - beaten >= BEAT_US) {
            w->beat(w->data);
            beaten = now;
        }
    }
    if (reason)
        give_way(w, reason);
    return NULL;
}

struct watch *watch_start(const struct pg_target *t, guint limit_ms, void (*beat)(void *data), void *data,
                          GError **error)
{
    struct watch *w = g_new0(struct watch, 1);
    g_mutex_init(&w->session_mutex);
    g_mutex_init(&w->mutex);
    g_cond_init(&w->stop_cond);
    w->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    w->limit_ms = limit_ms;
    w->beat = beat;
    w->data = data;
    w->session = session_open(t, NULL, error);
    if (!w->session || !session_exec(w->session, "SET statement_timeout = '30s'", error)) {
        watch_free(w);
        return NULL;
    }
    w->thread = g_thread_new("watch", run, w);
    return w;
}

const char *watch_gave_way(struct watch *w)
{
    g_mutex_lock(&w->mutex);
    const char *result = w->gave_way;
    g_mutex_unlock(&w->mutex);
    return result;
}

gboolean watch_failed(struct watch *w)
{
    g_mutex_lock(&w->mutex);
    gboolean result = w->failed;
    g_mutex_unlock(&w->mutex);
    return result;
}

void watch_stop(struct watch *w)
{
    if (w->thread) {
        g_mutex_lock(&w->mutex);
        w->stop = TRUE;
        g_cond_signal(&w->stop_cond);
        g_mutex_unlock(&w->mutex);
        g_thread_join(g_steal_pointer(&w->thread));
    }
    g_clear_pointer(&w->session, session_free);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    watch_stop(w);
    g_hash_table_unref(w->seen);
    g_mutex_clear(&w->session_mutex);
    g_mutex_clear(&w->mutex);
    g_cond_clear(&w->stop_cond);
    g_free(w->gave_way);
    g_free(w);
}
