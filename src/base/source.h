/*
 * Bytes that can be read from any place, by several threads at once: a local file today, an object in S3 by ranges.
 */
#pragma once

#include "base/error.h"

struct source {
    /* Reads exactly length bytes at offset. An end before that is OT_CORRUPT. Thread-safe. */
    gboolean (*read_at)(struct source *self, guint64 offset, void *data, gsize length, GError **error);
    void (*free)(struct source *self);
    guint64 size_bytes;
    char *name; /* for messages: a path or a URL */
};
typedef struct source source;

/* A local regular file. OT_NOT_FOUND if it is not there. */
struct source *source_open_file(const char *path, GError **error);

void source_free(struct source *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(source, source_free)
