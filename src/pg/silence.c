/* One thread that looks at all waits, and asks the server about those that last long. */
#include "pg/silence.h"

#include <stdatomic.h>

#include "base/text.h"
#include "pg/connect.h"

#define DEFAULT_LIMIT_S 900
#define MAX_ASK_S 30
#define KNOWN_SILENT_S 5 /* the limit while the server is known not to answer */
#define AGAIN_S 3        /* an answer may be on its way: what looks lost is looked at twice */

struct silence {
    struct conninfo conninfo;
    char *server_started;
    struct silence_subject subject;
    _Atomic gint64 since; /* monotonic; 0: we do not wait */
    gint64 asked_us;      /* when the server was last found at work for this wait */
    gboolean ended;
};

enum finding { AT_WORK, NO_ANSWER, GONE, LOST };

static GMutex mutex; /* of what follows, and of the watches but for since */
static GCond changed;
static GPtrArray *watches;
static guint limit_s = DEFAULT_LIMIT_S;
static gboolean known_silent;

void silence_set_limit(guint seconds)
{
    g_mutex_lock(&mutex);
    limit_s = seconds;
    g_mutex_unlock(&mutex);
}

static guint limit_now(void)
{
    return known_silent ? MIN(limit_s, KNOWN_SILENT_S) : limit_s;
}

guint silence_limit(void)
{
    g_mutex_lock(&mutex);
    guint seconds = limit_now();
    g_mutex_unlock(&mutex);
    return seconds;
}

/* ---- asking ---- */

static enum finding finding_of(const PGresult *answer, const struct silence *w)
{
    if (!answer)
        return NO_ANSWER;
    /* Another server, or one that does not tell: nothing is known. */
    if (PQresultStatus(answer) != PGRES_TUPLES_OK || PQntuples(answer) != 1 ||
        (w->server_started && !g_str_equal(w->server_started, PQgetvalue(answer, 0, 0))))
        return AT_WORK;
    if (w->subject.backend_pid == 0)
        return AT_WORK;
    if (PQgetisnull(answer, 0, 1))
        return GONE;
    return PQgetvalue(answer, 0, 2)[0] == 't' ? LOST : AT_WORK;
}

static enum finding ask(const struct silence *w, guint limit)
{
    struct connect_limit until = {.until_us = g_get_monotonic_time() + MIN(limit, MAX_ASK_S) * (gint64)G_USEC_PER_SEC};
    gboolean silent = FALSE;
    PGconn *pg = connect_open(&w->conninfo, &until, &silent, NULL);
    if (!pg)
        return silent ? NO_ANSWER : AT_WORK; /* it refused us, so it is there */
    g_autofree char *sql = g_strdup_printf(
        "SELECT pg_catalog.pg_postmaster_start_time(), a.pid, a.state LIKE 'idle%%' OR a.wait_event_type = 'Client'"
        " FROM (SELECT) one LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = %d",
        w->subject.backend_pid);
    g_autoptr(PGresult) answer = connect_ask(pg, sql, &until);
    enum finding found = finding_of(answer, w);
    PQfinish(pg);
    return found;
}

static char *words_of(enum finding found, gint64 silent_us)
{
    static const char *const why[] = {
        [NO_ANSWER] = "it does not answer a new connection either",
        [GONE] = "this session does not exist there any more",
        [LOST] = "this session waits for us there: what was said is lost on the way",
    };
    g_autofree char *time = text_duration(silent_us / G_USEC_PER_SEC);
    return g_strdup_printf("the server has been silent for %s, and %s (BACKUP_SERVER_TIMEOUT)", time, why[found]);
}

/* ---- the thread ---- */

/* A copy to ask about without the lock; the original may be freed meanwhile. */
static struct silence *copy_of(const struct silence *w)
{
    struct silence *copy = g_new0(struct silence, 1);
    copy->conninfo = conninfo_copy(&w->conninfo);
    copy->server_started = g_strdup(w->server_started);
    copy->subject = w->subject;
    copy->since = w->since;
    return copy;
}

static void clear(struct silence *w)
{
    conninfo_clear(&w->conninfo);
    g_free(w->server_started);
    g_free(w);
}

static gboolean is_due(const struct silence *w, gint64 now)
{
    gint64 since = w->since;
    return since && !w->ended && now - MAX(since, w->asked_us) >= limit_now() * (gint64)G_USEC_PER_SEC;
}

static struct silence *find_due(void)
{
    gint64 now = g_get_monotonic_time();
    for (guint i = 0; i < watches->len; i++)
        if (is_due(watches->pdata[i], now))
            return watches->pdata[i];
    return NULL;
}

static void conclude(struct silence *w, const struct silence *copy, enum finding found)
{
    known_silent = found == NO_ANSWER;
    if (!g_ptr_array_find(watches, w, NULL) || w->since != copy->since)
        return; /* it was heard meanwhile */
    w->asked_us = g_get_monotonic_time();
    if (found == AT_WORK)
        return;
    g_autofree char *why = words_of(found, w->asked_us - copy->since);
    w->ended = TRUE;
    w->subject.end(w->subject.data, why);
}

/* Called with the lock, which is given up while the server is asked. */
static void look_at(struct silence *w)
{
    struct silence *copy = copy_of(w);
    guint limit = limit_s;
    g_mutex_unlock(&mutex);
    enum finding found = ask(copy, limit);
    if (found == GONE || found == LOST) {
        g_usleep(AGAIN_S * G_USEC_PER_SEC);
        found = ask(copy, limit);
    }
    g_mutex_lock(&mutex);
    conclude(w, copy, found);
    clear(copy);
}

static void *watch_all(void *unused)
{
    (void)unused;
    g_mutex_lock(&mutex);
    for (;;) {
        struct silence *due = find_due();
        if (due)
            look_at(due);
        gint64 pause_ms = CLAMP(limit_s * 50, 200, 5000);
        g_cond_wait_until(&changed, &mutex, g_get_monotonic_time() + pause_ms * 1000);
    }
    return NULL;
}

/* ---- from outside ---- */

struct silence *silence_new(const struct silence_subject *subject)
{
    struct silence *w = g_new0(struct silence, 1);
    w->conninfo = conninfo_copy(subject->conninfo);
    w->server_started = g_strdup(subject->server_started);
    w->subject = *subject;
    g_mutex_lock(&mutex);
    if (!watches) {
        watches = g_ptr_array_new();
        g_thread_unref(g_thread_new("silence", watch_all, NULL));
    }
    g_ptr_array_add(watches, w);
    g_mutex_unlock(&mutex);
    return w;
}

void silence_free(struct silence *w)
{
    if (!w)
        return;
    g_mutex_lock(&mutex);
    g_ptr_array_remove_fast(watches, w);
    g_mutex_unlock(&mutex);
    clear(w);
}

void silence_begin(struct silence *w)
{
    atomic_store_explicit(&w->since, g_get_monotonic_time(), memory_order_relaxed);
}

void silence_end(struct silence *w)
{
    atomic_store_explicit(&w->since, 0, memory_order_relaxed);
}
