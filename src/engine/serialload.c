/* pg_restore's text, run by one session. */
#include "engine/serialload.h"

#include "engine/schemacopy.h"
#include "pg/pgdump.h"

gboolean serialload_section(const struct pg_target *target, const char *dbname, const char *bindir, const struct toc *t,
                            const char *section, const char *const *extra, GError **error)
{
    g_autoptr(session) s = session_open(target, dbname, error);
    g_autoptr(GString) sql =
        s ? pgdump_section_sql(t, bindir, session_version(s) / 10000, section, extra, NULL, error) : NULL;
    return sql && session_exec(s, "SET synchronous_commit = off; SET maintenance_work_mem = '256MB'", error) &&
           schemacopy_run(s, sql->str, sql->len, error);
}
