/* Finding PostgreSQL's programs. Debian's /usr/bin/pg_dump is a wrapper that picks a version by cluster: the real ones
 * lie in /usr/lib/postgresql/N/bin. */
#include "pg/tools.h"

#include <string.h>

#include "base/subprocess.h"

#define DEBIAN_ROOT "/usr/lib/postgresql"
#define NEWEST_MAJOR 99
#define OLDEST_SERVER 12

static char *runnable(const char *folder, const char *program)
{
    g_autofree char *path = g_build_filename(folder, program, NULL);
    return g_file_test(path, G_FILE_TEST_IS_EXECUTABLE) ? g_steal_pointer(&path) : NULL;
}

static char *in_debian(const char *program, int from, int to, int step)
{
    for (int major = from; major != to + step; major += step) {
        g_autofree char *folder = g_strdup_printf(DEBIAN_ROOT "/%d/bin", major);
        char *path = runnable(folder, program);
        if (path)
            return path;
    }
    return NULL;
}

char *tools_find(const char *bindir, const char *program, GError **error)
{
    char *path = bindir ? runnable(bindir, program) : in_debian(program, NEWEST_MAJOR, 9, -1);
    if (!path && !bindir)
        path = g_find_program_in_path(program);
    if (!path)
        ot_fail(error, OT_PREREQUISITE, "%s is not %s%s: install PostgreSQL's client programs, or set PG_BINDIR",
                program, bindir ? "in " : "installed", bindir ? bindir : "");
    return path;
}

gboolean tools_major(const char *path, int *ret_major, char **ret_text, GError **error)
{
    const char *argv[] = {path, "--version", NULL};
    g_autoptr(GString) out = NULL;
    if (!subprocess_run(argv, NULL, 4096, &out, error)) {
        g_prefix_error(error, "cannot ask %s for its version: ", path);
        return FALSE;
    }
    const char *number = strstr(out->str, ") ");
    int major = number ? (int)g_ascii_strtoll(number + 2, NULL, 10) : 0;
    if (major < 10)
        return ot_fail(error, OT_PREREQUISITE, "%s says a version that is not understood: %s", path, out->str);
    *ret_major = major;
    if (ret_text)
        *ret_text = g_strndup(number + 2, strcspn(number + 2, " \n"));
    return TRUE;
}

/* What Debian's package of that program is called. */
static const char *package_of(const char *program)
{
    static const char *const of_server[] = {"initdb", "postgres", NULL};
    return g_strv_contains(of_server, program) ? "postgresql" : "postgresql-client";
}

char *tools_find_at_least(const char *bindir, const char *program, int wanted, const char *why, GError **error)
{
    char *path = bindir ? NULL : in_debian(program, wanted, NEWEST_MAJOR, 1);
    if (path)
        return path;
    g_autofree char *found = tools_find(bindir, program, error);
    int major = 0;
    if (!found || !tools_major(found, &major, NULL, error))
        return NULL;
    if (major >= wanted)
        return g_steal_pointer(&found);
    ot_fail(error, OT_PREREQUISITE, "%s is version %d, %s: install %s-%d", found, major, why, package_of(program),
            wanted);
    return NULL;
}

char *tools_find_for(const char *bindir, const char *program, int server_major, GError **error)
{
    g_autofree char *why = g_strdup_printf("the server is version %d", server_major);
    return tools_find_at_least(bindir, program, server_major, why, error);
}

gboolean tools_check_for_dump(const char *bindir, int server_major, GError **error)
{
    static const char *const programs[] = {"pg_dump", "pg_restore", "pg_dumpall"};
    if (server_major < OLDEST_SERVER)
        return ot_fail(error, OT_PREREQUISITE, "the server is of version %d; version %d is the oldest that is known",
                       server_major, OLDEST_SERVER);
    for (gsize i = 0; i < G_N_ELEMENTS(programs); i++) {
        g_autofree char *path = tools_find_for(bindir, programs[i], server_major, error);
        if (!path)
            return FALSE;
    }
    return TRUE;
}
