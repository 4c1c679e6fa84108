/*
 * One gzip member at a time, whole in memory: packed by ISA-L (level 0, "fast") or libdeflate (levels 1 to 12),
 * unpacked by ISA-L, which is the faster of the two at that. Not a stream: see archive/plain.h for gzip files of
 * others.
 */
#pragma once

#include "base/error.h"

/* gzip's own fields (RFC 1952): 10 bytes before, 8 behind. */
#define GZIP_HEADER_SIZE 10
#define GZIP_FOOTER_SIZE 8

struct gzip_packer;
typedef struct gzip_packer gzip_packer;

/* level: 0 is "fast", 1 to 12 as libdeflate's. One per thread. */
struct gzip_packer *gzip_packer_new(int level);

/* Packs plain into one member, written to out from its beginning (out is grown as needed and keeps its memory).
 * ret_crc: the CRC-32 of plain as it stands in the member's footer. */
gboolean gzip_pack(struct gzip_packer *p, const void *plain, gsize length, GByteArray *out, guint32 *ret_crc,
                   GError **error);
void gzip_packer_free(struct gzip_packer *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gzip_packer, gzip_packer_free)

/* A member of one stored block: its size depends on the text's length alone (length + 23 bytes; at most 65535). */
void gzip_store(const void *plain, guint16 length, GByteArray *out);

struct gzip_unpacker;
typedef struct gzip_unpacker gzip_unpacker;
struct gzip_unpacker *gzip_unpacker_new(void);

/* Unpacks exactly one member that fills packed to the last byte and holds exactly plain_size bytes; anything else,
 * and a wrong CRC, is OT_CORRUPT. out then holds the plain bytes. */
gboolean gzip_unpack(struct gzip_unpacker *u, const void *packed, gsize length, gsize plain_size, GByteArray *out,
                     GError **error);
void gzip_unpacker_free(struct gzip_unpacker *u);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gzip_unpacker, gzip_unpacker_free)

/* The CRC-32 in a member's footer; length must be at least GZIP_FOOTER_SIZE. */
guint32 gzip_footer_crc(const guint8 *packed, gsize length);
