/*
 * The monthly archive: the first good backup of every month is also kept in S3 as a monthly one, for a year. It is a
 * copy that S3 makes (PREFIX/monthly/YYYYMM/ID.sql.gz), not a second dump, with metadata, tags and lock of its own.
 */
#pragma once

#include "engine/offsite.h"
#include "engine/server_identity.h"

struct monthly_request {
    const struct offsite *offsite;
    const char *name;                 /* of the database, encoded */
    struct server_identity *identity; /* whose backups; NULL: everybody's */
    gint64 now;                       /* seconds since 1970 */
};

/* Copies what is missing of one database: of every month whose archive would still be kept. The caller holds the
 * database's lock. keep_min plays no part. ret_ids: ids of what was copied are added (char *); may be NULL. */
gboolean monthly_archive(const struct monthly_request *q, struct report *report, GPtrArray *ret_ids, GError **error);
