/* The two places behind the one interface. */
#include "store/store.h"

#include <string.h>
#include <sys/stat.h>

#include "base/files.h"

static void object_free(gpointer data)
{
    struct store_object *o = data;
    g_free(o->key);
    g_free(o->storage_class);
    g_free(o);
}

void store_free(struct store *s)
{
    if (!s)
        return;
    if (s->free)
        s->free(s);
    g_free(s->name);
    g_free(s);
}

char *store_place(const struct store *s, const char *key)
{
    return g_strdup_printf("%s/%s", s->name, key);
}

/* ---- a folder ---- */

static struct source *local_open(struct store *self, const char *key, GError **error)
{
    g_autofree char *path = store_place(self, key);
    return source_open_file(path, error);
}

static gboolean local_read(struct store *self, const char *key, gsize max_bytes, char **ret_text, gsize *ret_length,
                           GError **error)
{
    g_autofree char *path = store_place(self, key);
    return files_read(path, max_bytes, ret_text, ret_length, error);
}

static gboolean local_write(struct store *self, const char *key, const char *text, gsize length, GError **error)
{
    return files_write(self->name, key, text, length, TRUE, error);
}

static void add_file(GPtrArray *list, const char *folder, const char *file)
{
    struct stat st;
    g_autofree char *path = g_build_filename(folder, file, NULL);
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    struct store_object *o = g_new0(struct store_object, 1);
    o->key = g_strdup(file);
    o->size_bytes = (guint64)st.st_size;
    o->modified = st.st_mtime;
    g_ptr_array_add(list, o);
}

static GPtrArray *local_list(struct store *self, const char *prefix, GError **error)
{
    errno = 0;
    g_autoptr(GDir) dir = g_dir_open(self->name, 0, NULL);
    if (!dir && errno != ENOENT) {
        files_fail_folder(error, OT_IO, "cannot read the folder", self->name);
        return NULL;
    }
    GPtrArray *list = g_ptr_array_new_with_free_func(object_free);
    for (const char *file; dir && (file = g_dir_read_name(dir));)
        if (g_str_has_prefix(file, prefix))
            add_file(list, self->name, file);
    return list;
}

struct store *store_local(const char *folder)
{
    struct store *s = g_new0(struct store, 1);
    *s = (struct store){"local", g_strdup(folder), local_open, local_read, local_write, local_list, NULL};
    return s;
}

/* ---- a bucket ---- */

struct bucket_store {
    struct store base;
    struct s3 *client;
    struct s3_props props;
};

static struct source *bucket_open(struct store *self, const char *key, GError **error)
{
    return s3_open(((struct bucket_store *)self)->client, key, error);
}

static gboolean bucket_read(struct store *self, const char *key, gsize max_bytes, char **ret_text, gsize *ret_length,
                            GError **error)
{
    *ret_text = s3_get(((struct bucket_store *)self)->client, key, max_bytes, ret_length, error);
    return *ret_text != NULL;
}

static gboolean bucket_write(struct store *self, const char *key, const char *text, gsize length, GError **error)
{
    struct bucket_store *b = (struct bucket_store *)self;
    return s3_put(b->client, key, text, length, &b->props, NULL, error);
}

static GPtrArray *bucket_list(struct store *self, const char *prefix, GError **error)
{
    g_autoptr(GPtrArray) found = s3_list(((struct bucket_store *)self)->client, prefix, error);
    if (!found)
        return NULL;
    GPtrArray *list = g_ptr_array_new_with_free_func(object_free);
    for (guint i = 0; i < found->len; i++) {
        struct s3_object *from = found->pdata[i];
        struct store_object *o = g_new0(struct store_object, 1);
        *o = (struct store_object){g_steal_pointer(&from->key), from->size_bytes, from->modified,
                                   g_steal_pointer(&from->storage_class)};
        g_ptr_array_add(list, o);
    }
    return list;
}

struct store *store_s3(struct s3 *client, const struct s3_props *props)
{
    struct bucket_store *s = g_new0(struct bucket_store, 1);
    s->base = (struct store){"s3", s3_url(client, NULL), bucket_open, bucket_read, bucket_write, bucket_list, NULL};
    s->client = client;
    s->props = *props;
    return &s->base;
}
