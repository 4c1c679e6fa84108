/* gzip members by ISA-L and libdeflate. */
#include "archive/gzip.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <string.h>

struct gzip_packer {
    struct libdeflate_compressor *deflate; /* NULL: ISA-L */
    struct isal_zstream stream;
    guint8 *level_buffer;
};

struct gzip_packer *gzip_packer_new(int level)
{
    struct gzip_packer *p = g_new0(struct gzip_packer, 1);
    if (level > 0)
        p->deflate = libdeflate_alloc_compressor(level);
    else
        p->level_buffer = g_malloc(ISAL_DEF_LVL1_DEFAULT);
    return p;
}

void gzip_packer_free(struct gzip_packer *p)
{
    if (!p)
        return;
    if (p->deflate)
        libdeflate_free_compressor(p->deflate);
    g_free(p->level_buffer);
    g_free(p);
}

/* Stored blocks are the worst case: 5 bytes for each 64 KiB, and gzip's own fields. */
static gsize isal_bound(gsize length)
{
    return length + (length / 65535 + 1) * 5 + 64;
}

static gsize pack_isal(struct gzip_packer *p, const void *plain, gsize length, GByteArray *out)
{
    struct isal_zstream *s = &p->stream;
    isal_deflate_stateless_init(s);
    s->level = 1;
    s->level_buf = p->level_buffer;
    s->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    s->gzip_flag = IGZIP_GZIP;
    s->flush = NO_FLUSH;
    s->end_of_stream = 1;
    s->next_in = (guint8 *)plain;
    s->avail_in = (guint32)length;
    s->next_out = out->data;
    s->avail_out = (guint32)out->len;
    return isal_deflate_stateless(s) == COMP_OK && s->avail_in == 0 ? s->total_out : 0;
}

guint32 gzip_footer_crc(const guint8 *packed, gsize length)
{
    guint32 crc;
    memcpy(&crc, packed + length - GZIP_FOOTER_SIZE, sizeof crc);
    return GUINT32_FROM_LE(crc);
}

gboolean gzip_pack(struct gzip_packer *p, const void *plain, gsize length, GByteArray *out, guint32 *ret_crc,
                   GError **error)
{
    if (length > G_MAXUINT32 - (G_MAXUINT32 >> 4))
        return ot_fail(error, OT_FAILED, "a single row of %" G_GSIZE_FORMAT " bytes is too large", length);
    gsize bound = p->deflate ? libdeflate_gzip_compress_bound(p->deflate, length) : isal_bound(length);
    g_byte_array_set_size(out, (guint)bound);
    gsize size = p->deflate ? libdeflate_gzip_compress(p->deflate, plain, length, out->data, out->len)
                            : pack_isal(p, plain, length, out);
    if (size == 0)
        return ot_fail(error, OT_FAILED, "cannot compress a block of %" G_GSIZE_FORMAT " bytes", length);
    g_byte_array_set_size(out, (guint)size);
    *ret_crc = gzip_footer_crc(out->data, size);
    return TRUE;
}

void gzip_store(const void *plain, guint16 length, GByteArray *out)
{
    static const guint8 header[GZIP_HEADER_SIZE] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    guint16 sizes[2] = {GUINT16_TO_LE(length), GUINT16_TO_LE((guint16)~length)};
    guint32 footer[2] = {GUINT32_TO_LE(libdeflate_crc32(0, plain, length)), GUINT32_TO_LE((guint32)length)};
    g_byte_array_set_size(out, 0);
    g_byte_array_append(out, header, sizeof header);
    g_byte_array_append(out, (const guint8 *)"\001", 1); /* last block, stored */
    g_byte_array_append(out, (const guint8 *)sizes, sizeof sizes);
    g_byte_array_append(out, plain, length);
    g_byte_array_append(out, (const guint8 *)footer, sizeof footer);
}

struct gzip_unpacker {
    struct inflate_state state;
};

struct gzip_unpacker *gzip_unpacker_new(void)
{
    return g_new0(struct gzip_unpacker, 1);
}

void gzip_unpacker_free(struct gzip_unpacker *u)
{
    g_free(u);
}

/* With room for just the plain bytes: what is longer or shorter than the contents say is an error. */
gboolean gzip_unpack(struct gzip_unpacker *u, const void *packed, gsize length, gsize plain_size, GByteArray *out,
                     GError **error)
{
    guint8 nothing;
    struct inflate_state *s = &u->state;
    g_byte_array_set_size(out, (guint)plain_size);
    isal_inflate_init(s);
    s->crc_flag = ISAL_GZIP;
    s->next_in = (guint8 *)packed;
    s->avail_in = (guint32)length;
    s->next_out = plain_size ? out->data : &nothing;
    s->avail_out = (guint32)plain_size;
    if (isal_inflate_stateless(s) != ISAL_DECOMP_OK || s->block_state != ISAL_BLOCK_FINISH)
        return ot_fail(error, OT_CORRUPT, "gzip test failed");
    if (s->avail_in != 0 || s->total_out != plain_size)
        return ot_fail(error, OT_CORRUPT, "gzip test failed: a member is not of the size the contents give");
    return TRUE;
}
