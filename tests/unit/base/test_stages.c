/* Tests of tasks in stages: whatever the number of threads, none begins before all of lower stages are done. */
#include "base/stages.h"

#include "base/pool.h"

struct run {
    struct stages *stages;
    GArray *stage_of;
    gint done[4]; /* per stage */
    gint early, begun, stop_at;
};

static gint tasks_in(const struct run *r, guint stage)
{
    gint n = 0;
    for (guint i = 0; i < r->stage_of->len; i++)
        n += g_array_index(r->stage_of, guint, i) == stage;
    return n;
}

static gboolean run_task(guint worker, guint task, void *data, GError **error)
{
    (void)worker;
    (void)error;
    struct run *r = data;
    guint stage = g_array_index(r->stage_of, guint, task);
    if (stages_enter(r->stages, task)) {
        for (guint lower = 0; lower < stage; lower++)
            if (g_atomic_int_get(&r->done[lower]) != tasks_in(r, lower))
                g_atomic_int_inc(&r->early);
        if (g_atomic_int_add(&r->begun, 1) + 1 == r->stop_at)
            stages_stop(r->stages);
        g_thread_yield();
        g_atomic_int_inc(&r->done[stage]);
    }
    stages_done(r->stages, task);
    return TRUE;
}

static void run_all(struct run *r, const guint *stage_of, gsize n, guint jobs)
{
    r->stage_of = g_array_new(FALSE, FALSE, sizeof(guint));
    if (n > 0)
        g_array_append_vals(r->stage_of, stage_of, (guint)n);
    r->stages = stages_new(r->stage_of);
    g_assert_true(pool_run(jobs, (guint)n, run_task, NULL, r, NULL));
    stages_free(r->stages);
    g_array_unref(r->stage_of);
}

static const guint many[] = {0, 0, 0, 0, 1, 1, 1, 3, 3, 3, 3, 3}; /* stage 2 has none */

static void test_no_task_is_early(void)
{
    for (guint jobs = 1; jobs <= 8; jobs++) {
        struct run r = {0};
        run_all(&r, many, G_N_ELEMENTS(many), jobs);
        g_assert_cmpint(r.early, ==, 0);
        g_assert_cmpint(r.begun, ==, G_N_ELEMENTS(many));
    }
}

static void test_the_lowest_stage_may_be_empty(void)
{
    static const guint high[] = {2, 2, 3};
    struct run r = {0};
    run_all(&r, high, G_N_ELEMENTS(high), 2);
    g_assert_cmpint(r.begun, ==, 3);
}

static void test_nothing_to_do(void)
{
    struct run r = {0};
    run_all(&r, NULL, 0, 2);
    g_assert_cmpint(r.begun, ==, 0);
}

static void test_nobody_begins_after_a_stop(void)
{
    for (guint jobs = 1; jobs <= 4; jobs++) {
        struct run r = {.stop_at = 1};
        run_all(&r, many, G_N_ELEMENTS(many), jobs);
        g_assert_cmpint(r.begun, <=, (gint)jobs);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stages/no task is early", test_no_task_is_early);
    g_test_add_func("/stages/the lowest stage may be empty", test_the_lowest_stage_may_be_empty);
    g_test_add_func("/stages/nothing to do", test_nothing_to_do);
    g_test_add_func("/stages/nobody begins after a stop", test_nobody_begins_after_a_stop);
    return g_test_run();
}
