/* Where a stream of bytes goes: a file, an upload. Whoever made it completes or discards it; a writer only writes. */
#pragma once

#include "base/error.h"

struct sink {
    gboolean (*write)(struct sink *self, const void *data, gsize length, GError **error);
    /* No more will be written: TRUE once all bytes are safe where they are (fsynced; acknowledged by the server). */
    gboolean (*flush)(struct sink *self, GError **error);
};
