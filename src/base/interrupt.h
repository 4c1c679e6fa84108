/*
 * SIGINT, SIGTERM, SIGHUP and whatever else would end us: a thread of its own waits for them, remembers the first, and
 * calls every registered function once (to cancel a server query, to end a child). Workers then see their calls fail,
 * unwind as after any error, and clean up behind them. What does not answer is not waited for: it is called again after
 * a grace, and then at last, so that the program is gone within five seconds.
 */
#pragma once

#include "base/error.h"

/* Blocks the signals in the calling thread (and those it starts later) and starts the waiting thread.
 * Ignores SIGPIPE and SIGXFSZ, so that a closed pipe or a file size limit is an error of write. Call once, before any
 * other thread. */
void interrupt_init(void);

#define INTERRUPT_GRACE_MS 1500 /* for others to do as they were asked */
#define INTERRUPT_LAST_MS 3500  /* for cleaning up */

/* The signal that arrived first, 0 if none. */
int interrupt_signal(void);

/* Milliseconds since the first; 0 if there was none. */
gint64 interrupt_age_ms(void);

/* Whether the time for cleaning up is over: nothing is begun or waited for any more. */
gboolean interrupt_time_is_over(void);

/* Whether what is being done ends now: a signal arrived; or, where it is done despite one, the time is over. */
gboolean interrupt_ends(gboolean despite_interrupt);

/* FALSE with OT_INTERRUPTED if a signal arrived. */
gboolean interrupt_check(GError **error);

/* Waits; FALSE with OT_INTERRUPTED as soon as a signal arrived. */
gboolean interrupt_wait(guint seconds, GError **error);

/* Calls function(data) from the waiting thread when a signal arrives; at once if one already has.
 * Returns an id for interrupt_remove; after that returns, function is neither running nor called again. */
guint interrupt_add(void (*function)(void *data), void *data);

/* The same, with further calls later; each may be NULL. Those whose time has come when this is called are made at
 * once. */
struct interrupt_calls {
    void (*at_once)(void *data);
    void (*after_grace)(void *data);
    void (*at_last)(void *data);
};
guint interrupt_add_calls(const struct interrupt_calls *calls, void *data);
void interrupt_remove(guint id);

/* Restores the default mask and handlers; for a child between fork and exec. Async-signal-safe. */
void interrupt_reset_in_child(void);
