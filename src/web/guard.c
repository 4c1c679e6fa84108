/* Connections with deadlines, and a thread that looks at them. */
#include "web/guard.h"

#include "web/address.h"

#define SWEEP_MS 250

struct guard {
    GMutex mutex;
    GCond stopping;
    gboolean stop;
    GPtrArray *entries; /* struct guard_entry *, oldest first */
    GThread *thread;
};

struct guard_entry {
    int fd;
    char *peer;
    gint64 since_us, deadline_us;
    gboolean answering, ended;
};

/* The descriptor is closed by its owner, who then sees the end of the stream. */
static void end(struct guard_entry *e)
{
    e->ended = TRUE;
    shutdown(e->fd, SHUT_RDWR);
}

static void sweep(struct guard *g)
{
    gint64 now = g_get_monotonic_time();
    for (guint i = 0; i < g->entries->len; i++) {
        struct guard_entry *e = g->entries->pdata[i];
        if (!e->ended && now > e->deadline_us)
            end(e);
    }
}

static void *watch(void *data)
{
    struct guard *g = data;
    g_mutex_lock(&g->mutex);
    while (!g->stop) {
        sweep(g);
        g_cond_wait_until(&g->stopping, &g->mutex, g_get_monotonic_time() + SWEEP_MS * 1000);
    }
    g_mutex_unlock(&g->mutex);
    return NULL;
}

struct guard *guard_new(void)
{
    struct guard *g = g_new0(struct guard, 1);
    g->entries = g_ptr_array_new();
    g_mutex_init(&g->mutex);
    g_cond_init(&g->stopping);
    g->thread = g_thread_new("guard", watch, g);
    return g;
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    g_mutex_lock(&g->mutex);
    g->stop = TRUE;
    g_cond_signal(&g->stopping);
    g_mutex_unlock(&g->mutex);
    g_thread_join(g->thread);
    g_ptr_array_unref(g->entries);
    g_mutex_clear(&g->mutex);
    g_cond_clear(&g->stopping);
    g_free(g);
}

/* How many connections are open, of one peer or (NULL) of all; and the one that has been waiting for longest. */
static guint count(const struct guard *g, const char *peer, struct guard_entry **ret_oldest)
{
    guint found = 0;
    *ret_oldest = NULL;
    for (guint i = 0; i < g->entries->len; i++) {
        struct guard_entry *e = g->entries->pdata[i];
        if (e->ended || (peer && !g_str_equal(e->peer, peer)))
            continue;
        found++;
        if (!e->answering && (!*ret_oldest || e->since_us < (*ret_oldest)->since_us))
            *ret_oldest = e;
    }
    return found;
}

static void make_room(struct guard *g, const char *peer, guint limit)
{
    struct guard_entry *oldest;
    if (count(g, peer, &oldest) >= limit && oldest)
        end(oldest);
}

static void set_deadline(struct guard_entry *e, gboolean answering)
{
    e->answering = answering;
    e->since_us = g_get_monotonic_time();
    e->deadline_us = e->since_us + (answering ? GUARD_ANSWER_S : GUARD_REQUEST_S) * G_USEC_PER_SEC;
}

struct guard_entry *guard_enter(struct guard *g, int fd, const struct sockaddr *peer)
{
    struct guard_entry *e = g_new0(struct guard_entry, 1);
    e->fd = fd;
    e->peer = address_text(peer);
    g_mutex_lock(&g->mutex);
    make_room(g, e->peer, GUARD_MAX_PER_ADDRESS);
    make_room(g, NULL, GUARD_MAX_CONNECTIONS);
    set_deadline(e, FALSE);
    g_ptr_array_add(g->entries, e);
    g_mutex_unlock(&g->mutex);
    return e;
}

void guard_answering(struct guard *g, struct guard_entry *e)
{
    g_mutex_lock(&g->mutex);
    set_deadline(e, TRUE);
    g_mutex_unlock(&g->mutex);
}

void guard_waiting(struct guard *g, struct guard_entry *e)
{
    g_mutex_lock(&g->mutex);
    set_deadline(e, FALSE);
    g_mutex_unlock(&g->mutex);
}

void guard_leave(struct guard *g, struct guard_entry *e)
{
    g_mutex_lock(&g->mutex);
    g_ptr_array_remove(g->entries, e);
    g_mutex_unlock(&g->mutex);
    g_free(e->peer);
    g_free(e);
}
