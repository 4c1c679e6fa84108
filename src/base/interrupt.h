/*
 * SIGINT and SIGTERM: a thread of its own waits for them, remembers the first, and calls every registered
 * function once (to cancel a server query, to end a child). Workers then see their calls fail, unwind as after
 * any error, and clean up behind them.
 */
#pragma once

#include "base/error.h"

/* Blocks the two signals in the calling thread (and those it starts later) and starts the waiting thread.
 * Ignores SIGPIPE and SIGXFSZ, so that a closed pipe or a file size limit is an error of write. Call once, before any
 * other thread. */
void interrupt_init(void);

/* The signal that arrived, 0 if none. */
int interrupt_signal(void);

/* FALSE with OT_INTERRUPTED if a signal arrived. */
gboolean interrupt_check(GError **error);

/* Waits; FALSE with OT_INTERRUPTED as soon as a signal arrived. */
gboolean interrupt_wait(guint seconds, GError **error);

/* Calls function(data) from the waiting thread when a signal arrives; at once if one already has.
 * Returns an id for interrupt_remove; after that returns, function is neither running nor called again. */
guint interrupt_add(void (*function)(void *data), void *data);
void interrupt_remove(guint id);

/* Restores the default mask and handlers; for a child between fork and exec. Async-signal-safe. */
void interrupt_reset_in_child(void);
