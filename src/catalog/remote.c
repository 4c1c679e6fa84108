/* Keys that are backups' names, and what is beside them. */
#include "catalog/remote.h"

#include <string.h>

#include "base/pool.h"
#include "catalog/copy.h"
#include "catalog/names.h"

#define READERS 8 /* metadata files are small: what takes time is the way there and back */

static char *list_prefix(const char *prefix)
{
    return !*prefix || g_str_has_suffix(prefix, "/") ? g_strdup(prefix) : g_strconcat(prefix, "/", NULL);
}

static const char *file_of(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash ? slash + 1 : key;
}

static struct catalog_object *take_object(struct s3_object *from)
{
    struct catalog_object *o = g_new0(struct catalog_object, 1);
    *o = (struct catalog_object){g_steal_pointer(&from->key), g_steal_pointer(&from->storage_class), from->size_bytes,
                                 from->modified, FALSE};
    return o;
}

/* By id. An object at the place where we put backups counts before a namesake elsewhere under the prefix. */
static void join_object(GHashTable *by_id, GPtrArray *list, struct s3_object *object, const char *prefix,
                        const char *name)
{
    struct catalog_entry *fresh = catalog_entry_new(file_of(object->key), name);
    if (!fresh)
        return;
    struct catalog_entry *e = g_hash_table_lookup(by_id, fresh->id);
    g_autofree char *usual = names_key(prefix, fresh->id);
    if (e && e->object && !g_str_equal(object->key, usual)) {
        catalog_entry_free(fresh);
        return;
    }
    if (e) {
        catalog_entry_free(fresh);
    } else {
        e = fresh;
        e->size_bytes = object->size_bytes;
        g_ptr_array_add(list, e);
        g_hash_table_insert(by_id, e->id, e);
    }
    if (e->object) {
        g_free(e->object->key);
        g_free(e->object->storage_class);
        g_free(e->object);
    }
    e->object = take_object(object);
}

static void note_metadata(const GPtrArray *list, const GPtrArray *objects)
{
    g_autoptr(GHashTable) keys = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < objects->len; i++) {
        const struct s3_object *o = objects->pdata[i];
        if (o->key)
            g_hash_table_add(keys, o->key);
    }
    for (guint i = 0; i < list->len; i++) {
        struct catalog_object *o = ((struct catalog_entry *)list->pdata[i])->object;
        if (!o)
            continue;
        g_autofree char *key =
            g_strdup_printf("%.*s%s", (int)(strlen(o->key) - strlen(NAMES_DUMP)), o->key, NAMES_META);
        o->has_meta = g_hash_table_contains(keys, key);
    }
}

struct reading {
    struct s3 *client;
    GPtrArray *entries; /* whose metadata lies in the bucket only; not owned */
};

static gboolean read_meta(guint worker, guint task, void *data, GError **error)
{
    (void)worker;
    struct reading *r = data;
    struct catalog_entry *e = r->entries->pdata[task];
    struct s3_props unused = {0};
    g_autoptr(copy) there = copy_s3(r->client, &unused, e->object->key);
    e->meta = copy_meta(there, &e->meta_error);
    /* Metadata that cannot be understood is that backup's trouble, a server that does not answer is everybody's. */
    if (!e->meta_error || g_error_matches(e->meta_error, OT_ERROR, OT_CORRUPT))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&e->meta_error));
    return FALSE;
}

static gboolean read_metadata(GPtrArray *list, struct s3 *client, gint64 since, GError **error)
{
    g_autoptr(GPtrArray) wanted = g_ptr_array_new();
    for (guint i = 0; i < list->len; i++) {
        struct catalog_entry *e = list->pdata[i];
        if (!e->path && e->object && e->object->has_meta && e->taken_at >= since)
            g_ptr_array_add(wanted, e);
    }
    struct reading r = {client, wanted};
    return wanted->len == 0 || pool_run(READERS, wanted->len, read_meta, NULL, &r, error);
}

