/* One thread per feed that makes a value when it is wanted. */
#include "web/feed.h"

struct feed {
    GMutex mutex;
    GCond changed;
    GThread *thread;
    gboolean wanted, making, stop;
    gint64 began_us; /* the making that is under way or wanted */
    struct feed_value *value;
    void *(*make)(void *data, GError **error);
    GDestroyNotify free_value;
    void *data;
    gint64 fresh_us, wait_us;
};

void feed_value_unref(struct feed_value *v)
{
    if (!v || !g_atomic_int_dec_and_test(&v->references))
        return;
    if (v->data)
        v->free(v->data);
    g_clear_error(&v->error);
    g_free(v);
}

static struct feed_value *make_value(struct feed *f)
{
    struct feed_value *v = g_new0(struct feed_value, 1);
    v->references = 1;
    v->free = f->free_value;
    v->made_at = g_get_real_time() / G_USEC_PER_SEC;
    v->made_at_us = g_get_monotonic_time();
    v->data = f->make(f->data, &v->error);
    return v;
}

static void *work(void *data)
{
    struct feed *f = data;
    g_mutex_lock(&f->mutex);
    while (!f->stop) {
        if (!f->wanted) {
            g_cond_wait(&f->changed, &f->mutex);
            continue;
        }
        f->wanted = FALSE;
        f->making = TRUE;
        g_mutex_unlock(&f->mutex);
        struct feed_value *fresh = make_value(f);
        g_mutex_lock(&f->mutex);
        feed_value_unref(f->value);
        f->value = fresh;
        f->making = FALSE;
        g_cond_broadcast(&f->changed);
    }
    g_mutex_unlock(&f->mutex);
    return NULL;
}

struct feed *feed_new(void *(*make)(void *data, GError **error), GDestroyNotify free_value, void *data, guint fresh_ms,
                      guint wait_ms)
{
    struct feed *f = g_new0(struct feed, 1);
    g_mutex_init(&f->mutex);
    g_cond_init(&f->changed);
    f->make = make;
    f->free_value = free_value;
    f->data = data;
    f->fresh_us = (gint64)fresh_ms * 1000;
    f->wait_us = (gint64)wait_ms * 1000;
    f->thread = g_thread_new("feed", work, f);
    return f;
}

void feed_free(struct feed *f)
{
    if (!f)
        return;
    g_mutex_lock(&f->mutex);
    f->stop = TRUE;
    g_cond_broadcast(&f->changed);
    g_mutex_unlock(&f->mutex);
    g_thread_join(f->thread);
    feed_value_unref(f->value);
    g_mutex_clear(&f->mutex);
    g_cond_clear(&f->changed);
    g_free(f);
}

static gboolean is_fresh(const struct feed *f)
{
    return f->value && g_get_monotonic_time() - f->value->made_at_us < f->fresh_us;
}

/* A new reference to what there is; the mutex is held. */
static struct feed_value *current(struct feed *f)
{
    if (f->value)
        g_atomic_int_inc(&f->value->references);
    return f->value;
}

struct feed_value *feed_get(struct feed *f)
{
    g_mutex_lock(&f->mutex);
    if (!is_fresh(f) && !f->making && !f->wanted) {
        f->wanted = TRUE;
        f->began_us = g_get_monotonic_time();
        g_cond_broadcast(&f->changed);
    }
    while (!is_fresh(f) && (f->making || f->wanted))
        if (!g_cond_wait_until(&f->changed, &f->mutex, f->began_us + f->wait_us))
            break;
    struct feed_value *v = current(f);
    g_mutex_unlock(&f->mutex);
    return v;
}

struct feed_value *feed_peek(struct feed *f)
{
    g_mutex_lock(&f->mutex);
    struct feed_value *v = current(f);
    g_mutex_unlock(&f->mutex);
    return v;
}
