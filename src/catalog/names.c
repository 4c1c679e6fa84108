/* Names of backup files. Exact: nothing here matches by pattern or prefix. */
#include "catalog/names.h"

#include <string.h>

#include "base/text.h"

#define TIMESTAMP_LENGTH 15

char *names_encode(const char *database)
{
    GString *out = g_string_new(NULL);
    gboolean utf8 = g_utf8_validate(database, -1, NULL);
    for (const char *c = database; *c; c++) {
        gboolean unsafe = (!utf8 && (guchar)*c >= 0x80) || *c == '/' || *c == '%' || *c == '\\' || (guchar)*c < ' ' ||
                          *c == 0x7f || (*c == '.' && c == database);
        if (unsafe)
            g_string_append_printf(out, "%%%02X", (guchar)*c);
        else
            g_string_append_c(out, *c);
    }
    return g_string_free(out, FALSE);
}

char *names_id(const char *database, const char *timestamp)
{
    g_autofree char *name = names_encode(database);
    return g_strdup_printf("%s_%s", name, timestamp);
}

gboolean names_split_id(const char *id, char **ret_name, char **ret_timestamp)
{
    gsize length = strlen(id);
    gint64 unused;
    if (length < TIMESTAMP_LENGTH + 2 || id[length - TIMESTAMP_LENGTH - 1] != '_' || strchr(id, '/') ||
        !text_parse_timestamp(id + length - TIMESTAMP_LENGTH, &unused))
        return FALSE;
    *ret_name = g_strndup(id, length - TIMESTAMP_LENGTH - 1);
    *ret_timestamp = g_strdup(id + length - TIMESTAMP_LENGTH);
    return TRUE;
}

gboolean names_is_recovered(const char *schema)
{
    static const char prefix[] = "recovered_";
    gint64 unused;
    return g_str_has_prefix(schema, prefix) && strlen(schema) == strlen(prefix) + TIMESTAMP_LENGTH &&
           text_parse_timestamp(schema + strlen(prefix), &unused);
}

/* PREFIX/FOLDERS with the first digits of the timestamp/ID.sql.gz */
static char *key_in(const char *prefix, const char *folders, int digits, const char *id)
{
    g_autofree char *name = NULL, *timestamp = NULL;
    if (!names_split_id(id, &name, &timestamp))
        return NULL;
    const char *slash = *prefix && !g_str_has_suffix(prefix, "/") ? "/" : "";
    return g_strdup_printf("%s%s%s%.*s/%s" NAMES_DUMP, prefix, slash, folders, digits, timestamp, id);
}

char *names_key(const char *prefix, const char *id)
{
    return key_in(prefix, "", 8, id);
}

char *names_monthly_key(const char *prefix, const char *id)
{
    return key_in(prefix, "monthly/", 6, id);
}

char *names_id_of_file(const char *file_name, const char *ending)
{
    if (!g_str_has_suffix(file_name, ending))
        return NULL;
    g_autofree char *id = g_strndup(file_name, strlen(file_name) - strlen(ending));
    g_autofree char *name = NULL, *timestamp = NULL;
    return names_split_id(id, &name, &timestamp) ? g_steal_pointer(&id) : NULL;
}

char *names_timestamp_of_log(const char *file_name, const char *act)
{
    g_autofree char *id = names_id_of_file(file_name, ".log");
    g_autofree char *name = NULL;
    char *timestamp = NULL;
    if (!id || !names_split_id(id, &name, &timestamp))
        return NULL;
    if (!g_str_equal(name, act))
        g_clear_pointer(&timestamp, g_free);
    return timestamp;
}
