/*
 * One copy of a backup that can be read: a file, or an object in S3, with its metadata beside it. What checks and
 * restores backups knows only this, and so works on either.
 */
#pragma once

#include "catalog/meta.h"
#include "store/store.h"

struct copy {
    struct store *place; /* owned */
    char *key;           /* of the dump, in place */
    char *name;          /* for messages: the path, or s3://bucket/key */
    char *file;          /* the dump's file name, without folders */
    char *path;          /* of a local file; NULL in S3 */
};
typedef struct copy copy;
void copy_free(struct copy *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(copy, copy_free)

struct copy *copy_local(const char *path);

/* client stays the caller's. props: how metadata that is written again is stored. */
struct copy *copy_s3(struct s3 *client, const struct s3_props *props, const char *key);

struct source *copy_open(const struct copy *c, GError **error);

/* The key of the file beside the dump that has this ending instead; NULL if the dump's name has not its own. To be
 * freed. */
char *copy_beside(const struct copy *c, const char *ending);

/* The metadata beside it: NULL without error if there is none. */
struct meta *copy_meta(const struct copy *c, GError **error);

/* The same, lean (see meta_parse_lean): of a file hardly more is read than is parsed, unless the tables are kept. */
struct meta *copy_meta_lean(const struct copy *c, gboolean keep_tables, GError **error);

/* The tables of metadata that was read lean. */
gboolean copy_complete_meta(const struct copy *c, struct meta *m, GError **error);

/* Reads the metadata, has it changed, and writes it again; for a file under its lock, so that of two who change it at
 * once neither loses what the other found out. TRUE too if there is none. */
typedef void (*copy_change)(struct meta *m, void *data);
gboolean copy_update_meta(const struct copy *c, copy_change change, void *data, GError **error);
