/* Search paths from the database's settings and the table of contents. */
#include "engine/searchpaths.h"

#include <string.h>

#include "pg/facts.h"

#define SETTING "search_path="
#define DEFAULT_PATH "\"$user\", public"

static void add_once(GPtrArray *paths, const char *path)
{
    if (!g_ptr_array_find_with_equal_func(paths, path, g_str_equal, NULL))
        g_ptr_array_add(paths, g_strdup(path));
}

static void add_settings(GPtrArray *paths, const json_t *facts, gboolean of_roles)
{
    size_t i, j;
    json_t *entry, *config;
    json_array_foreach(json_object_get(facts, "settings"), i, entry)
    {
        if ((facts_text(entry, "role") != NULL) != of_roles)
            continue;
        json_array_foreach(json_object_get(entry, "config"), j, config)
        {
            const char *text = json_string_value(config);
            if (text && g_str_has_prefix(text, SETTING))
                add_once(paths, text + strlen(SETTING));
        }
    }
}

/* What the server's own configuration says. */
static void add_default(struct session *s, GPtrArray *paths)
{
    g_autofree char *value = NULL;
    session_get_text(s, NULL, "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'", 0, NULL,
                     &value);
    add_once(paths, value && *value ? value : DEFAULT_PATH);
}

static char *all_schemas(struct session *s, const struct toc *t)
{
    GString *path = g_string_new("public");
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (!g_str_equal(e->desc, "SCHEMA") || g_str_equal(e->tag, "public"))
            continue;
        g_autofree char *name = session_quote_name(s, e->tag);
        g_string_append_printf(path, ", %s", name);
    }
    return g_string_free(path, FALSE);
}

GPtrArray *searchpaths_of(struct session *s, const json_t *facts, const struct toc *t)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(paths, g_strdup(""));
    add_settings(paths, facts, FALSE);
    if (paths->len == 1)
        add_default(s, paths);
    add_settings(paths, facts, TRUE);
    g_autofree char *all = all_schemas(s, t);
    add_once(paths, all);
    return paths;
}

gboolean searchpaths_use(struct session *s, const char *path, GError **error)
{
    const char *params[] = {path};
    g_autoptr(PGresult) set =
        session_query(s, error, "SELECT pg_catalog.set_config('search_path', $1, false)", 1, params);
    return set != NULL;
}
