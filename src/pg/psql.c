/* Starting psql. */
#include "pg/psql.h"

#include "pg/tools.h"

struct subprocess *psql_start(struct session *s, const char *bindir, GError **error)
{
    g_autofree char *program = tools_find_for(bindir, "psql", session_version(s) / 10000, error);
    if (!program)
        return NULL;
    g_autofree char *conninfo = session_child_conninfo(s, NULL);
    g_auto(GStrv) environment = session_child_environment(s, NULL);
    const char *argv[] = {program, "-X", "-q", "--no-password", "-v", "ON_ERROR_STOP=1", "-d", conninfo, NULL};
    struct subprocess_options options = {.environment = environment, .pipe_stdin = TRUE};
    return subprocess_start(argv, &options, error);
}
