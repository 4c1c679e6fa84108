/* ANALYZE and the post-restore report. */
#include "engine/aftercare.h"

#include "base/interrupt.h"
#include "base/pool.h"
#include "pg/snapshot.h"

/* As every count of tables: those that a dump makes, so none of an extension's. */
#define COUNT_SQL                                                                                                      \
    "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"              \
    " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS"      \
    " (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid"       \
    " AND d.deptype = 'e')"

struct analyze {
    PGresult *tables;
    struct session **sessions;
    struct report *report;
};

/* FALSE only if the session or the run has ended. */
static gboolean analyze_table(struct session *s, const char *name, char **ret_problem, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (session_execf(s, &problem, "ANALYZE %s", name))
        return TRUE;
    if (PQstatus(session_pg(s)) != CONNECTION_OK || !interrupt_check(NULL)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    *ret_problem = g_strdup(problem->message);
    return TRUE;
}

#define PARTITIONS_SQL                                                                                                 \
    "SELECT relid::pg_catalog.regclass::text FROM pg_catalog.pg_partition_tree($1::text::pg_catalog.regclass) t"       \
    " JOIN pg_catalog.pg_class c ON c.oid = t.relid WHERE c.relkind = 'r'"

/* One that cannot be sampled, like a foreign table of a server that is down, is no reason to leave out the others. */
static gboolean analyze_partitions(struct session *s, const char *name, struct report *report, GError **error)
{
    const char *params[] = {name};
    g_autoptr(PGresult) found = session_query(s, error, PARTITIONS_SQL, 1, params);
    for (int i = 0; found && i < PQntuples(found); i++) {
        g_autofree char *problem = NULL;
        if (!analyze_table(s, PQgetvalue(found, i, 0), &problem, error))
            return FALSE;
        if (problem)
            report_warn(report, "%s was not analysed: %s", PQgetvalue(found, i, 0), problem);
    }
    return found != NULL;
}

static gboolean analyze_one(guint worker, guint task, void *data, GError **error)
{
    struct analyze *a = data;
    struct session *s = a->sessions[worker];
    const char *name = PQgetvalue(a->tables, (int)task, 0);
    gboolean partitioned = *PQgetvalue(a->tables, (int)task, 1) == 'p';
    g_autofree char *problem = NULL;
    if (!analyze_table(s, name, &problem, error))
        return FALSE;
    if (problem)
        report_warn(a->report, "%s was not analysed: %s", name, problem);
    return !problem || !partitioned || analyze_partitions(s, name, a->report, error);
}

/* ANALYZE of a partitioned table makes its own statistics, which autovacuum never does, and those of all below it. */
#define TABLES_SQL                                                                                                     \
    "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind"                                        \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                             \
    " WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_'"                             \
    " ORDER BY c.relkind = 'p' DESC, pg_catalog.pg_table_size(c.oid) DESC"

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
        a.tables = session_query(a.sessions[0], error, TABLES_SQL, 0, NULL);
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
    if (!s || (session_can_utf8(s) && !session_exec(s, "SET client_encoding = 'UTF8'", error)) ||
        !session_get_number(s, error, COUNT_SQL, 0, NULL, &tables) ||
        !session_get_text(
            s, error, "SELECT pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(pg_catalog.current_database()))", 0,
            NULL, &size))
        return FALSE;
    report_info(report, "Verifying restoration (before it is put in place)...");
    report_info(report, "Tables: %" G_GINT64_FORMAT, tables);
    report_info(report, "Database size: %s", size);
    g_auto(GStrv) biggest = critical ? NULL : biggest_tables(s, error);
    char **counted = critical ? critical : biggest;
    return report_biggest(s, report, error) && counted && report_critical(s, counted, report, error);
}
