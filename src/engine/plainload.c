/* A stranger's dump, statement by statement. psql is not used: its own commands could run programs here. */
#include "engine/plainload.h"

#include "pg/copy.h"
#include "pg/script.h"

#define UNKNOWN_SETTING "42704" /* undefined_object */

struct feed {
    struct session *session;
    struct report *report;
};

static gboolean take_statement(const char *sql, guint64 line, gboolean is_copy, void *data, GError **error)
{
    struct feed *f = data;
    g_autoptr(GError) problem = NULL;
    if (script_run(f->session, sql, is_copy, &problem))
        return TRUE;
    if (g_ascii_strncasecmp(sql, "SET ", 4) == 0 && g_str_equal(session_sqlstate(f->session), UNKNOWN_SETTING)) {
        report_warn(f->report,
                    "Line %" G_GUINT64_FORMAT " of the dump was left out: it is a setting that this server does "
                    "not know (%s)",
                    line, problem->message);
        return TRUE;
    }
    g_propagate_prefixed_error(error, g_steal_pointer(&problem), "line %" G_GUINT64_FORMAT " of the dump: ", line);
    return FALSE;
}

static gboolean take_rows(const char *text, gsize length, void *data, GError **error)
{
    struct feed *f = data;
    report_progress_add(f->report, length);
    return copy_in_put(f->session, text, length, error);
}

static gboolean end_rows(guint64 rows, void *data, GError **error)
{
    return copy_in_end(((struct feed *)data)->session, rows, error);
}

gboolean plainload_run(const struct pg_target *target, const char *dbname, struct source *file, enum archive_kind kind,
                       struct report *report, struct plain_summary *ret_summary, GError **error)
{
    static const struct plain_taker taker = {take_statement, take_rows, end_rows};
    g_autoptr(session) s = session_open(target, dbname, error);
    if (!s || !session_exec(s, "RESET search_path", error)) /* a dump may name no schema, and mean the database's own */
        return FALSE;
    struct feed f = {.session = s, .report = report};
    report_progress_start(report, "loading", 0, 0);
    gboolean ok = plain_scan(file, kind, &taker, &f, ret_summary, error);
    report_progress_end(report);
    if (!ok && error && *error && (*error)->domain == OT_ERROR &&
        ((*error)->code == OT_FAILED || (*error)->code == OT_DUMP))
        (*error)->code = OT_RESTORE;
    return ok;
}
