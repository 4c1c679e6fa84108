/* Values that are made in the background: fresh ones are kept, slow ones do not hold anybody up. */
#include "web/feed.h"

#include <string.h>

#define LONG_MS (60 * 1000) /* for what is quick: not even a loaded machine takes so long */

struct source_of_values {
    gint made;
    gint slow; /* a making waits while this is set */
    gint fail;
};

static void *make(void *data, GError **error)
{
    struct source_of_values *s = data;
    int number = g_atomic_int_add(&s->made, 1) + 1;
    while (g_atomic_int_get(&s->slow))
        g_usleep(1000);
    if (g_atomic_int_get(&s->fail)) {
        ot_fail(error, OT_S3, "number %d failed", number);
        return NULL;
    }
    return g_strdup_printf("%d", number);
}

static void test_fresh(void)
{
    struct source_of_values s = {0};
    struct feed *f = feed_new(make, g_free, &s, 600 * 1000, LONG_MS);
    g_assert_null(feed_peek(f));
    for (int i = 0; i < 3; i++) {
        g_autoptr(feed_value) v = feed_get(f);
        g_assert_cmpstr(v->data, ==, "1");
    }
    feed_free(f);
    g_assert_cmpint(s.made, ==, 1);
}

static void test_old(void)
{
    struct source_of_values s = {0};
    struct feed *f = feed_new(make, g_free, &s, 0, LONG_MS);
    feed_value_unref(feed_get(f));
    g_autoptr(feed_value) old = feed_peek(f);
    g_assert_cmpstr(old->data, ==, "1");
    g_autoptr(feed_value) fresh = feed_get(f);
    g_assert_cmpstr(fresh->data, ==, "2");
    g_assert_cmpstr(old->data, ==, "1"); /* ours as long as we hold it */
    feed_free(f);
    g_assert_cmpint(s.made, ==, 2);
}

static void test_slow(void)
{
    struct source_of_values s = {0};
    struct feed *f = feed_new(make, g_free, &s, 0, 2000);
    feed_value_unref(feed_get(f));
    g_atomic_int_set(&s.slow, 1);
    gint64 start = g_get_monotonic_time();
    for (int i = 0; i < 5; i++) { /* only the first waits, and not for longer than it may */
        g_autoptr(feed_value) v = feed_get(f);
        g_assert_cmpstr(v->data, ==, "1");
    }
    gint64 took_ms = (g_get_monotonic_time() - start) / 1000;
    g_assert_cmpint(took_ms, >=, 2000);
    g_assert_cmpint(took_ms, <, 2 * 2000);
    g_assert_cmpint(g_atomic_int_get(&s.made), ==, 2); /* one making at a time */
    g_atomic_int_set(&s.slow, 0);
    feed_free(f);
}

static void test_failure(void)
{
    struct source_of_values s = {.fail = 1};
    struct feed *f = feed_new(make, g_free, &s, 0, LONG_MS);
    g_autoptr(feed_value) v = feed_get(f);
    g_assert_null(v->data);
    g_assert_error(v->error, OT_ERROR, OT_S3);
    g_atomic_int_set(&s.fail, 0);
    g_autoptr(feed_value) good = feed_get(f);
    g_assert_cmpstr(good->data, ==, "2");
    feed_free(f);
}

static void *ask(void *data)
{
    for (int i = 0; i < 200; i++) {
        g_autoptr(feed_value) v = feed_get(data);
        g_assert_nonnull(v->data);
    }
    return NULL;
}

static void test_threads(void)
{
    struct source_of_values s = {0};
    struct feed *f = feed_new(make, g_free, &s, 1, LONG_MS);
    GThread *threads[8];
    for (int i = 0; i < 8; i++)
        threads[i] = g_thread_new("asks", ask, f);
    for (int i = 0; i < 8; i++)
        g_thread_join(threads[i]);
    feed_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/feed/fresh", test_fresh);
    g_test_add_func("/feed/old", test_old);
    g_test_add_func("/feed/slow", test_slow);
    g_test_add_func("/feed/failure", test_failure);
    g_test_add_func("/feed/threads", test_threads);
    return g_test_run();
}
