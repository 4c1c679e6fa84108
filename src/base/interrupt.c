/* One thread that waits for SIGINT and SIGTERM, and a list of what to call then. */
#include "base/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

struct callback {
    guint id;
    void (*function)(void *data);
    void *data;
};

static gint arrived;
static GMutex mutex;
static GArray *callbacks;
static guint last_id;

static void fill(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

static void *wait_for_signals(void *unused)
{
    (void)unused;
    sigset_t set;
    fill(&set);
    for (;;) {
        int signal_number = 0;
        if (sigwait(&set, &signal_number) != 0)
            continue;
        g_atomic_int_compare_and_exchange(&arrived, 0, signal_number);
        g_mutex_lock(&mutex);
        for (guint i = 0; i < callbacks->len; i++) {
            struct callback *c = &g_array_index(callbacks, struct callback, i);
            c->function(c->data);
        }
        g_array_set_size(callbacks, 0);
        g_mutex_unlock(&mutex);
    }
    return NULL;
}

void interrupt_init(void)
{
    callbacks = g_array_new(FALSE, FALSE, sizeof(struct callback));
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    sigset_t set;
    fill(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    g_thread_unref(g_thread_new("signals", wait_for_signals, NULL));
}

int interrupt_signal(void)
{
    return g_atomic_int_get(&arrived);
}

gboolean interrupt_check(GError **error)
{
    int signal_number = interrupt_signal();
    if (!signal_number)
        return TRUE;
    return ot_fail(error, OT_INTERRUPTED, "interrupted by %s", signal_number == SIGINT ? "SIGINT" : "SIGTERM");
}

gboolean interrupt_wait(guint seconds, GError **error)
{
    for (guint waited = 0; waited < seconds * 10; waited++) {
        if (!interrupt_check(error))
            return FALSE;
        g_usleep(100000);
    }
    return TRUE;
}

guint interrupt_add(void (*function)(void *data), void *data)
{
    g_mutex_lock(&mutex);
    guint id = ++last_id;
    struct callback c = {id, function, data};
    if (interrupt_signal())
        function(data);
    else if (callbacks)
        g_array_append_val(callbacks, c);
    g_mutex_unlock(&mutex);
    return id;
}

void interrupt_remove(guint id)
{
    g_mutex_lock(&mutex);
    for (guint i = 0; callbacks && i < callbacks->len; i++)
        if (g_array_index(callbacks, struct callback, i).id == id) {
            g_array_remove_index_fast(callbacks, i);
            break;
        }
    g_mutex_unlock(&mutex);
}

void interrupt_reset_in_child(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
}
