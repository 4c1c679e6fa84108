/* A folder of backups. */
#include "catalog/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/text.h"
#include "catalog/copy.h"
#include "catalog/names.h"
#include "catalog/retention.h"

static void object_free(struct catalog_object *o)
{
    if (!o)
        return;
    g_free(o->key);
    g_free(o->storage_class);
    g_free(o->etag);
    g_free(o);
}

void catalog_entry_free(struct catalog_entry *e)
{
    if (!e)
        return;
    g_free(e->id);
    g_free(e->name);
    g_free(e->timestamp);
    g_free(e->path);
    g_free(e->server_key);
    object_free(e->object);
    object_free(e->monthly);
    meta_free(e->meta);
    g_clear_error(&e->meta_error);
    g_free(e);
}

static void entry_free(gpointer data)
{
    catalog_entry_free(data);
}

static char *sidecar(const char *folder, const char *id, const char *ending)
{
    return g_strdup_printf("%s/%s%s", folder, id, ending);
}

struct catalog_entry *catalog_entry_new(const char *file, const char *name)
{
    g_autofree char *id = names_id_of_file(file, NAMES_DUMP);
    g_autofree char *found = NULL, *timestamp = NULL;
    if (!id || !names_split_id(id, &found, &timestamp) || (name && !g_str_equal(found, name)))
        return NULL;
    struct catalog_entry *e = g_new0(struct catalog_entry, 1);
    text_parse_timestamp(timestamp, &e->named_at);
    e->taken_at = e->dated_at = e->named_at;
    e->id = g_steal_pointer(&id);
    e->name = g_steal_pointer(&found);
    e->timestamp = g_steal_pointer(&timestamp);
    return e;
}

static struct catalog_entry *entry_of(const struct store_object *o, const char *folder, const char *name)
{
    struct catalog_entry *e = catalog_entry_new(o->key, name);
    if (!e)
        return NULL;
    e->path = g_build_filename(folder, o->key, NULL);
    e->size_bytes = o->size_bytes;
    return e;
}

gint64 catalog_moment(const struct meta *m, gint64 named_at)
{
    gint64 at;
    gboolean noted = m && ((m->snapshot_time && text_parse_iso_time(m->snapshot_time, &at)) ||
                           (m->date && text_parse_iso_time(m->date, &at)));
    return noted ? at : named_at;
}

gboolean catalog_is_future(const struct catalog_entry *e, gint64 now)
{
    return MAX(e->taken_at, e->dated_at) > now + RETENTION_SLACK_S;
}

void catalog_entry_set_meta(struct catalog_entry *e, struct meta *m)
{
    e->meta = m;
    e->taken_at = e->dated_at = catalog_moment(m, e->named_at);
    if (m && m->date)
        text_parse_iso_time(m->date, &e->dated_at);
}

static void read_metadata(struct catalog_entry *e, gboolean with_tables)
{
    g_autoptr(copy) here = copy_local(e->path);
    catalog_entry_set_meta(e, copy_meta_lean(here, with_tables, &e->meta_error));
}

/* 0: they know different journals, or the same end of one. The first backup of all comes before there is one. */
static int compare_journals(const struct meta *a, const struct meta *b)
{
    const json_t *x = a ? a->journal : NULL, *y = b ? b->journal : NULL;
    const char *one = json_string_value(json_object_get(x, "id"));
    const char *other = json_string_value(json_object_get(y, "id"));
    if (one && other && !g_str_equal(one, other))
        return 0;
    json_int_t p = json_integer_value(json_object_get(x, "seq")), q = json_integer_value(json_object_get(y, "seq"));
    return p > q ? -1 : p < q;
}

int catalog_compare(const struct catalog_entry *a, const struct catalog_entry *b)
{
    if (a->taken_at != b->taken_at)
        return a->taken_at > b->taken_at ? -1 : 1;
    int order = compare_journals(a->meta, b->meta);
    if (!order)
        order = strcmp(b->timestamp, a->timestamp);
    return order ? order : strcmp(a->id, b->id);
}

static gint newer_first(gconstpointer a, gconstpointer b)
{
    return catalog_compare(*(struct catalog_entry *const *)a, *(struct catalog_entry *const *)b);
}

