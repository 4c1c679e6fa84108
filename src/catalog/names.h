/*
 * How backups are named: NAME_YYYYMMDD_HHMMSS with an ending per file. NAME is the database's name; bytes that do not
 * belong in a file name are written %XX. A backup's id is its name without the ending.
 */
#pragma once

#include <glib.h>

#define NAMES_DUMP ".sql.gz"
#define NAMES_META ".meta.json"
#define NAMES_GLOBALS ".globals.sql"

/* The database's name as it stands in file names; the caller frees it. */
char *names_encode(const char *database);

/* NAME_TIMESTAMP; the caller frees it. */
char *names_id(const char *database, const char *timestamp);

/* Cuts an id into its encoded name and its timestamp; FALSE if it is none. Both are to be freed. */
gboolean names_split_id(const char *id, char **ret_name, char **ret_timestamp);

/* Whether a schema is one that `restore --table` makes: recovered_TIMESTAMP. */
gboolean names_is_recovered(const char *schema);

/* PREFIX/YYYYMMDD/ID.sql.gz: the key of a backup in S3. NULL if id is none. To be freed. */
char *names_key(const char *prefix, const char *id);

/* PREFIX/monthly/YYYYMM/ID.sql.gz: that of its copy in the monthly archive. NULL if id is none. To be freed. */
char *names_monthly_key(const char *prefix, const char *id);

/* The id in a file name (not a path) with that ending; NULL if it is not such a name. To be freed. */
char *names_id_of_file(const char *file_name, const char *ending);

/* The timestamp in names like backup_TIMESTAMP.log; NULL if it is not one with that act. To be freed. */
char *names_timestamp_of_log(const char *file_name, const char *act);
