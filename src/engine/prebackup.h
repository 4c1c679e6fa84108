/* The backup of the database that a restore is about to replace: the way back. */
#pragma once

#include "engine/restore.h"

/* Takes it as request->pre_backup says, with a log of its own. For --in-place it must also pass a full test. NULL as
 * pre_backup: none is taken, which --in-place refuses. */
gboolean prebackup_take(const struct restore_request *request, struct report *report, GError **error);
