/*
 * The watch over a run's sessions: a connection and a thread of their own, which see to it that nobody waits long for
 * us, and that we wait long for nobody. A session of others that waits longer than the limit for an exclusive lock on
 * what any session of this run or child of it has locked makes us give way; so does a session of this run that waits
 * for a lock as long (pg_dump looks into views, materialized views and sequences without a limit of its own). To give
 * way is to end all sessions of this run.
 *
 * The same connection is the one that sees the present, where the others see the snapshot: watch_query.
 */
#pragma once

#include "pg/session.h"

struct watch;
typedef struct watch watch;

/* beat is called every few seconds from the watch's thread, for as long as we have not given way. */
struct watch *watch_start(const struct pg_target *t, guint limit_ms, void (*beat)(void *data), void *data,
                          GError **error);

/* As session_query, on the watch's connection; thread-safe. */
PGresult *watch_query(struct watch *w, GError **error, const char *sql, int n_params, const char *const *params);

/* To whom or for what we gave way, a text that watch_free frees; NULL: we have not. Thread-safe. */
const char *watch_gave_way(struct watch *w);

/* Whether its connection was lost, so that nobody would be given way to. Thread-safe. */
gboolean watch_failed(struct watch *w);

/* Ends the thread and the connection; watch_gave_way still answers. */
void watch_stop(struct watch *w);
void watch_free(struct watch *w);
