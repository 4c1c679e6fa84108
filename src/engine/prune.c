/* Verdicts, and their execution. */
#include "engine/prune.h"

#include <string.h>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "catalog/copy.h"
#include "catalog/hold.h"
#include "catalog/inuse.h"
#include "catalog/journal.h"
#include "catalog/names.h"
#include "catalog/remote.h"
#include "engine/dblock.h"
#include "engine/prune_items.h"

/* One place of one database. */
struct pruning {
    const struct prune_request *q;
    struct report *report;
    struct retention_policy policy;
    GPtrArray *verdicts;
    gboolean refused; /* S3 does not let us: nothing more is tried there in this run */
    guint deleted, retained, future;
};

const char *prune_outcome_name(enum prune_outcome outcome)
{
    static const char *const names[] = {"keep", "delete", "deleted", "retained"};
    return names[outcome];
}

static void verdict_free(gpointer data)
{
    struct prune_verdict *v = data;
    g_free(v->id);
    g_free(v->database);
    g_free(v->location);
    g_free(v->text);
    g_free(v);
}

GPtrArray *prune_verdicts_new(void)
{
    return g_ptr_array_new_with_free_func(verdict_free);
}

static char *location_of(const struct pruning *p, const struct catalog_entry *e)
{
    return p->policy.place == TIER_S3 ? s3_url(p->q->offsite->client, e->object->key) : g_strdup(e->path);
}

static struct prune_verdict *verdict_of(const struct pruning *p, const struct retention_item *i)
{
    const struct catalog_entry *e = i->data;
    struct prune_verdict *v = g_new0(struct prune_verdict, 1);
    v->id = g_strdup(e->id);
    v->database = g_strdup(e->name);
    v->location = location_of(p, e);
    v->type = i->no_metadata || i->unknown_type || i->unread ? "-" : tiers_name(i->tier);
    v->place = p->policy.place;
    v->taken_at = i->taken_at;
    v->good = retention_counts(i, &p->policy);
    v->reason = retention_word(i->reason);
    v->text = retention_text(i, &p->policy);
    v->outcome = i->reason == RETENTION_EXPIRED ? PRUNE_TO_DELETE : PRUNE_KEPT;
    return v;
}

/* At the last moment something was found that keeps it. */
static void keep_after_all(const struct pruning *p, struct prune_verdict *v, const struct retention_item *i,
                           enum retention_reason reason)
{
    struct retention_item now = *i;
    now.reason = reason;
    g_free(v->text);
    v->text = retention_text(&now, &p->policy);
    v->reason = retention_word(reason);
    v->outcome = PRUNE_KEPT;
}

/* ---- one deletion ---- */

/* result: NULL before it is done; else how it failed. */
static gboolean write_down(const struct pruning *p, const struct prune_verdict *v, const char *database,
                           const GError *failure, GError **error)
{
    json_t *record = json_pack("{ss ss si ss ss* ss ss ss ss}", "act", "delete", "result", failure ? "failed" : "ok",
                               "code", failure ? failure->code : OT_OK, "id", v->id, "database", database, "place",
                               tiers_place_name(v->place), "file", v->location, "type", v->type, "reason", v->text);
    if (failure) {
        g_autofree char *text = g_utf8_make_valid(failure->message, -1);
        json_object_set_new(record, "error", json_string(text));
    }
    gboolean ok = record ? journal_append(p->q->dir, record, error)
                         : ot_fail(error, OT_FAILED, "the deletion of %s cannot be recorded as JSON", v->id);
    json_decref(record);
    if (!ok)
        g_prefix_error(error, "%s is not deleted, for that could not be recorded: ", v->id);
    return ok;
}

/* Dump, globals, metadata: while the last is there, the rest can still be understood. */
static gboolean delete_objects(struct pruning *p, const struct catalog_entry *e, gboolean *ret_refused, GError **error)
{
    static const char *const endings[] = {NAMES_DUMP, NAMES_GLOBALS, NAMES_META};
    struct s3_props unused = {0};
    g_autoptr(copy) there = copy_s3(p->q->offsite->client, &unused, e->object->key);
    for (gsize k = 0; k < G_N_ELEMENTS(endings); k++) {
        g_autofree char *key = copy_beside(there, endings[k]);
        if (!s3_delete_if_allowed(p->q->offsite->client, key, ret_refused, error))
            return FALSE;
    }
    return TRUE;
}

static void mark_expired(struct meta *m, void *data)
{
    const char *key = data;
    if (g_strcmp0(meta_s3_text(m, "key"), key) == 0)
        meta_set_s3_text(m, "state", "expired");
}

/* What lies here must not be taken for something that got lost in S3, and be uploaded again. */
static gboolean note_here(const struct pruning *p, const struct catalog_entry *e, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s" NAMES_DUMP, p->q->dir, e->id);
    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return TRUE;
    g_autoptr(copy) here = copy_local(path);
    return copy_update_meta(here, mark_expired, e->object->key, error);
}

