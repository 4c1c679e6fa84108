/* Entries found by their dependencies, and run one by one as pg_restore words them, each behind a savepoint. */
#include "engine/recreate.h"

#include <string.h>

#include "base/interrupt.h"
#include "pg/pgdump.h"
#include "pg/plan.h"

struct recreate {
    struct session *session;
    const struct toc *toc;
    const char *bindir;
    struct report *report;
    GHashTable *by_id;  /* dump id -> const struct toc_entry * */
    GHashTable *gone;   /* dump ids of the tables to be made */
    GHashTable *needed; /* dump ids of what those need */
    GHashTable *routed; /* dump ids of tables whose rows are loaded through a partitioned table above them */
    GHashTable *made;   /* dump ids of what was made */
    GPtrArray *lines;   /* char *: what to tell */
    guint left_out;
    char sqlstate[6]; /* of the last entry that failed; "": the server did not say */
};

/* What only says something of another object, and is due if that was made: never of one that was still there. */
static const char *const attributes[] = {"DEFAULT",      "SEQUENCE OWNED BY", "ACL",
                                         "COMMENT",      "SEQUENCE SET",      "MATERIALIZED VIEW DATA",
                                         "TABLE ATTACH", "SECURITY LABEL",    NULL};
static const char *const keys[] = {"CONSTRAINT", "INDEX", "CHECK CONSTRAINT", NULL};
static const char *const places[] = {"TABLE ATTACH", "INDEX ATTACH", NULL};
static const char *const rows[] = {"TABLE", "TABLE DATA", "BLOB", "BLOBS", "BLOB METADATA", "STATISTICS DATA", NULL};
/* Without these rows are lost from sight, or shown to whom they should not be. */
static const char *const vital[] = {
    "DEFAULT", "SEQUENCE OWNED BY", "SEQUENCE SET", "TABLE ATTACH", "ACL", "POLICY", "ROW SECURITY", NULL};

static gboolean is_one_of(const struct toc_entry *e, const char *const *kinds)
{
    return g_strv_contains(kinds, e->desc);
}

static gboolean has(GHashTable *set, int dump_id)
{
    return g_hash_table_contains(set, GINT_TO_POINTER(dump_id));
}

static gboolean depends_on_any(const struct toc_entry *e, GHashTable *set)
{
    for (guint i = 0; i < e->depends->len; i++)
        if (has(set, g_array_index(e->depends, int, i)))
            return TRUE;
    return FALSE;
}

const struct toc_entry *recreate_find(const struct toc *t, const char *schema, const char *name)
{
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, "TABLE") && g_strcmp0(e->schema, schema) == 0 && g_str_equal(e->tag, name))
            return e;
    }
    return NULL;
}

gboolean recreate_has(const struct recreate *r, const struct toc_entry *table)
{
    return table && has(r->gone, table->dump_id);
}

/* ---- the plan ---- */

static gboolean is_there(struct recreate *r, const struct toc_entry *e, gboolean *ret_there, GError **error)
{
    g_autofree char *name = session_quote_pair(r->session, e->schema ? e->schema : "", e->tag);
    const char *params[] = {name};
    gint64 found = 0;
    gboolean ok = session_get_number(r->session, error, "SELECT (pg_catalog.to_regclass($1) IS NOT NULL)::int", 1,
                                     params, &found);
    *ret_there = found != 0;
    return ok;
}

static void need(struct recreate *r, const struct toc_entry *e)
{
    for (guint i = 0; i < e->depends->len; i++) {
        int id = g_array_index(e->depends, int, i);
        const struct toc_entry *on = g_hash_table_lookup(r->by_id, GINT_TO_POINTER(id));
        if (!on || on->section != TOC_PRE_DATA || has(r->gone, id) || !g_hash_table_add(r->needed, GINT_TO_POINTER(id)))
            continue;
        need(r, on);
    }
}

