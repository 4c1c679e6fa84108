/* Changes are remembered by name, with the value that was there first. */
#include "base/environment.h"

#include <string.h>

struct change {
    char *name, *before; /* before: NULL if it was not set */
};

static GArray *changes; /* struct change; for the process's life */

static gboolean is_changed(const char *name)
{
    for (guint i = 0; changes && i < changes->len; i++)
        if (g_str_equal(g_array_index(changes, struct change, i).name, name))
            return TRUE;
    return FALSE;
}

void environment_change(const char *name, const char *value)
{
    if (!changes)
        changes = g_array_new(FALSE, FALSE, sizeof(struct change));
    if (!is_changed(name)) {
        struct change first = {.name = g_strdup(name), .before = g_strdup(g_getenv(name))};
        g_array_append_val(changes, first);
    }
    if (value)
        g_setenv(name, value, TRUE);
    else
        g_unsetenv(name);
}

char **environment_of_caller(void)
{
    char **environment = g_get_environ();
    for (guint i = 0; changes && i < changes->len; i++) {
        const struct change *c = &g_array_index(changes, struct change, i);
        environment = c->before ? g_environ_setenv(environment, c->name, c->before, TRUE)
                                : g_environ_unsetenv(environment, c->name);
    }
    return environment;
}

char **environment_for_others(void)
{
    char **environment = g_environ_unsetenv(g_get_environ(), "PGPASSWORD");
    return g_environ_unsetenv(environment, "PGSSLPASSWORD");
}
