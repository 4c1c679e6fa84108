/* The writer: one file, one lock, one digest; and the builder that fills members. */
#include "archive/writer.h"

#include <string.h>

#include "archive/gzip.h"
#include "archive/trailer.h"
#include "base/digest.h"

struct archive_writer {
    struct sink *sink;
    struct archive_contents *contents;
    struct digest *digest;
    GMutex mutex;
    guint64 offset, plain_total;
};

#define FEW_MEMBERS 16384

/* Small members stay in a processor's own cache while they are packed, unpacked and counted (about 5 % of the CPU time
 * of a backup); large ones keep the index of a large database in bounds. */
gsize archive_member_bytes(guint64 plain_bytes)
{
    return (gsize)CLAMP(plain_bytes / FEW_MEMBERS, ARCHIVE_MEMBER_MIN_BYTES, ARCHIVE_MEMBER_BYTES);
}

struct archive_writer *archive_writer_new(struct sink *sink, struct archive_contents *contents)
{
    struct archive_writer *w = g_new0(struct archive_writer, 1);
    w->sink = sink;
    w->contents = contents;
    w->digest = digest_new();
    g_mutex_init(&w->mutex);
    return w;
}

void archive_writer_free(struct archive_writer *w)
{
    if (!w)
        return;
    digest_free(w->digest);
    g_mutex_clear(&w->mutex);
    g_free(w);
}

static gboolean append(struct archive_writer *w, const GByteArray *packed, GError **error)
{
    if (!w->sink->write(w->sink, packed->data, packed->len, error))
        return FALSE;
    digest_add(w->digest, packed->data, packed->len);
    w->offset += packed->len;
    return TRUE;
}

gboolean archive_writer_add(struct archive_writer *w, const struct archive_member *member, const GByteArray *packed,
                            GError **error)
{
    struct archive_member m = *member;
    m.packed_hash = fingerprint_of_bytes(packed->data, packed->len);
    g_mutex_lock(&w->mutex);
    m.offset = w->offset;
    m.size = packed->len;
    gboolean ok = append(w, packed, error);
    if (ok) {
        g_array_append_val(w->contents->members, m);
        w->plain_total += m.plain_size;
    }
    g_mutex_unlock(&w->mutex);
    return ok;
}

void archive_writer_totals(struct archive_writer *w, guint64 *ret_plain, guint64 *ret_size)
{
    g_mutex_lock(&w->mutex);
    *ret_plain = w->plain_total;
    *ret_size = w->offset;
    g_mutex_unlock(&w->mutex);
}

gboolean archive_writer_finish(struct archive_writer *w, char **ret_sha256, GError **error)
{
    g_autofree char *text = archive_contents_print(w->contents);
    g_autoptr(gzip_packer) packer = gzip_packer_new(6);
    g_autoptr(GByteArray) packed = g_byte_array_new();
    struct archive_trailer trailer = {.contents_offset = w->offset, .contents_plain_size = strlen(text)};
    guint32 crc;
    if (!gzip_pack(packer, text, strlen(text), packed, &crc, error) || !append(w, packed, error))
        return FALSE;
    w->contents->packed_hash = fingerprint_of_bytes(packed->data, packed->len);
    trailer.contents_size = packed->len;
    g_autofree char *sealed = digest_text(w->digest);
    g_strlcpy(trailer.sha256, sealed, sizeof trailer.sha256);
    archive_trailer_print(&trailer, packed);
    if (!append(w, packed, error) || !w->sink->flush(w->sink, error))
        return FALSE;
    *ret_sha256 = digest_text(w->digest);
    return TRUE;
}

/* ---- the builder ---- */

struct member_builder {
    struct archive_writer *writer;
    struct gzip_packer *packer;
    GByteArray *plain, *packed;
    guint table;
    char *copy_sql;
    struct fingerprint *proof;
    guint64 rows; /* in the member being filled */
    gsize member_bytes;
};

struct member_builder *member_builder_new(struct archive_writer *w, int compress_level, gsize member_bytes)
{
    struct member_builder *b = g_new0(struct member_builder, 1);
    b->writer = w;
    b->packer = gzip_packer_new(compress_level);
    b->member_bytes = member_bytes;
    b->plain = g_byte_array_sized_new((guint)(member_bytes + (member_bytes >> 4)));
    b->packed = g_byte_array_new();
    return b;
}

void member_builder_free(struct member_builder *b)
{
    if (!b)
        return;
    gzip_packer_free(b->packer);
    g_byte_array_unref(b->plain);
    g_byte_array_unref(b->packed);
    g_free(b->copy_sql);
    g_free(b);
}

static gboolean pack_and_add(struct member_builder *b, struct archive_member member, const void *text, gsize length,
                             GError **error)
{
    member.plain_size = length;
    return gzip_pack(b->packer, text, length, b->packed, &member.crc, error) &&
           archive_writer_add(b->writer, &member, b->packed, error);
}

gboolean member_builder_put(struct member_builder *b, enum member_kind kind, const char *text, gsize length,
                            GError **error)
{
    return pack_and_add(b, (struct archive_member){.kind = kind}, text, length, error);
}

void member_builder_begin_rows(struct member_builder *b, guint table, const char *copy_sql, struct fingerprint *proof)
{
    b->table = table;
    g_free(b->copy_sql);
    b->copy_sql = g_strconcat(copy_sql, "\n", NULL);
    b->proof = proof;
    b->rows = 0;
    g_byte_array_set_size(b->plain, 0);
}

static gboolean flush_rows(struct member_builder *b, GError **error)
{
    g_byte_array_append(b->plain, (const guint8 *)COPY_END, strlen(COPY_END));
    struct archive_member m = {.kind = MEMBER_DATA, .table = b->table, .rows = b->rows};
    gboolean ok = pack_and_add(b, m, b->plain->data, b->plain->len, error);
    b->rows = 0;
    g_byte_array_set_size(b->plain, 0);
    return ok;
}

gboolean member_builder_add_row(struct member_builder *b, const char *row, gsize length, GError **error)
{
    if (b->rows == 0)
        g_byte_array_append(b->plain, (const guint8 *)b->copy_sql, (guint)strlen(b->copy_sql));
    if (length > G_MAXUINT32 / 2)
        return ot_fail(error, OT_DUMP, "a row of %" G_GSIZE_FORMAT " bytes is too large", length);
    fingerprint_add_row(b->proof, row, length);
    g_byte_array_append(b->plain, (const guint8 *)row, (guint)length);
    b->rows++;
    return b->plain->len < b->member_bytes || flush_rows(b, error);
}

gboolean member_builder_end_rows(struct member_builder *b, GError **error)
{
    return b->rows == 0 || flush_rows(b, error);
}
