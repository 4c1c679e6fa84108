/* Unpacks any gzip file, of one member or many, as a stream; by ISA-L. For files that are not ours. */
#pragma once

#include "base/error.h"

struct gunzip;
typedef struct gunzip gunzip;
struct gunzip *gunzip_new(void);

/* Gives the next packed bytes; they must stay valid until gunzip_read has returned 0 bytes. */
void gunzip_feed(struct gunzip *g, const void *packed, gsize length);

/* Unpacks into buffer. *ret_length 0: feed more. Damage (also a wrong CRC) is OT_CORRUPT. */
gboolean gunzip_read(struct gunzip *g, void *buffer, gsize size, gsize *ret_length, GError **error);

/* TRUE if what was fed ends exactly where a member ends. */
gboolean gunzip_at_end(const struct gunzip *g);
void gunzip_free(struct gunzip *g);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gunzip, gunzip_free)
