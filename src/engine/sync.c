/* Pending uploads, one after the other. */
#include "engine/sync.h"

#include "base/interrupt.h"
#include "catalog/copy.h"
#include "catalog/remote.h"
#include "engine/dblock.h"
#include "engine/hold.h"
#include "engine/leftover.h"
#include "engine/monthly.h"

/* A file that failed its checks is no second copy worth having. */
static gboolean is_wanted(const struct catalog_entry *e, enum sync_reach reach)
{
    if (!e->path || !e->meta || e->meta->state == META_FAILED)
        return FALSE;
    const char *state = meta_s3_text(e->meta, "state");
    if (g_strcmp0(state, "expired") == 0)
        return FALSE; /* retention deleted it there */
    if (!state)
        return reach == SYNC_ALL && !e->object;
    return g_str_equal(state, "pending") || g_str_equal(state, "failed") || (reach != SYNC_PENDING && !e->object);
}

static gboolean catch_up(const struct sync_request *q, struct catalog_entry *e, struct report *report, GError **error)
{
    if (!e->path || !e->meta || !hold_is_behind(e->meta, g_get_real_time() / G_USEC_PER_SEC))
        return TRUE;
    g_autoptr(copy) here = copy_local(e->path);
    return copy_complete_meta(here, e->meta, error) && hold_catch_up(q->offsite, q->dir, e->meta, report, error);
}

static gboolean send(const struct sync_request *q, struct catalog_entry *e, struct report *report, GError **error)
{
    g_autoptr(copy) here = copy_local(e->path);
    return copy_complete_meta(here, e->meta, error) && offsite_send(q->offsite, q->dir, e->meta, report, error);
}

gboolean sync_database(const struct sync_request *q, struct report *report, guint *ret_count, GError **error)
{
    const struct offsite *o = q->offsite;
    g_autoptr(GPtrArray) list = catalog_list(q->dir, q->name, error);
    if (!list || (q->reach != SYNC_PENDING && !remote_join(list, o->client, o->prefix, q->name, error)))
        return FALSE;
    if (q->identity)
        server_identity_mark(q->identity, list);
    GError *refused = NULL;
    for (guint i = list->len; i-- > 0;) {
        struct catalog_entry *e = list->pdata[i];
        GError *problem = NULL;
        if (!lineage_is_certain(e))
            continue;
        if (!is_wanted(e, q->reach)) {
            if (!catch_up(q, e, report, error)) {
                g_clear_error(&refused);
                return FALSE;
            }
            continue;
        }
        if (interrupt_check(&problem) && send(q, e, report, &problem)) {
            if (ret_count)
                (*ret_count)++;
            continue;
        }
        if (!g_error_matches(problem, OT_ERROR, OT_REFUSED)) {
            g_clear_error(&refused);
            return offsite_fail(problem, OT_UPLOAD, error);
        }
        /* Of this one alone: it keeps no other from its upload. */
        if (refused)
            g_error_free(problem);
        else
            refused = problem;
    }
    return !refused || offsite_fail(refused, OT_UPLOAD, error);
}

static gboolean lock_and_sync(const struct sync_request *q, const char *name, struct report *report, guint *ret_count,
                              GError **error)
{
    g_autoptr(lock) held = dblock_take_upload(q->dir, name, "sync", q->wait_s, report, error);
    if (!held)
        return FALSE;
    leftover_clean(q->offsite, q->dir, name, report);
    GError *problem = NULL;
    struct sync_request one = *q;
    one.name = name;
    struct monthly_request monthly = {q->offsite, name, q->identity, g_get_real_time() / G_USEC_PER_SEC};
    if (!sync_database(&one, report, ret_count, error))
        return FALSE;
    return !q->monthly || monthly_archive(&monthly, report, NULL, &problem) ||
           offsite_fail(problem, OT_UPLOAD, error);
}

gboolean sync_run(const struct sync_request *request, struct report *report, guint *ret_count, GError **error)
{
    g_autoptr(GPtrArray) list = catalog_list(request->dir, request->name, error);
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    *ret_count = 0;
    for (guint i = 0; list && i < list->len; i++)
        g_hash_table_add(names, g_strdup(((struct catalog_entry *)list->pdata[i])->name));
    if (request->name)
        g_hash_table_add(names, g_strdup(request->name));
    else
        leftover_add_names(request->dir, names);
    GHashTableIter iter;
    gpointer name;
    g_hash_table_iter_init(&iter, names);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        if (!lock_and_sync(request, name, report, ret_count, error))
            return FALSE;
    return list != NULL;
}
