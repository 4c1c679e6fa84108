/* The trailer: the file's last member, of a fixed size, which finds the contents and seals what is before it. */
#pragma once

#include <glib.h>

#include "base/digest.h"

struct archive_trailer {
    guint64 contents_offset;
    guint64 contents_size; /* packed */
    guint64 contents_plain_size;
    char sha256[DIGEST_TEXT_LENGTH + 1]; /* of all bytes before the trailer */
};

/* Bytes of the trailer member in the file. */
guint archive_trailer_size(void);
void archive_trailer_print(const struct archive_trailer *t, GByteArray *out);

/* FALSE if data (archive_trailer_size bytes) is not exactly a trailer. */
gboolean archive_trailer_parse(const guint8 *data, struct archive_trailer *ret_trailer);
