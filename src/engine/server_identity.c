/* The server itself, or what backups say of its address. */
#include "engine/server_identity.h"

#define ASK_TIMEOUT_S 3

void server_identity_clear(struct server_identity *i)
{
    lineage_server_clear(&i->server);
}

void server_identity_set(struct server_identity *i, const struct pg_system *system)
{
    lineage_server_clear(&i->server);
    i->server = (struct lineage_server){g_strdup(system->identifier), g_strdup(system->host), system->port};
    i->asked = i->answered = TRUE;
}

static void ask(struct server_identity *i)
{
    struct pg_system found = {0};
    i->asked = TRUE;
    if (pg_system_ask(i->target, ASK_TIMEOUT_S, &found, NULL))
        server_identity_set(i, &found);
    pg_system_clear(&found);
}

/* FALSE: nothing is known. */
static gboolean guess(const struct server_identity *i, const GPtrArray *entries, struct lineage_server *ret)
{
    if (!i->target) {
        ret->system = lineage_only_known(entries);
        return ret->system != NULL;
    }
    if (!pg_target_address(i->target, &ret->host, &ret->port, NULL))
        return FALSE;
    ret->system = ret->host ? lineage_last_known(entries, ret->host, ret->port) : lineage_only_known(entries);
    return ret->system || lineage_is_plain(entries, ret->host, ret->port);
}

void server_identity_mark(struct server_identity *i, const GPtrArray *entries)
{
    static GMutex mutex;
    g_autoptr(GMutexLocker) locked = g_mutex_locker_new(&mutex);
    (void)locked;
    struct lineage_server guessed = {0};
    gboolean known = i->answered || guess(i, entries, &guessed);
    gboolean plain = i->target && guessed.host && lineage_is_plain(entries, guessed.host, guessed.port);
    if (!i->asked && i->target && i->may_ask && !plain)
        ask(i);
    lineage_mark(entries, i->answered ? &i->server : known ? &guessed : NULL);
    lineage_server_clear(&guessed);
}
