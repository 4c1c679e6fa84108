/*
 * Writes a backup file member by member: any thread may add a member at any time, in any order. A member is one gzip
 * member with whole SQL statements, so that `gunzip -c FILE | psql` runs the file from front to back.
 */
#pragma once

#include "archive/contents.h"
#include "base/sink.h"

/* Rows are gathered until a member has so many plain bytes: between these two, see archive_member_bytes and the member
 * sizes in docs/FORMAT.md. */
#define ARCHIVE_MEMBER_MIN_BYTES (1u << 20)
#define ARCHIVE_MEMBER_BYTES (4u << 20)

/* How large members of a dump of about so many plain bytes should be. */
gsize archive_member_bytes(guint64 plain_bytes);

struct archive_writer;
typedef struct archive_writer archive_writer;

/* Both sink and contents stay the caller's and must outlive the writer. */
struct archive_writer *archive_writer_new(struct sink *sink, struct archive_contents *contents);

/* Appends a packed member and enters it into the contents (offset, size and hash are filled in here). Thread-safe. */
gboolean archive_writer_add(struct archive_writer *w, const struct archive_member *member, const GByteArray *packed,
                            GError **error);

/* Plain bytes and file bytes so far; thread-safe. */
void archive_writer_totals(struct archive_writer *w, guint64 *ret_plain, guint64 *ret_size);

/* Adds contents and trailer, flushes the sink. ret_sha256: the digest of the whole file; the caller frees it. */
gboolean archive_writer_finish(struct archive_writer *w, char **ret_sha256, GError **error);
void archive_writer_free(struct archive_writer *w);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(archive_writer, archive_writer_free)

/* Gathers text for members of one kind: packs and adds a member each time it has enough. One per thread. */
struct member_builder;
typedef struct member_builder member_builder;
struct member_builder *member_builder_new(struct archive_writer *w, int compress_level, gsize member_bytes);

/* Packs text as one member. rows: COPY rows in it. */
gboolean member_builder_put(struct member_builder *b, enum member_kind kind, const char *text, gsize length,
                            GError **error);

/* Begins a table's rows, adds rows (each a COPY line with its newline), ends them. Between begin and end the builder
 * cuts members at row boundaries, each a complete COPY statement; rows also go into proof (the caller's). */
void member_builder_begin_rows(struct member_builder *b, guint table, const char *copy_sql, struct fingerprint *proof);
gboolean member_builder_add_row(struct member_builder *b, const char *row, gsize length, GError **error);
gboolean member_builder_end_rows(struct member_builder *b, GError **error);
void member_builder_free(struct member_builder *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(member_builder, member_builder_free)

/* What stands before and after the rows in a data member. */
#define COPY_END "\\.\n\n"
