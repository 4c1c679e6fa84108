/* The backup of the database that a restore is about to replace: the way back. */
#pragma once

#include "engine/restore.h"

/* What it became. */
struct prebackup {
    char *id;
    struct copy *copy; /* where it can be read */
};
void prebackup_clear(struct prebackup *p);

/* Takes it as request->pre_backup says, with a log of its own. For --in-place it must also pass a full test. NULL as
 * pre_backup: none is taken, which --in-place refuses; *ret_made is then empty. */
gboolean prebackup_take(const struct restore_request *request, struct report *report, struct prebackup *ret_made,
                        GError **error);
