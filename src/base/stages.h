/*
 * Tasks of a pool that must wait for each other: a task begins when all tasks of lower stages are done. Tasks are to be
 * in the order of their stages, so that whoever waits, waits for tasks that others have begun.
 */
#pragma once

#include <glib.h>

struct stages;
typedef struct stages stages;

/* stage_of: of each task, ascending. */
struct stages *stages_new(const GArray *stage_of);

/* Waits for the task's turn. FALSE if stages_stop was called: the task is not to begin. Thread-safe, as all below. */
gboolean stages_enter(struct stages *s, guint task);
void stages_done(struct stages *s, guint task);

/* Something failed: nobody waits any longer. */
void stages_stop(struct stages *s);
void stages_free(struct stages *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(stages, stages_free)
