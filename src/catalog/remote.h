/* The set of backups in a bucket, and how it joins that of the folder: one backup, several copies. */
#pragma once

#include "catalog/catalog.h"
#include "store/s3_objects.h"

/* Adds what lies in the bucket to a list of the folder's backups (catalog_list with the same name): to the entry of the
 * same id, or as an entry of its own, whose metadata is then read from the bucket. A copy in the monthly archive is the
 * entry's monthly, or where the backup itself is gone from the bucket its object. Sorted again. Objects under the
 * prefix with other names are not looked at. */
gboolean remote_join(GPtrArray *list, struct s3 *client, const char *prefix, const char *name, GError **error);

/* The same without any metadata, in the order of the names. */
gboolean remote_join_objects(GPtrArray *list, struct s3 *client, const char *prefix, const char *name, GError **error);

/* The same, but metadata is read only of backups that may be of since (seconds since 1970) or later: older ones that are
 * in the bucket only come without. */
gboolean remote_join_since(GPtrArray *list, struct s3 *client, const char *prefix, const char *name, gint64 since,
                           GError **error);

/* The keys of metadata and globals under the prefix that have no backup beside them, of that database. char *. */
GPtrArray *remote_strays(struct s3 *client, const char *prefix, const char *name, GError **error);

/* One entry for every backup object under the prefix, the monthly archive's too, newest first; of that database only,
 * if name (encoded) is given. Without metadata: remote_read_meta reads it. struct catalog_entry *. */
GPtrArray *remote_list(struct s3 *client, const char *prefix, const char *name, GError **error);

/* Reads the metadata of those entries that have an object with some beside it, and none read yet. */
gboolean remote_read_meta(GPtrArray *entries, struct s3 *client, GError **error);

/* The key of what a person wrote: a key, s3://BUCKET/KEY, an id, or a timestamp. Whether there is such an object is not
 * asked, but for an id: of that, where the backup itself is gone, its copy in the monthly archive is meant. NULL: OT_NOT_FOUND, OT_S3. To be
 * freed. */
char *remote_resolve(struct s3 *client, const char *prefix, const char *database, const char *what, GError **error);
