/* The database that a restore replaces: put out of use, kept or dropped, and what belonged to it. */
#pragma once

#include "engine/prebackup.h"

struct replaced {
    /* given by the caller */
    const struct restore_request *request;
    struct session *admin;
    struct report *report;
    const char *live;           /* its name */
    const char *timestamp;      /* of the restore: of its names later */
    const struct prebackup *pre; /* empty: there is none */
    /* its own */
    char *name;      /* what it is called now, if that is not live; NULL: it has its name, or is gone */
    gboolean dropped; /* it was, though another one is not in its place yet */
    GPtrArray *slots; /* char *: logical replication slots that read from it; see replaced_note */
};
void replaced_clear(struct replaced *r);

/* The name that it gets. The caller frees it. */
char *replaced_name(const char *live, const char *timestamp);

/* What belongs to it and does not go along, seen while it is in use. */
gboolean replaced_note(struct replaced *r, GError **error);

/* --in-place: puts it out of use under its other name, looks whether it still is what the pre-restore backup shows, and
 * drops it. If anything fails, or it has changed since (OT_REFUSED), it is in use again under its name. */
gboolean replaced_drop_in_place(struct replaced *r, GError **error);

/* After the swap, which gave it r->name. Its subscriptions receive nothing more; it is dropped if that was asked for,
 * unless it holds what no backup has. FALSE: it should have been dropped, and is still there. */
gboolean replaced_settle(struct replaced *r, GError **error);
