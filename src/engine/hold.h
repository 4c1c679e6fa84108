/*
 * Holding a backup and letting it go, in every place where it lies: first in its metadata on this machine, then in S3
 * (metadata, tag, legal hold). What S3 does not take now is noted, and done by the next sync or by asking again.
 */
#pragma once

#include "catalog/copy.h"
#include "engine/offsite.h"

struct hold_request {
    const char *id;                /* of the backup */
    const char *dir;               /* BACKUP_DIR, where readers and deletions say so; need not be there */
    const char *path;              /* of its file; NULL: it is not on this machine */
    const struct offsite *offsite; /* NULL: no S3 is set */
    const char *key;               /* of its object; NULL where there is no S3 */
    json_t *hold;                  /* hold_new; NULL: to be let go. Borrowed */
};

struct hold_result {
    char *database;
    json_t *before;                /* the hold that was replaced or taken away; NULL: there was none */
    gboolean here, in_s3, binding; /* where it is done now; binding: S3 itself refuses to delete it */
};
void hold_result_clear(struct hold_result *r);

/* Does it, and proves it done in every place where the backup is. OT_UPLOAD: done here, but not in S3; OT_S3: it lies
 * only there, and S3 did not take it; OT_REFUSED: the backup has no metadata; OT_NOT_FOUND: there is no such backup. */
gboolean hold_set(const struct hold_request *request, struct report *report, struct hold_result *ret_result,
                  GError **error);

/* Whether the copy in S3 is not yet held, or let go, as the metadata here says. */
gboolean hold_is_behind(const struct meta *m, gint64 now);

/* Brings the copy in S3 up to what m, the metadata in dir, says. A hold that has ended is let go there too. */
gboolean hold_catch_up(const struct offsite *o, const char *dir, const struct meta *m, struct report *report,
                       GError **error);