static void note_routed(struct recreate *r)
{
    for (guint i = 0; i < r->toc->entries->len; i++) {
        const struct toc_entry *e = r->toc->entries->pdata[i];
        if (!plan_has_rows(e) || !e->schema)
            continue;
        struct table_def def = {.schema = e->schema, .name = e->tag, .copy_sql = e->copy_sql};
        const struct toc_entry *table = plan_loads_into_itself(&def) ? NULL : recreate_find(r->toc, e->schema, e->tag);
        if (table)
            g_hash_table_add(r->routed, GINT_TO_POINTER(table->dump_id));
    }
}

/* Defaults and the rest bring in the sequences and functions that the table's own entry does not name. */
static void need_all(struct recreate *r)
{
    for (guint i = 0; i < r->toc->entries->len; i++) {
        const struct toc_entry *e = r->toc->entries->pdata[i];
        gboolean of_table = e->section == TOC_PRE_DATA && is_one_of(e, attributes) && depends_on_any(e, r->gone);
        if (has(r->gone, e->dump_id) || of_table)
            need(r, e);
    }
}

static gboolean check_needed_tables(struct recreate *r, GError **error)
{
    for (guint i = 0; i < r->toc->entries->len; i++) {
        const struct toc_entry *e = r->toc->entries->pdata[i];
        gboolean there = TRUE;
        if (!g_str_equal(e->desc, "TABLE") || !has(r->needed, e->dump_id))
            continue;
        if (!is_there(r, e, &there, error))
            return FALSE;
        if (!there)
            return ot_fail(error, OT_REFUSED,
                           "a table that was asked for cannot be made again without %s.%s, which is gone too: give "
                           "--table %s.%s as well",
                           e->schema, e->tag, e->schema, e->tag);
    }
    return TRUE;
}

struct recreate *recreate_plan(struct session *s, const struct toc *t, const char *bindir, const GPtrArray *asked,
                               struct report *report, GError **error)
{
    g_autoptr(recreate) r = g_new0(struct recreate, 1);
    *r = (struct recreate){.session = s, .toc = t, .bindir = bindir, .report = report};
    r->lines = g_ptr_array_new_with_free_func(g_free);
    r->by_id = g_hash_table_new(NULL, NULL);
    r->gone = g_hash_table_new(NULL, NULL);
    r->needed = g_hash_table_new(NULL, NULL);
    r->routed = g_hash_table_new(NULL, NULL);
    r->made = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < t->entries->len; i++) {
        struct toc_entry *e = t->entries->pdata[i];
        g_hash_table_insert(r->by_id, GINT_TO_POINTER(e->dump_id), e);
    }
    for (guint i = 0; i < asked->len; i++) {
        const struct toc_entry *e = asked->pdata[i];
        gboolean there = FALSE;
        if (!is_there(r, e, &there, error))
            return NULL;
        if (!there)
            g_hash_table_add(r->gone, GINT_TO_POINTER(e->dump_id));
    }
    if (g_hash_table_size(r->gone) == 0)
        return g_steal_pointer(&r);
    note_routed(r);
    need_all(r);
    return check_needed_tables(r, error) ? g_steal_pointer(&r) : NULL;
}

void recreate_free(struct recreate *r)
{
    if (!r)
        return;
    GHashTable *tables[] = {r->by_id, r->gone, r->needed, r->routed, r->made};
    g_ptr_array_unref(r->lines);
    for (gsize i = 0; i < G_N_ELEMENTS(tables); i++)
        g_clear_pointer(&tables[i], g_hash_table_unref);
    g_free(r);
}

void recreate_tell(const struct recreate *r)
{
    for (guint i = 0; i < r->lines->len; i++)
        report_info(r->report, "%s", (const char *)r->lines->pdata[i]);
}

/* ---- one entry ---- */

/* A name that is taken in the schema: of a relation, type, function or schema, or of an object of a table. */
static gboolean is_taken(struct recreate *r, const struct toc_entry *e)
{
    static const char *const states[] = {"42P07", "42710", "42723", "42P06", NULL};
    gboolean own_key = is_one_of(e, keys) && depends_on_any(e, r->made); /* then the name is another table's */
    return !own_key && g_strv_contains(states, r->sqlstate);
}

