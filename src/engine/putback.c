/* The transaction that puts rows back: targets, locks, counts, passes, counts again. */
#include "engine/putback.h"

#include <string.h>

#include "base/interrupt.h"
#include "engine/putsequence.h"
#include "engine/putsql.h"
#include "engine/recreate.h"
#include "pg/copy.h"
#include "pg/eventtriggers.h"
#include "pg/plan.h"

#define LOCK_TIMEOUT "30s"

struct put {
    const struct putback_table *t;
    struct live_table *live; /* where the rows go: the table of their name, or one above it that leads them on */
    gboolean own;            /* the former */
    gboolean fresh;          /* made in this run */
    struct put_rows rows;
    guint64 missing, differ, total; /* before */
};

struct putback {
    struct session *session;
    const struct toc *toc;
    struct report *report;
    const GPtrArray *tables;
    recreate *recreate;
    GPtrArray *puts; /* struct put * */
};

static void put_free(gpointer data)
{
    struct put *w = data;
    live_table_free(w->live);
    g_free(w);
}

void putback_free(struct putback *p)
{
    if (!p)
        return;
    recreate_free(p->recreate);
    g_ptr_array_unref(p->puts);
    g_free(p);
}

/* ---- where rows go ---- */

/* FOR VALUES ... as the backup has it. What a DEFAULT partition takes depends on all others. */
static gboolean has_its_bound(const struct putback *p, const struct toc_entry *table, const struct live_table *live)
{
    if (!live->bound || g_str_equal(live->bound, "DEFAULT"))
        return FALSE;
    for (guint i = 0; i < p->toc->entries->len; i++) {
        const struct toc_entry *e = p->toc->entries->pdata[i];
        if (g_str_equal(e->desc, "TABLE ATTACH") && toc_entry_depends_on(e, table->dump_id) &&
            g_str_equal(e->tag, table->tag) && strstr(e->definition, live->bound))
            return TRUE;
    }
    return FALSE;
}

/* Straight into the partition if it is what it was, else through the table that was asked for, which leads the rows to
 * where they belong now. */
static gboolean goes_into_own(struct putback *p, const struct putback_table *t, const struct live_table *own,
                              const struct live_table *root, gboolean *ret_own, GError **error)
{
    const struct table_def *def = t->table->def;
    const struct toc_entry *table = recreate_find(p->toc, def->schema, def->name);
    gboolean below = FALSE;
    *ret_own = FALSE;
    if (!table || !plan_loads_into_itself(def))
        return TRUE;
    if (recreate_has(p->recreate, table) || recreate_has(p->recreate, t->root)) {
        *ret_own = TRUE;
        return TRUE;
    }
    if (!own || !root || !live_table_is_below(p->session, own, root, &below, error))
        return !own || !root;
    gboolean no_key_above = def->key->len > 0 && !live_table_key(root, def);
    *ret_own = below && (has_its_bound(p, table, own) || no_key_above);
    return TRUE;
}

static gboolean add_put(struct putback *p, const struct putback_table *t, GError **error)
{
    const struct table_def *def = t->table->def;
    g_autoptr(live_table) own = NULL;
    g_autoptr(live_table) root = NULL;
    gboolean is_own = TRUE;
    if (!live_table_look(p->session, def->schema, def->name, &own, error) ||
        (t->root && (!live_table_look(p->session, t->root->schema, t->root->tag, &root, error) ||
                     !goes_into_own(p, t, own, root, &is_own, error))))
        return FALSE;
    const struct toc_entry *table = is_own ? recreate_find(p->toc, def->schema, def->name) : t->root;
    struct put *w = g_new0(struct put, 1);
    w->t = t;
    w->own = is_own;
    w->live = is_own ? g_steal_pointer(&own) : g_steal_pointer(&root);
    w->fresh = recreate_has(p->recreate, table);
    g_ptr_array_add(p->puts, w);
    if (!w->live)
        return TRUE; /* to be made */
    if (!w->fresh && !live_table_fits(w->live, def, error))
        return FALSE;
    w->rows = (struct put_rows){
        .def = def,
        .recovered = t->recovered,
        .as_text = t->as_text,
        .live = w->live,
        .key = w->fresh ? NULL : live_table_key(w->live, def),
    };
    return TRUE;
}

