/* Whether a database is still what a backup of it shows. */
#pragma once

#include "catalog/copy.h"
#include "engine/report.h"
#include "pg/session.h"

struct since_request {
    const struct pg_target *target;
    const char *dbname; /* as it is called now */
    const struct copy *copy;
    const char *bindir;
    guint jobs;
};

/* *ret_change: what has changed since the backup was taken, in words ("table public.t is new"), NULL: nothing has; the
 * caller frees it. Sessions must be kept out of the database meanwhile, or it says little. FALSE: it cannot be found
 * out. */
gboolean since_backup(const struct since_request *request, struct report *report, char **ret_change, GError **error);
