/*
 * The table of contents at the head of a pg_dump custom-format archive: every object with its SQL, owner,
 * dependencies, and each table's COPY statement. Versions 1.14 (PostgreSQL 12 to 15), 1.15 (16) and 1.16 (17 and
 * later); layout from PostgreSQL's pg_backup_archiver.c (ReadHead, ReadToc, WriteToc).
 */
#pragma once

#include "base/error.h"

enum toc_section { TOC_NONE = 1, TOC_PRE_DATA, TOC_DATA, TOC_POST_DATA };

struct toc_entry {
    int dump_id;
    enum toc_section section;
    char *desc;   /* "TABLE", "TABLE DATA", "INDEX", ... */
    char *tag;    /* the object's name */
    char *schema; /* NULL: not in a schema */
    char *owner;
    char *tablespace;
    char *access_method;
    char *definition; /* SQL; NULL or "" if there is none */
    char *copy_sql;   /* TABLE DATA: "COPY ... FROM stdin;\n" */
    guint64 oid;      /* of the dumped object, 0 if it has none */
    GArray *depends;  /* int: dump ids */
};

struct toc {
    GPtrArray *entries; /* struct toc_entry * */
    char *server_version;
    int reader_major; /* the oldest pg_restore that reads it: 12, 16 or 17 */
    GBytes *bytes;    /* header and table of contents: by itself an archive that pg_restore reads. As read, but for what
                         the    server itself would refuse, see pg/skew.h */
};
typedef struct toc toc;

/* Reads exactly the header and the table of contents from fd. OT_DUMP if it is not one. */
struct toc *toc_read(int fd, GError **error);

/* The same from memory (a backup's contents). */
struct toc *toc_parse(GBytes *bytes, GError **error);
void toc_free(struct toc *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(toc, toc_free)

/* How many entries there are of that kind. "TABLE": the tables of a backup, as every command counts them: ordinary and
 * partitioned ones and partitions, with or without rows, but none that an extension makes. */
guint toc_count(const struct toc *t, const char *desc);

/* Whether the entry depends on the one with that id. */
gboolean toc_entry_depends_on(const struct toc_entry *e, int dump_id);

/* "INDEX public.bookings_pkey", for messages; the caller frees it. */
char *toc_entry_label(const struct toc_entry *e);
