/*
 * Opens a backup file by its trailer and contents, and unpacks any member of it. Members are read by their byte
 * ranges alone, so that one table needs only its own.
 */
#pragma once

#include "archive/contents.h"
#include "archive/gzip.h"
#include "base/source.h"

struct archive_reader {
    struct source *source; /* owned */
    struct archive_contents *contents;
    guint64 contents_offset, sealed_bytes; /* the contents lie between these, the trailer follows */
    char *sealed_sha256;                   /* what the trailer says of them */
};
typedef struct archive_reader archive_reader;

enum archive_kind {
    ARCHIVE_OURS,       /* begins or ends as one of our files (damaged or not) */
    ARCHIVE_PLAIN_GZIP, /* some other gzip file */
    ARCHIVE_PLAIN_SQL,  /* not compressed */
};

/* Looks at both ends of the file. An empty file is OT_CORRUPT, one of a known other kind OT_REFUSED. */
gboolean archive_detect(struct source *s, enum archive_kind *ret_kind, GError **error);

/* Takes the source over on success. The contents tile the file without gap or overlap, or it is OT_CORRUPT. */
struct archive_reader *archive_reader_open(struct source *s, GError **error);
void archive_reader_free(struct archive_reader *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(archive_reader, archive_reader_free)

/* Buffers for unpacking; one per thread. */
struct member_reader;
typedef struct member_reader member_reader;
struct member_reader *member_reader_new(struct archive_reader *r);

/* Unpacks member i and checks its size and CRC. ret_plain is valid until the next call. */
gboolean member_reader_get(struct member_reader *m, guint i, const char **ret_plain, gsize *ret_length, GError **error);

/* As member_reader_get for a MEMBER_DATA, checked to be that table's COPY statement: ret_rows is the COPY data. */
gboolean member_reader_get_rows(struct member_reader *m, guint i, const char **ret_rows, gsize *ret_length,
                                GError **error);

/* The packed bytes of the member that was got last. */
const GByteArray *member_reader_packed(const struct member_reader *m);
void member_reader_free(struct member_reader *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(member_reader, member_reader_free)
