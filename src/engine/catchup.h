/*
 * cron starts nothing later than at its minute. So under cron an hourly line runs what a machine that was off has
 * missed: each job at most once, however often its time passed, in order, never two at a time. systemd's timers do so
 * by themselves (Persistent=true).
 *
 * Only jobs that are not back within the hour or sooner. That a job has run, the journals say; that it was caught up,
 * and since when there is somebody to catch up, the act "catch-up" in the journal of the first folder does.
 */
#pragma once

#include <jansson.h>

#include "engine/schedule.h"

struct catchup_request {
    const struct schedule_request *schedule;
    const char *const *dirs; /* BACKUP_DIR of each of its .env files, absolute; NULL at the end */
    gint64 now;              /* seconds since 1970 */
};

/* When the last run of a job was due that has not come to be; 0: none was missed. records: json_t * of the journals, in
 * any order. */
gint64 catchup_missed(const struct schedule_request *q, const struct schedule_job *job, const GPtrArray *records,
                      gint64 now);

/* Runs what was missed, as children whose stderr is ours. FALSE: OT_BUSY (another catch-up is at work), OT_IO, or if a
 * job failed the worst exit code. While a backup is read nothing is run: the next hour will. ret_ran: how many. */
gboolean catchup_run(const struct catchup_request *q, struct report *report, guint *ret_ran, GError **error);
