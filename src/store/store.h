/*
 * Where backups lie: a folder or a bucket, behind one interface. Keys are names below its root. Writing a whole backup
 * is not here: a file has its own way to its final name (base/files.h), an object another (store/upload.h).
 */
#pragma once

#include "base/source.h"
#include "store/s3_objects.h"

struct store_object {
    char *key;
    guint64 size_bytes;
    gint64 modified;     /* seconds since 1970 */
    char *storage_class; /* NULL in a folder */
};

struct store {
    const char *kind; /* "local", "s3" */
    char *name;       /* for messages: the folder, or s3://bucket */
    /* OT_NOT_FOUND if it is not there. */
    struct source *(*open)(struct store *self, const char *key, GError **error);
    /* A whole small object, NUL-terminated; OT_NOT_FOUND; larger than max_bytes is OT_CORRUPT. */
    gboolean (*read)(struct store *self, const char *key, gsize max_bytes, char **ret_text, gsize *ret_length,
                     GError **error);
    /* Replaces a small object, or makes it. */
    gboolean (*write)(struct store *self, const char *key, const char *text, gsize length, GError **error);
    /* All whose keys begin so (folders: not those in subfolders): struct store_object *. A root that is not there holds
     * none. */
    GPtrArray *(*list)(struct store *self, const char *prefix, GError **error);
    void (*free)(struct store *self);
};
void store_free(struct store *s);

struct store *store_local(const char *folder);

/* client stays the caller's. props: of what store_write makes. */
struct store *store_s3(struct s3 *client, const struct s3_props *props);

/* What a person sees: FOLDER/KEY or s3://BUCKET/KEY. To be freed. */
char *store_place(const struct store *s, const char *key);
