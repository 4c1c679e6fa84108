/* What is known of the backups of one database in one place, as catalog/retention.h wants it. */
#pragma once

#include "catalog/catalog.h"
#include "catalog/retention.h"
#include "engine/prune.h"

struct prune_set {
    GPtrArray *entries;           /* struct catalog_entry *; an item's data is one of them */
    struct retention_item *items; /* n of them */
    guint n;
};
void prune_set_clear(struct prune_set *set);

/* Every backup in the folder. */
gboolean prune_gather_local(const struct prune_request *q, const char *name, struct prune_set *ret_set, GError **error);

/* Every backup object in the bucket. Unless q->thorough, what is too young to go whatever its type is unread, except
 * as many as are needed to count the good ones: of thousands of backups, few metadata files are read. */
gboolean prune_gather_s3(const struct prune_request *q, const char *name, struct prune_set *ret_set, GError **error);
