/* Entries of folder and bucket become items of the rules. */
#include "engine/prune_items.h"

#include "base/text.h"
#include "catalog/hold.h"
#include "catalog/inuse.h"
#include "catalog/names.h"
#include "catalog/remote.h"

#define DAY_S 86400
#define MARGIN_S (2 * DAY_S) /* a name's local time may be that of another zone */
#define BATCH 16

void prune_set_clear(struct prune_set *set)
{
    g_clear_pointer(&set->entries, g_ptr_array_unref);
    g_clear_pointer(&set->items, g_free);
    set->n = 0;
}

/* ---- one backup ---- */

/* What both places have in common. size: what the file or object has. */
static struct retention_item item_of(const struct prune_request *q, struct catalog_entry *e)
{
    const struct meta *m = e->meta;
    struct retention_item i = {.id = e->id, .data = e, .taken_at = e->named_at, .state = META_UNVERIFIED};
    i.no_metadata = !m || g_strcmp0(m->id, e->id) != 0;
    if (i.no_metadata)
        return i;
    i.other_server = !lineage_is_certain(e);
    i.odd_date = retention_date_is_odd(e);
    i.taken_at = i.odd_date ? e->named_at : e->dated_at;
    i.unknown_type = !tiers_find(m->type, &i.tier);
    i.state = m->size_bytes == e->size_bytes ? m->state : META_FAILED;
    i.held = hold_is_active(m, q->now);
    i.in_use = inuse_is_read(q->dir, e->id);
    return i;
}

static struct retention_item local_item(const struct prune_request *q, struct catalog_entry *e)
{
    struct retention_item i = item_of(q, e);
    const char *state = e->meta ? meta_s3_text(e->meta, "state") : NULL;
    i.pending =
        q->keep_pending && (g_strcmp0(state, "pending") == 0 || g_strcmp0(state, "failed") == 0) && !i.no_metadata;
    return i;
}

static gboolean is_copy(const struct prune_request *q, const struct catalog_entry *e)
{
    g_autofree char *monthly = names_monthly_key(q->offsite->prefix, e->id);
    return g_str_equal(e->object->key, monthly);
}

static struct retention_item s3_item(const struct prune_request *q, struct catalog_entry *e, GHashTable *here)
{
    struct retention_item i = item_of(q, e);
    g_autofree char *usual = names_key(q->offsite->prefix, e->id);
    const struct catalog_entry *local = g_hash_table_lookup(here, e->id);
    i.copy = is_copy(q, e);
    i.no_metadata = i.no_metadata || !(i.copy || g_str_equal(e->object->key, usual));
    if (i.no_metadata)
        return i;
    const char *until = meta_s3_text(e->meta, "lock_until");
    if (until && !text_parse_iso_time(until, &i.lock_until))
        i.lock_until = G_MAXINT64 / 2; /* locked, nobody knows how long: the server is asked before it is deleted */
    if (g_strcmp0(meta_s3_text(e->meta, "state"), "failed") == 0)
        i.state = META_FAILED;
    /* A hold that could not be written to the bucket counts too. */
    i.held = i.held || (!i.copy && local && local->meta && hold_is_active(local->meta, q->now));
    return i;
}

/* ---- the folder ---- */

gboolean prune_gather_local(const struct prune_request *q, const char *name, struct prune_set *ret_set, GError **error)
{
    ret_set->entries = catalog_list(q->dir, name, error);
    if (!ret_set->entries)
        return FALSE;
    ret_set->items = g_new0(struct retention_item, ret_set->entries->len + 1);
    if (q->identity)
        server_identity_mark(q->identity, ret_set->entries);
    for (guint k = 0; k < ret_set->entries->len; k++)
        ret_set->items[ret_set->n++] = local_item(q, ret_set->entries->pdata[k]);
    return TRUE;
}

/* ---- the bucket ---- */

/* What can be said of it before its metadata is read. */
static struct retention_item unread_item(const struct prune_request *q, struct catalog_entry *e)
{
    g_autofree char *usual = names_key(q->offsite->prefix, e->id);
    struct retention_item i = {.id = e->id, .data = e, .taken_at = e->named_at, .state = META_UNVERIFIED};
    i.unread = TRUE;
    i.copy = is_copy(q, e);
    i.no_metadata = !e->object->has_meta || !(i.copy || g_str_equal(e->object->key, usual));
    return i;
}

static struct gap_list *gaps_by_name(const struct prune_request *q, const GPtrArray *entries)
{
    struct retention_policy policy = {&q->tiers, TIER_S3, q->keep_min, q->now};
    g_autofree struct retention_item *items = g_new0(struct retention_item, entries->len + 1);
    for (guint k = 0; k < entries->len; k++)
        items[k] = unread_item(q, entries->pdata[k]);
    return retention_gaps(items, entries->len, &policy);
}

