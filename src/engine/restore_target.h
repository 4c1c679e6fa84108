/*
 * Whether a backup belongs to what it is about to replace: to that database, of that server. Told early, before the
 * backup is read.
 */
#pragma once

#include "engine/restore.h"

/* What is found out and told of the two servers. */
struct restore_target {
    gboolean is_other; /* the backup is another server's */
    char *backup_server, *server;
};
void restore_target_clear(struct restore_target *t);

/* Tells which server the backup is of and which one is restored to. OT_REFUSED if a database that holds something would
 * be replaced, or rows be put back into it, with a backup of another database or server, unless q->other_database. live:
 * the database's name. */
gboolean restore_target_check(const struct restore_request *q, const char *live, struct report *report,
                              struct restore_target *ret, GError **error);

/* After a restore of another server's backup: how its history goes on. */
void restore_target_offer(const struct restore_target *t, struct report *report);
