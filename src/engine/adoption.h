/*
 * Adopting: another server's backups become part of this one's history, after a migration, a major upgrade, or a
 * recovery on a new server. It stands in their metadata (adopted_by), here and in S3, and can be taken back.
 */
#pragma once

#include "engine/offsite.h"
#include "engine/report.h"
#include "engine/server_identity.h"

struct adopt_request {
    const GPtrArray *entries;       /* struct catalog_entry *, marked, with what is in S3 if offsite is set */
    const struct offsite *offsite;  /* NULL: what is in S3 is left as it is */
    const struct lineage_server *self;
    const char *whose;              /* a system identifier, HOST:PORT, or the id of a backup; NULL: the only one */
    gboolean undo;
};

struct adopt_result {
    char *key, *server;             /* who was adopted; NULL: nobody is there to be adopted */
    guint backups;                  /* whose metadata was changed */
};
void adopt_result_clear(struct adopt_result *r);

/* OT_USAGE if there are several and none is named, OT_NOT_FOUND if there is no such one. What was changed before a
 * failure stays changed; the next call completes it. */
gboolean adopt_run(const struct adopt_request *q, struct report *report, struct adopt_result *ret, GError **error);
