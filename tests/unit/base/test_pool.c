/*
 * Tests of the worker pool: every task once, on as many threads as wanted; the first error wins and stops the rest.
 */
#include "base/pool.h"

#define TASKS 5000

struct record {
    gint runs[TASKS];
    gint workers[16];
    gint on_error_calls, started;
    guint fail_at, n_workers;
    gboolean wait; /* tasks behind the one that fails end only when it has failed */
};

static gboolean count_task(guint worker, guint task, void *data, GError **error)
{
    struct record *r = data;
    g_assert_null(*error);
    g_assert_cmpuint(worker, <, r->n_workers);
    g_assert_cmpuint(task, <, TASKS);
    g_atomic_int_inc(&r->runs[task]);
    g_atomic_int_inc(&r->workers[worker]);
    return TRUE;
}

static void test_all_once(void)
{
    for (guint n_workers = 1; n_workers <= 16; n_workers += 5)
        for (guint n_tasks = 0; n_tasks <= TASKS; n_tasks = n_tasks * 7 + 1) {
            g_autofree struct record *r = g_new0(struct record, 1);
            r->n_workers = n_workers;
            g_autoptr(GError) error = NULL;
            g_assert_true(pool_run(n_workers, n_tasks, count_task, NULL, r, &error));
            g_assert_no_error(error);
            for (guint i = 0; i < TASKS; i++)
                g_assert_cmpint(r->runs[i], ==, i < n_tasks ? 1 : 0);
        }
}

/* Each worker waits until all have begun: they must run side by side. */
static gboolean meet(guint worker, guint task, void *data, GError **error)
{
    struct record *r = data;
    (void)task;
    (void)error;
    g_atomic_int_inc(&r->workers[worker]);
    g_atomic_int_inc(&r->started);
    for (int waited = 0; g_atomic_int_get(&r->started) < 4; waited++) {
        g_assert_cmpint(waited, <, 60000);
        g_usleep(1000);
    }
    return TRUE;
}

static void test_side_by_side(void)
{
    struct record r = {.n_workers = 4};
    g_assert_true(pool_run(4, 4, meet, NULL, &r, NULL));
    for (int i = 0; i < 4; i++)
        g_assert_cmpint(r.workers[i], ==, 1);
}

static void note_error(void *data)
{
    g_atomic_int_inc(&((struct record *)data)->on_error_calls);
}

static gboolean fail_once(guint worker, guint task, void *data, GError **error)
{
    struct record *r = data;
    (void)worker;
    g_atomic_int_inc(&r->runs[task]);
    if (task == r->fail_at)
        return ot_fail(error, OT_BUSY, "task %u", task);
    while (r->wait && task > r->fail_at && g_atomic_int_get(&r->on_error_calls) == 0)
        g_usleep(100);
    return TRUE;
}

static guint count_runs(const struct record *r)
{
    guint n = 0;
    for (guint i = 0; i < TASKS; i++) {
        g_assert_cmpint(r->runs[i], <=, 1);
        n += (guint)r->runs[i];
    }
    return n;
}

static void test_error_stops(void)
{
    for (guint n_workers = 1; n_workers <= 4; n_workers++) {
        g_autofree struct record *r = g_new0(struct record, 1);
        r->fail_at = 10;
        r->wait = TRUE;
        g_autoptr(GError) error = NULL;
        g_assert_false(pool_run(n_workers, TASKS, fail_once, note_error, r, &error));
        g_assert_error(error, OT_ERROR, OT_BUSY);
        g_assert_cmpstr(error->message, ==, "task 10");
        g_assert_cmpint(r->on_error_calls, ==, 1);
        g_assert_cmpuint(count_runs(r), >=, 11);
        g_assert_cmpuint(count_runs(r), <, 11 + n_workers);
    }
}

/* The last task fails: all ran, and it is still an error. */
static void test_last_fails(void)
{
    g_autofree struct record *r = g_new0(struct record, 1);
    r->fail_at = 99;
    g_autoptr(GError) error = NULL;
    g_assert_false(pool_run(3, 100, fail_once, note_error, r, &error));
    g_assert_error(error, OT_ERROR, OT_BUSY);
    g_assert_cmpuint(count_runs(r), ==, 100);
}

/* Task 0 fails at once; the others fail only after they have been told of it. The first error is the result. */
static gboolean fail_all(guint worker, guint task, void *data, GError **error)
{
    struct record *r = data;
    (void)worker;
    g_atomic_int_inc(&r->started);
    if (task == 0) {
        while (g_atomic_int_get(&r->started) < 4)
            g_usleep(1000);
        return ot_fail(error, OT_SPACE, "the first");
    }
    while (g_atomic_int_get(&r->on_error_calls) == 0)
        g_usleep(1000);
    return ot_fail(error, OT_BUSY, "a later one");
}

static void test_first_error_wins(void)
{
    for (int i = 0; i < 50; i++) {
        struct record r = {.n_workers = 4};
        g_autoptr(GError) error = NULL;
        g_assert_false(pool_run(4, 4, fail_all, note_error, &r, &error));
        g_assert_error(error, OT_ERROR, OT_SPACE);
        g_assert_cmpint(r.on_error_calls, ==, 1);
    }
}

static void test_jobs(void)
{
    g_assert_cmpuint(pool_default_jobs(1), ==, 1);
    g_assert_cmpuint(pool_default_jobs(5), ==, 5);
    g_assert_cmpuint(pool_default_jobs(0), >=, 1);
    g_assert_cmpuint(pool_default_jobs(0), <=, 8);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pool/all_once", test_all_once);
    g_test_add_func("/pool/side_by_side", test_side_by_side);
    g_test_add_func("/pool/error_stops", test_error_stops);
    g_test_add_func("/pool/last_fails", test_last_fails);
    g_test_add_func("/pool/first_error_wins", test_first_error_wins);
    g_test_add_func("/pool/jobs", test_jobs);
    return g_test_run();
}
