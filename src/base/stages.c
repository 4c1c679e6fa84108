/* A count of unfinished tasks per stage. */
#include "base/stages.h"

struct stages {
    GArray *stage_of; /* guint, per task */
    GArray *left;     /* guint, per stage */
    guint open;       /* the lowest stage with unfinished tasks */
    gboolean stopped;
    GMutex mutex;
    GCond cond;
};

static guint stage_of(const struct stages *s, guint task)
{
    return g_array_index(s->stage_of, guint, task);
}

/* Stages without tasks are passed over. */
static void open_next(struct stages *s)
{
    while (s->open < s->left->len && g_array_index(s->left, guint, s->open) == 0)
        s->open++;
}

struct stages *stages_new(const GArray *of_tasks)
{
    struct stages *s = g_new0(struct stages, 1);
    g_mutex_init(&s->mutex);
    g_cond_init(&s->cond);
    s->stage_of = g_array_new(FALSE, TRUE, sizeof(guint));
    s->left = g_array_new(FALSE, TRUE, sizeof(guint));
    if (of_tasks->len > 0)
        g_array_append_vals(s->stage_of, of_tasks->data, of_tasks->len);
    for (guint i = 0; i < s->stage_of->len; i++) {
        if (stage_of(s, i) >= s->left->len)
            g_array_set_size(s->left, stage_of(s, i) + 1);
        g_array_index(s->left, guint, stage_of(s, i))++;
    }
    open_next(s);
    return s;
}

gboolean stages_enter(struct stages *s, guint task)
{
    g_mutex_lock(&s->mutex);
    while (!s->stopped && s->open < stage_of(s, task))
        g_cond_wait(&s->cond, &s->mutex);
    gboolean go = !s->stopped;
    g_mutex_unlock(&s->mutex);
    return go;
}

void stages_done(struct stages *s, guint task)
{
    g_mutex_lock(&s->mutex);
    g_array_index(s->left, guint, stage_of(s, task))--;
    open_next(s);
    g_cond_broadcast(&s->cond);
    g_mutex_unlock(&s->mutex);
}

void stages_stop(struct stages *s)
{
    g_mutex_lock(&s->mutex);
    s->stopped = TRUE;
    g_cond_broadcast(&s->cond);
    g_mutex_unlock(&s->mutex);
}

void stages_free(struct stages *s)
{
    if (!s)
        return;
    g_array_unref(s->stage_of);
    g_array_unref(s->left);
    g_mutex_clear(&s->mutex);
    g_cond_clear(&s->cond);
    g_free(s);
}
