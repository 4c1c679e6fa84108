/*
 * A server that says nothing. A long statement says nothing either: so who has been waiting for longer than the limit
 * is not ended for that. A connection of our own asks the server. Only if it does not answer, or says that the session
 * is gone, or that it is idle or waits for us, is the wait given up: then what was said is lost, or nobody is there.
 */
#pragma once

#include "pg/conninfo.h"

/* How long a wait may last before the server is asked; 15 minutes if this is never called. */
void silence_set_limit(guint seconds);

/* The same, or a few seconds while the server is known not to answer. */
guint silence_limit(void);

struct silence_subject {
    const struct conninfo *conninfo; /* where to ask; copied */
    int backend_pid;                 /* of the session on the server; 0: only whether the server answers counts */
    const char *server_started;      /* pg_postmaster_start_time, so that another server is not asked; or NULL */
    void (*end)(void *data, const char *why); /* called from another thread; must be quick and not free the watch */
    void *data;
};

struct silence;

/* The caller frees it with silence_free; after that end is neither running nor called again. NULL is fine there. */
struct silence *silence_new(const struct silence_subject *subject);
void silence_free(struct silence *s);

/* We wait for the server; we do not. Cheap. */
void silence_begin(struct silence *s);
void silence_end(struct silence *s);
