/*
 * The tier table: how many days a backup of each type is kept in each place. Its defaults are those of the guide
 * ("Data Retention Policy", "Backup Types"). What else keeps a backup is in catalog/retention.h.
 */
#pragma once

#include <glib.h>

enum tier {
    TIER_HOURLY,
    TIER_PRE_DEPLOYMENT,
    TIER_PRE_MAINTENANCE,
    TIER_MONTHLY,
    TIER_MANUAL,
    TIER_PRE_RESTORE,
    TIERS, /* how many there are */
};

enum tier_place { TIER_LOCAL, TIER_S3, TIER_PLACES };

struct tiers {
    int days[TIERS][TIER_PLACES];
};

/* The guide's table. With days other than 0 for hourly backups, these are taken, and so for the types that are kept as
 * long as hourly ones: manual and pre-restore ones, and pre-deployment ones on this machine. Monthly ones are made in
 * S3 only; what is called so on this machine stays as long as hourly ones. */
struct tiers tiers_make(int hourly_local_days, int hourly_s3_days);

/* Changes one figure; days of 0 change nothing. */
void tiers_set(struct tiers *t, enum tier tier, enum tier_place place, int days);

/* The tier of a metadata's type (NULL, as in the guide's own metadata: hourly). FALSE if there is no such type. */
gboolean tiers_find(const char *type, enum tier *ret_tier);

/* Days of a type; of one that is not known, of hourly ones. */
int tiers_days(const struct tiers *t, const char *type, enum tier_place place);

/* "pre-deployment"; "local" and "s3". */
const char *tiers_name(enum tier tier);
const char *tiers_place_name(enum tier_place place);

/* FALSE where backups of that type are not made: monthly ones on this machine. */
gboolean tiers_has_place(enum tier tier, enum tier_place place);
