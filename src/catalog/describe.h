/* A backup in words and as JSON: the same in lists, on pages and in answers to programs. */
#pragma once

#include "catalog/catalog.h"

/* In all of these, looked says whether somebody has looked into the bucket: only then does a missing object mean that
 * the copy is gone. */

/* "proven", "tested on 18", "verified", "unverified", "failed", "no metadata", "metadata unreadable". The caller frees
 * it. */
char *describe_state(const struct catalog_entry *e);

/* The same, and whether a hold keeps it: "proven, held", "proven, hold ended". To be freed. */
char *describe_state_and_hold(const struct catalog_entry *e);

/* Since it was taken; negative if its clock was ahead of ours. */
gint64 describe_age_seconds(const struct catalog_entry *e);

/* What is known of the copy in S3: of the object if it was looked at ("present", "wrong size", "no metadata"), else of
 * the metadata ("uploaded", "pending", "failed"); "missing": it was there. NULL: there is none, and is to be none. */
const char *describe_s3(const struct catalog_entry *e, gboolean looked);

/* "local, s3", "s3 (pending)", ...; to be freed. */
char *describe_copies(const struct catalog_entry *e, gboolean looked);

/* The object that `opstower list --json` has for it. New reference. */
json_t *describe_json(const struct catalog_entry *e, gboolean looked);
