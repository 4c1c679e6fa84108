/*
 * The journal's copy in S3, under the keys of engine/journalparts.h. Segments of JOURNALCOPY_LINES records each,
 * NNNNNNNNN.jsonl by the first one's seq, are the journal's own text; head.json says where it ended when it was last
 * copied: {"id", "seq", "head", "host", "dir", "time"}. Only segments with something new go up.
 */
#pragma once

#include "catalog/journal_check.h"
#include "store/s3_objects.h"

#define JOURNALCOPY_LINES 200

struct journalcopy {
    const char *dir;
    struct s3 *client;
    const char *prefix;    /* of keys */
    struct s3_props props; /* how the objects are stored */
};

/* Copies what is not there yet. Never over a copy that the journal here does not continue: OT_TAMPERED. *RET_REFUSED:
 * it failed because we may not store there. */
gboolean journalcopy_send(const struct journalcopy *j, gboolean *ret_refused, GError **error);

/* Holds every line of the copy of the journal in DIR against it, and adds what differs or is missing to STATE, which is
 * what journal_check found. One segment at a time is in memory. FALSE: S3 or the journal cannot be read. */
gboolean journalcopy_compare(struct s3 *client, const char *prefix, const char *dir, struct journal_state *state,
                             GError **error);

/* Adds where the copies end, as struct journal_anchor *: of the journal in DIR, and of others that were in DIR on this
 * host before it. */
gboolean journalcopy_anchors(struct s3 *client, const char *prefix, const char *dir, GPtrArray *anchors,
                             GError **error);
