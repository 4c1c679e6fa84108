/* One sentence. */
#include "engine/others.h"

#define WAY_OUT                                                                                                        \
    "They are never \"latest\" here, and neither counted nor deleted. Give each server a BACKUP_DIR or "               \
    "BACKUP_S3_PREFIX of its own; after a migration, an upgrade or a recovery on a new server, `opstower adopt` "      \
    "makes them this server's"

char *others_text(const GPtrArray *entries, const char *place, gboolean with_unsure)
{
    struct lineage_others o = lineage_find_others(entries, with_unsure);
    if (o.backups == 0)
        return NULL;
    const struct meta *m = o.newest->meta;
    g_autofree char *server = lineage_server_text(m->system_identifier, m->host, m->port);
    g_autofree char *count = o.backups == 1 ? g_strdup("1 backup") : g_strdup_printf("%u backups", o.backups);
    g_autofree char *servers =
        o.servers <= 1 ? g_strdup("another server") : g_strdup_printf("%u other servers", o.servers);
    return g_strdup_printf("%s: %s of database %s of %s; the newest, %s, is of %s. " WAY_OUT, place, count, m->database,
                           servers, o.newest->id, server);
}

void others_warn(const GPtrArray *entries, const char *place, struct report *report)
{
    g_autofree char *text = others_text(entries, place, FALSE);
    if (text)
        report_warn(report, "%s", text);
}

void others_note_address(const struct pg_target *target, struct report *report)
{
    g_autofree char *host = NULL;
    int port = 0;
    if (!pg_target_address(target, &host, &port, NULL) || !host)
        return;
    g_autofree char *server = lineage_key(NULL, host, port);
    report_fact_text(report, "server", server);
}
