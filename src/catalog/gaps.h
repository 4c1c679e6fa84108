/*
 * Time in which no backup was made does not age one: else a clock that jumps ahead, or a machine that was off for
 * months, would make nearly all backups expired at once. Pure: moments go in, seconds come out.
 *
 * - A gap is the time between two consecutive backups, or from the newest to now.
 * - Of each gap only the allowance counts as age: seven days, or twice the median gap between backups if that is more,
 *   so that whoever backs up once a month has ordinary gaps.
 * - A gap further back counts whole: where the backups of the schedule have had their days and were deleted, those that
 *   stay longer have gaps between them that say nothing. Further back is what, with the allowance, lies beyond those
 *   days (and beyond half of them, where they are few).
 */
#pragma once

#include "catalog/catalog.h"
#include "catalog/tiers.h"

struct gap_list;

/* made: seconds since 1970 of n backups, in any order; what is later than now counts as now. whole_s: backups that are
 * younger, by the age that counts, are all there. */
struct gap_list *gaps_new(const gint64 *made, guint n, gint64 now, gint64 whole_s);

/* Of the backups in one place, by their names; of one database only, if name (encoded) is given. Those count that have
 * metadata and are not dated in the future. */
struct gap_list *gaps_of_entries(const GPtrArray *entries, const char *name, enum tier_place place,
                                 const struct tiers *t, gint64 now);
typedef struct gap_list gap_list;
void gaps_free(struct gap_list *g);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gap_list, gaps_free)

/* How many seconds of what passed since taken_at are not counted. */
gint64 gaps_uncounted(const struct gap_list *g, gint64 taken_at);
