/* A copy and what lies beside it. */
#include "catalog/copy.h"

#include <string.h>

#include "base/lock.h"
#include "catalog/names.h"

#define LOCK_TRIES 200 /* of 50 ms */

void copy_free(struct copy *c)
{
    if (!c)
        return;
    store_free(c->place);
    g_free(c->key);
    g_free(c->name);
    g_free(c->file);
    g_free(c->path);
    g_free(c);
}

struct copy *copy_local(const char *path)
{
    struct copy *c = g_new0(struct copy, 1);
    g_autofree char *folder = g_path_get_dirname(path);
    c->place = store_local(folder);
    c->file = g_path_get_basename(path);
    c->key = g_strdup(c->file);
    c->name = g_strdup(path);
    c->path = g_strdup(path);
    return c;
}

struct copy *copy_s3(struct s3 *client, const struct s3_props *props, const char *key)
{
    struct copy *c = g_new0(struct copy, 1);
    c->place = store_s3(client, props);
    c->key = g_strdup(key);
    c->name = store_place(c->place, key);
    c->file = g_path_get_basename(key);
    return c;
}

struct source *copy_open(const struct copy *c, GError **error)
{
    return c->place->open(c->place, c->key, error);
}

char *copy_beside(const struct copy *c, const char *ending)
{
    if (!g_str_has_suffix(c->key, NAMES_DUMP))
        return NULL;
    gsize length = strlen(c->key) - strlen(NAMES_DUMP);
    return g_strdup_printf("%.*s%s", (int)length, c->key, ending);
}

struct meta *copy_meta(const struct copy *c, GError **error)
{
    g_autofree char *key = copy_beside(c, NAMES_META);
    g_autofree char *text = NULL;
    g_autoptr(GError) problem = NULL;
    gsize length = 0;
    if (!key)
        return NULL;
    if (!c->place->read(c->place, key, META_MAX_BYTES, &text, &length, &problem)) {
        if (!g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
            g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    g_autofree char *place = store_place(c->place, key);
    return meta_parse(text, length, place, error);
}

static gboolean save(const struct copy *c, const struct meta *m, GError **error)
{
    g_autofree char *key = copy_beside(c, NAMES_META);
    g_autofree char *text = meta_print(m, error);
    return text && c->place->write(c->place, key, text, strlen(text), error);
}

static struct lock *wait_for_lock(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, ".metadata.lock", NULL);
    for (int tries = 0;; tries++) {
        GError *problem = NULL;
        struct lock *held = lock_take(path, "metadata", &problem);
        if (held || tries == LOCK_TRIES || !g_error_matches(problem, OT_ERROR, OT_BUSY)) {
            if (problem)
                g_propagate_error(error, problem);
            return held;
        }
        g_error_free(problem);
        g_usleep(50000);
    }
}

gboolean copy_update_meta(const struct copy *c, copy_change change, void *data, GError **error)
{
    g_autofree char *id = names_id_of_file(c->file, NAMES_DUMP);
    GError *problem = NULL;
    if (!id)
        return TRUE; /* not named as a backup: it has no metadata */
    g_autoptr(lock) held = c->path ? wait_for_lock(c->place->name, error) : NULL;
    if (c->path && !held)
        return FALSE;
    g_autoptr(meta) m = copy_meta(c, &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (!m)
        return TRUE;
    change(m, data);
    return save(c, m, error);
}
