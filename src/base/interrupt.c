/* One thread that waits for signals that are to end us, and a list of what to call then. */
#include "base/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#define GRACE_US (INTERRUPT_GRACE_MS * (gint64)1000)
#define LAST_US (INTERRUPT_LAST_MS * (gint64)1000)

struct callback {
    guint id;
    struct interrupt_calls calls;
    void *data;
};

enum stage { NOT_YET, AT_ONCE, AFTER_GRACE, AT_LAST };

static gint arrived;
static gint64 arrived_us; /* monotonic; set before arrived is */
static GMutex mutex;      /* of the rest */
static GArray *callbacks;
static guint last_id;
static enum stage stage;

/* Every signal that would end us and can be waited for, but those that tell of a fault in the program itself. One that
 * whoever started us has ignored, as nohup does, stays ignored. */
static const struct {
    int number;
    const char *name;
    gboolean may_be_ignored;
} signals[] = {
    {SIGINT, "SIGINT", FALSE},  {SIGTERM, "SIGTERM", FALSE}, {SIGHUP, "SIGHUP", TRUE},   {SIGQUIT, "SIGQUIT", TRUE},
    {SIGUSR1, "SIGUSR1", TRUE}, {SIGUSR2, "SIGUSR2", TRUE},  {SIGALRM, "SIGALRM", TRUE}, {SIGXCPU, "SIGXCPU", TRUE},
    {SIGPWR, "SIGPWR", TRUE},
};

static gboolean is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_IGN;
}

static void fill(sigset_t *set)
{
    sigemptyset(set);
    for (gsize i = 0; i < G_N_ELEMENTS(signals); i++)
        if (!signals[i].may_be_ignored || !is_ignored(signals[i].number))
            sigaddset(set, signals[i].number);
}

static const char *name_of(int number)
{
    for (gsize i = 0; i < G_N_ELEMENTS(signals); i++)
        if (signals[i].number == number)
            return signals[i].name;
    return "a signal";
}

static void call(const struct callback *c, enum stage which)
{
    void (*const functions[])(void *) = {
        [AT_ONCE] = c->calls.at_once, [AFTER_GRACE] = c->calls.after_grace, [AT_LAST] = c->calls.at_last};
    if (functions[which])
        functions[which](c->data);
}

static void enter(enum stage which)
{
    g_mutex_lock(&mutex);
    stage = which;
    for (guint i = 0; i < callbacks->len; i++)
        call(&g_array_index(callbacks, struct callback, i), which);
    g_mutex_unlock(&mutex);
}

/* The signal's number; 0 if the time ran out before one came. until_us < 0: there is no limit. */
static int next_signal(const sigset_t *set, gint64 until_us)
{
    if (until_us < 0) {
        int number = 0;
        return sigwait(set, &number) == 0 ? number : 0;
    }
    gint64 left = MAX(0, until_us - g_get_monotonic_time());
    struct timespec limit = {left / G_USEC_PER_SEC, left % G_USEC_PER_SEC * 1000};
    return MAX(0, sigtimedwait(set, NULL, &limit));
}

static void *wait_for_signals(void *unused)
{
    (void)unused;
    sigset_t set;
    fill(&set);
    enum stage reached = NOT_YET;
    for (;;) {
        gint64 until = reached == AT_ONCE ? arrived_us + GRACE_US : reached == AFTER_GRACE ? arrived_us + LAST_US : -1;
        int number = next_signal(&set, until);
        if (number) {
            if (!g_atomic_int_get(&arrived))
                arrived_us = g_get_monotonic_time();
            g_atomic_int_compare_and_exchange(&arrived, 0, number);
        }
        if (reached == NOT_YET && number)
            enter(reached = AT_ONCE);
        else if (until >= 0 && g_get_monotonic_time() >= until)
            enter(++reached);
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

gint64 interrupt_age_ms(void)
{
    return interrupt_signal() ? (g_get_monotonic_time() - arrived_us) / 1000 : 0;
}

gboolean interrupt_time_is_over(void)
{
    return interrupt_age_ms() >= INTERRUPT_LAST_MS;
}

gboolean interrupt_ends(gboolean despite_interrupt)
{
    return despite_interrupt ? interrupt_time_is_over() : interrupt_signal() != 0;
}

gboolean interrupt_check(GError **error)
{
    int signal_number = interrupt_signal();
    if (!signal_number)
        return TRUE;
    return ot_fail(error, OT_INTERRUPTED, "interrupted by %s", name_of(signal_number));
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

guint interrupt_add_calls(const struct interrupt_calls *calls, void *data)
{
    g_mutex_lock(&mutex);
    guint id = ++last_id;
    struct callback c = {id, *calls, data};
    for (enum stage s = AT_ONCE; s <= stage; s++)
        call(&c, s);
    if (callbacks)
        g_array_append_val(callbacks, c);
    g_mutex_unlock(&mutex);
    return id;
}

guint interrupt_add(void (*function)(void *data), void *data)
{
    struct interrupt_calls calls = {.at_once = function};
    return interrupt_add_calls(&calls, data);
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
