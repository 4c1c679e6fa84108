/* Keys that are backups' names, and what is beside them. */
#include "catalog/remote.h"

#include <string.h>

#include "base/pool.h"
#include "catalog/copy.h"
#include "catalog/names.h"

#define TABLES_OF 64 /* the newest keep them */
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

static struct catalog_object *take_object(struct s3_object *from, const GHashTable *keys)
{
    struct catalog_object *o = g_new0(struct catalog_object, 1);
    g_autofree char *meta_key =
        g_strdup_printf("%.*s%s", (int)(strlen(from->key) - strlen(NAMES_DUMP)), from->key, NAMES_META);
    gboolean has_meta = g_hash_table_contains((GHashTable *)keys, meta_key);
    *o = (struct catalog_object){g_strdup(from->key),
                                 g_steal_pointer(&from->storage_class),
                                 g_steal_pointer(&from->etag),
                                 from->size_bytes,
                                 from->modified,
                                 has_meta};
    return o;
}

static void drop_object(struct catalog_object **o)
{
    if (!*o)
        return;
    g_free((*o)->key);
    g_free((*o)->storage_class);
    g_free((*o)->etag);
    g_clear_pointer(o, g_free);
}

/* By id. An object at the place where we put backups counts before a namesake elsewhere under the prefix. */
static void join_object(GHashTable *by_id, GPtrArray *list, struct catalog_entry *fresh, const char *prefix)
{
    struct catalog_entry *e = g_hash_table_lookup(by_id, fresh->id);
    g_autofree char *usual = names_key(prefix, fresh->id), *monthly = names_monthly_key(prefix, fresh->id);
    gboolean is_usual = g_str_equal(fresh->object->key, usual), is_monthly = g_str_equal(fresh->object->key, monthly);
    if (!e) {
        g_ptr_array_add(list, fresh);
        g_hash_table_insert(by_id, fresh->id, fresh);
        return;
    }
    struct catalog_object **place = is_monthly && e->object ? &e->monthly : &e->object;
    if (is_usual && e->object && g_str_equal(e->object->key, monthly)) {
        e->monthly = g_steal_pointer(&e->object);
        e->size_bytes = e->path ? e->size_bytes : fresh->size_bytes;
    } else if (*place && !is_usual) {
        catalog_entry_free(fresh);
        return;
    }
    drop_object(place);
    *place = g_steal_pointer(&fresh->object);
    catalog_entry_free(fresh);
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
    catalog_entry_set_meta(e, copy_meta_lean(there, task < TABLES_OF, &e->meta_error));
    /* Metadata that cannot be understood is that backup's trouble, a server that does not answer is everybody's. */
    if (!e->meta_error || g_error_matches(e->meta_error, OT_ERROR, OT_CORRUPT))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&e->meta_error));
    return FALSE;
}

gboolean remote_read_meta(GPtrArray *entries, struct s3 *client, GError **error)
{
    g_autoptr(GPtrArray) wanted = g_ptr_array_new();
    for (guint i = 0; i < entries->len; i++) {
        struct catalog_entry *e = entries->pdata[i];
        if (e->object && e->object->has_meta && !e->meta && !e->meta_error)
            g_ptr_array_add(wanted, e);
    }
    struct reading r = {client, wanted};
    return wanted->len == 0 || pool_run(READERS, wanted->len, read_meta, NULL, &r, error);
}

static void entry_free(gpointer data)
{
    catalog_entry_free(data);
}

static GHashTable *keys_of(const GPtrArray *objects)
{
    GHashTable *keys = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < objects->len; i++) {
        const struct s3_object *o = objects->pdata[i];
        if (o->key)
            g_hash_table_add(keys, o->key);
    }
    return keys;
}

GPtrArray *remote_list(struct s3 *client, const char *prefix, const char *name, GError **error)
{
    g_autofree char *all = list_prefix(prefix);
    g_autoptr(GPtrArray) objects = s3_list(client, all, error);
    if (!objects)
        return NULL;
    g_autoptr(GHashTable) keys = keys_of(objects);
    GPtrArray *list = g_ptr_array_new_with_free_func(entry_free);
    for (guint i = 0; i < objects->len; i++) {
        struct s3_object *object = objects->pdata[i];
        struct catalog_entry *e = object->key ? catalog_entry_new(file_of(object->key), name) : NULL;
        if (!e)
            continue;
        e->size_bytes = object->size_bytes;
        e->object = take_object(object, keys);
        g_ptr_array_add(list, e);
    }
    catalog_sort(list);
    return list;
}

