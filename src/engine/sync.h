/* Brings to S3 what is only on this machine and should be there too. */
#pragma once

#include "engine/offsite.h"
#include "engine/server_identity.h"

enum sync_reach {
    SYNC_PENDING, /* what is marked as not there yet, or as damaged there */
    SYNC_MISSING, /* also what should be there, and is not when one looks */
    SYNC_ALL,     /* also what was never meant to go there */
};

struct sync_request {
    const struct offsite *offsite;
    const char *dir;
    const char *name; /* encoded; NULL: every database's backups */
    enum sync_reach reach;
    gboolean monthly;                 /* also make the monthly archives that are missing */
    guint wait_s;                     /* for another run on a database; 0: do not wait */
    struct server_identity *identity; /* whose backups; NULL: everybody's. Others' are left to their own runs */
};

/* Uploads backups of that database (q->name, not NULL), oldest first, and brings holds there up to date; the caller
 * holds its lock. ret_count: how many were uploaded; may be NULL. The first failure ends it: OT_UPLOAD. */
gboolean sync_database(const struct sync_request *q, struct report *report, guint *ret_count, GError **error);

/* Takes each database's lock in turn, ends unfinished uploads, uploads. */
gboolean sync_run(const struct sync_request *request, struct report *report, guint *ret_count, GError **error);
