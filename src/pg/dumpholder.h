/* pg_dump as the one that holds the locks: its process, and which transaction of the server's is its. */
#pragma once

#include "base/subprocess.h"
#include "pg/watch.h"

struct dumpholder {
    struct subprocess *child;
    char *pid, *transaction; /* as pg_locks says it; NULL: not found yet */
};

/* Finds the session of this run that is neither own_pid's nor the watch's. OT_LOCK_TIMEOUT if there is none. */
gboolean dumpholder_find(struct dumpholder *h, struct watch *w, const char *own_pid, GError **error);

/* The tables that it has locked, as tablelocks_set. */
GHashTable *dumpholder_held(const struct dumpholder *h, struct watch *w, GError **error);

/* Whether it is still the same transaction. */
gboolean dumpholder_lives(const struct dumpholder *h, struct watch *w, GError **error);

/* Ends it. */
void dumpholder_clear(struct dumpholder *h);
