/* Whose, and the change in each copy's metadata. */
#include "engine/adoption.h"

#include <string.h>

#include "base/interrupt.h"
#include "catalog/copy.h"

void adopt_result_clear(struct adopt_result *r)
{
    g_free(r->key);
    g_free(r->server);
    memset(r, 0, sizeof *r);
}

/* ---- whose ---- */

static gboolean is_candidate(const struct adopt_request *q, const struct catalog_entry *e)
{
    return e->server_key && e->lineage == (q->undo ? LINEAGE_ADOPTED : LINEAGE_OTHER);
}

static gboolean is_named(const struct adopt_request *q, const struct catalog_entry *e)
{
    return !q->whose || g_str_equal(q->whose, e->server_key) || g_str_equal(q->whose, e->id);
}

static char *server_of(const struct catalog_entry *e)
{
    return lineage_server_text(e->meta->system_identifier, e->meta->host, e->meta->port);
}

/* The newest backup of the server that is meant; NULL without error: there is no other server. */
static const struct catalog_entry *find(const struct adopt_request *q, GError **error)
{
    const struct catalog_entry *found = NULL, *any = NULL;
    for (guint i = 0; i < q->entries->len; i++) {
        const struct catalog_entry *e = q->entries->pdata[i];
        if (!is_candidate(q, e))
            continue;
        any = any ? any : e;
        if (!is_named(q, e))
            continue;
        if (found && !g_str_equal(found->server_key, e->server_key)) {
            g_autofree char *one = server_of(found), *other = server_of(e);
            ot_fail(error, OT_USAGE,
                    "there are backups of several servers: say which is meant, for instance %s (%s, backup %s) or %s "
                    "(%s, backup %s)",
                    found->server_key, one, found->id, e->server_key, other, e->id);
            return NULL;
        }
        found = found ? found : e;
    }
    if (!found && q->whose)
        ot_fail(error, OT_NOT_FOUND, any ? "no backup is of a server %s that %s: `opstower list` names them"
                                         : "there is no backup of a server %s that %s here",
                q->whose, q->undo ? "was adopted" : "could be adopted");
    return found;
}

/* Also of those that the server has adopted itself. */
static gboolean belongs_to(const struct catalog_entry *e, const char *key)
{
    gsize i;
    json_t *each;
    json_array_foreach(e->meta->adopted_by, i, each)
    {
        if (g_strcmp0(json_string_value(each), key) == 0)
            return TRUE;
    }
    return g_strcmp0(e->server_key, key) == 0;
}

/* ---- the change ---- */

struct change {
    const char *key; /* of the server that adopts */
    gboolean undo;
};

static void change_list(struct meta *m, void *data)
{
    const struct change *c = data;
    json_t *list = json_array();
    gsize i;
    json_t *each;
    json_array_foreach(m->adopted_by, i, each)
    {
        if (g_strcmp0(json_string_value(each), c->key) != 0)
            json_array_append(list, each);
    }
    if (!c->undo)
        json_array_append_new(list, json_string(c->key));
    json_decref(m->adopted_by);
    m->adopted_by = json_array_size(list) ? list : NULL;
    if (!m->adopted_by)
        json_decref(list);
}

static gboolean change_object(const struct adopt_request *q, const struct catalog_object *o, const char *type,
                              struct change *c, GError **error)
{
    if (!q->offsite || !o || !o->has_meta)
        return TRUE;
    struct s3_props props = offsite_sidecar_props(q->offsite, type);
    g_autoptr(copy) there = copy_s3(q->offsite->client, &props, o->key);
    return copy_update_meta(there, change_list, c, error);
}

static gboolean change_entry(const struct adopt_request *q, const struct catalog_entry *e, struct change *c,
                             GError **error)
{
    g_autoptr(copy) here = e->path ? copy_local(e->path) : NULL;
    if (!interrupt_check(error) || (here && !copy_update_meta(here, change_list, c, error)) ||
        !change_object(q, e->object, e->meta->type, c, error) ||
        !change_object(q, e->monthly, e->meta->type, c, error)) {
        g_prefix_error(error, "the metadata of %s could not be changed: ", e->id);
        return FALSE;
    }
    return TRUE;
}

gboolean adopt_run(const struct adopt_request *q, struct report *report, struct adopt_result *ret, GError **error)
{
    GError *problem = NULL;
    const struct catalog_entry *found = find(q, &problem);
    g_autofree char *own = lineage_key(q->self->system, q->self->host, q->self->port);
    if (!found) {
        if (problem)
            g_propagate_error(error, problem);
        return problem == NULL;
    }
    struct change c = {own, q->undo};
    ret->key = g_strdup(found->server_key);
    ret->server = server_of(found);
    report_fact_text(report, "adopted_server", ret->server);
    report_fact_text(report, "adopted", ret->key);
    for (guint i = 0; i < q->entries->len; i++) {
        const struct catalog_entry *e = q->entries->pdata[i];
        if (!e->meta || !belongs_to(e, ret->key))
            continue;
        if (!change_entry(q, e, &c, error))
            return FALSE;
        ret->backups++;
    }
    return TRUE;
}
