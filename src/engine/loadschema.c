/* Sections, and second attempts at their entries. */
#include "engine/loadschema.h"

#include <string.h>

#include "base/text.h"
#include "engine/schemacopy.h"
#include "engine/searchpaths.h"
#include "pg/objection.h"
#include "pg/pgdump.h"
#include "pg/pgrestore.h"
#include "pg/plan.h"

#define EMPTY_PATH "SELECT pg_catalog.set_config('search_path', '', false);"

/* An entry that pg_restore could not restore. */
struct failed_entry {
    const struct toc_entry *entry;
    GString *sql;
    GError *reason;        /* why it failed last */
    const char *complaint; /* what pg_restore said; NULL: it was not asked */
    gboolean done;
};

static void failed_entry_free(gpointer data)
{
    struct failed_entry *f = data;
    if (f->sql)
        g_string_free(f->sql, TRUE);
    g_clear_error(&f->reason);
    g_free(f);
}

/* ---- one attempt ---- */

static char *replace_first(const char *text, const char *what, const char *with)
{
    const char *at = strstr(text, what);
    if (!at)
        return g_strdup(text);
    return g_strdup_printf("%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
}

/* Created, but what belongs to it (its owner, say) failed. */
static gboolean is_duplicate(struct session *s)
{
    static const char *const states[] = {"42710", "42P07", "42723", "42P06", "42P16", NULL};
    return g_strv_contains(states, session_sqlstate(s));
}

/* In one transaction: several statements in one message are. FALSE: *error, or, if it can be lived with, f->reason. */
static gboolean attempt(struct loadschema *ls, struct failed_entry *f, const char *sql, const char *path,
                        GError **error)
{
    g_autofree char *literal = session_quote_literal(ls->session, path);
    g_autofree char *set = g_strdup_printf("SELECT pg_catalog.set_config('search_path', %s, false);", literal);
    g_autofree char *text = replace_first(sql, EMPTY_PATH, set);
    g_clear_error(&f->reason);
    f->done = session_exec(ls->session, text, &f->reason);
    if (!f->done && f->complaint && is_duplicate(ls->session)) {
        g_clear_error(&f->reason);
        g_autofree char *complaint = pgrestore_complaint(f->complaint);
        ot_fail(&f->reason, OT_RESTORE, "it is there, but not as it was: %s", complaint);
    }
    if (f->done || objection_is(ls->session))
        return f->done;
    g_propagate_error(error, g_steal_pointer(&f->reason));
    return FALSE;
}

static gboolean read_sql(struct loadschema *ls, struct failed_entry *f, GError **error)
{
    if (!f->sql)
        f->sql = pgdump_entry_sql(ls->toc, ls->bindir, session_version(ls->session) / 10000, f->entry,
                                  ls->tablespaces ? NULL : "--no-tablespaces", error);
    return f->sql != NULL;
}

static void note_path(struct loadschema *ls, const struct toc_entry *e, const char *path)
{
    g_autofree char *raw = toc_entry_label(e);
    g_autofree char *label = text_to_utf8(raw, ls->encoding);
    g_autofree char *shown = text_to_utf8(path, ls->encoding);
    load_outcome_help(ls->outcome, ls->report, "%s needs search_path = %s", label, shown);
}

/* FALSE only for good: *error. */
static gboolean try_paths(struct loadschema *ls, struct failed_entry *f, GError **error)
{
    GError *problem = NULL;
    if (!read_sql(ls, f, error))
        return FALSE;
    for (guint i = 0; i < ls->paths->len && !f->done; i++) {
        const char *path = ls->paths->pdata[i];
        if (!attempt(ls, f, f->sql->str, path, &problem) && problem) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        if (f->done && *path)
            note_path(ls, f->entry, path);
    }
    return TRUE;
}

/* As long as an attempt succeeds, others that depend on it may. */
static gboolean try_all(struct loadschema *ls, GPtrArray *failures, GError **error)
{
    for (gboolean progress = TRUE; progress;) {
        progress = FALSE;
        for (guint i = 0; i < failures->len; i++) {
            struct failed_entry *f = failures->pdata[i];
            if (f->done)
                continue;
            if (!try_paths(ls, f, error))
                return FALSE;
            progress = progress || f->done;
        }
    }
    return TRUE;
}

static void add_failure(GPtrArray *failures, const struct toc_entry *e)
{
    struct failed_entry *f = g_new0(struct failed_entry, 1);
    f->entry = e;
    g_ptr_array_add(failures, f);
}

static GPtrArray *list_failures(const struct toc *t, const gboolean *failed)
{
    GPtrArray *failures = g_ptr_array_new_with_free_func(failed_entry_free);
    for (guint i = 0; i < t->entries->len; i++)
        if (failed[i])
            add_failure(failures, t->entries->pdata[i]);
    return failures;
}

/* What pg_restore complained of first: the reason where an entry is there, but not as it should be. */
static void use_complaint(GPtrArray *failures, const char *said)
{
    for (guint i = 0; said && i < failures->len; i++)
        ((struct failed_entry *)failures->pdata[i])->complaint = said;
}

/* ---- before the rows ---- */

/* Tables without which rows cannot be loaded, and what they lie in. */
static gboolean rows_need(const struct toc_entry *e)
{
    static const char *const kinds[] = {"TABLE", "SEQUENCE", "SCHEMA", NULL};
    return g_strv_contains(kinds, e->desc);
}

/* Whether all tables that have rows are there, also those that come with an extension. */
static gboolean all_tables_there(struct loadschema *ls, gboolean *ret_there, GError **error)
{
    *ret_there = TRUE;
    for (guint i = 0; i < ls->toc->entries->len && *ret_there; i++) {
        const struct toc_entry *data = ls->toc->entries->pdata[i];
        if (!plan_has_rows(data))
            continue;
        g_autofree char *name = session_quote_pair(ls->session, data->schema ? data->schema : "", data->tag);
        const char *params[] = {name};
        gint64 found = 0;
        if (!session_get_number(ls->session, error, "SELECT (pg_catalog.to_regclass($1) IS NOT NULL)::int", 1, params,
                                &found))
            return FALSE;
        *ret_there = found != 0;
    }
    return TRUE;
}

/* The first failure says more than those that follow from it. */
static gboolean fail_needed(struct loadschema *ls, struct failed_entry *first, GError **error)
{
    g_autofree char *raw = toc_entry_label(first->entry);
    g_autofree char *label = text_to_utf8(raw, ls->encoding);
    ls->outcome->extension_refused = g_str_equal(first->entry->desc, "EXTENSION");
    g_propagate_prefixed_error(error, g_steal_pointer(&first->reason), "%s cannot be created: ", label);
    if (error && *error && (*error)->code == OT_FAILED)
        (*error)->code = OT_RESTORE;
    return FALSE;
}

static gboolean settle_pre_data(struct loadschema *ls, GPtrArray *failures, GError **error)
{
    struct failed_entry *first = NULL;
    gboolean there = TRUE;
    for (guint i = 0; i < failures->len; i++) {
        struct failed_entry *f = failures->pdata[i];
        if (f->done)
            continue;
        first = first ? first : f;
        if (rows_need(f->entry))
            return fail_needed(ls, first, error);
    }
    if (first && !all_tables_there(ls, &there, error))
        return FALSE;
    if (!there)
        return fail_needed(ls, first, error);
    for (guint i = 0; i < failures->len; i++) {
        struct failed_entry *f = failures->pdata[i];
        if (!f->done)
            load_outcome_leave_entry(ls->outcome, ls->report, f->entry, ls->encoding, "", f->reason->message);
    }
    return TRUE;
}

/* Where a newer pg_restore does not get beyond its first statement: what it would send, sent by a session of ours. */
static gboolean run_text(struct loadschema *ls, const char *section, GError **error)
{
    static const char *const no_tablespaces[] = {"--no-tablespaces", NULL};
    g_autoptr(GString) sql = pgdump_section_sql(ls->toc, ls->bindir, session_version(ls->session) / 10000, section,
                                                ls->tablespaces ? NULL : no_tablespaces, NULL, error);
    report_warn(ls->report, "pg_restore is too new for this server: its statements are run one after the other");
    return sql && schemacopy_run(ls->session, sql->str, sql->len, error);
}

static gboolean run_section(struct loadschema *ls, const char *section, guint jobs, char **ret_said, GError **error)
{
    struct pgrestore request = {
        .session = ls->session,
        .toc = ls->toc,
        .bindir = ls->bindir,
        .section = section,
        .options = ls->options,
        .jobs = jobs,
        .tablespaces = ls->tablespaces,
    };
    gboolean refused = FALSE;
    g_autoptr(GError) problem = NULL;
    if (pgrestore_section(&request, ret_said, &refused, &problem))
        return TRUE;
    if (refused)
        return run_text(ls, section, error);
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

/* It failed, and not for a single object. */
static gboolean fail_unnamed(const char *said, GError **error)
{
    g_autofree char *complaint = pgrestore_complaint(said);
    return ot_fail(error, OT_RESTORE, "pg_restore failed: %s", complaint);
}

gboolean loadschema_pre_data(struct loadschema *ls, GError **error)
{
    g_autofree gboolean *failed = g_new0(gboolean, ls->toc->entries->len + 1);
    g_autofree char *said = NULL;
    if (!run_section(ls, "pre-data", 1, &said, error))
        return FALSE;
    if (said && !pgrestore_named(said, ls->toc, failed))
        return fail_unnamed(said, error);
    g_autoptr(GPtrArray) failures = list_failures(ls->toc, failed);
    use_complaint(failures, said);
    return try_all(ls, failures, error) && settle_pre_data(ls, failures, error);
}

/* ---- after the rows ---- */

/* A rule that rows break is kept for new rows. NULL: this kind has no such form. */
static char *not_valid(const struct failed_entry *f)
{
    static const char *const kinds[] = {"FK CONSTRAINT", "CHECK CONSTRAINT", NULL};
    const char *definition = f->entry->definition;
    const char *end = definition ? strrchr(definition, ';') : NULL;
    if (!end || !g_strv_contains(kinds, f->entry->desc) || strstr(definition, " NOT VALID"))
        return NULL;
    g_autofree char *other = g_strdup_printf("%.*s NOT VALID%s", (int)(end - definition), definition, end);
    return replace_first(f->sql->str, definition, other);
}

static gboolean is_refresh(const struct toc_entry *e)
{
    return g_str_equal(e->desc, "MATERIALIZED VIEW DATA");
}

static gboolean settle(struct loadschema *ls, struct failed_entry *f, GError **error)
{
    GError *problem = NULL;
    g_autofree char *reason = g_strdup(f->reason->message);
    g_autofree char *weaker = not_valid(f);
    for (guint i = 0; weaker && i < ls->paths->len && !f->done; i++)
        if (!attempt(ls, f, weaker, ls->paths->pdata[i], &problem) && problem) {
            g_propagate_error(error, problem);
            return FALSE;
        }
    const char *became = f->done ? " is NOT VALID" : is_refresh(f->entry) ? " is not populated" : "";
    load_outcome_leave_entry(ls->outcome, ls->report, f->entry, ls->encoding, became, reason);
    return TRUE;
}

static gboolean settle_post_data(struct loadschema *ls, GPtrArray *failures, GError **error)
{
    for (guint i = 0; i < failures->len; i++) {
        struct failed_entry *f = failures->pdata[i];
        if (!f->done && !settle(ls, f, error))
            return FALSE;
    }
    return TRUE;
}

/* pg_restore was not given them: they would be fired by what comes after them. */
static GPtrArray *list_event_triggers(const struct toc *t)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(failed_entry_free);
    for (guint i = 0; i < t->entries->len; i++)
        if (pgrestore_is_event_trigger(t->entries->pdata[i]))
            add_failure(list, t->entries->pdata[i]);
    return list;
}

static char *entry_key(const struct toc_entry *e)
{
    return g_strdup_printf("%s\n%s\n%s\n%s", e->desc, e->schema ? e->schema : "", e->tag, e->owner ? e->owner : "");
}

/* Several connections of pg_restore do not say which entries failed: what is not there, did. */
static gboolean mark_missing(struct loadschema *ls, gboolean *failed, GError **error)
{
    g_autoptr(toc) restored = pgdump_toc(ls->session, ls->bindir, NULL, 0, NULL, error);
    g_autoptr(GHashTable) there = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; restored && i < restored->entries->len; i++)
        g_hash_table_add(there, entry_key(restored->entries->pdata[i]));
    for (guint i = 0; restored && i < ls->toc->entries->len; i++) {
        const struct toc_entry *e = ls->toc->entries->pdata[i];
        g_autofree char *key = entry_key(e);
        failed[i] = failed[i] || (e->section == TOC_POST_DATA && !pgrestore_is_event_trigger(e) &&
                                  !g_hash_table_contains(there, key));
    }
    return restored != NULL;
}

gboolean loadschema_post_data(struct loadschema *ls, GError **error)
{
    g_autofree gboolean *failed = g_new0(gboolean, ls->toc->entries->len + 1);
    g_autofree char *said = NULL;
    if (!run_section(ls, "post-data", ls->jobs, &said, error))
        return FALSE;
    if (said)
        pgrestore_named(said, ls->toc, failed);
    if (said && !mark_missing(ls, failed, error))
        return FALSE;
    g_autoptr(GPtrArray) failures = list_failures(ls->toc, failed);
    if (said && failures->len == 0)
        return fail_unnamed(said, error);
    use_complaint(failures, said);
    g_autoptr(GPtrArray) event_triggers = list_event_triggers(ls->toc);
    return try_all(ls, failures, error) && settle_post_data(ls, failures, error) &&
           try_all(ls, event_triggers, error) && settle_post_data(ls, event_triggers, error);
}
