/* Warnings of pg_dump, pg_restore and pg_dumpall, which children of ours write in English. */
#include "pg/said.h"

#include <string.h>

static const char *const programs[] = {"pg_dump: warning: ", "pg_restore: warning: ", "pg_dumpall: warning: "};

/* What is said about order and owners; every object is in the dump all the same. */
static const char *const harmless[] = {
    "there are circular foreign-key constraints",
    "could not resolve dependency loop among these items",
    "owner of ",
};

void said_add_warnings(const char *text, GPtrArray *warnings)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++)
        for (gsize k = 0; k < G_N_ELEMENTS(programs); k++)
            if (g_str_has_prefix(lines[i], programs[k]))
                g_ptr_array_add(warnings, g_strdup(lines[i] + strlen(programs[k])));
}

gboolean said_is_loss(const char *warning)
{
    for (gsize i = 0; i < G_N_ELEMENTS(harmless); i++)
        if (g_str_has_prefix(warning, harmless[i]))
            return FALSE;
    return TRUE;
}
