/*
 * One run at a time: a lock file that names its holder. The kernel drops the lock when the holder ends, however it
 * ends, so a stale lock cannot be: what a dead holder left in the file is only text.
 */
#pragma once

#include "base/error.h"

struct lock;
typedef struct lock lock;

/* Takes the lock at path, or fails with OT_BUSY and says who holds it since when. act: "backup", "restore"... */
struct lock *lock_take(const char *path, const char *act, GError **error);

void lock_free(struct lock *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(lock, lock_free)