static gboolean choose_all(struct putback *p, GError **error)
{
    g_ptr_array_set_size(p->puts, 0);
    for (guint i = 0; i < p->tables->len; i++)
        if (!add_put(p, p->tables->pdata[i], error))
            return FALSE;
    return TRUE;
}

struct putback *putback_prepare(struct session *s, const struct toc *t, const char *bindir, const GPtrArray *tables,
                                const GPtrArray *entries, struct report *report, GError **error)
{
    g_autoptr(putback) p = g_new0(struct putback, 1);
    *p = (struct putback){.session = s, .toc = t, .report = report, .tables = tables};
    p->puts = g_ptr_array_new_with_free_func(put_free);
    p->recreate = recreate_plan(s, t, bindir, entries, report, error);
    return p->recreate && choose_all(p, error) ? g_steal_pointer(&p) : NULL;
}

/* Nobody else writes into the tables until it is counted that they are right. */
static gboolean lock_all(struct putback *p, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < p->puts->len; i++) {
        const struct put *w = p->puts->pdata[i];
        if (!w->fresh)
            g_string_append_printf(names, "%s%s%s", names->len ? ", " : "", w->live->kind == 'p' ? "" : "ONLY ",
                                   w->live->name);
    }
    if (names->len == 0)
        return TRUE;
    if (session_execf(p->session, error,
                      "SET LOCAL lock_timeout = '" LOCK_TIMEOUT "'; LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE;"
                      " SET LOCAL lock_timeout = 0",
                      names->str))
        return TRUE;
    g_prefix_error(error, "the live tables could not be locked against writing: ");
    return FALSE;
}

/* ---- counts ---- */

static gboolean count(struct putback *p, struct put *w, guint64 *ret_missing, guint64 *ret_differ, guint64 *ret_total,
                      GError **error)
{
    g_autofree char *total_sql = put_sql_total(&w->rows);
    g_autofree char *count_sql = put_sql_count(p->session, &w->rows);
    gint64 total = 0;
    if (!session_get_number(p->session, error, total_sql, 0, NULL, &total))
        return FALSE;
    g_autoptr(PGresult) counts = session_query(p->session, error, count_sql, 0, NULL);
    if (!counts)
        return FALSE;
    *ret_total = (guint64)total;
    *ret_missing = g_ascii_strtoull(PQgetvalue(counts, 0, 0), NULL, 10);
    *ret_differ = g_ascii_strtoull(PQgetvalue(counts, 0, 1), NULL, 10);
    return TRUE;
}

