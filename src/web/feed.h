/*
 * A value that costs time to make (a look at a folder, at S3, at the database), made again in the background when it is
 * asked for and too old. Whoever asks waits a little for a new one, then gets the last there was, with its age: what
 * hangs behind it makes no page hang.
 */
#pragma once

#include "base/error.h"

/* One result; immutable, shared among threads. */
struct feed_value {
    gint references;
    void *data;        /* NULL: it could not be made */
    GError *error;     /* why */
    gint64 made_at;    /* seconds since 1970: when making it began */
    gint64 made_at_us; /* the same on the monotonic clock */
    GDestroyNotify free;
};
typedef struct feed_value feed_value;
void feed_value_unref(struct feed_value *v);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(feed_value, feed_value_unref)

struct feed;

/* make runs on a thread of the feed's own, one call at a time. fresh_ms: a value younger than this is good enough;
 * wait_ms: at most so long after a making began anybody waits for it. */
struct feed *feed_new(void *(*make)(void *data, GError **error), GDestroyNotify free_value, void *data, guint fresh_ms,
                      guint wait_ms);

/* Waits for a making that is under way. */
void feed_free(struct feed *f);

/* The newest value; NULL: there has never been one. A new reference. */
struct feed_value *feed_get(struct feed *f);

/* The newest value without asking for a newer one or waiting. */
struct feed_value *feed_peek(struct feed *f);
