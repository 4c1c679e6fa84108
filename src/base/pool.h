/*
 * Runs tasks 0 .. n_tasks-1 on n_workers threads, each taking the next task when it is free. The first error stops
 * the rest. Workers share nothing but the counter: what a task needs is found by its index and its worker's index.
 */
#pragma once

#include "base/error.h"

/* One task. FALSE ends the run with *error. */
typedef gboolean (*pool_task)(guint worker, guint task, void *data, GError **error);

/* Returns when all threads have ended: TRUE if every task ran and succeeded. on_error(data), if given, is called
 * once, from the thread that failed first, so that the others' waiting can be cut short. */
gboolean pool_run(guint n_workers, guint n_tasks, pool_task run, void (*on_error)(void *data), void *data,
                  GError **error);

/* jobs as given, or the number of cores, at most 8. */
guint pool_default_jobs(guint jobs);