/* Entries only, without metadata. */
static gboolean join_objects(GPtrArray *list, struct s3 *client, const char *prefix, const char *name, GError **error)
{
    g_autofree char *all = list_prefix(prefix);
    g_autoptr(GPtrArray) objects = s3_list(client, all, error);
    if (!objects)
        return FALSE;
    g_autoptr(GHashTable) by_id = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < list->len; i++) {
        struct catalog_entry *e = list->pdata[i];
        g_hash_table_insert(by_id, e->id, e);
    }
    for (guint i = 0; i < objects->len; i++)
        join_object(by_id, list, objects->pdata[i], prefix, name);
    note_metadata(list, objects);
    catalog_sort(list);
    return TRUE;
}

gboolean remote_join(GPtrArray *list, struct s3 *client, const char *prefix, const char *name, GError **error)
{
    return remote_join_since(list, client, prefix, name, G_MININT64, error);
}

gboolean remote_join_since(GPtrArray *list, struct s3 *client, const char *prefix, const char *name, gint64 since,
                           GError **error)
{
    return join_objects(list, client, prefix, name, error) && read_metadata(list, client, since, error);
}

/* ---- what a person wrote ---- */

static void entry_free(gpointer data)
{
    catalog_entry_free(data);
}

static GPtrArray *list_only(struct s3 *client, const char *prefix, const char *database, GError **error)
{
    g_autofree char *name = names_encode(database);
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(entry_free);
    return join_objects(list, client, prefix, name, error) ? g_steal_pointer(&list) : NULL;
}

static char *resolve_latest(struct s3 *client, const char *prefix, const char *database, GError **error)
{
    g_autoptr(GPtrArray) list = list_only(client, prefix, database, error);
    if (!list)
        return NULL;
    if (list->len == 0) {
        ot_fail(error, OT_NOT_FOUND, "there is no backup of database %s in s3://%s/%s", database, s3_bucket(client),
                prefix);
        return NULL;
    }
    struct reading r = {client, list};
    for (guint i = 0; i < list->len; i++) {
        struct catalog_entry *e = list->pdata[i];
        if (e->object->has_meta && !read_meta(0, i, &r, error))
            return NULL;
        if (!catalog_is_pre_restore(e))
            return g_strdup(e->object->key);
    }
    return g_strdup(((struct catalog_entry *)list->pdata[0])->object->key);
}

/* s3://BUCKET/KEY or KEY; NULL if the bucket is another one. */
static char *key_of_url(struct s3 *client, const char *what, GError **error)
{
    if (!g_str_has_prefix(what, "s3://"))
        return g_strdup(what);
    g_autofree char *ours = g_strdup_printf("s3://%s/", s3_bucket(client));
    if (g_str_has_prefix(what, ours))
        return g_strdup(what + strlen(ours));
    ot_fail(error, OT_USAGE, "%s is not in the bucket of BACKUP_S3_BUCKET, %s", what, s3_bucket(client));
    return NULL;
}

/* Where a backup of that id, file name or timestamp lies if we put it there. */
static char *key_of_id(const char *prefix, const char *database, const char *what, GError **error)
{
    g_autofree char *id = g_strdup(what);
    if (g_str_has_suffix(id, NAMES_DUMP))
        id[strlen(id) - strlen(NAMES_DUMP)] = '\0';
    g_autofree char *dated = names_id(database, id);
    char *key = names_key(prefix, id);
    if (!key)
        key = names_key(prefix, dated);
    if (!key)
        ot_fail(
            error, OT_NOT_FOUND,
            "Backup not found in S3: %s is neither a key, an id (NAME_YYYYMMDD_HHMMSS), a timestamp, nor \"latest\"",
            what);
    return key;
}

char *remote_resolve(struct s3 *client, const char *prefix, const char *database, const char *what, GError **error)
{
    if (g_str_equal(what, "latest"))
        return resolve_latest(client, prefix, database, error);
    if (strchr(what, '/'))
        return key_of_url(client, what, error);
    return key_of_id(prefix, database, what, error);
}
