/* A copy and what lies beside it. */
#include "catalog/copy.h"

#include <string.h>

#include "base/files.h"
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

/* NULL without error: there is none. */
static char *read_meta(const struct copy *c, const char *key, gsize *ret_length, GError **error)
{
    GError *problem = NULL;
    char *text = NULL;
    if (c->place->read(c->place, key, META_MAX_BYTES, &text, ret_length, &problem))
        return text;
    if (g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
        g_error_free(problem);
    else
        g_propagate_error(error, problem);
    return NULL;
}

struct meta *copy_meta(const struct copy *c, GError **error)
{
    gsize length = 0;
    g_autofree char *key = copy_beside(c, NAMES_META);
    g_autofree char *text = key ? read_meta(c, key, &length, error) : NULL;
    g_autofree char *place = text ? store_place(c->place, key) : NULL;
    return text ? meta_parse(text, length, place, error) : NULL;
}

/* ---- lean ---- */

#define HEAD_BYTES 32768 /* longer than what comes before the tables, but for very long texts in it */
#define TAIL_BYTES 16

/* Most of a file with many tables need not be read. NULL: it must be. */
static struct meta *read_ends(const struct copy *c, const char *place)
{
    char head[HEAD_BYTES], tail[TAIL_BYTES];
    gsize tables;
    g_autofree char *path = g_strdup_printf("%.*s" NAMES_META, (int)(strlen(c->path) - strlen(NAMES_DUMP)), c->path);
    if (!files_read_ends(path, head, sizeof head, tail, sizeof tail) ||
        !meta_find_tables(head, sizeof head, &tables) || !meta_is_end(tail, sizeof tail))
        return NULL;
    return meta_parse_head(head, tables, place, NULL);
}

struct meta *copy_meta_lean(const struct copy *c, gboolean keep_tables, GError **error)
{
    gsize length = 0;
    g_autofree char *key = copy_beside(c, NAMES_META);
    g_autofree char *place = key ? store_place(c->place, key) : NULL;
    struct meta *m = key && c->path && !keep_tables ? read_ends(c, place) : NULL;
    g_autofree char *text = key && !m ? read_meta(c, key, &length, error) : NULL;
    return text ? meta_parse_lean(text, length, keep_tables, place, error) : m;
}

gboolean copy_complete_meta(const struct copy *c, struct meta *m, GError **error)
{
    if (!m->lean)
        return TRUE;
    GError *problem = NULL;
    g_autoptr(meta) whole = copy_meta(c, &problem);
    if (!whole) {
        g_propagate_error(error, problem ? problem : g_error_new(OT_ERROR, OT_NOT_FOUND, "%s has lost its metadata", c->name));
        return FALSE;
    }
    m->tables = g_steal_pointer(&whole->tables);
    m->lean = FALSE;
    return TRUE;
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
