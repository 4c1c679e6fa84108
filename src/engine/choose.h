/* Which backup a person means by "latest", "latest-good" or a moment: in the folder, or in the bucket. */
#pragma once

#include "catalog/select.h"
#include "engine/offsite.h"
#include "engine/report.h"
#include "engine/server_identity.h"

enum choose_purpose {
    CHOOSE_TO_MARK,
    CHOOSE_TO_TEST,    /* it may be a job that asks: only what our own metadata vouches for is taken */
    CHOOSE_TO_RESTORE, /* where this server has no backup, that of the only other one will do: after a loss */
};

struct choose_request {
    const char *dir, *database;
    const struct offsite *offsite; /* in the bucket; NULL: in the folder */
    struct server_identity *identity;
    struct select_wish wish;
    enum choose_purpose purpose;
};

/* The path, or in the bucket the key, of the backup that is meant; what was passed over is told. NULL: OT_NOT_FOUND,
 * OT_S3. To be freed. */
char *choose_backup(const struct choose_request *q, struct report *report, GError **error);
