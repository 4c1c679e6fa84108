/* From members to rows. */
#include "engine/loadrows.h"

#include <string.h>

#include "base/pool.h"
#include "base/stages.h"
#include "engine/searchpaths.h"
#include "engine/setaside.h"
#include "pg/copy.h"
#include "pg/facts.h"
#include "pg/objection.h"
#include "pg/order.h"
#include "pg/plan.h"
#include "pg/snapshot.h"

#define SHARED_TASK_BYTES (64ull << 20)
#define FROZEN_BYTES (1ull << 20) /* TRUNCATE makes all of a table's files anew: for less it costs more than it saves */
#define NOT_NULL_VIOLATION "23502"

/* What one worker loads at a stretch: members of one table, or all large objects. */
struct load_task {
    guint table, stage;
    gboolean alone; /* all of a table's rows, and not few: written as frozen, without WAL where the server may */
    gboolean large_objects;
    GArray *members; /* guint */
    guint64 bytes;
    gboolean refused; /* the server objected to its rows */
};

struct load {
    const struct loadrows *request;
    struct archive_reader *reader;
    struct report *report;
    guint jobs;
    GPtrArray *tasks;
    struct stages *stages;
    struct session **sessions;
    struct member_reader **readers;
};

/* ---- tasks ---- */

static void task_free(gpointer data)
{
    struct load_task *t = data;
    g_array_unref(t->members);
    g_free(t);
}

static struct load_task *add_task(struct load *l, guint table, guint stage)
{
    struct load_task *t = g_new0(struct load_task, 1);
    t->table = table;
    t->stage = stage;
    t->members = g_array_new(FALSE, FALSE, sizeof(guint));
    g_ptr_array_add(l->tasks, t);
    return t;
}

static gboolean can_be_alone(const struct archive_table *t, guint64 total_bytes, guint jobs)
{
    return t->plain_bytes <= total_bytes / jobs && !t->def->filter && plan_loads_into_itself(t->def);
}

static char *name_key(const char *schema, const char *name)
{
    return g_strdup_printf("%s\n%s", schema ? schema : "", name);
}

/* The tables that the schema made, and so made empty; an extension may have put rows into its own. */
static GHashTable *made_empty(const struct toc *t)
{
    GHashTable *made = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, "TABLE"))
            g_hash_table_add(made, name_key(e->schema, e->tag));
    }
    return made;
}

static gboolean gains_by_truncate(const struct archive_table *t, GHashTable *made)
{
    g_autofree char *key = name_key(t->def->schema, t->def->name);
    return t->plain_bytes >= FROZEN_BYTES || !g_hash_table_contains(made, key);
}

static guint *table_stages(const struct load *l)
{
    const GPtrArray *tables = l->reader->contents->tables;
    g_autoptr(GPtrArray) defs = g_ptr_array_new();
    for (guint i = 0; i < tables->len; i++)
        g_ptr_array_add(defs, ((struct archive_table *)tables->pdata[i])->def);
    return order_stages(l->request->toc, defs);
}

/* A table that is more than one worker's share is loaded by several, a run of members each. A table without rows is
 * nobody's. */
static void make_tasks(struct load *l)
{
    g_autofree guint *of_tables = table_stages(l);
    g_autoptr(GHashTable) made = made_empty(l->request->toc);
    const struct archive_contents *c = l->reader->contents;
    guint64 total = 0;
    for (guint i = 0; i < c->tables->len; i++)
        total += ((struct archive_table *)c->tables->pdata[i])->plain_bytes;
    g_autofree struct load_task **current = g_new0(struct load_task *, c->tables->len + 1);
    struct load_task *lo = NULL;
    for (guint i = 0; i < c->members->len; i++) {
        const struct archive_member *m = &g_array_index(c->members, struct archive_member, i);
        if (m->kind == MEMBER_LARGE_OBJECTS) {
            if (!lo)
                lo = add_task(l, 0, 0);
            lo->large_objects = TRUE;
            g_array_append_val(lo->members, i);
            lo->bytes += m->plain_size;
        }
        if (m->kind != MEMBER_DATA || m->rows == 0)
            continue;
        struct load_task *t = current[m->table];
        const struct archive_table *table = c->tables->pdata[m->table];
        gboolean alone = can_be_alone(table, total, l->jobs) && gains_by_truncate(table, made);
        if (!t || (!alone && t->bytes >= SHARED_TASK_BYTES))
            t = current[m->table] = add_task(l, m->table, of_tables[m->table]);
        t->alone = alone;
        t->bytes += m->plain_size;
        g_array_append_val(t->members, i);
    }
}

/* By stages; within one, the largest first. */
static gint in_turn(gconstpointer a, gconstpointer b)
{
    const struct load_task *x = *(struct load_task *const *)a, *y = *(struct load_task *const *)b;
    if (x->stage != y->stage)
        return x->stage < y->stage ? -1 : 1;
    return x->bytes > y->bytes ? -1 : x->bytes < y->bytes ? 1 : 0;
}