/* FALSE leaves the transaction as it was before the entry. */
static gboolean run_sql(struct recreate *r, const struct toc_entry *e, const char *sql, GError **error)
{
    if (!interrupt_check(error) || !session_exec(r->session, "SAVEPOINT recreate", error))
        return FALSE;
    g_autoptr(PGresult) result = session_run(r->session, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
        return session_exec(r->session, "RELEASE recreate", error);
    g_autofree char *label = toc_entry_label(e);
    session_fail(r->session, result, OT_RESTORE, label, error);
    g_strlcpy(r->sqlstate, session_sqlstate(r->session), sizeof r->sqlstate);
    session_exec(r->session, "ROLLBACK TO recreate", NULL);
    return FALSE;
}

static gboolean run_entry(struct recreate *r, const struct toc_entry *e, GError **error)
{
    g_autoptr(GString) sql = pgdump_entry_sql(r->toc, r->bindir, session_version(r->session) / 10000, e, NULL, error);
    r->sqlstate[0] = '\0';
    if (!sql || !run_sql(r, e, sql->str, error))
        return FALSE;
    /* Of what exists anyway IF NOT EXISTS says nothing. */
    if (!g_str_equal(e->desc, "EXTENSION"))
        g_hash_table_add(r->made, GINT_TO_POINTER(e->dump_id));
    return TRUE;
}

/* ---- before the rows ---- */

/* What must stand before the rows come. A partition takes its place only after them, when its own indexes are there to
 * go with it; unless its rows have to be led into it from above. */
static gboolean is_due_before_rows(struct recreate *r, const struct toc_entry *e)
{
    if (has(r->gone, e->dump_id))
        return TRUE;
    if (g_str_equal(e->desc, "TABLE ATTACH"))
        return depends_on_any(e, r->routed) && depends_on_any(e, r->made);
    gboolean own = g_str_equal(e->desc, "SEQUENCE") || (e->section == TOC_PRE_DATA && is_one_of(e, attributes));
    return own && depends_on_any(e, r->made);
}

/* What is needed and fails is there already, or not ours to make: without it the table itself fails, and says so. */
gboolean recreate_before_rows(struct recreate *r, GError **error)
{
    for (guint i = 0; i < r->toc->entries->len && g_hash_table_size(r->gone) > 0; i++) {
        const struct toc_entry *e = r->toc->entries->pdata[i];
        if (is_due_before_rows(r, e)) {
            if (!run_entry(r, e, error))
                return FALSE;
            if (has(r->gone, e->dump_id))
                g_ptr_array_add(r->lines,
                                g_strdup_printf("Made %s.%s again as the backup defines it", e->schema, e->tag));
        } else if (has(r->needed, e->dump_id) && !g_str_equal(e->desc, "TABLE")) {
            if (!run_entry(r, e, NULL) && !interrupt_check(error))
                return FALSE;
        }
    }
    return TRUE;
}

/* ---- after the rows ---- */

/* In pg_dump's order, but keys and indexes come first, then the place among partitions, which takes the indexes along.
 */
static int rank_of(const struct toc_entry *e)
{
    return is_one_of(e, rows) ? -1 : is_one_of(e, keys) ? 0 : is_one_of(e, places) ? 1 : 2;
}

static GPtrArray *what_is_due(struct recreate *r, GHashTable *reached)
{
    GPtrArray *due = g_ptr_array_new();
    for (int rank = 0; rank <= 2; rank++) {
        for (guint i = 0; i < r->toc->entries->len; i++) {
            struct toc_entry *e = r->toc->entries->pdata[i];
            if (rank_of(e) == rank && has(reached, e->dump_id) && !has(r->made, e->dump_id))
                g_ptr_array_add(due, e);
        }
    }
    return due;
}

/* Everything that depends on what was made, at whatever distance. What an entry depends on comes before it
 * in pg_dump's order, but for cycles that it breaks: two rounds see those. */
static GHashTable *reach(struct recreate *r)
{
    GHashTable *reached = g_hash_table_new(NULL, NULL);
    for (guint round = 0; round < 2; round++) {
        for (guint i = 0; i < r->toc->entries->len; i++) {
            const struct toc_entry *e = r->toc->entries->pdata[i];
            if (depends_on_any(e, reached) || depends_on_any(e, r->made))
                g_hash_table_add(reached, GINT_TO_POINTER(e->dump_id));
        }
    }
    return reached;
}

/* A foreign key whose rows do not fit any more is made for those to come. */
static gboolean try_not_valid(struct recreate *r, const struct toc_entry *e)
{
    const char *end = e->definition ? strrchr(e->definition, ';') : NULL;
    if (!g_str_equal(e->desc, "FK CONSTRAINT") || !end || strcmp(r->sqlstate, "23503") != 0)
        return FALSE;
    g_autofree char *head = g_strndup(e->definition, (gsize)(end - e->definition));
    g_autofree char *sql = g_strdup_printf("%s NOT VALID;", head);
    if (!run_sql(r, e, sql, NULL))
        return FALSE;
    g_hash_table_add(r->made, GINT_TO_POINTER(e->dump_id));
    g_autofree char *label = toc_entry_label(e);
    report_warn(r->report, "%s was made NOT VALID: there are rows without a match", label);
    r->left_out++;
    return TRUE;
}

/* One entry; TRUE if nothing is left to do about it. *last keeps why not. */
static gboolean settle(struct recreate *r, const struct toc_entry *e, GError **last)
{
    if (is_one_of(e, attributes) && !depends_on_any(e, r->made))
        return TRUE; /* of something that is still there, or is not made */
    if (run_entry(r, e, last)) {
        g_autofree char *label = toc_entry_label(e);
        g_ptr_array_add(r->lines, g_strdup_printf("Made again: %s", label));
        return TRUE;
    }
    return is_taken(r, e) || try_not_valid(r, e);
}

/* In rounds, for order is not everything: what fails may need what comes later. */
static gboolean settle_all(struct recreate *r, GPtrArray *due, GError **error)
{
    for (guint before = due->len + 1; due->len > 0 && due->len < before;) {
        before = due->len;
        for (guint i = 0; i < due->len;) {
            g_autoptr(GError) last = NULL;
            if (settle(r, due->pdata[i], &last))
                g_ptr_array_remove_index(due, i);
            else
                i++;
            if (!interrupt_check(error))
                return FALSE;
        }
    }
    for (guint i = 0; i < due->len; i++) {
        const struct toc_entry *e = due->pdata[i];
        g_autoptr(GError) last = NULL;
        if (settle(r, e, &last))
            continue;
        if (is_one_of(e, vital)) {
            g_propagate_error(error, g_steal_pointer(&last));
            return FALSE;
        }
        report_warn(r->report, "Left out: %s", last ? last->message : e->tag);
        r->left_out++;
    }
    return TRUE;
}

/* Tables are not made by themselves: their rows would be missing. */
static gboolean name_tables(struct recreate *r, GHashTable *reached, GError **error)
{
    for (guint i = 0; i < r->toc->entries->len; i++) {
        const struct toc_entry *e = r->toc->entries->pdata[i];
        gboolean there = TRUE;
        if (!g_str_equal(e->desc, "TABLE") || !has(reached, e->dump_id) || has(r->made, e->dump_id))
            continue;
        if (!is_there(r, e, &there, error))
            return FALSE;
        if (!there)
            report_warn(r->report, "%s.%s depends on what was dropped, and is gone too: give --table %s.%s as well",
                        e->schema, e->tag, e->schema, e->tag);
    }
    return TRUE;
}

gboolean recreate_after_rows(struct recreate *r, guint *ret_left_out, GError **error)
{
    *ret_left_out = 0;
    if (g_hash_table_size(r->gone) == 0)
        return TRUE;
    g_autoptr(GHashTable) reached = reach(r);
    g_autoptr(GPtrArray) due = what_is_due(r, reached);
    gboolean ok = settle_all(r, due, error) && name_tables(r, reached, error);
    *ret_left_out = r->left_out;
    return ok;
}