/* Older than the shortest of all tiers. */
static gboolean may_be_old(const struct prune_request *q, const struct gap_list *silence, const struct catalog_entry *e)
{
    int days = q->tiers.days[0][TIER_S3];
    for (int tier = 1; tier < TIERS; tier++)
        days = MIN(days, q->tiers.days[tier][TIER_S3]);
    return e->named_at + gaps_uncounted(silence, e->named_at) < q->now - (gint64)days * DAY_S + MARGIN_S;
}

static GPtrArray *old_ones(const struct prune_request *q, const struct gap_list *silence, const GPtrArray *entries)
{
    GPtrArray *old = g_ptr_array_new();
    for (guint k = 0; k < entries->len; k++)
        if (q->thorough || may_be_old(q, silence, entries->pdata[k]))
            g_ptr_array_add(old, entries->pdata[k]);
    return old;
}

/* The metadata here says the same as that in S3 if it is of the same object. */
static void borrow_meta(struct catalog_entry *e, GHashTable *here)
{
    struct catalog_entry *local = g_hash_table_lookup(here, e->id);
    if (e->meta || !local || !local->meta || g_strcmp0(meta_s3_text(local->meta, "state"), "uploaded") != 0 ||
        g_strcmp0(meta_s3_text(local->meta, "key"), e->object->key) != 0 || !e->object->etag ||
        g_strcmp0(meta_s3_text(local->meta, "etag"), e->object->etag) != 0)
        return;
    catalog_entry_set_meta(e, g_steal_pointer(&local->meta));
}

/* Newest first, until enough is known: keep_min good ones and a proven one. */
static gboolean read_young(const struct prune_request *q, GPtrArray *entries, GHashTable *here, GError **error)
{
    struct retention_policy policy = {&q->tiers, TIER_S3, q->keep_min, q->now};
    int good = 0;
    gboolean proven = FALSE;
    for (guint from = 0; from < entries->len && (good < q->keep_min || !proven); from += BATCH) {
        g_autoptr(GPtrArray) batch = g_ptr_array_new();
        for (guint k = from; k < MIN(from + BATCH, entries->len); k++) {
            borrow_meta(entries->pdata[k], here);
            g_ptr_array_add(batch, entries->pdata[k]);
        }
        if (!remote_read_meta(batch, q->offsite->client, error))
            return FALSE;
        if (q->identity)
            server_identity_mark(q->identity, batch);
        for (guint k = 0; k < batch->len; k++) {
            struct retention_item i = s3_item(q, batch->pdata[k], here);
            good += retention_counts(&i, &policy);
            proven = proven || (retention_counts(&i, &policy) && i.state == META_PROVEN);
        }
    }
    return TRUE;
}

/* Where other servers' backups lie among these, which ones they are must be known of all: they do not count, not even
 * as made. */
static gboolean read_mixed(const struct prune_request *q, GPtrArray *entries, GError **error)
{
    if (!q->identity)
        return TRUE;
    server_identity_mark(q->identity, entries);
    if (lineage_find_others(entries, TRUE).backups == 0)
        return TRUE;
    if (!remote_read_meta(entries, q->offsite->client, error))
        return FALSE;
    server_identity_mark(q->identity, entries);
    return TRUE;
}

static GHashTable *by_id(const GPtrArray *list)
{
    GHashTable *table = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint k = 0; k < list->len; k++)
        g_hash_table_insert(table, ((struct catalog_entry *)list->pdata[k])->id, list->pdata[k]);
    return table;
}

static gboolean read_what_is_needed(const struct prune_request *q, const struct gap_list *silence, GPtrArray *entries,
                                    GHashTable *here, GError **error)
{
    g_autoptr(GPtrArray) old = old_ones(q, silence, entries);
    if (old->len == 0)
        return TRUE;
    return remote_read_meta(old, q->offsite->client, error) && (q->thorough || read_young(q, entries, here, error)) &&
           read_mixed(q, entries, error);
}

gboolean prune_gather_s3(const struct prune_request *q, const char *name, struct prune_set *ret_set, GError **error)
{
    ret_set->entries = remote_list(q->offsite->client, q->offsite->prefix, name, error);
    g_autoptr(GPtrArray) local = ret_set->entries ? catalog_list(q->dir, name, error) : NULL;
    if (!local)
        return FALSE;
    g_autoptr(GHashTable) here = by_id(local);
    g_autoptr(gap_list) silence = gaps_by_name(q, ret_set->entries);
    if (!read_what_is_needed(q, silence, ret_set->entries, here, error))
        return FALSE;
    ret_set->items = g_new0(struct retention_item, ret_set->entries->len + 1);
    for (guint k = 0; k < ret_set->entries->len; k++) {
        struct catalog_entry *e = ret_set->entries->pdata[k];
        gboolean read = q->thorough || e->meta || may_be_old(q, silence, e);
        struct retention_item i = read ? s3_item(q, e, here) : unread_item(q, e);
        if (read || !i.no_metadata)
            ret_set->items[ret_set->n++] = i;
    }
    return TRUE;
}
