/* Brings to S3 what is only on this machine and should be there too. */
#pragma once

#include "engine/offsite.h"

/* Uploads every backup in dir that is marked as pending, oldest first; with all also those that were never meant to go
 * there. Of that database (encoded name) only; the caller holds its lock. ret_count: how many were uploaded; may be
 * NULL. The first failure ends it: OT_UPLOAD. */
gboolean sync_pending(const struct offsite *o, const char *dir, const char *name, gboolean all, struct report *report,
                      guint *ret_count, GError **error);

struct sync_request {
    const struct offsite *offsite;
    const char *dir;
    const char *name; /* encoded; NULL: every database's backups */
    gboolean all;     /* also those taken with --local-only, or before there was a bucket */
};

/* Takes each database's lock in turn, ends unfinished uploads, uploads. */
gboolean sync_run(const struct sync_request *request, struct report *report, guint *ret_count, GError **error);