static void order_tasks(struct load *l)
{
    g_autoptr(GArray) of_tasks = g_array_new(FALSE, TRUE, sizeof(guint));
    g_ptr_array_sort(l->tasks, in_turn);
    for (guint i = 0; i < l->tasks->len; i++)
        g_array_append_val(of_tasks, ((struct load_task *)l->tasks->pdata[i])->stage);
    l->stages = stages_new(of_tasks);
}

/* ---- rows ---- */

static gboolean put_members(struct load *l, guint worker, const struct load_task *t, guint64 *ret_rows, GError **error)
{
    *ret_rows = 0;
    for (guint i = 0; i < t->members->len; i++) {
        guint member = g_array_index(t->members, guint, i);
        const char *rows;
        gsize length;
        if (!member_reader_get_rows(l->readers[worker], member, &rows, &length, error) ||
            !copy_in_put(l->sessions[worker], rows, length, error))
            return FALSE;
        *ret_rows += g_array_index(l->reader->contents->members, struct archive_member, member).rows;
        report_progress_add(l->report, length);
    }
    return TRUE;
}

static gboolean begin_rows(struct session *s, const struct archive_table *table, gboolean alone, GError **error)
{
    if (!alone)
        return session_exec(s, "BEGIN", error) && copy_in_begin(s, table->def->copy_sql, error);
    g_autofree char *name = session_quote_pair(s, table->def->schema, table->def->name);
    g_autofree char *open = g_strndup(table->def->copy_sql, strlen(table->def->copy_sql) - strlen(";"));
    g_autofree char *frozen = g_strconcat(open, " WITH (FREEZE)", NULL);
    return session_execf(s, error, "BEGIN; TRUNCATE ONLY %s", name) && copy_in_begin(s, frozen, error);
}

static gboolean load_rows(struct load *l, guint worker, const struct load_task *t, GError **error)
{
    struct session *s = l->sessions[worker];
    const struct archive_table *table = l->reader->contents->tables->pdata[t->table];
    guint64 rows = 0;
    if (!begin_rows(s, table, t->alone, error))
        return FALSE;
    if (!put_members(l, worker, t, &rows, error)) {
        copy_in_abort(s);
        return FALSE;
    }
    return copy_in_end(s, rows, error) && session_exec(s, "COMMIT", error);
}

/* ---- large objects ---- */

/* Whole lines are whole statements; a member ends with one. Sent in steps, for PQexec takes its text at once. */
static gboolean run_statements(struct session *s, const char *text, gsize length, GError **error)
{
    const gsize step = 1u << 20;
    const char *end = text + length;
    while (text < end) {
        const char *stop = (gsize)(end - text) <= step ? end : text + step;
        while (stop < end && stop[-1] != '\n')
            stop++;
        g_autofree char *sql = g_strndup(text, (gsize)(stop - text));
        if (!session_exec(s, sql, error))
            return FALSE;
        text = stop;
    }
    return TRUE;
}

static gboolean load_large_objects(struct load *l, guint worker, const struct load_task *t, GError **error)
{
    for (guint i = 0; i < t->members->len; i++) {
        const char *text;
        gsize length;
        if (!member_reader_get(l->readers[worker], g_array_index(t->members, guint, i), &text, &length, error) ||
            !run_statements(l->sessions[worker], text, length, error))
            return FALSE;
    }
    return TRUE;
}


/* ---- the first pass ---- */

static const struct table_def *task_table(const struct load *l, const struct load_task *t)
{
    return ((struct archive_table *)l->reader->contents->tables->pdata[t->table])->def;
}

static gboolean fail_table(const struct load *l, const struct load_task *t, GError *problem, GError **error)
{
    const struct table_def *def = task_table(l, t);
    g_propagate_prefixed_error(error, problem, "table %s.%s: ", def->schema, def->name);
    return FALSE;
}

/* Rows that the server objects to are for the second pass. */
static gboolean do_task(struct load *l, guint worker, struct load_task *t, GError **error)
{
    if (t->large_objects)
        return load_large_objects(l, worker, t, error);
    GError *problem = NULL;
    if (load_rows(l, worker, t, &problem)) {
        report_progress_table(l->report);
        return TRUE;
    }
    if (!objection_is(l->sessions[worker]))
        return fail_table(l, t, problem, error);
    g_error_free(problem);
    t->refused = TRUE;
    return session_exec(l->sessions[worker], "ROLLBACK", error);
}

static gboolean run_task(guint worker, guint task, void *data, GError **error)
{
    struct load *l = data;
    gboolean go = stages_enter(l->stages, task);
    gboolean ok = go ? do_task(l, worker, l->tasks->pdata[task], error) : ot_fail(error, OT_RESTORE, "given up");
    stages_done(l->stages, task);
    return ok;
}

static void cancel_workers(void *data)
{
    struct load *l = data;
    stages_stop(l->stages);
    for (guint i = 0; i < l->jobs; i++)
        session_cancel(l->sessions[i]);
}

