/*
 * Which server the settings mean, so that its backups can be told from those of others in the same place. Where the
 * backups name one server only, at the settings' address, that is it; else the server itself is asked; and while it
 * does not answer, what was last known of its address counts.
 */
#pragma once

#include "catalog/lineage.h"
#include "pg/system.h"

struct server_identity {
    const struct pg_target *target; /* NULL: the settings name none */
    gboolean may_ask;               /* connect, if backups do not tell */
    gboolean asked, answered;       /* it was; server is what it said */
    struct lineage_server server;
};
void server_identity_clear(struct server_identity *i);
typedef struct server_identity server_identity;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(server_identity, server_identity_clear)

/* The server has said who it is. */
void server_identity_set(struct server_identity *i, const struct pg_system *system);

/* Marks the entries, which have their metadata; may connect for some seconds. One identity may be used by several
 * threads. */
void server_identity_mark(struct server_identity *i, const GPtrArray *entries);
