/* Names of libraries, held against what a server has. */
#include "pg/preload.h"

#include <string.h>

/* NULL if it is no plain name: "$libdir/" in front and ".so" behind say nothing. */
static char *plain_name(const char *word)
{
    g_autofree char *name = g_strstrip(g_strdelimit(g_strdup(word), "\"", ' '));
    const char *begin = g_str_has_prefix(name, "$libdir/") ? name + strlen("$libdir/") : name;
    gsize length = strlen(begin) - (g_str_has_suffix(begin, ".so") ? strlen(".so") : 0);
    if (length == 0 || *begin == '.' || strspn(begin, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_-.+") != strlen(begin))
        return NULL;
    return g_strndup(begin, length);
}

/* The list's names, each once. */
static GPtrArray *names_of(const char *setting)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) words = g_strsplit(setting ? setting : "", ",", -1);
    for (char **word = words; *word; word++) {
        char *name = plain_name(*word);
        if (name && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
            g_ptr_array_add(names, name);
        else
            g_free(name);
    }
    return names;
}

/* Takes the array; NULL if it is empty. */
static char *joined(GPtrArray *names, const char *separator)
{
    g_ptr_array_add(names, NULL);
    char *text = names->len > 1 ? g_strjoinv(separator, (char **)names->pdata) : NULL;
    g_ptr_array_unref(names);
    return text;
}

char *preload_installed(struct session *s, const char *setting, GError **error)
{
    g_autofree char *folder = NULL;
    if (!session_get_text(s, error, "SELECT setting FROM pg_catalog.pg_config WHERE name = 'PKGLIBDIR'", 0, NULL,
                          &folder))
        return NULL;
    g_autoptr(GPtrArray) names = names_of(setting);
    GPtrArray *here = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; folder && i < names->len; i++) {
        g_autofree char *file = g_strconcat(names->pdata[i], ".so", NULL);
        g_autofree char *path = g_build_filename(folder, file, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
            g_ptr_array_add(here, g_strdup(names->pdata[i]));
    }
    return joined(here, ",");
}

char *preload_missing(struct session *s, const char *setting, GError **error)
{
    g_autofree char *loaded = NULL;
    if (!session_get_text(s, error,
                          "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'shared_preload_libraries'", 0, NULL,
                          &loaded) ||
        !loaded)
        return NULL;
    g_autoptr(GPtrArray) names = names_of(setting);
    g_autoptr(GPtrArray) here = names_of(loaded);
    GPtrArray *missing = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < names->len; i++)
        if (!g_ptr_array_find_with_equal_func(here, names->pdata[i], g_str_equal, NULL))
            g_ptr_array_add(missing, g_strdup(names->pdata[i]));
    return joined(missing, ", ");
}
