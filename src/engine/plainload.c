/* A stranger's dump through psql. */
#include "engine/plainload.h"

#include "base/files.h"
#include "pg/psql.h"

struct feed {
    struct subprocess *psql;
    struct report *report;
};

static gboolean feed(const char *text, gsize length, void *data, GError **error)
{
    struct feed *f = data;
    report_progress_add(f->report, length);
    if (files_write_all(subprocess_stdin(f->psql), text, length, "to psql", NULL))
        return TRUE;
    /* psql closed its end: it has ended, and says why. */
    return subprocess_wait(f->psql, error) ? ot_fail(error, OT_RESTORE, "psql ended before the end of the dump")
                                           : FALSE;
}

gboolean plainload_run(const struct pg_target *target, const char *dbname, const char *bindir, struct source *file,
                       enum archive_kind kind, struct report *report, struct plain_summary *ret_summary, GError **error)
{
    g_autoptr(session) s = session_open(target, dbname, error);
    g_autoptr(subprocess) psql = s ? psql_start(s, bindir, error) : NULL;
    if (!psql)
        return FALSE;
    struct feed f = {psql, report};
    report_progress_start(report, "loading through psql", 0, 0);
    gboolean ok = plain_scan(file, kind, feed, &f, ret_summary, error);
    report_progress_end(report);
    if (ok && !(subprocess_close_stdin(psql, error) && subprocess_wait(psql, error))) {
        plain_summary_clear(ret_summary);
        ok = FALSE;
    }
    if (!ok && error && *error && (*error)->code == OT_FAILED)
        (*error)->code = OT_RESTORE;
    return ok;
}
