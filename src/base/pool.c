/* A fixed set of threads and a task counter. */
#include "base/pool.h"

#include "base/interrupt.h"

struct pool {
    guint n_tasks;
    gint next;
    pool_task run;
    void (*on_error)(void *data);
    void *data;
    GMutex mutex;
    GError *first_error;
};

struct worker {
    struct pool *pool;
    guint index;
};

static gboolean failed(struct pool *p)
{
    g_mutex_lock(&p->mutex);
    gboolean result = p->first_error != NULL;
    g_mutex_unlock(&p->mutex);
    return result;
}

static void keep_first(struct pool *p, GError *error)
{
    g_mutex_lock(&p->mutex);
    gboolean first = p->first_error == NULL;
    if (first)
        p->first_error = error;
    g_mutex_unlock(&p->mutex);
    if (!first)
        g_error_free(error);
    else if (p->on_error)
        p->on_error(p->data);
}

static void *work(void *data)
{
    struct worker *w = data;
    struct pool *p = w->pool;
    while (!failed(p)) {
        guint task = (guint)g_atomic_int_add(&p->next, 1);
        if (task >= p->n_tasks)
            break;
        GError *error = NULL;
        if (!interrupt_check(&error) || !p->run(w->index, task, p->data, &error))
            keep_first(p, error);
    }
    return NULL;
}

gboolean pool_run(guint n_workers, guint n_tasks, pool_task run, void (*on_error)(void *data), void *data,
                  GError **error)
{
    struct pool pool = {.n_tasks = n_tasks, .run = run, .on_error = on_error, .data = data};
    n_workers = MAX(1, MIN(n_workers, n_tasks));
    g_mutex_init(&pool.mutex);
    g_autofree struct worker *workers = g_new0(struct worker, n_workers);
    g_autofree GThread **threads = g_new0(GThread *, n_workers);
    for (guint i = 0; i < n_workers; i++) {
        workers[i] = (struct worker){&pool, i};
        threads[i] = g_thread_new("worker", work, &workers[i]);
    }
    for (guint i = 0; i < n_workers; i++)
        g_thread_join(threads[i]);
    g_mutex_clear(&pool.mutex);
    if (!pool.first_error)
        return TRUE;
    g_propagate_error(error, pool.first_error);
    return FALSE;
}

guint pool_default_jobs(guint jobs)
{
    return jobs ? jobs : CLAMP(g_get_num_processors(), 1, 8);
}
