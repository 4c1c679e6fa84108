/*
 * A hold: what keeps a backup however old it is, until somebody takes it away or its day has come. It stands in the
 * backup's metadata as "hold": {"reason": TEXT, "until": ISO 8601 or null, "by": USER@HOST, "since": ISO 8601}; until
 * null: without an end. Nothing here reads or writes files: that is engine/hold.h.
 */
#pragma once

#include "catalog/meta.h"

/* A reason is UTF-8 without control characters, of at most so many bytes. */
#define HOLD_MAX_REASON 500

/* Whether the backup must not be deleted at that time (seconds since 1970). TRUE too for a hold that cannot be read,
 * or whose end cannot: what somebody wanted kept is kept until a person says otherwise. */
gboolean hold_is_active(const struct meta *m, gint64 now);

/* "reason", "until", "by" or "since" of the hold; NULL if there is none, or no such text. */
const char *hold_text(const struct meta *m, const char *what);

/* A hold from now on. until: seconds since 1970, 0: without an end. New reference. */
json_t *hold_new(const char *reason, gint64 until, gint64 now);

/* OT_USAGE unless it can be a reason. */
gboolean hold_check_reason(const char *reason, GError **error);

/* Reads the end of a hold: YYYY-MM-DD (to the end of that day here), or ISO 8601, without an offset in local time. One
 * that is not after now is OT_USAGE too. */
gboolean hold_parse_until(const char *text, gint64 now, gint64 *ret_until, GError **error);
