/* A thread per request: it ends when the server answers, or with the program. */
#include "pg/cancel.h"

struct cancel {
    PGcancel *request;
};

struct sending {
    struct cancel *cancel;
    GMutex mutex; /* of the rest */
    GCond sent;
    gboolean done;
};

static void cancel_clear(void *data)
{
    PQfreeCancel(((struct cancel *)data)->request);
}

static void sending_clear(void *data)
{
    struct sending *s = data;
    cancel_unref(s->cancel);
    g_mutex_clear(&s->mutex);
    g_cond_clear(&s->sent);
}

struct cancel *cancel_new(PGconn *pg)
{
    struct cancel *c = g_atomic_rc_box_new0(struct cancel);
    c->request = PQgetCancel(pg);
    return c;
}

void cancel_unref(struct cancel *c)
{
    g_atomic_rc_box_release_full(c, cancel_clear);
}

static void *send_one(void *data)
{
    struct sending *s = data;
    char unused[256];
    PQcancel(s->cancel->request, unused, sizeof unused);
    g_mutex_lock(&s->mutex);
    s->done = TRUE;
    g_cond_signal(&s->sent);
    g_mutex_unlock(&s->mutex);
    g_atomic_rc_box_release_full(s, sending_clear);
    return NULL;
}

void cancel_send(struct cancel *c, gint64 wait_ms)
{
    if (!c->request)
        return;
    struct sending *s = g_atomic_rc_box_new0(struct sending);
    s->cancel = g_atomic_rc_box_acquire(c);
    g_mutex_init(&s->mutex);
    g_cond_init(&s->sent);
    g_thread_unref(g_thread_new("cancel", send_one, g_atomic_rc_box_acquire(s)));
    gint64 until = g_get_monotonic_time() + wait_ms * 1000;
    g_mutex_lock(&s->mutex);
    while (!s->done && g_cond_wait_until(&s->sent, &s->mutex, until))
        ;
    g_mutex_unlock(&s->mutex);
    g_atomic_rc_box_release_full(s, sending_clear);
}
