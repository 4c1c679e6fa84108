/* The tier table and its defaults. */
#include "catalog/tiers.h"

#define AS_HOURLY 0

static const struct row {
    const char *type;
    int days[TIER_PLACES];
    gboolean made_here;
} rows[TIERS] = {
    [TIER_HOURLY] = {"hourly", {30, 90}, TRUE},
    [TIER_PRE_DEPLOYMENT] = {"pre-deployment", {AS_HOURLY, 180}, TRUE},
    [TIER_PRE_MAINTENANCE] = {"pre-maintenance", {90, 90}, TRUE},
    [TIER_MONTHLY] = {"monthly", {AS_HOURLY, 365}, FALSE},
    [TIER_MANUAL] = {"manual", {AS_HOURLY, AS_HOURLY}, TRUE},
    [TIER_PRE_RESTORE] = {"pre-restore", {AS_HOURLY, AS_HOURLY}, TRUE},
};

struct tiers tiers_make(int hourly_local_days, int hourly_s3_days)
{
    const int given[TIER_PLACES] = {hourly_local_days, hourly_s3_days};
    struct tiers t;
    for (int place = 0; place < TIER_PLACES; place++) {
        int hourly = given[place] ? given[place] : rows[TIER_HOURLY].days[place];
        for (int tier = 0; tier < TIERS; tier++)
            t.days[tier][place] = rows[tier].days[place] == AS_HOURLY ? hourly : rows[tier].days[place];
        t.days[TIER_HOURLY][place] = hourly;
    }
    return t;
}

void tiers_set(struct tiers *t, enum tier tier, enum tier_place place, int days)
{
    if (days > 0)
        t->days[tier][place] = days;
}

gboolean tiers_find(const char *type, enum tier *ret_tier)
{
    for (int tier = 0; tier < TIERS; tier++)
        if (g_str_equal(type ? type : rows[TIER_HOURLY].type, rows[tier].type)) {
            *ret_tier = (enum tier)tier;
            return TRUE;
        }
    return FALSE;
}

int tiers_days(const struct tiers *t, const char *type, enum tier_place place)
{
    enum tier tier;
    return t->days[tiers_find(type, &tier) ? tier : TIER_HOURLY][place];
}

const char *tiers_name(enum tier tier)
{
    return rows[tier].type;
}

const char *tiers_place_name(enum tier_place place)
{
    return place == TIER_S3 ? "s3" : "local";
}

gboolean tiers_has_place(enum tier tier, enum tier_place place)
{
    return place == TIER_S3 || rows[tier].made_here;
}
