/* The set of backups in a folder: finding, naming and listing them. */
#pragma once

#include "catalog/meta.h"

/* What lies in S3 of a backup; filled by catalog/remote.h. */
struct catalog_object {
    char *key, *storage_class, *etag;
    guint64 size_bytes;
    gint64 modified; /* seconds since 1970 */
    gboolean has_meta;
};

/* Whose backup it is: of the server that this run is about, or of another. See catalog/lineage.h. */
enum lineage {
    LINEAGE_UNKNOWN, /* its metadata does not say, or nobody looked: it counts as this server's */
    LINEAGE_THIS,
    LINEAGE_ADOPTED, /* another server's, whose history this one goes on with */
    LINEAGE_UNSURE,  /* it says whose it is, but not known is which server this run is about */
    LINEAGE_OTHER,
};

struct catalog_entry {
    char *id, *name, *timestamp;    /* name: the database's, as in file names */
    char *path;                     /* of the .sql.gz; NULL if it is not in the folder */
    struct catalog_object *object;  /* NULL if it is not in S3, or nobody looked */
    struct catalog_object *monthly; /* its copy in the monthly archive beside that; NULL if there is none */
    gint64 named_at;                /* the name's timestamp, read as local time here: seconds since 1970 */
    gint64 taken_at;                /* the moment that it shows: see catalog_moment */
    gint64 dated_at;                /* by the clock of the machine that took it; else as taken_at */
    enum lineage lineage;
    char *server_key;               /* of another server: by what it is adopted (see lineage_key); else NULL */
    guint64 size_bytes;
    struct meta *meta;  /* NULL if there is none that can be read */
    GError *meta_error; /* why; NULL if there simply is no metadata file */
};
void catalog_entry_free(struct catalog_entry *e);

/* An entry with what its file name says, else empty; NULL if that is not the name of a backup, or of another database's
 * where name (encoded) is given. */
struct catalog_entry *catalog_entry_new(const char *file, const char *name);

/* The moment that a backup shows: its metadata's snapshot_time, else its date, both of which have their offset from UTC;
 * else what its name says, in which a local time stands that may be that of any zone. */
gint64 catalog_moment(const struct meta *m, gint64 named_at);

/* Dated later than now, by either clock: the server's, or that of the machine that took it. */
gboolean catalog_is_future(const struct catalog_entry *e, gint64 now);

/* Gives the entry its metadata (NULL: none) and with it its moment. Takes m. */
void catalog_entry_set_meta(struct catalog_entry *e, struct meta *m);

/* A name's local time may be that of any zone: the true moment is within so much of named_at. */
#define CATALOG_ZONES_S (26 * 3600)

/* Which of two shows the later moment: below zero if a does. Of the same second, the one that was taken after more lines
 * of the journal, where both know the same one. */
int catalog_compare(const struct catalog_entry *a, const struct catalog_entry *b);

/* Sorts a list of entries by the moment that each shows, newest first. */
void catalog_sort(GPtrArray *list);

/* Every backup in the folder, newest first; of that database only, if name (encoded) is given. struct catalog_entry *.
 * Files of other names are not looked at. A folder that does not exist holds none. Metadata is lean (see meta.h). */
GPtrArray *catalog_list(const char *folder, const char *name, GError **error);

/* The same; the newest tables_of keep the text of their tables (meta_read_tables). */
GPtrArray *catalog_list_with_tables(const char *folder, const char *name, guint tables_of, GError **error);

/* Whether it shows a database as it was just before a restore replaced it: with the damage that made one necessary. So
 * it is never "latest", and does not count as one of the good backups that retention keeps. */
gboolean catalog_is_pre_restore(const struct catalog_entry *e);

/* What a person may write for a backup: a path, a file name in the folder, an id, or a timestamp. Gives the path of an
 * existing file with links resolved, or OT_NOT_FOUND. Words like "latest" are catalog/select.h's. */
char *catalog_resolve(const char *folder, const char *database, const char *what, GError **error);

/* Removes what earlier runs of this database left unfinished: partial files, and sidecars whose backup never came to
 * be. The caller holds the database's lock. */
gboolean catalog_clean(const char *folder, const char *name, GError **error);

/* Makes NAME_latest.sql.gz point to the backup. */
gboolean catalog_set_latest(const char *folder, const char *name, const char *id, GError **error);

/* Deletes a backup from the folder: its file, then what lies beside it and its log, the metadata last. Whether it may
 * go is not asked here: that is catalog/retention.h. */
gboolean catalog_delete(const char *folder, const struct catalog_entry *e, GError **error);
