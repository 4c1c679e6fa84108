/* Which one, and its copy. */
#include "engine/monthly.h"

#include <string.h>

#include "base/text.h"
#include "catalog/copy.h"
#include "catalog/names.h"
#include "catalog/remote.h"
#include "catalog/retention.h"
#include "store/s3_copy.h"

#define MAX_GLOBALS_BYTES (256u << 20)

/* ---- which ---- */

/* A copy without metadata is one that was interrupted: it is made again. */
static gboolean is_archive(const struct offsite *o, const struct catalog_entry *e)
{
    g_autofree char *key = names_monthly_key(o->prefix, e->id);
    return g_str_equal(e->object->key, key) && e->object->has_meta;
}

static gboolean is_backup(const struct offsite *o, const struct catalog_entry *e)
{
    g_autofree char *key = names_key(o->prefix, e->id);
    return g_str_equal(e->object->key, key);
}

static struct retention_item item_of(const struct offsite *o, struct catalog_entry *e)
{
    const struct meta *m = e->meta;
    struct retention_item i = {.id = e->id, .data = e, .taken_at = e->named_at, .state = META_UNVERIFIED};
    i.copy = is_archive(o, e);
    i.other_server = !lineage_is_certain(e);
    i.unread = !m && e->object->has_meta && is_backup(o, e);
    i.no_metadata = !i.unread && (!m || g_strcmp0(m->id, e->id) != 0);
    if (i.copy || i.unread || i.no_metadata)
        return i;
    i.odd_date = retention_date_is_odd(e);
    i.taken_at = i.odd_date ? e->named_at : e->dated_at;
    i.unknown_type = !tiers_find(m->type, &i.tier);
    gboolean damaged = m->size_bytes != e->size_bytes || g_strcmp0(meta_s3_text(m, "state"), "failed") == 0;
    i.state = damaged ? META_FAILED : m->state;
    return i;
}

static gboolean is_of_month(const GHashTable *months, const struct catalog_entry *e)
{
    char month[7];
    retention_month(e->id, month);
    return g_hash_table_contains((GHashTable *)months, month);
}

/* Another server's archive is none of this one's: so the metadata of those is read whose month has backups. */
static gboolean find_whose(const struct monthly_request *q, GPtrArray *list, GError **error)
{
    g_autoptr(GHashTable) months = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) archives = g_ptr_array_new();
    char month[7];
    if (!q->identity)
        return TRUE;
    for (guint k = 0; k < list->len; k++)
        if (is_backup(q->offsite, list->pdata[k])) {
            retention_month(((struct catalog_entry *)list->pdata[k])->id, month);
            g_hash_table_add(months, g_strdup(month));
        }
    for (guint k = 0; k < list->len; k++)
        if (is_archive(q->offsite, list->pdata[k]) && is_of_month(months, list->pdata[k]))
            g_ptr_array_add(archives, list->pdata[k]);
    if (!remote_read_meta(archives, q->offsite->client, error))
        return FALSE;
    server_identity_mark(q->identity, archives);
    return TRUE;
}

/* Those of months without an archive: whose metadata must be read. */
static GPtrArray *candidates(const struct offsite *o, const GPtrArray *list)
{
    GPtrArray *result = g_ptr_array_new();
    g_autoptr(GHashTable) served = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    char month[7];
    for (guint k = 0; k < list->len; k++)
        if (is_archive(o, list->pdata[k]) && lineage_is_certain(list->pdata[k])) {
            retention_month(((struct catalog_entry *)list->pdata[k])->id, month);
            g_hash_table_add(served, g_strdup(month));
        }
    for (guint k = 0; k < list->len; k++) {
        if (is_backup(o, list->pdata[k]) && !is_of_month(served, list->pdata[k]))
            g_ptr_array_add(result, list->pdata[k]);
    }
    return result;
}

/* ---- the copy ---- */

static gboolean read_globals(const struct offsite *o, const struct copy *from, char **ret_sql, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *key = copy_beside(from, NAMES_GLOBALS);
    *ret_sql = s3_get(o->client, key, MAX_GLOBALS_BYTES, NULL, &problem);
    if (*ret_sql || g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

/* The backup's own metadata, but for what is another in the archive. A hold is the backup's, not the archive's. */
static void make_monthly(const struct offsite *o, struct meta *m)
{
    g_free(m->type);
    m->type = g_strdup(tiers_name(TIER_MONTHLY));
    m->retention_days = o->tiers.days[TIER_MONTHLY][TIER_S3];
    json_decref(m->hold);
    m->hold = NULL;
}

static gboolean copy_backup(const struct offsite *o, struct catalog_entry *e, struct report *report, GError **error)
{
    struct meta *m = e->meta;
    g_autofree char *key = names_monthly_key(o->prefix, e->id), *globals = NULL;
    g_autoptr(copy) from = copy_s3(o->client, &o->upload.props, e->object->key);
    g_autoptr(s3_object) original = s3_head(o->client, e->object->key, error), copied = NULL;
    if (!original || !read_globals(o, from, &globals, error) || !copy_complete_meta(from, m, error))
        return FALSE;
    make_monthly(o, m);
    struct offsite_labels labels = {m->type, m->tag, m->database, FALSE};
    g_auto(GStrv) tags = offsite_tags(&labels);
    struct s3_props props = offsite_props(o, &labels, tags);
    if (!s3_copy(o->client, original, key, &props, &copied, error))
        return FALSE;
    offsite_record_object(o, copied, key, m);
    if (!offsite_put_sidecars(o, m, globals, error))
        return FALSE;
    g_autofree char *place = s3_url(o->client, key);
    report_info(report, "Kept in the monthly archive: %s", place);
    return TRUE;
}

gboolean monthly_archive(const struct monthly_request *q, struct report *report, GPtrArray *ret_ids, GError **error)
{
    const struct offsite *o = q->offsite;
    g_autoptr(GPtrArray) list = remote_list(o->client, o->prefix, q->name, error);
    g_autoptr(GPtrArray) open = list && find_whose(q, list, error) ? candidates(o, list) : NULL;
    if (!open || !remote_read_meta(open, o->client, error))
        return FALSE;
    if (q->identity)
        server_identity_mark(q->identity, open);
    g_autofree struct retention_item *items = g_new0(struct retention_item, list->len + 1);
    g_autofree gboolean *chosen = g_new0(gboolean, list->len + 1);
    struct retention_policy policy = {&o->tiers, TIER_S3, 1, q->now};
    for (guint k = 0; k < list->len; k++)
        items[k] = item_of(o, list->pdata[k]);
    retention_choose_monthly(items, list->len, &policy, chosen);
    for (guint k = 0; k < list->len; k++) {
        if (!chosen[k])
            continue;
        if (!copy_backup(o, items[k].data, report, error)) {
            g_prefix_error(error, "the monthly archive of %s could not be made: ", items[k].id);
            return FALSE;
        }
        if (ret_ids)
            g_ptr_array_add(ret_ids, g_strdup(items[k].id));
    }
    return TRUE;
}