/* The key of the backup that a sidecar of this database lies beside; NULL if it is none. */
static char *dump_of_sidecar(const char *key, const char *name)
{
    static const char *const endings[] = {NAMES_META, NAMES_GLOBALS};
    for (gsize i = 0; i < G_N_ELEMENTS(endings); i++) {
        g_autofree char *id = names_id_of_file(file_of(key), endings[i]);
        g_autofree char *found = NULL, *timestamp = NULL;
        if (id && names_split_id(id, &found, &timestamp) && g_str_equal(found, name))
            return g_strdup_printf("%.*s%s", (int)(strlen(key) - strlen(endings[i])), key, NAMES_DUMP);
    }
    return NULL;
}

GPtrArray *remote_strays(struct s3 *client, const char *prefix, const char *name, GError **error)
{
    g_autofree char *all = list_prefix(prefix);
    g_autoptr(GPtrArray) objects = s3_list(client, all, error);
    if (!objects)
        return NULL;
    g_autoptr(GHashTable) keys = keys_of(objects);
    GPtrArray *strays = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < objects->len; i++) {
        const char *key = ((const struct s3_object *)objects->pdata[i])->key;
        g_autofree char *dump = key ? dump_of_sidecar(key, name) : NULL;
        if (dump && !g_hash_table_contains(keys, dump))
            g_ptr_array_add(strays, g_strdup(key));
    }
    return strays;
}

gboolean remote_join_objects(GPtrArray *list, struct s3 *client, const char *prefix, const char *name, GError **error)
{
    g_autoptr(GPtrArray) objects = remote_list(client, prefix, name, error);
    if (!objects)
        return FALSE;
    g_autoptr(GHashTable) by_id = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < list->len; i++) {
        struct catalog_entry *e = list->pdata[i];
        g_hash_table_insert(by_id, e->id, e);
    }
    for (guint i = 0; i < objects->len; i++)
        join_object(by_id, list, g_steal_pointer(&objects->pdata[i]), prefix);
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
    if (!remote_join_objects(list, client, prefix, name, error))
        return FALSE;
    g_autoptr(GPtrArray) there = g_ptr_array_new();
    for (guint i = 0; i < list->len; i++) {
        const struct catalog_entry *e = list->pdata[i];
        if (!e->path && e->named_at + CATALOG_ZONES_S >= since)
            g_ptr_array_add(there, list->pdata[i]);
    }
    if (!remote_read_meta(there, client, error))
        return FALSE;
    catalog_sort(list);
    return TRUE;
}

/* ---- what a person wrote ---- */

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

/* The key itself, or where nothing lies there that of the monthly archive, if something lies there. Takes usual. */
static char *key_that_is_there(struct s3 *client, char *usual, char *monthly)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(s3_object) object = s3_head(client, usual, &problem);
    g_autoptr(s3_object) archived =
        object || !g_error_matches(problem, OT_ERROR, OT_NOT_FOUND) ? NULL : s3_head(client, monthly, NULL);
    if (!archived)
        return usual; /* what is wrong with it is told when it is read */
    g_free(usual);
    return g_strdup(monthly);
}

/* Where a backup of that id, file name or timestamp lies if we put it there. */
static char *key_of_id(struct s3 *client, const char *prefix, const char *database, const char *what, GError **error)
{
    g_autofree char *given = g_strdup(what);
    if (g_str_has_suffix(given, NAMES_DUMP))
        given[strlen(given) - strlen(NAMES_DUMP)] = '\0';
    g_autofree char *dated = names_id(database, given);
    g_autofree char *given_key = names_key(prefix, given);
    const char *id = given_key ? given : dated;
    char *key = names_key(prefix, id);
    g_autofree char *monthly = names_monthly_key(prefix, id);
    if (key)
        return key_that_is_there(client, key, monthly);
    ot_fail(error, OT_NOT_FOUND,
            "Backup not found in S3: %s is neither a key, an id (NAME_YYYYMMDD_HHMMSS), a timestamp, \"latest\" nor \"latest-good\"",
            what);
    return NULL;
}

char *remote_resolve(struct s3 *client, const char *prefix, const char *database, const char *what, GError **error)
{
    if (strchr(what, '/'))
        return key_of_url(client, what, error);
    return key_of_id(client, prefix, database, what, error);
}