static gboolean count_before(struct putback *p, GError **error)
{
    for (guint i = 0; i < p->puts->len; i++) {
        struct put *w = p->puts->pdata[i];
        if (w->fresh)
            w->missing = w->t->table->proof.rows;
        else if (!count(p, w, &w->missing, &w->differ, &w->total, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean take_row(const char *row, gsize length, void *data, GError **error)
{
    (void)error;
    fingerprint_add_row(data, row, length);
    return TRUE;
}

static gboolean read_rows(struct putback *p, const struct table_def *def, const char *from, struct fingerprint *found,
                          GError **error)
{
    g_autoptr(GString) sql = g_string_new("COPY (SELECT ");
    for (guint i = 0; i < def->columns->len; i++) {
        g_autofree char *name = session_quote_name(p->session, ((struct table_column *)def->columns->pdata[i])->name);
        g_string_append_printf(sql, "%s%s", i ? ", " : "", name);
    }
    g_string_append_printf(sql, " FROM ONLY %s) TO stdout", from);
    return copy_out(p->session, sql->str, take_row, found, error);
}

/* A table that was made here holds the backup's rows and no others; where a type writes a value otherwise than before,
 * those that were recovered, which were compared with the proof by that type's rules. */
static gboolean is_as_proven(struct putback *p, const struct put *w, GError **error)
{
    const struct fingerprint *proof = &w->t->table->proof;
    struct fingerprint found = {0}, recovered = {0};
    return session_exec(p->session, "SET LOCAL timezone = 'UTC'", error) &&
           read_rows(p, w->rows.def, w->live->name, &found, error) &&
           (fingerprint_equal(&found, proof) || read_rows(p, w->rows.def, w->t->recovered, &recovered, error)) &&
           session_exec(p->session, "SET LOCAL timezone TO DEFAULT", error) &&
           (fingerprint_equal(&found, proof) || fingerprint_equal(&found, &recovered) ||
            ot_fail(error, OT_RESTORE, "the rows of %s are not those of the backup's proof", w->live->name));
}

/* What fires on INSERT and may have kept rows out or changed them: " (trigger \"x\", rule \"y\")", or "". */
static char *who_interferes(struct putback *p, const struct put *w)
{
    const char *params[] = {w->live->oid};
    char *names = NULL;
    session_get_text(p->session, NULL,
                     "SELECT ' (' || string_agg(x, ', ') || ')' FROM (SELECT 'trigger ' || quote_ident(tgname) FROM"
                     " pg_trigger WHERE tgrelid = $1::oid AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 4 <> 0"
                     " UNION ALL SELECT 'rule ' || quote_ident(rulename) FROM pg_rewrite WHERE ev_class = $1::oid"
                     " AND ev_type = '3') AS t(x)",
                     1, params, &names);
    return names ? names : g_strdup("");
}

#define TURN_OFF "Turn it off for the time being (ALTER TABLE ... DISABLE TRIGGER or RULE ...) and try again"

/* What the table must have in the end. Rows of several partitions may go through one table above them, or straight into
 * partitions of it. */
static gboolean expected_total(struct putback *p, const struct put *w, guint64 *ret_total, GError **error)
{
    *ret_total = w->total;
    for (guint i = 0; i < p->puts->len; i++) {
        const struct put *other = p->puts->pdata[i];
        gboolean counts = g_str_equal(other->live->oid, w->live->oid);
        if (!counts && w->live->kind == 'p' && !live_table_is_below(p->session, other->live, w->live, &counts, error))
            return FALSE;
        *ret_total += counts ? other->missing : 0;
    }
    return TRUE;
}

static gboolean check_counts(struct putback *p, struct put *w, GError **error)
{
    guint64 missing, differ, total, expected;
    if (!expected_total(p, w, &expected, error) || !count(p, w, &missing, &differ, &total, error))
        return FALSE;
    if (missing == 0 && differ <= w->differ && total == expected)
        return TRUE;
    g_autofree char *who = who_interferes(p, w);
    if (missing > 0)
        return ot_fail(error, OT_RESTORE,
                       "%" G_GUINT64_FORMAT " rows of the backup are still missing in %s after they were put in: a "
                       "trigger or rule%s keeps them out. Nothing was changed. " TURN_OFF,
                       missing, w->live->name, who);
    if (differ > w->differ)
        return ot_fail(error, OT_RESTORE,
                       "%" G_GUINT64_FORMAT
                       " rows would not be in %s as they are in the backup: a trigger or rule%s, or "
                       "a column whose type has changed, alters them. Nothing was changed. " TURN_OFF,
                       differ - w->differ, w->live->name, who);
    return ot_fail(error, OT_RESTORE,
                   "%s would have %" G_GUINT64_FORMAT " rows and not %" G_GUINT64_FORMAT
                   ": a trigger or rule%s adds or "
                   "removes some. Nothing was changed. " TURN_OFF,
                   w->live->name, total, expected, who);
}

static gboolean count_after(struct putback *p, GError **error)
{
    for (guint i = 0; i < p->puts->len; i++) {
        struct put *w = p->puts->pdata[i];
        if (!(w->fresh && w->own ? is_as_proven(p, w, error) : check_counts(p, w, error)))
            return FALSE;
    }
    return TRUE;
}

static void tell_result(struct putback *p)
{
    recreate_tell(p->recreate);
    for (guint i = 0; i < p->puts->len; i++) {
        const struct put *w = p->puts->pdata[i];
        report_info(p->report, "Put back %" G_GUINT64_FORMAT " rows into %s; every row of the backup is there",
                    w->missing, w->live->name);
        if (w->differ > 0)
            report_warn(p->report,
                        "%" G_GUINT64_FORMAT " rows of %s have changed since the backup and were left as they are; as "
                        "they were in the backup they are in %s",
                        w->differ, w->live->name, w->t->recovered);
    }
}

/* ---- inserting ---- */

/* The table's triggers run as they do for others: with the search_path of database and role. */
static gboolean as_others(struct putback *p, gboolean yes, GError **error)
{
    return session_exec(p->session, yes ? "SET LOCAL search_path TO DEFAULT" : "SET LOCAL search_path = ''", error);
}

static gboolean is_state(struct putback *p, const char *const *states)
{
    return g_strv_contains(states, session_sqlstate(p->session));
}

/* Of the rows that are missing, those that do not collide with others: only to be told. -1: not known. */
static gint64 count_without_conflict(struct putback *p, const char *insert)
{
    g_autofree char *sql = g_strdup_printf("%s ON CONFLICT DO NOTHING", insert);
    g_autoptr(PGresult) result = as_others(p, TRUE, NULL) ? session_run(p->session, sql) : NULL;
    gint64 n = PQresultStatus(result) == PGRES_COMMAND_OK ? g_ascii_strtoll(PQcmdTuples(result), NULL, 10) : -1;
    session_exec(p->session, "ROLLBACK TO put_back", NULL);
    return n;
}

/* *error says that a unique or exclusion constraint refused; here is how many rows that concerns. */
static void explain_conflict(struct putback *p, const struct put *w, const PGresult *failed, const char *insert,
                             GError **error)
{
    const char *constraint = PQresultErrorField(failed, PG_DIAG_CONSTRAINT_NAME);
    gint64 fit = count_without_conflict(p, insert);
    g_autofree char *how_many =
        fit < 0 ? g_strdup("some") : g_strdup_printf("%" G_GINT64_FORMAT, (gint64)w->missing - fit);
    g_clear_error(error);
    ot_fail(error, OT_RESTORE,
            "%s of the %" G_GUINT64_FORMAT " missing rows cannot be put back into %s: other rows have their values in "
            "%s by now. Nothing was changed. Move those away, or put in the others only: %s ON CONFLICT DO NOTHING",
            how_many, w->missing, w->live->name, constraint ? constraint : "a unique index", insert);
}

static void explain(struct putback *p, const struct put *w, const PGresult *failed, const char *insert, GError **error)
{
    static const char *const conflicts[] = {"23505", "23P01", NULL};
    static const char *const unknown[] = {"42P01", "42883", "42704", "42703", "3F000", NULL};
    if (is_state(p, conflicts)) {
        explain_conflict(p, w, failed, insert, error);
    } else if (is_state(p, unknown)) {
        g_autofree char *who = who_interferes(p, w);
        g_prefix_error(error,
                       "a trigger or rule%s of %s failed under the search_path of this role and database (another one: "
                       "PGOPTIONS='-c search_path=...'): ",
                       who, w->live->name);
    }
}

/* *ret_later: another table's rows must come first. */
static gboolean put_one(struct putback *p, struct put *w, gboolean *ret_later, GError **error)
{
    static const char *const no_match[] = {"23503", NULL};
    g_autofree char *sql = w->fresh ? put_sql_insert_all(p->session, &w->rows) : put_sql_insert(p->session, &w->rows);
    *ret_later = FALSE;
    if (w->missing == 0)
        return TRUE;
    if (!session_exec(p->session, "SAVEPOINT put_back", error) || !as_others(p, TRUE, error))
        return FALSE;
    g_autoptr(PGresult) result = session_run(p->session, sql);
    if (PQresultStatus(result) == PGRES_COMMAND_OK)
        return as_others(p, FALSE, error) && session_exec(p->session, "RELEASE put_back", error);
    session_fail(p->session, result, OT_RESTORE, w->live->name, error);
    *ret_later = is_state(p, no_match);
    GError *unused = NULL;
    if (!session_exec(p->session, "ROLLBACK TO put_back", &unused)) {
        g_clear_error(&unused);
        return FALSE;
    }
    explain(p, w, result, sql, error);
    return FALSE;
}

/* In passes: a table whose rows refer to others' waits for them. A pass without progress ends it. */
static gboolean put_all(struct putback *p, GError **error)
{
    g_autoptr(GPtrArray) waiting = g_ptr_array_copy(p->puts, NULL, NULL);
    g_ptr_array_set_free_func(waiting, NULL);
    while (waiting->len > 0) {
        g_autoptr(GPtrArray) later = g_ptr_array_new();
        for (guint i = 0; i < waiting->len; i++) {
            gboolean wait = FALSE;
            g_autoptr(GError) last = NULL;
            if (put_one(p, waiting->pdata[i], &wait, &last))
                continue;
            if (!wait || later->len + 1 == waiting->len) {
                g_propagate_error(error, g_steal_pointer(&last));
                return FALSE;
            }
            g_ptr_array_add(later, waiting->pdata[i]);
        }
        g_ptr_array_unref(waiting);
        waiting = g_steal_pointer(&later);
    }
    return TRUE;
}

/* Constraints and triggers that wait for the end are heard now, while what they say can still be counted. */
static gboolean settle_constraints(struct putback *p, GError **error)
{
    if (as_others(p, TRUE, error) && session_exec(p->session, "SET CONSTRAINTS ALL IMMEDIATE", error))
        return as_others(p, FALSE, error);
    if (error && *error && g_error_matches(*error, OT_ERROR, OT_FAILED))
        (*error)->code = OT_RESTORE;
    g_prefix_error(error, "a constraint that is checked at the end refuses the rows; nothing was changed: ");
    return FALSE;
}

/* ---- what may have gone along ---- */

/* Rows of others that an ON DELETE clause took or altered together with those that were put back. */
static gboolean name_followers(struct putback *p, const struct put *w, GError **error)
{
    const char *params[] = {w->live->oid};
    g_autoptr(PGresult) found = session_query(
        p->session, error,
        "SELECT DISTINCT c.conrelid::regclass::text, c.conname, c.confdeltype = 'c' FROM pg_catalog.pg_constraint c"
        " WHERE c.contype = 'f' AND c.confrelid = $1::oid AND c.confdeltype IN ('c', 'n', 'd') AND c.conparentid = 0"
        " AND c.conrelid <> c.confrelid ORDER BY 1, 2",
        1, params);
    for (int i = 0; found && i < PQntuples(found); i++) {
        const char *table = PQgetvalue(found, i, 0);
        gboolean asked = FALSE;
        for (guint k = 0; k < p->puts->len; k++) {
            const struct table_def *def = ((struct put *)p->puts->pdata[k])->t->table->def;
            g_autofree char *name = g_strdup_printf("%s.%s", def->schema, def->name);
            asked = asked || g_str_equal(name, table);
        }
        if (!asked)
            report_warn(p->report,
                        PQgetvalue(found, i, 2)[0] == 't'
                            ? "Rows of %s may have been deleted along with these (%s is ON DELETE CASCADE): give "
                              "--table %s as well"
                            : "Values of %s may have been cleared along with these (%s is ON DELETE SET ...): compare "
                              "them with restore --table %s",
                        table, PQgetvalue(found, i, 1), table);
    }
    return found != NULL;
}

static gboolean name_all_followers(struct putback *p, GError **error)
{
    for (guint i = 0; i < p->puts->len; i++) {
        const struct put *w = p->puts->pdata[i];
        if (w->missing > 0 && !w->fresh && !name_followers(p, w, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean move_sequences(struct putback *p, GError **error)
{
    for (guint i = 0; i < p->puts->len; i++) {
        const struct put *w = p->puts->pdata[i];
        if (!w->fresh && !putsequence_move_on(p->session, p->toc, &w->rows, p->report, error))
            return FALSE;
    }
    return TRUE;
}

/* ---- the whole ---- */

static gboolean begin(struct putback *p, GError **error)
{
    gboolean as_text = FALSE;
    for (guint i = 0; i < p->tables->len; i++)
        as_text = as_text || ((const struct putback_table *)p->tables->pdata[i])->as_text;
    /* Triggers and casts see the database's own zone; text that came from the backup is in UTC. */
    return session_exec(p->session, "BEGIN; SET CONSTRAINTS ALL DEFERRED", error) &&
           (as_text || session_exec(p->session, "SET LOCAL timezone TO DEFAULT", error));
}

/* Only while tables are made again, as they were: triggers fire on the rows that are put in. */
static gboolean make_before_rows(struct putback *p, GError **error)
{
    g_autofree char *heard = NULL;
    if (!eventtriggers_quiet(p->session, &heard, error))
        return FALSE;
    if (recreate_before_rows(p->recreate, error))
        return eventtriggers_loud(p->session, error);
    eventtriggers_explain(heard, error);
    return FALSE;
}

static gboolean make_after_rows(struct putback *p, guint *ret_left_out, GError **error)
{
    g_autofree char *heard = NULL;
    if (!eventtriggers_quiet(p->session, &heard, error))
        return FALSE;
    if (recreate_after_rows(p->recreate, ret_left_out, error))
        return eventtriggers_loud(p->session, error);
    eventtriggers_explain(heard, error);
    return FALSE;
}

gboolean putback_run(struct putback *p, GError **error)
{
    guint left_out = 0;
    if (!begin(p, error) || !make_before_rows(p, error) || !choose_all(p, error) || !lock_all(p, error) ||
        !count_before(p, error) || !put_all(p, error) || !settle_constraints(p, error) || !count_after(p, error) ||
        !move_sequences(p, error) || !make_after_rows(p, &left_out, error) ||
        !name_all_followers(p, error) || !report_check_log(p->report, error) || !interrupt_check(error) ||
        !session_exec(p->session, "COMMIT", error))
        return FALSE;
    tell_result(p);
    return left_out == 0 || ot_fail(error, OT_INCOMPLETE,
                                    "the rows are back, but %u objects that belong to the tables or depend on them are "
                                    "not as in the backup: see the warnings above",
                                    left_out);
}

gboolean putback_print(struct session *s, const struct putback_table *t, struct report *report, GError **error)
{
    const struct table_def *def = t->table->def;
    g_autoptr(live_table) live = NULL;
    g_autoptr(GError) unfit = NULL;
    if (!live_table_look(s, def->schema, def->name, &live, error))
        return FALSE;
    if (!live) {
        report_warn(report, "%s.%s does not exist any more; its rows are in %s; --put-back makes it again", def->schema,
                    def->name, t->recovered);
        return TRUE;
    }
    if (!live_table_fits(live, def, &unfit)) {
        report_warn(report, "%s", unfit->message);
        return TRUE;
    }
    struct put_rows rows = {def, t->recovered, t->as_text, live, live_table_key(live, def)};
    g_autofree char *sql = put_sql_insert(s, &rows);
    report_info(report, "To put back the rows that are missing in %s: %s;", live->name, sql);
    return TRUE;
}
