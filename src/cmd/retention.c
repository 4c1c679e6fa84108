/* opstower retention */
#include "engine/prune.h"

#include <stdio.h>

#include "base/text.h"
#include "catalog/names.h"
#include "cmd/command.h"
#include "cmd/requests.h"

/* What is there of a type in a place. */
struct held {
    guint backups, good;
    gint64 oldest, newest; /* 0: none */
};

static struct held count(const GPtrArray *verdicts, enum tier tier, enum tier_place place)
{
    struct held h = {0};
    for (guint k = 0; k < verdicts->len; k++) {
        const struct prune_verdict *v = verdicts->pdata[k];
        if (v->place != place || !g_str_equal(v->type, tiers_name(tier)))
            continue;
        h.backups++;
        h.good += v->good ? 1 : 0;
        h.oldest = h.oldest ? MIN(h.oldest, v->taken_at) : v->taken_at;
        h.newest = MAX(h.newest, v->taken_at);
    }
    return h;
}

/* Those whose type nobody knows. */
static guint count_foreign(const GPtrArray *verdicts, enum tier_place place)
{
    guint n = 0;
    for (guint k = 0; k < verdicts->len; k++) {
        const struct prune_verdict *v = verdicts->pdata[k];
        n += v->place == place && g_str_equal(v->type, "-") ? 1 : 0;
    }
    return n;
}

static json_t *place_json(const struct tiers *t, const GPtrArray *verdicts, enum tier tier, enum tier_place place)
{
    struct held h = count(verdicts, tier, place);
    g_autofree char *oldest = h.oldest ? text_iso_time(h.oldest) : NULL;
    g_autofree char *newest = h.newest ? text_iso_time(h.newest) : NULL;
    json_t *days = tiers_has_place(tier, place) ? json_integer(t->days[tier][place]) : json_null();
    return json_pack("{so si si ss? ss?}", "days", days, "backups", (int)h.backups, "good", (int)h.good, "oldest",
                     oldest, "newest", newest);
}

static json_t *table_json(const struct prune_request *q, const GPtrArray *verdicts)
{
    json_t *array = json_array();
    for (int tier = 0; tier < TIERS; tier++)
        json_array_append_new(array, json_pack("{ss so so}", "type", tiers_name((enum tier)tier), "local",
                                               place_json(&q->tiers, verdicts, (enum tier)tier, TIER_LOCAL), "s3",
                                               place_json(&q->tiers, verdicts, (enum tier)tier, TIER_S3)));
    return json_pack("{si so si si}", "keep_min", q->keep_min, "tiers", array, "foreign_local",
                     (int)count_foreign(verdicts, TIER_LOCAL), "foreign_s3", (int)count_foreign(verdicts, TIER_S3));
}

static char *days_text(const struct tiers *t, enum tier tier, enum tier_place place)
{
    return tiers_has_place(tier, place) ? g_strdup_printf("%d days", t->days[tier][place]) : g_strdup("-");
}

static char *held_text(struct held h)
{
    return h.backups == h.good ? g_strdup_printf("%u", h.backups) : g_strdup_printf("%u (%u good)", h.backups, h.good);
}

static void print_table(const struct prune_request *q, const GPtrArray *verdicts)
{
    printf("%-16s %-12s %-14s %-12s %s\n", "TYPE", "LOCAL", "THERE NOW", "S3", q->offsite ? "THERE NOW" : "");
    for (int tier = 0; tier < TIERS; tier++) {
        g_autofree char *local = days_text(&q->tiers, (enum tier)tier, TIER_LOCAL);
        g_autofree char *away = days_text(&q->tiers, (enum tier)tier, TIER_S3);
        g_autofree char *here = held_text(count(verdicts, (enum tier)tier, TIER_LOCAL));
        g_autofree char *there = held_text(count(verdicts, (enum tier)tier, TIER_S3));
        printf("%-16s %-12s %-14s %-12s %s\n", tiers_name((enum tier)tier), local, here, away, q->offsite ? there : "");
    }
    guint here = count_foreign(verdicts, TIER_LOCAL), there = count_foreign(verdicts, TIER_S3);
    printf("\nAt least %d good ones stay in each place, and the newest that a test restore proved.\n", q->keep_min);
    if (here + there > 0)
        printf("Not ours, and never deleted: %u here, %u in S3.\n", here, there);
}

static gboolean run(struct console *c, char **words, GError **error)
{
    (void)words;
    const struct settings *s = &c->settings;
    struct prune_request request;
    gboolean one = (s->database_url || s->database_name || s->database) && !s->all;
    g_autofree char *database = one ? pg_target_database(&c->target, error) : NULL;
    g_autofree char *name = database ? names_encode(database) : NULL;
    g_autoptr(GPtrArray) verdicts = prune_verdicts_new();
    if ((one && !name) || !request_prune(c, name, &request, error) || !prune_run(&request, &c->report, verdicts, error))
        return FALSE;
    if (s->json)
        return console_print_json(table_json(&request, verdicts), error);
    print_table(&request, verdicts);
    return TRUE;
}

const struct command cmd_retention = {
    .name = "retention",
    .mask = CMD_RETENTION,
    .usage = "[--all] [--local-only] [--json] [OPTION]...",
    .summary = "Show how long backups of each type are kept, and what is there.",
    .details = "The table of types with their days on this machine and in S3, as the settings have it, and how many\n"
               "backups of each there are now. `opstower prune` says of each backup what becomes of it.",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};
