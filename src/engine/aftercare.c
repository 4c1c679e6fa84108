/* ANALYZE and the post-restore report. */
#include "engine/aftercare.h"

#include "base/interrupt.h"
#include "base/pool.h"
#include "pg/snapshot.h"

struct analyze {
    PGresult *tables;
    struct session **sessions;
    struct report *report;
};

static gboolean analyze_one(guint worker, guint task, void *data, GError **error)
{
    struct analyze *a = data;
    const char *name = PQgetvalue(a->tables, (int)task, 0);
    g_autoptr(GError) problem = NULL;
    if (session_execf(a->sessions[worker], &problem, "ANALYZE %s", name))
        return TRUE;
    if (PQstatus(session_pg(a->sessions[worker])) != CONNECTION_OK || !interrupt_check(NULL)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    report_warn(a->report, "%s was not analysed: %s", name, problem->message);
    return TRUE;
}

gboolean aftercare_analyze(const struct pg_target *t, const char *dbname, guint jobs, struct report *report,
                           GError **error)
{
    guint n = pool_default_jobs(jobs);
    struct analyze a = {.report = report};
    a.sessions = g_new0(struct session *, n);
    gboolean ok = TRUE;
    for (guint i = 0; i < n && ok; i++) {
        a.sessions[i] = session_open(t, dbname, error);
        ok = a.sessions[i] != NULL;
    }
    if (ok) {
        a.tables = session_query(a.sessions[0], error,
                                 "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
                                 " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                                 " WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_'"
                                 " ORDER BY pg_catalog.pg_table_size(c.oid) DESC",
                                 0, NULL);
        ok = a.tables && pool_run(n, (guint)PQntuples(a.tables), analyze_one, NULL, &a, error);
    }
    for (guint i = 0; i < n; i++)
        session_free(a.sessions[i]);
    g_free(a.sessions);
    PQclear(a.tables);
    return ok;
}

static gboolean report_biggest(struct session *s, struct report *report, GError **error)
{
    g_autoptr(PGresult) rows = session_query(
        s, error,
        "SELECT n.nspname || '.' || c.relname, pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size(c.oid))"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        " ORDER BY pg_catalog.pg_total_relation_size(c.oid) DESC, 1 LIMIT 10",
        0, NULL);
    if (!rows)
        return FALSE;
    report_info(report, "Biggest tables:");
    for (int i = 0; i < PQntuples(rows); i++)
        report_info(report, "  %-40s %s", PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
    return TRUE;
}

/* Names as a person writes them: the server reads them as SQL names, in schema public if none is given. */
static gboolean report_critical(struct session *s, char **critical, struct report *report, GError **error)
{
    for (char **name = critical; *name; name++) {
        const char *params[] = {*name};
        g_autofree char *found = NULL;
        if (!session_exec(s, "SET search_path = public", error))
            return FALSE;
        gint64 rows = 0;
        /* A name that cannot be one fails here: that is no failure of the restore. */
        session_get_text(s, NULL,
                         "SELECT oid::regclass::text FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)"
                         " AND relkind IN ('r', 'p', 'v', 'm', 'f')",
                         1, params, &found);
        g_autofree char *sql = g_strdup_printf("SELECT count(*) FROM %s", found ? found : "");
        if (!found)
            report_warn(report, "Critical table %s does not exist", *name);
        else if (!session_get_number(s, error, sql, 0, NULL, &rows))
            return FALSE;
        else
            report_info(report, "Rows in %s: %" G_GINT64_FORMAT, *name, rows);
    }
    return TRUE;
}

static char **biggest_tables(struct session *s, GError **error)
{
    g_autofree char *list = NULL;
    if (!session_get_text(s, error,
                          "SELECT string_agg(quote_ident(nspname) || '.' || quote_ident(relname), E'\\n') FROM"
                          " (SELECT n.nspname, c.relname FROM pg_catalog.pg_class c"
                          " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                          " WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
                          " AND n.nspname !~ E'\\n' AND c.relname !~ E'\\n'"
                          " ORDER BY pg_catalog.pg_total_relation_size(c.oid) DESC LIMIT 3) AS biggest",
                          0, NULL, &list))
        return NULL;
    return g_strsplit(list ? list : "", "\n", -1);
}

gboolean aftercare_report(const struct pg_target *t, const char *dbname, char **critical, struct report *report,
                          GError **error)
{
    g_autoptr(session) s = session_open(t, dbname, error);
    g_autofree char *size = NULL;
    gint64 tables = 0;
    if (!s ||
        (session_can_utf8(s) && !session_exec(s, "SET client_encoding = 'UTF8'", error)) ||
        !session_get_number(s, error, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'", 0,
                            NULL, &tables) ||
        !session_get_text(
            s, error, "SELECT pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(pg_catalog.current_database()))", 0,
            NULL, &size))
        return FALSE;
    report_info(report, "Verifying restoration (before it is put in place)...");
    report_info(report, "Tables in schema public: %" G_GINT64_FORMAT, tables);
    report_info(report, "Database size: %s", size);
    g_auto(GStrv) biggest = critical ? NULL : biggest_tables(s, error);
    char **counted = critical ? critical : biggest;
    return report_biggest(s, report, error) && counted && report_critical(s, counted, report, error);
}