static GDir *open_folder(const char *folder, GError **error)
{
    g_autoptr(GError) problem = NULL;
    GDir *dir = g_dir_open(folder, 0, &problem);
    if (!dir && !g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        ot_fail(error, OT_IO, "cannot read the folder %s: %s", folder, problem->message);
    return dir;
}

void catalog_sort(GPtrArray *list)
{
    g_ptr_array_sort(list, newer_first);
}

GPtrArray *catalog_list(const char *folder, const char *name, GError **error)
{
    return catalog_list_with_tables(folder, name, 0, error);
}

GPtrArray *catalog_list_with_tables(const char *folder, const char *name, guint tables_of, GError **error)
{
    struct store *here = store_local(folder);
    g_autoptr(GPtrArray) files = here->list(here, name ? name : "", error);
    store_free(here);
    if (!files)
        return NULL;
    GPtrArray *list = g_ptr_array_new_with_free_func(entry_free);
    for (guint i = 0; i < files->len; i++) {
        struct catalog_entry *e = entry_of(files->pdata[i], folder, name);
        if (e)
            g_ptr_array_add(list, e);
    }
    catalog_sort(list); /* by the names: which ones come with their tables need not be exact */
    for (guint i = 0; i < list->len; i++)
        read_metadata(list->pdata[i], i < tables_of);
    catalog_sort(list);
    return list;
}

gboolean catalog_is_pre_restore(const struct catalog_entry *e)
{
    return e->meta && g_strcmp0(e->meta->type, "pre-restore") == 0;
}

/* ---- what a person wrote ---- */

static char *first_existing(const char *folder, const char *database, const char *what)
{
    g_autofree char *id = names_id(database, what);
    char *candidates[] = {
        g_strdup(what),
        g_build_filename(folder, what, NULL),
        sidecar(folder, what, NAMES_DUMP),
        sidecar(folder, id, NAMES_DUMP),
    };
    char *found = NULL;
    /* Without a slash, "what" is a name in the folder first; the working folder comes after it. */
    static const gsize order[2][4] = {{1, 2, 3, 0}, {0, 0, 0, 0}};
    const gsize *tries = order[strchr(what, '/') != NULL];
    for (gsize i = 0; i < 4 && !found; i++)
        if (g_file_test(candidates[tries[i]], G_FILE_TEST_IS_REGULAR))
            found = g_strdup(candidates[tries[i]]);
    for (gsize i = 0; i < G_N_ELEMENTS(candidates); i++)
        g_free(candidates[i]);
    return found;
}

/* A folder is named for what it is. */
static void not_found(const char *folder, const char *what, GError **error)
{
    g_autofree char *toc = g_build_filename(what, "toc.dat", NULL);
    if (g_file_test(toc, G_FILE_TEST_IS_REGULAR))
        ot_fail(error, OT_REFUSED,
                "%s is a dump in pg_dump's directory format: use pg_restore (pg_restore -d DATABASE %s)", what, what);
    else if (g_file_test(what, G_FILE_TEST_IS_DIR))
        ot_fail(error, OT_NOT_FOUND, "%s is a folder: name a backup file in it", what);
    else
        ot_fail(error, OT_NOT_FOUND, "Backup file not found: %s (neither a file nor a backup in %s)", what, folder);
}

char *catalog_resolve(const char *folder, const char *database, const char *what, GError **error)
{
    g_autofree char *path = first_existing(folder, database, what);
    if (!path) {
        not_found(folder, what, error);
        return NULL;
    }
    char *resolved = realpath(path, NULL);
    if (!resolved)
        ot_fail_errno(error, OT_NOT_FOUND, "cannot open %s", path);
    char *result = g_strdup(resolved);
    free(resolved);
    return result;
}

/* ---- changes ---- */

/* A hidden temporary name of this database: .NAME_TIMESTAMP.<ending>.partial, or that of the link. */
static gboolean is_our_partial(const char *file, const char *name)
{
    static const char *const endings[] = {NAMES_DUMP, NAMES_META, NAMES_GLOBALS};
    if (file[0] != '.' || !g_str_has_suffix(file, ".partial"))
        return FALSE;
    g_autofree char *inner = g_strndup(file + 1, strlen(file) - 1 - strlen(".partial"));
    g_autofree char *link = g_strdup_printf("%s_latest" NAMES_DUMP, name);
    if (g_str_equal(inner, link))
        return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(endings); i++) {
        g_autofree char *id = names_id_of_file(inner, endings[i]);
        g_autofree char *found = NULL, *timestamp = NULL;
        if (id && names_split_id(id, &found, &timestamp) && g_str_equal(found, name))
            return TRUE;
    }
    return FALSE;
}

static gboolean is_orphan(const char *folder, const char *file, const char *name)
{
    static const char *const endings[] = {NAMES_META, NAMES_GLOBALS};
    for (gsize i = 0; i < G_N_ELEMENTS(endings); i++) {
        g_autofree char *id = names_id_of_file(file, endings[i]);
        g_autofree char *found = NULL, *timestamp = NULL;
        if (!id || !names_split_id(id, &found, &timestamp) || !g_str_equal(found, name))
            continue;
        g_autofree char *dump = sidecar(folder, id, NAMES_DUMP);
        return !g_file_test(dump, G_FILE_TEST_EXISTS);
    }
    return FALSE;
}

gboolean catalog_clean(const char *folder, const char *name, GError **error)
{
    GError *problem = NULL;
    g_autoptr(GDir) dir = open_folder(folder, &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    for (const char *file; dir && (file = g_dir_read_name(dir));) {
        if (!is_our_partial(file, name) && !is_orphan(folder, file, name))
            continue;
        g_autofree char *path = g_build_filename(folder, file, NULL);
        if (!files_remove(path, error))
            return FALSE;
    }
    return TRUE;
}

gboolean catalog_set_latest(const char *folder, const char *name, const char *id, GError **error)
{
    g_autofree char *link = g_strdup_printf("%s_latest" NAMES_DUMP, name);
    g_autofree char *target = g_strconcat(id, NAMES_DUMP, NULL);
    return files_set_link(folder, link, target, error);
}

gboolean catalog_delete(const char *folder, const struct catalog_entry *e, GError **error)
{
    g_autofree char *globals = sidecar(folder, e->id, NAMES_GLOBALS);
    g_autofree char *meta_path = sidecar(folder, e->id, NAMES_META);
    g_autofree char *log_name = g_strdup_printf("backup_%s.log", e->timestamp);
    gboolean has_log = e->meta && g_strcmp0(e->meta->log, log_name) == 0;
    g_autofree char *log = has_log ? g_build_filename(folder, log_name, NULL) : NULL;
    return files_remove(e->path, error) && files_remove(globals, error) && (!log || files_remove(log, error)) &&
           files_remove(meta_path, error);
}
