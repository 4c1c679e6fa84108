/*
 * Bounds what clients can hold: how many connections there are, in all and from one address, and how long each may take
 * for a request and for taking its answer. A connection that drips is ended although it is never idle.
 */
#pragma once

#include <sys/socket.h>

#include <glib.h>

#define GUARD_MAX_CONNECTIONS 128 /* in all */
#define GUARD_MAX_PER_ADDRESS 48
#define GUARD_REQUEST_S 10 /* from the connection, or the last answer, to the end of the next request's header */
#define GUARD_ANSWER_S 60  /* for taking an answer */

struct guard;
struct guard_entry;

struct guard *guard_new(void);
void guard_free(struct guard *g);

/* A connection came. Where there are too many, the one that has been sending its request for longest is ended: of the
 * same address if that has too many, else of all. The entry lives until guard_leave. */
struct guard_entry *guard_enter(struct guard *g, int fd, const struct sockaddr *peer);

/* Its request is whole: from now on it has the time for an answer. */
void guard_answering(struct guard *g, struct guard_entry *e);

/* Its answer is sent: it may send another request. */
void guard_waiting(struct guard *g, struct guard_entry *e);

/* It is about to be closed: its descriptor must still be open. */
void guard_leave(struct guard *g, struct guard_entry *e);
