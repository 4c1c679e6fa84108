/* The database that a restore loads, beside the live one: how it is made, and what it must get to take its place. */
#pragma once

#include "engine/report.h"
#include "pg/door.h"

struct side {
    /* given by the caller */
    const struct pg_target *target;
    struct session *admin;
    const json_t *facts; /* what it will be like; NULL: as a new database is */
    const char *live;    /* the name that it will have */
    gboolean tablespaces;
    /* the side's own */
    struct door door;
    GPtrArray *refused; /* char *: statements for settings that the server refuses this user */
};
void side_clear(struct side *s);

/* Makes it, closed, connects to it, and tries all that it will get at its end, which is taken back: what cannot work
 * fails while nothing is loaded. Settings that the server refuses are warned of. */
gboolean side_make(struct side *s, const char *name, const char *mark, struct report *report, GError **error);

/* It has another name now. */
gboolean side_renamed(struct side *s, const char *name, GError **error);

/* When its schema is there, and nobody's code but extensions' scripts was run: some of these set things for the database. */
gboolean side_has_schema(struct side *s, GError **error);

/* When the rows are there; in: a session in it. */
gboolean side_hand_over(struct side *s, struct session *in, GError **error);

/* When it is loaded and compared. OT_RESTORE if somebody was at its door. */
gboolean side_apply_settings(struct side *s, GError **error);

/* The statements that open it, for the transaction of the swap; the caller frees it. NULL with OT_RESTORE if somebody
 * was at its door. */
char *side_open_sql(struct side *s, GError **error);
