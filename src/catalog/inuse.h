/*
 * Who reads a backup says so, so that retention leaves it alone: FOLDER/.ID.inuse, held in common by readers and alone
 * by who deletes. The kernel drops it when the reader ends, however it ends. It is seen on this machine only.
 */
#pragma once

#include "catalog/copy.h"

#define INUSE_ENDING ".inuse"

struct inuse;
typedef struct inuse inuse;

/* For reading; waits while the backup is being deleted. The folder is the backup's, or for a copy in S3 BACKUP_DIR. */
struct inuse *inuse_share(const char *folder, const char *id, GError **error);

/* The same for a copy. *ret_inuse stays NULL where retention never comes: not named as a backup, a file in a folder
 * other than dir, or no such folder. */
gboolean inuse_share_copy(const struct copy *c, const char *dir, struct inuse **ret_inuse, GError **error);

/* For deleting. NULL without error if somebody reads it. */
struct inuse *inuse_take(const char *folder, const char *id, GError **error);

/* Whether somebody reads or deletes it at the moment. */
gboolean inuse_is_read(const char *folder, const char *id);

/* The file goes with the last who holds it. */
void inuse_free(struct inuse *u);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(inuse, inuse_free)
