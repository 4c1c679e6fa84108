/* From members to tables. */
#include "engine/load.h"

#include <string.h>

#include "base/pool.h"
#include "pg/copy.h"
#include "pg/facts.h"
#include "pg/pgdump.h"
#include "pg/plan.h"
#include "pg/snapshot.h"

/* Settings that help a load and that any role may choose. */
#define LOAD_OPTIONS                                                                                                   \
    "-c synchronous_commit=off -c maintenance_work_mem=256MB -c max_parallel_maintenance_workers=0"

#define SHARED_TASK_BYTES (64ull << 20)

/* What one worker loads at a stretch: members of one table, or all large objects. */
struct load_task {
    guint table;
    gboolean alone; /* all of the table's rows: they can be written as frozen, without WAL where the server may */
    gboolean large_objects;
    GArray *members; /* guint */
    guint64 bytes;
};

struct load {
    const struct load_request *request;
    struct archive_reader *reader;
    struct report *report;
    guint jobs;
    GPtrArray *tasks;
    struct session **sessions;
    struct member_reader **readers;
};

static gint64 now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

/* ---- tasks ---- */

static void task_free(gpointer data)
{
    struct load_task *t = data;
    g_array_unref(t->members);
    g_free(t);
}

static struct load_task *add_task(struct load *l, guint table)
{
    struct load_task *t = g_new0(struct load_task, 1);
    t->table = table;
    t->members = g_array_new(FALSE, FALSE, sizeof(guint));
    g_ptr_array_add(l->tasks, t);
    return t;
}

static gboolean can_be_alone(const struct archive_table *t, guint64 total_bytes, guint jobs)
{
    return t->plain_bytes <= total_bytes / jobs && !t->def->filter && plan_loads_into_itself(t->def);
}

/* A table that is more than one worker's share is loaded by several, a run of members each. */
static void make_tasks(struct load *l)
{
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
                lo = add_task(l, 0);
            lo->large_objects = TRUE;
            g_array_append_val(lo->members, i);
            lo->bytes += m->plain_size;
        }
        if (m->kind != MEMBER_DATA)
            continue;
        struct load_task *t = current[m->table];
        gboolean alone = can_be_alone(c->tables->pdata[m->table], total, l->jobs);
        if (!t || (!alone && t->bytes >= SHARED_TASK_BYTES))
            t = current[m->table] = add_task(l, m->table);
        t->alone = alone;
        t->bytes += m->plain_size;
        g_array_append_val(t->members, i);
    }
}

static gint larger_first(gconstpointer a, gconstpointer b)
{
    guint64 x = (*(struct load_task *const *)a)->bytes, y = (*(struct load_task *const *)b)->bytes;
    return x > y ? -1 : x < y ? 1 : 0;
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

static gboolean run_task(guint worker, guint task, void *data, GError **error)
{
    struct load *l = data;
    const struct load_task *t = l->tasks->pdata[task];
    if (t->large_objects)
        return load_large_objects(l, worker, t, error);
    const struct archive_table *table = l->reader->contents->tables->pdata[t->table];
    if (load_rows(l, worker, t, error)) {
        report_progress_table(l->report);
        return TRUE;
    }
    g_prefix_error(error, "table %s.%s: ", table->def->schema, table->def->name);
    return FALSE;
}

static void cancel_workers(void *data)
{
    struct load *l = data;
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

static gboolean load_data(struct load *l, GError **error)
{
    guint64 total = 0;
    g_ptr_array_sort(l->tasks, larger_first);
    for (guint i = 0; i < l->tasks->len; i++)
        total += ((struct load_task *)l->tasks->pdata[i])->bytes;
    report_progress_start(l->report, "loading", total, l->tasks->len);
    gboolean ok = open_workers(l, error) && pool_run(l->jobs, l->tasks->len, run_task, cancel_workers, l, error);
    report_progress_end(l->report);
    for (guint i = 0; i < l->jobs; i++) {
        session_free(g_steal_pointer(&l->sessions[i]));
        member_reader_free(g_steal_pointer(&l->readers[i]));
    }
    return ok;
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

/* ---- the whole ---- */

static gboolean run_phases(struct load *l, struct session *s, const struct toc *t, struct load_times *times,
                           GError **error)
{
    static const char *const no_tablespaces[] = {"--no-tablespaces", NULL};
    const char *const *extra = l->request->tablespaces ? NULL : no_tablespaces;
    gint64 start = now_ms();
    if (!pgdump_restore_section(s, t, l->request->bindir, "pre-data", 1, LOAD_OPTIONS, extra, error))
        return FALSE;
    gint64 schema = now_ms();
    if (!load_data(l, error) || !set_sequences(s, t, error) ||
        (l->request->before_indexes && !l->request->before_indexes(s, l->request->data, error)))
        return FALSE;
    gint64 rows = now_ms();
    report_progress_start(l->report, "building indexes and constraints", 0, 0);
    gboolean ok = pgdump_restore_section(s, t, l->request->bindir, "post-data", l->jobs, LOAD_OPTIONS, extra, error);
    report_progress_end(l->report);
    *times = (struct load_times){schema - start, rows - schema, now_ms() - rows};
    return ok;
}

gboolean load_backup(const struct load_request *request, struct archive_reader *reader, const struct toc *t,
                     struct report *report, struct load_times *ret_times, GError **error)
{
    struct load l = {.request = request, .reader = reader, .report = report, .jobs = pool_default_jobs(request->jobs)};
    g_autoptr(session) s = session_open(request->target, request->dbname, error);
    if (!s)
        return FALSE;
    l.tasks = g_ptr_array_new_with_free_func(task_free);
    l.sessions = g_new0(struct session *, l.jobs);
    l.readers = g_new0(struct member_reader *, l.jobs);
    make_tasks(&l);
    gboolean ok = run_phases(&l, s, t, ret_times, error);
    g_ptr_array_unref(l.tasks);
    g_free(l.sessions);
    g_free(l.readers);
    /* A failure here is the restore's, whatever the server called it. */
    if (!ok && error && *error && ((*error)->code == OT_FAILED || (*error)->code == OT_DUMP))
        (*error)->code = OT_RESTORE;
    return ok;
}
