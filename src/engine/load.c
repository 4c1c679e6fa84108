/* Schema, rows, sequences, indexes. */
#include "engine/load.h"

#include "base/pool.h"
#include "engine/loadrows.h"
#include "engine/loadschema.h"
#include "engine/searchpaths.h"
#include "pg/facts.h"

/* Settings that help a load and that any role may choose. */
#define LOAD_OPTIONS                                                                                                   \
    "-c synchronous_commit=off -c maintenance_work_mem=256MB -c max_parallel_maintenance_workers=0"                    \
    " -c default_transaction_read_only=off"

static gint64 now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

static gboolean set_sequences(struct session *s, const struct toc *t, GError **error)
{
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, "SEQUENCE SET") && e->definition && !session_exec(s, e->definition, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean run_phases(const struct load_request *q, struct loadschema *schema, const struct loadrows *rows,
                           struct load_times *times, GError **error)
{
    gint64 start = now_ms();
    if (!loadschema_pre_data(schema, error) || (q->before_rows && !q->before_rows(q->data, error)))
        return FALSE;
    gint64 made = now_ms();
    if (!loadrows_run(rows, error) || !set_sequences(schema->session, schema->toc, error) ||
        (q->before_indexes && !q->before_indexes(schema->session, q->data, error)))
        return FALSE;
    gint64 loaded = now_ms();
    report_progress_start(schema->report, "building indexes and constraints", 0, 0);
    gboolean ok = loadschema_post_data(schema, error);
    report_progress_end(schema->report);
    *times = (struct load_times){made - start, loaded - made, now_ms() - loaded};
    return ok;
}

/* paths, outcome: the caller's. */
static struct loadschema schema_of(const struct load_request *request, struct session *s, const json_t *facts,
                                   const struct toc *t, const GPtrArray *paths, struct load_outcome *outcome,
                                   struct report *report)
{
    return (struct loadschema){
        .session = s,
        .toc = t,
        .bindir = request->bindir,
        .encoding = facts_text(facts, "encoding"),
        .options = LOAD_OPTIONS,
        .paths = paths,
        .jobs = pool_default_jobs(request->jobs),
        .tablespaces = request->tablespaces,
        .outcome = outcome,
        .report = report,
    };
}

gboolean load_schema(const struct load_request *request, struct session *s, const json_t *facts, const struct toc *t,
                     GError **error)
{
    struct report silent = {0};
    g_autoptr(load_outcome) outcome = load_outcome_new();
    g_autoptr(GPtrArray) paths = searchpaths_of(s, facts, t);
    struct loadschema schema = schema_of(request, s, facts, t, paths, outcome, &silent);
    gboolean ok = loadschema_pre_data(&schema, error) && loadschema_post_data(&schema, error);
    if (silent.before_log)
        g_string_free(silent.before_log, TRUE);
    return ok;
}

gboolean load_backup(const struct load_request *request, struct archive_reader *reader, const struct toc *t,
                     struct report *report, struct load_times *ret_times, struct load_outcome *outcome, GError **error)
{
    g_autoptr(session) s = session_open(request->target, request->dbname, error);
    if (!s)
        return FALSE;
    g_autoptr(GPtrArray) paths = searchpaths_of(s, reader->contents->facts, t);
    struct loadschema schema = schema_of(request, s, reader->contents->facts, t, paths, outcome, report);
    struct loadrows rows = {
        .target = request->target,
        .dbname = request->dbname,
        .reader = reader,
        .toc = t,
        .paths = paths,
        .jobs = schema.jobs,
        .outcome = outcome,
        .report = report,
    };
    gboolean ok = run_phases(request, &schema, &rows, ret_times, error);
    /* A failure here is the restore's, whatever the server called it. */
    if (!ok && error && *error && ((*error)->code == OT_FAILED || (*error)->code == OT_DUMP))
        (*error)->code = OT_RESTORE;
    return ok;
}
