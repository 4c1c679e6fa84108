/*
 * The contents of a backup file: which gzip member holds what, and the proof (rows and fingerprint per table).
 * It stands in the file itself as SQL comments, in the last member but one; docs/FORMAT.md specifies it.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/table.h"

#define ARCHIVE_FORMAT 1
/* The first line of a backup file: a file that begins so must end with contents and trailer. */
#define ARCHIVE_FIRST_LINE "-- OpsTower backup, format 1\n"

enum member_kind {
    MEMBER_HEAD,          /* everything before the data: schema, types, tables */
    MEMBER_DATA,          /* one COPY statement with rows of one table */
    MEMBER_SEQUENCES,     /* setval statements */
    MEMBER_LARGE_OBJECTS, /* statements that fill large objects */
    MEMBER_TAIL,          /* everything after the data: indexes, constraints, triggers */
    MEMBER_KINDS,
};

struct archive_member {
    guint64 offset;     /* of its first byte in the file */
    guint64 size;       /* bytes in the file */
    guint64 plain_size; /* bytes when unpacked */
    guint64 rows;       /* MEMBER_DATA: rows of COPY data; else 0 */
    guint32 crc;        /* CRC-32 of the plain bytes */
    guint32 table;      /* MEMBER_DATA: index into tables */
    enum member_kind kind;
    guint64 packed_hash; /* fingerprint_of_bytes of its bytes in the file; 0 if these contents come from a file */
};

struct archive_table {
    struct table_def *def; /* owned */
    guint64 plain_bytes;   /* COPY data bytes, all rows */
    struct fingerprint proof;
};

struct archive_contents {
    json_t *facts;                    /* object: what is known of the database; pg/facts.h names its members */
    GPtrArray *tables;                /* struct archive_table * */
    GArray *members;                  /* struct archive_member, in file order */
    struct fingerprint large_objects; /* rows: how many; sum: over each one's statements */
    GBytes *toc;                      /* pg_dump's custom-format table of contents, readable by pg_restore */
    guint64 packed_hash;              /* as a member's, of these contents themselves */
};
typedef struct archive_contents archive_contents;

struct archive_contents *archive_contents_new(void);
void archive_contents_free(struct archive_contents *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(archive_contents, archive_contents_free)

/* Adds a table with an empty proof and returns it; the contents own it, and def. */
struct archive_table *archive_contents_add_table(struct archive_contents *c, struct table_def *def);

/* The table of that schema and name, or NULL. */
struct archive_table *archive_contents_find(const struct archive_contents *c, const char *schema, const char *name);

guint64 archive_contents_rows(const struct archive_contents *c);

/* The text as it stands in the file. */
char *archive_contents_print(const struct archive_contents *c);

/* Reads what archive_contents_print wrote; NULL with OT_CORRUPT. */
struct archive_contents *archive_contents_parse(const char *text, gsize length, GError **error);
