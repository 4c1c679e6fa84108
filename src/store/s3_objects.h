/* What is done with single objects of a bucket: put, look at, read, list, delete, tag. */
#pragma once

#include "base/source.h"
#include "store/s3.h"

/* How an object is to be stored; strings are borrowed. */
struct s3_props {
    const char *storage_class; /* NULL: the bucket's standard */
    const char *sse;           /* "AES256", "aws:kms"; NULL: the bucket's default */
    const char *kms_key_id;    /* with aws:kms; NULL: the account's default key */
    char **tags;               /* name, value, ..., NULL at the end; NULL: none */
    const char *lock_mode;     /* "GOVERNANCE", "COMPLIANCE"; NULL: no lock */
    gint64 lock_until;         /* seconds since 1970 */
    const char *content_type;  /* NULL: application/octet-stream */
};

/* The headers that ask for props: "Name: value", NULL at the end; g_strfreev. */
char **s3_props_headers(const struct s3_props *props);

struct s3_object {
    char *key;
    guint64 size_bytes;
    gint64 modified;     /* seconds since 1970 */
    char *etag;          /* with its quotes */
    char *storage_class; /* "STANDARD" if the server names none */
    /* only from s3_head */
    char *encryption, *kms_key_id; /* NULL: the server does not say */
    char *restore;                 /* x-amz-restore; NULL */
    char *lock_mode;
    gint64 lock_until;
    gboolean legal_hold;
    char *version_id;
    int tag_count; /* -1: the server does not say */
};
void s3_object_free(struct s3_object *o);
typedef struct s3_object s3_object;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(s3_object, s3_object_free)

/* TRUE if the object's bytes cannot be read now: archived, and not restored for a while. */
gboolean s3_object_is_archived(const struct s3_object *o);

struct s3_object *s3_head(struct s3 *s, const char *key, GError **error);

/* The whole small object; NUL-terminated, g_free. More than max_bytes is OT_CORRUPT. */
char *s3_get(struct s3 *s, const char *key, gsize max_bytes, gsize *ret_length, GError **error);

/* Stores a small object in one request. ret_etag may be NULL. */
gboolean s3_put(struct s3 *s, const char *key, const void *data, gsize length, const struct s3_props *props,
                char **ret_etag, GError **error);

/* As s3_put. ret_refused: the server answered that we may not (403). */
gboolean s3_put_if_allowed(struct s3 *s, const char *key, const void *data, gsize length, const struct s3_props *props,
                           gboolean *ret_refused, GError **error);
/* Stores a small object if there is none of that key; *ret_there: there is one, which stays as it is. A server that
 * does not know the condition replaces it: so it is read again after. What is then neither text nor is_such is an
 * error: the server does not keep what it takes. Gives up after retry_s seconds. */
typedef gboolean (*s3_is_such)(const char *text);
gboolean s3_put_new(struct s3 *s, const char *key, const char *text, s3_is_such is_such, guint retry_s,
                    gboolean *ret_there, GError **error);

/* Whether there is an object whose key begins so; gives up after retry_s seconds. */
gboolean s3_any(struct s3 *s, const char *prefix, guint retry_s, gboolean *ret_any, GError **error);

/* Deletes it if that can be done now, also after an interrupt; else it stays. */
void s3_drop(struct s3 *s, const char *key, guint retry_s);

gboolean s3_delete(struct s3 *s, const char *key, GError **error);

/* As s3_delete. ret_refused: the server answered that we may not (403), which is no failure of the wire. */
gboolean s3_delete_if_allowed(struct s3 *s, const char *key, gboolean *ret_refused, GError **error);

/* Replaces the object's tags; does nothing where the server has none (s3_missing). */
gboolean s3_put_tags(struct s3 *s, const char *key, char **tags, GError **error);

/* All objects whose keys begin so, in key order: struct s3_object *. */
GPtrArray *s3_list(struct s3 *s, const char *prefix, GError **error);

/* An unfinished multipart upload. */
struct s3_unfinished {
    char *key, *upload_id;
};
/* Those whose keys begin so: struct s3_unfinished *. */
GPtrArray *s3_list_unfinished(struct s3 *s, const char *prefix, GError **error);
gboolean s3_abort(struct s3 *s, const char *key, const char *upload_id, GError **error);

/* Ends all unfinished uploads of exactly that key. */
gboolean s3_abort_all(struct s3 *s, const char *key, GError **error);

/* Whether the bucket keeps old versions of its objects. */
gboolean s3_get_versioning(struct s3 *s, gboolean *ret_on, GError **error);

/* The object as a source of ranged reads, by any number of threads. It stays the same object: if it was replaced
 * meanwhile, reading fails. */
struct source *s3_open(struct s3 *s, const char *key, GError **error);
