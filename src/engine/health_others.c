/* Backups of other servers in the same place: they are no part of this one's health, and that they are there is told. */
#include "engine/health_data.h"

#include <math.h>

#include "engine/others.h"

/* ---- parting ---- */

/* What a line says of the server that it is about: itself, else the address in the settings of its run. */
static gboolean is_line_of_other(const json_t *line, const struct lineage_server *self, GHashTable *systems)
{
    const char *system = record_text(line, "system_identifier"), *server = record_text(line, "server");
    if (system && self->system)
        return !g_str_equal(system, self->system) && !g_hash_table_contains(systems, system);
    g_autofree char *address = lineage_key(NULL, self->host, self->port);
    return !system && server && address && g_ascii_strcasecmp(server, address) != 0 && g_hash_table_size(systems) > 0;
}

/* The servers that made what counts as this one's: its own, and the adopted ones. */
static GHashTable *systems_of(const GPtrArray *backups)
{
    GHashTable *systems = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < backups->len; i++) {
        const struct meta *m = ((const struct catalog_entry *)backups->pdata[i])->meta;
        if (m && m->system_identifier)
            g_hash_table_add(systems, m->system_identifier);
    }
    return systems;
}

static void part_journal(struct health_data *d, const struct lineage_server *self)
{
    g_autoptr(GHashTable) systems = systems_of(d->backups);
    for (guint i = 0; i < d->journal->len;)
        if (is_line_of_other(d->journal->pdata[i], self, systems))
            g_ptr_array_remove_index(d->journal, i);
        else
            i++;
}

static void part_backups(struct health_data *d)
{
    for (guint i = 0; i < d->backups->len;) {
        struct catalog_entry *e = d->backups->pdata[i];
        d->unsure = d->unsure || e->lineage == LINEAGE_UNSURE;
        if (lineage_is_ours(e))
            i++;
        else
            g_ptr_array_add(d->others, g_ptr_array_steal_index(d->backups, i));
    }
}

static void entry_free(gpointer data)
{
    catalog_entry_free(data);
}

void health_part_others(struct health_data *d)
{
    struct server_identity *identity = d->request->identity;
    if (!identity)
        return;
    identity->asked = identity->asked || d->servers.database_asked || d->request->look_away;
    if (d->servers.system.host)
        server_identity_set(identity, &d->servers.system);
    server_identity_mark(identity, d->backups);
    d->others = g_ptr_array_new_with_free_func(entry_free);
    part_backups(d);
    if (identity->answered && d->others->len > 0)
        part_journal(d, &identity->server);
}

/* ---- the check ---- */

/* A place that several servers share may be meant so: it is told, and no fault. */
gboolean health_check_others(const struct health_data *d, struct health_check *c)
{
    if (!d->others || (d->others->len == 0 && !d->unsure))
        return FALSE;
    const GPtrArray *list = d->others->len ? d->others : d->backups;
    health_measure(c, lineage_find_others(list, TRUE).backups, "", HEALTH_ABOVE, NAN, NAN);
    c->target = g_strdup("told, not counted");
    g_autofree char *text = others_text(list, d->request->dir, FALSE);
    if (!text) {
        c->value = g_strdup("the server does not answer, and backups of several servers are here: all are counted");
        return TRUE;
    }
    c->value = g_steal_pointer(&text);
    return TRUE;
}
