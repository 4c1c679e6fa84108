/*
 * The metadata file beside a backup: NAME_TIMESTAMP.meta.json. First the guide's fields with the guide's types, then
 * ours. It is a copy of what the backup file says of itself, plus what was found out later (its state).
 */
#pragma once

#include <jansson.h>

#include "archive/contents.h"

/* What is known of a backup's goodness. The order is that of trust. */
enum meta_state {
    META_FAILED,     /* a check found it damaged or different */
    META_UNVERIFIED, /* not looked at */
    META_VERIFIED,   /* every byte read back and held against the file's own proof */
    META_TESTED,     /* restored and its rows compared, but on another major version than its server's */
    META_PROVEN,     /* restored into a scratch database and compared, row by row, with the proof */
};

struct meta {
    char *id, *timestamp, *date, *database, *host, *backup_file, *database_size, *postgresql_version, *tool_version;
    int port, retention_days;
    guint table_count;
    guint64 size_bytes, plain_bytes, rows;
    guint64 recovered_bytes; /* of plain_bytes, those of tables that `restore --table` recovered beside the live ones */
    /* ours */
    char *type, *tag, *sha256, *snapshot_time, *level, *log;
    int format;
    gint64 duration_s;
    enum meta_state state;
    int tested_on;                 /* the major version, with META_TESTED */
    char *verified_at, *proven_at; /* ISO 8601 or NULL */
    char *tested_at;               /* the same; on another major version */
    json_t *omitted;               /* array of texts: what it lacks of its database; NULL: not known */
    json_t *tables;                /* array of {schema, name, rows, fingerprint}; NULL too in lean metadata */
    gboolean lean;                 /* read without its tables: it can be looked at, not be written */
    char *tables_text;             /* of lean metadata: their JSON, if it was to be kept; else NULL. See meta_read_tables */
    json_t *facts;                 /* see docs/FORMAT.md */
    json_t *journal;               /* where the journal ended: {id, seq, head}; NULL: not known. See journal_head */
    json_t *s3;                    /* the copy in S3, an object; NULL: there is to be none. See meta_s3_record */
    char *system_identifier;       /* of the server, as pg_controldata has it; NULL: not known */
    gint64 database_oid;           /* 0: not known */
    json_t *adopted_by;            /* array of servers (see catalog/lineage.h) whose history it belongs to as well */
    json_t *hold;                  /* why it must be kept, see catalog/hold.h; NULL: there is no hold */
};
typedef struct meta meta;

void meta_free(struct meta *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(meta, meta_free)

/* "proven", "tested on 18", "verified", "unverified", "failed". The caller frees it. */
char *meta_state_text(const struct meta *m);

/* The tables of contents as they stand in the metadata. New reference. */
json_t *meta_tables(const struct archive_contents *c);

/* What is known of the copy in S3, in m->s3: "state" ("pending": not there yet; "uploaded"; "failed": damaged there;
 * "expired": retention deleted it there), "bucket", "key", and once it is there "size", "etag", "storage_class",
 * "uploaded_at", "verified_at", "lock_until"; and "hold": "yes" (held there too), "pending" (what is there is not yet
 * as the metadata here says), or null. NULL if not known. */
const char *meta_s3_text(const struct meta *m, const char *what);
void meta_set_s3_text(struct meta *m, const char *what, const char *value);

/* The metadata as JSON text; NULL on failure. To be freed. */
char *meta_print(const struct meta *m, GError **error);

/* Reads what meta_print wrote, or the guide's fields alone; place names it in errors. NULL with OT_CORRUPT. */
struct meta *meta_parse(const char *text, gsize length, const char *place, GError **error);

/*
 * The same without the tables, which may be thousands, and are skipped instead of parsed: what stands in them is not
 * looked at. keep: their text stays, for meta_read_tables.
 */
struct meta *meta_parse_lean(const char *text, gsize length, gboolean keep, const char *place, GError **error);

/* Where in a text of our own layout the tables begin: FALSE if that cannot be seen. And whether such a text ends so: it
 * was written to its end. */
gboolean meta_find_tables(const char *text, gsize length, gsize *ret_at);
gboolean meta_is_end(const char *text, gsize length);

/* Lean metadata of what comes before the tables. */
struct meta *meta_parse_head(const char *text, gsize tables_at, const char *place, GError **error);

/* The tables, also of lean metadata that kept their text. New reference; NULL: not known. */
json_t *meta_read_tables(const struct meta *m);

/* The largest metadata that is believed. */
#define META_MAX_BYTES (256u << 20)

/* Writes FOLDER/ID.meta.json in one step. */
gboolean meta_save(const struct meta *m, const char *folder, gboolean replace, GError **error);

/* Reads it. NULL: OT_NOT_FOUND, or OT_CORRUPT if it is not complete. */
struct meta *meta_load(const char *path, GError **error);
