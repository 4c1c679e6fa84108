/*
 * The monthly archive: the first good backup of every month is also kept in S3 as a monthly one, for a year. It is a
 * copy that S3 makes (PREFIX/monthly/YYYYMM/ID.sql.gz), not a second dump, with metadata, tags and lock of its own.
 */
#pragma once

#include "engine/offsite.h"

/* Copies what is missing of one database (encoded name): of every month whose archive would still be kept. The caller
 * holds the database's lock. keep_min plays no part. ret_ids: ids of what was copied are added (char *); may be NULL.
 */
gboolean monthly_archive(const struct offsite *o, const char *name, gint64 now, struct report *report,
                         GPtrArray *ret_ids, GError **error);