static gboolean open_workers(struct load *l, GError **error)
{
    const char *encoding = facts_text(l->reader->contents->facts, "encoding");
    for (guint i = 0; i < l->jobs; i++) {
        l->readers[i] = member_reader_new(l->reader);
        l->sessions[i] = snapshot_open_for_rows(l->request->target, l->request->dbname, encoding, error);
        if (!l->sessions[i] || !session_exec(l->sessions[i], "SET synchronous_commit = off", error))
            return FALSE;
    }
    return TRUE;
}

static gboolean first_pass(struct load *l, GError **error)
{
    guint64 total = 0;
    for (guint i = 0; i < l->tasks->len; i++)
        total += ((struct load_task *)l->tasks->pdata[i])->bytes;
    report_progress_start(l->report, "loading", total, l->tasks->len);
    gboolean ok = open_workers(l, error) && pool_run(l->jobs, l->tasks->len, run_task, cancel_workers, l, error);
    report_progress_end(l->report);
    return ok;
}

/* ---- the second pass: one table at a time, all others being filled ---- */

static void note_help(struct load *l, const struct load_task *t, const char *path)
{
    const struct table_def *def = task_table(l, t);
    if (*path)
        load_outcome_help(l->request->outcome, l->report, "the rows of %s.%s need search_path = %s", def->schema,
                          def->name, path);
    else
        load_outcome_help(l->request->outcome, l->report, "the rows of %s.%s need those of other tables first",
                          def->schema, def->name);
}

/* FALSE: *error, or *objection if the server only objects. */
static gboolean try_once(struct load *l, struct load_task *t, const char *path, GError **objection, GError **error)
{
    GError *problem = NULL;
    g_clear_error(objection);
    if (!searchpaths_use(l->sessions[0], path, error))
        return FALSE;
    if (load_rows(l, 0, t, &problem)) {
        t->refused = FALSE;
        return TRUE;
    }
    if (!objection_is(l->sessions[0]))
        return fail_table(l, t, problem, error);
    *objection = problem;
    session_exec(l->sessions[0], "ROLLBACK", error);
    return FALSE;
}

static gboolean try_paths(struct load *l, struct load_task *t, gboolean note, GError **objection, GError **error)
{
    const GPtrArray *paths = l->request->paths;
    for (guint i = 0; i < paths->len && t->refused; i++) {
        GError *problem = NULL;
        if (!try_once(l, t, paths->pdata[i], objection, &problem) && problem) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        if (!t->refused && note)
            note_help(l, t, paths->pdata[i]);
    }
    return TRUE;
}

static gboolean try_all(struct load *l, GError **error)
{
    for (gboolean progress = TRUE; progress;) {
        progress = FALSE;
        for (guint i = 0; i < l->tasks->len; i++) {
            struct load_task *t = l->tasks->pdata[i];
            g_autoptr(GError) objection = NULL;
            if (!t->refused)
                continue;
            if (!try_paths(l, t, TRUE, &objection, error))
                return FALSE;
            progress = progress || !t->refused;
        }
    }
    return TRUE;
}

/* ---- the last means: rules put aside ---- */

static gboolean force(struct load *l, struct setaside *rules, struct load_task *t, GError **error)
{
    const struct table_def *def = task_table(l, t);
    g_autoptr(GError) objection = NULL;
    if (!setaside_constraints(rules, def->schema, def->name, error) || !try_paths(l, t, FALSE, &objection, error))
        return FALSE;
    if (t->refused && g_str_equal(session_sqlstate(l->sessions[0]), NOT_NULL_VIOLATION) &&
        (!setaside_not_nulls(rules, def->schema, def->name, error) || !try_paths(l, t, FALSE, &objection, error)))
        return FALSE;
    return !t->refused || fail_table(l, t, g_steal_pointer(&objection), error);
}

static gboolean last_pass(struct load *l, GError **error)
{
    g_autoptr(setaside) rules = setaside_new(l->sessions[0], l->request->paths);
    for (guint i = 0; i < l->tasks->len; i++) {
        struct load_task *t = l->tasks->pdata[i];
        if (!t->refused)
            continue;
        if (!force(l, rules, t, error))
            return FALSE;
        load_outcome_touch(l->request->outcome, l->request->toc, task_table(l, t));
    }
    return setaside_take_up(rules, l->request->outcome, l->report, error);
}

/* ---- the whole ---- */

static void clear(struct load *l)
{
    for (guint i = 0; i < l->jobs; i++) {
        session_free(l->sessions[i]);
        member_reader_free(l->readers[i]);
    }
    g_ptr_array_unref(l->tasks);
    stages_free(l->stages);
    g_free(l->sessions);
    g_free(l->readers);
}

gboolean loadrows_run(const struct loadrows *request, GError **error)
{
    struct load l = {
        .request = request,
        .reader = request->reader,
        .report = request->report,
        .jobs = request->jobs,
        .tasks = g_ptr_array_new_with_free_func(task_free),
        .sessions = g_new0(struct session *, request->jobs),
        .readers = g_new0(struct member_reader *, request->jobs),
    };
    make_tasks(&l);
    order_tasks(&l);
    gboolean ok = first_pass(&l, error) && try_all(&l, error) && last_pass(&l, error);
    clear(&l);
    return ok;
}