static gboolean delete_recorded(struct pruning *p, const struct catalog_entry *e, struct prune_verdict *v,
                                GError **error)
{
    GError *problem = NULL;
    gboolean refused = FALSE, in_s3 = p->policy.place == TIER_S3;
    const char *database = e->meta ? e->meta->database : NULL;
    if (!write_down(p, v, database, NULL, error))
        return FALSE;
    gboolean ok = in_s3 ? delete_objects(p, e, &refused, &problem) && note_here(p, e, &problem)
                        : catalog_delete(p->q->dir, e, &problem);
    if (ok) {
        v->outcome = PRUNE_DELETED;
        report_info(p->report, "Deleted old backup%s: %s (%s)", in_s3 ? " in S3" : "", v->id, v->text);
        return TRUE;
    }
    gboolean recorded = write_down(p, v, database, problem, refused ? error : NULL);
    if (!refused) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    p->refused = TRUE;
    v->outcome = PRUNE_RETAINED;
    report_warn(p->report,
                "Old backups in S3 are retained: they may not be deleted with these credentials (%s). See "
                "`opstower bucket policy pruner`, or set BACKUP_S3_PRUNE=false here",
                problem->message);
    g_error_free(problem);
    return recorded;
}

/* What the server says of locks now, whatever the metadata said when it was uploaded. FALSE: it stays. */
static gboolean may_go_in_s3(struct pruning *p, struct retention_item *i, struct prune_verdict *v, GError **error)
{
    const struct catalog_entry *e = i->data;
    g_autoptr(GError) problem = NULL;
    g_autoptr(s3_object) object = s3_head(p->q->offsite->client, e->object->key, &problem);
    if (!object) {
        if (!g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
            g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    i->lock_until = object->lock_until;
    if (object->lock_until > p->q->now)
        keep_after_all(p, v, i, RETENTION_LOCKED);
    else if (object->legal_hold)
        keep_after_all(p, v, i, RETENTION_HELD);
    return v->outcome == PRUNE_TO_DELETE;
}

/* Somebody may have put a hold on it since it was judged. FALSE: it stays, or (with *error) nobody knows. */
static gboolean is_still_free(struct pruning *p, struct retention_item *i, struct prune_verdict *v, GError **error)
{
    const struct catalog_entry *e = i->data;
    struct s3_props unused = {0};
    GError *problem = NULL;
    gboolean in_s3 = p->policy.place == TIER_S3;
    g_autoptr(copy) c = in_s3 ? copy_s3(p->q->offsite->client, &unused, e->object->key) : copy_local(e->path);
    g_autoptr(meta) m = copy_meta(c, &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (!m || hold_is_active(m, p->q->now))
        keep_after_all(p, v, i, m ? RETENTION_HELD : RETENTION_NO_METADATA);
    return v->outcome == PRUNE_TO_DELETE && (!in_s3 || may_go_in_s3(p, i, v, error));
}

static gboolean delete_one(struct pruning *p, struct retention_item *i, struct prune_verdict *v, GError **error)
{
    GError *problem = NULL;
    if (!interrupt_check(error))
        return FALSE;
    if (p->refused) {
        v->outcome = PRUNE_RETAINED;
        return TRUE;
    }
    g_autoptr(inuse) alone = inuse_take(p->q->dir, v->id, &problem);
    if (!alone && !problem)
        keep_after_all(p, v, i, RETENTION_IN_USE);
    gboolean ok = !alone || !is_still_free(p, i, v, &problem) || delete_recorded(p, i->data, v, &problem);
    if (!problem)
        return ok;
    g_propagate_error(error, problem);
    return FALSE;
}

/* ---- what a killed run left in S3 ---- */

/* The places of all that was ever to be deleted in S3, as the journal has them. */
static GHashTable *deleted_before(const struct pruning *p, GError **error)
{
    g_autoptr(GPtrArray) records = journal_load(p->q->dir, error);
    GHashTable *files = records ? g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL) : NULL;
    for (guint k = 0; records && k < records->len; k++) {
        const char *act = json_string_value(json_object_get(records->pdata[k], "act"));
        const char *file = json_string_value(json_object_get(records->pdata[k], "file"));
        if (file && g_strcmp0(act, "delete") == 0)
            g_hash_table_add(files, g_strdup(file));
    }
    return files;
}

/* The dump is gone, what lay beside it is not. Only what the journal knows as deleted by us. */
static gboolean finish_earlier(struct pruning *p, GError **error)
{
    struct s3 *client = p->q->offsite->client;
    g_autoptr(GPtrArray) strays = remote_strays(client, p->q->offsite->prefix, p->q->name, error);
    g_autoptr(GHashTable) ours = strays && strays->len > 0 ? deleted_before(p, error) : NULL;
    if (!strays || (strays->len > 0 && !ours))
        return FALSE;
    for (guint k = 0; k < strays->len; k++) {
        const char *key = strays->pdata[k];
        gsize base = strlen(key) - strlen(g_str_has_suffix(key, NAMES_META) ? NAMES_META : NAMES_GLOBALS);
        g_autofree char *dump = g_strdup_printf("%.*s%s", (int)base, key, NAMES_DUMP);
        g_autofree char *file = s3_url(client, dump);
        if (!g_hash_table_contains(ours, file))
            continue;
        if (!s3_delete(client, key, error))
            return FALSE;
        report_info(p->report, "Deleted what an interrupted deletion left in S3: %s", key);
    }
    return TRUE;
}

/* ---- one place ---- */

static gboolean carry_out(struct pruning *p, struct prune_set *set, GError **error)
{
    retention_judge(set->items, set->n, &p->policy);
    gboolean ok = TRUE;
    for (guint k = 0; k < set->n; k++) {
        struct prune_verdict *v = verdict_of(p, &set->items[k]);
        p->future += set->items[k].reason == RETENTION_FUTURE ? 1 : 0;
        g_ptr_array_add(p->verdicts, v);
    }
    /* The oldest first: whenever this ends, what is left is a whole chain. */
    guint first = p->verdicts->len - set->n;
    for (guint k = set->n; k-- > 0 && ok;) {
        struct prune_verdict *v = p->verdicts->pdata[first + k];
        if (p->q->apply && v->outcome == PRUNE_TO_DELETE)
            ok = delete_one(p, &set->items[k], v, error);
        p->deleted += v->outcome == PRUNE_DELETED ? 1 : 0;
        p->retained += v->outcome == PRUNE_RETAINED ? 1 : 0;
    }
    return ok;
}

static void tell(struct pruning *p)
{
    const char *place = tiers_place_name(p->policy.place);
    if (p->future > 0)
        report_warn(p->report,
                    p->future == 1 ? "%u backup (%s) is dated in the future, and is kept: is the clock right?"
                                   : "%u backups (%s) are dated in the future, and are kept: is the clock right?",
                    p->future, place);
    if (!p->q->apply)
        return;
    g_autofree char *deleted = g_strdup_printf("deleted_%s", place), *retained = g_strdup_printf("retained_%s", place);
    report_fact(p->report, deleted, json_integer(p->deleted));
    if (p->retained > 0)
        report_fact(p->report, retained, json_integer(p->retained));
}

static gboolean prune_place(const struct prune_request *q, enum tier_place place, struct report *report,
                            GPtrArray *verdicts, GError **error)
{
    struct prune_set set = {0};
    struct pruning p = {q, report, {&q->tiers, place, q->keep_min, q->now}, verdicts, FALSE, 0, 0, 0};
    gboolean ok = (place == TIER_S3 ? prune_gather_s3 : prune_gather_local)(q, q->name, &set, error) &&
                  carry_out(&p, &set, error) &&
                  (place != TIER_S3 || !q->apply || p.refused || finish_earlier(&p, error));
    tell(&p);
    prune_set_clear(&set);
    return ok;
}

gboolean prune_database(const struct prune_request *q, struct report *report, GPtrArray *verdicts, GError **error)
{
    return (!q->local || prune_place(q, TIER_LOCAL, report, verdicts, error)) &&
           (!q->offsite || prune_place(q, TIER_S3, report, verdicts, error));
}

/* ---- all of them ---- */

static gboolean lock_and_prune(const struct prune_request *q, const char *name, struct report *report,
                               GPtrArray *verdicts, GError **error)
{
    struct prune_request one = *q;
    one.name = name;
    if (!q->apply)
        return prune_database(&one, report, verdicts, error);
    g_autoptr(lock) held = dblock_take(q->dir, name, "prune", q->wait_s, report, error);
    return held && prune_database(&one, report, verdicts, error);
}

static void add_names(GHashTable *names, const GPtrArray *list)
{
    for (guint k = 0; k < list->len; k++)
        g_hash_table_add(names, g_strdup(((struct catalog_entry *)list->pdata[k])->name));
}

static gboolean find_names(const struct prune_request *q, GHashTable *names, GError **error)
{
    if (q->name)
        g_hash_table_add(names, g_strdup(q->name));
    if (q->name)
        return TRUE;
    g_autoptr(GPtrArray) here = catalog_list(q->dir, NULL, error);
    g_autoptr(GPtrArray) there =
        here && q->offsite ? remote_list(q->offsite->client, q->offsite->prefix, NULL, error) : NULL;
    if (!here || (q->offsite && !there))
        return FALSE;
    add_names(names, here);
    if (there)
        add_names(names, there);
    return TRUE;
}

gboolean prune_run(const struct prune_request *q, struct report *report, GPtrArray *verdicts, GError **error)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    if ((q->apply && !files_need_folder(q->dir, error)) || !find_names(q, names, error))
        return FALSE;
    g_autoptr(GList) sorted = g_list_sort(g_hash_table_get_keys(names), (GCompareFunc)strcmp);
    for (const GList *each = sorted; each; each = each->next)
        if (!lock_and_prune(q, each->data, report, verdicts, error))
            return FALSE;
    return TRUE;
}
