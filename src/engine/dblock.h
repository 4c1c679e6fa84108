/* The lock on a database's backups in a folder: one run of this host at a time changes them. */
#pragma once

#include "base/lock.h"
#include "engine/report.h"

/* Takes the lock for the act ("backup", "prune", ...) on the database of that encoded name. Another run that holds it
 * is waited for, at most wait_s seconds (0: not at all), and told of. NULL: OT_BUSY, or OT_INTERRUPTED. */
struct lock *dblock_take(const char *dir, const char *name, const char *act, guint wait_s, struct report *report,
                         GError **error);

/* The same for a database's way to S3: who uploads holds it, and may hold it much longer than the dump takes. Never
 * wait for it while holding the other. */
struct lock *dblock_take_upload(const char *dir, const char *name, const char *act, guint wait_s,
                                struct report *report, GError **error);
