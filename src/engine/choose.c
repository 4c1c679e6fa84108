/* The entries that may be meant, and the words about them. */
#include "engine/choose.h"

#include "base/text.h"
#include "catalog/names.h"
#include "catalog/remote.h"

#define BATCH 16

/* ---- the entries ---- */

static gint named_later(gconstpointer a, gconstpointer b)
{
    const struct catalog_entry *x = *(struct catalog_entry *const *)a, *y = *(struct catalog_entry *const *)b;
    return x->named_at != y->named_at ? (x->named_at < y->named_at ? 1 : -1) : g_strcmp0(x->id, y->id);
}

/* The next ones of which nothing was read yet; those that can only show a later moment than is asked for are not. */
static GPtrArray *next_batch(const struct choose_request *q, const GPtrArray *list, guint *next)
{
    GPtrArray *batch = g_ptr_array_new();
    for (; *next < list->len && batch->len < BATCH; (*next)++) {
        struct catalog_entry *e = list->pdata[*next];
        if (!q->wish.until || e->named_at - CATALOG_ZONES_S <= q->wish.until)
            g_ptr_array_add(batch, e);
    }
    return batch;
}

/* The bucket's metadata is read from the latest names on, until no name can hide a later moment than the one found. */
static gboolean read_enough(const struct choose_request *q, GPtrArray *list, GError **error)
{
    const struct catalog_entry *best = NULL;
    struct select_passed unused;
    g_ptr_array_sort(list, named_later);
    for (guint next = 0; next < list->len;) {
        const struct catalog_entry *e = list->pdata[next];
        if (best && best->meta && !catalog_is_pre_restore(best) && e->named_at + CATALOG_ZONES_S < best->taken_at)
            return TRUE;
        g_autoptr(GPtrArray) batch = next_batch(q, list, &next);
        if (!remote_read_meta(batch, q->offsite->client, error))
            return FALSE;
        server_identity_mark(q->identity, list);
        best = select_backup(list, &q->wish, &unused);
    }
    return TRUE;
}

static void entry_free(gpointer data)
{
    catalog_entry_free(data);
}

static GPtrArray *gather(const struct choose_request *q, GError **error)
{
    g_autofree char *name = names_encode(q->database);
    if (!q->offsite) {
        GPtrArray *list = catalog_list(q->dir, name, error);
        if (list)
            server_identity_mark(q->identity, list);
        return list;
    }
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(entry_free);
    return remote_join_objects(list, q->offsite->client, q->offsite->prefix, name, error) &&
                   read_enough(q, list, error)
               ? g_steal_pointer(&list)
               : NULL;
}

/* ---- what is told ---- */

static char *place_of(const struct choose_request *q)
{
    return q->offsite ? s3_url(q->offsite->client, q->offsite->prefix) : g_strdup(q->dir);
}

static void tell_passed(const struct select_passed *p, const struct catalog_entry *chosen, struct report *report)
{
    g_autofree char *future = p->future ? text_iso_time(MAX(p->future->taken_at, p->future->dated_at)) : NULL;
    if (p->future)
        report_warn(report, "%s is dated in the future (%s), and is not taken for the latest: is the clock right?",
                    p->future->id, future);
    if (p->bad && chosen)
        report_warn(report, "%s is known to be damaged; the newest that is not is %s", p->bad->id, chosen->id);
}

/* Said aloud, for somebody may have put them there. */
static void tell_unknown(const struct choose_request *q, const struct select_passed *p, struct report *report)
{
    g_autofree char *place = place_of(q);
    if (p->unknowns)
        report_warn(report, "%u %s in %s without metadata of ours: not taken for the latest", p->unknowns,
                    p->unknowns == 1 ? "file is" : "files are", place);
}

static void tell_other(const struct catalog_entry *e, struct report *report)
{
    g_autofree char *server = lineage_server_text(e->meta->system_identifier, e->meta->host, e->meta->port);
    report_warn(report,
                "This server has no backup here; the latest of another server is taken: %s of %s. After the recovery, "
                "`opstower adopt` makes its backups this server's",
                e->id, server);
}

static gboolean fail(const struct choose_request *q, const GPtrArray *list, const struct select_passed *p,
                     GError **error)
{
    g_autofree char *place = place_of(q), *until = q->wish.until ? text_iso_time(q->wish.until) : NULL;
    struct lineage_others o = lineage_find_others(list, FALSE);
    const struct meta *m = o.newest ? o.newest->meta : NULL;
    g_autofree char *server = m ? lineage_server_text(m->system_identifier, m->host, m->port) : NULL;
    if (p->bads)
        return ot_fail(error, OT_NOT_FOUND, "every backup of database %s in %s%s%s is known to be damaged (%u); the "
                       "newest is %s: name it to use it all the same",
                       q->database, place, until ? " up to " : "", until ? until : "", p->bads, p->bad->id);
    if (m)
        return ot_fail(error, OT_NOT_FOUND,
                       "there is no backup of database %s of this server in %s%s%s, only of %s; the newest is %s, of "
                       "%s: name it to use it all the same, or make that server's backups this one's with `opstower "
                       "adopt`",
                       q->database, place, until ? " up to " : "", until ? until : "",
                       o.servers == 1 ? "another" : "others", o.newest->id, server);
    if (p->unknowns)
        return ot_fail(error, OT_NOT_FOUND, "no backup of database %s in %s has metadata of ours, without which none is "
                       "taken unasked (%u %s there): name the file to verify it all the same",
                       q->database, place, p->unknowns, p->unknowns == 1 ? "file lies" : "files lie");
    return ot_fail(error, OT_NOT_FOUND, "there is no %sbackup of database %s in %s%s%s",
                   q->wish.kind == SELECT_GOOD && list->len ? "verified " : "", q->database, place,
                   until ? " up to " : "", until ? until : "");
}

/* ---- the choice ---- */

/* On the day after a loss there is nothing of the new server. Whether what it holds may be replaced is asked later. */
static const struct catalog_entry *choose_other(const struct choose_request *q, GPtrArray *list)
{
    struct select_passed unused;
    if (q->purpose != CHOOSE_TO_RESTORE || lineage_find_others(list, FALSE).servers != 1)
        return NULL;
    for (guint i = 0; i < list->len; i++) {
        struct catalog_entry *e = list->pdata[i];
        e->lineage = e->lineage == LINEAGE_OTHER ? LINEAGE_UNSURE : e->lineage;
    }
    return select_backup(list, &q->wish, &unused);
}

char *choose_backup(const struct choose_request *q, struct report *report, GError **error)
{
    g_autoptr(GPtrArray) list = gather(q, error);
    struct select_passed passed;
    if (!list)
        return NULL;
    const struct catalog_entry *chosen = select_backup(list, &q->wish, &passed);
    tell_passed(&passed, chosen, report);
    tell_unknown(q, &passed, report);
    gboolean ours = chosen != NULL;
    if (!ours && (chosen = choose_other(q, list)) && chosen->meta)
        tell_other(chosen, report);
    if (!chosen) {
        fail(q, list, &passed, error);
        return NULL;
    }
    return g_strdup(q->offsite ? chosen->object->key : chosen->path);
}
