/* The fixed-size trailer: a stored gzip member with one SQL comment. */
#include "archive/trailer.h"

#include <stdio.h>
#include <string.h>

#include "archive/gzip.h"

#define FORMAT                                                                                                         \
    "-- OpsTower trailer: contents at %020" G_GUINT64_FORMAT " packed %020" G_GUINT64_FORMAT                           \
    " plain %020" G_GUINT64_FORMAT " sha256 %64s\n"

static char *print(const struct archive_trailer *t)
{
    return g_strdup_printf(FORMAT, t->contents_offset, t->contents_size, t->contents_plain_size, t->sha256);
}

guint archive_trailer_size(void)
{
    struct archive_trailer empty = {0};
    g_autofree char *text = print(&empty);
    return (guint)strlen(text) + GZIP_HEADER_SIZE + 5 + GZIP_FOOTER_SIZE;
}

void archive_trailer_print(const struct archive_trailer *t, GByteArray *out)
{
    g_autofree char *text = print(t);
    gzip_store(text, (guint16)strlen(text), out);
}

/* Whatever was read is printed again and must give the same bytes: no other spelling is accepted. */
gboolean archive_trailer_parse(const guint8 *data, struct archive_trailer *ret_trailer)
{
    struct archive_trailer t = {0};
    guint size = archive_trailer_size();
    g_autofree char *text =
        g_strndup((const char *)data + GZIP_HEADER_SIZE + 5, size - GZIP_HEADER_SIZE - 5 - GZIP_FOOTER_SIZE);
    if (sscanf(text,
               "-- OpsTower trailer: contents at %" G_GUINT64_FORMAT " packed %" G_GUINT64_FORMAT
               " plain %" G_GUINT64_FORMAT " sha256 %64[0-9a-f]",
               &t.contents_offset, &t.contents_size, &t.contents_plain_size, t.sha256) != 4)
        return FALSE;
    g_autoptr(GByteArray) again = g_byte_array_new();
    archive_trailer_print(&t, again);
    if (again->len != size || memcmp(again->data, data, size) != 0)
        return FALSE;
    *ret_trailer = t;
    return TRUE;
}
