/* What follows a backup that is complete: earlier ones that are not in S3 yet, the monthly archive, retention. */
#pragma once

#include "engine/backup.h"
#include "engine/server_identity.h"

/* Each step is taken whatever became of the others, for a bucket that is down is no reason to let the disk fill up; the
 * first failure is the result, a second one a warning. name: encoded; its lock is held. identity: the server that was
 * backed up. upload_problem: what kept this backup from S3; taken; NULL: nothing. */
gboolean followup_run(const struct backup_request *q, const char *name, struct server_identity *identity, gint64 now,
                      GError *upload_problem, struct report *report, GError **error);
