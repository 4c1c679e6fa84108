/* Checks of the copies in S3: whether each backup was uploaded, and whether what was uploaded is still there. */
#include "engine/health_data.h"

#include <math.h>
#include <string.h>

#include "catalog/describe.h"
#include "catalog/gaps.h"

#define DAY (24 * 3600)
#define UPLOADING_S (6 * 3600) /* longer, and it is not under way any more */

static const char *state_of(const struct catalog_entry *e)
{
    return e->meta ? meta_s3_text(e->meta, "state") : NULL;
}

static gboolean is_state(const char *state, const char *word)
{
    return g_strcmp0(state, word) == 0;
}

/* Published here, its last parts still on their way: its run has not yet said how it ended. */
static gboolean is_under_way(const struct health_data *d, const struct catalog_entry *e)
{
    if (d->now - health_taken_at(e) > UPLOADING_S)
        return FALSE;
    for (guint i = 0; i < d->journal->len; i++)
        if (g_strcmp0(record_text(d->journal->pdata[i], "id"), e->id) == 0)
            return FALSE;
    return TRUE;
}

/* ---- uploads ---- */

struct uploads {
    guint wanted, there; /* of 7 days */
    gint64 newest;       /* when the newest that is there was taken; 0: none */
    const struct catalog_entry *pending;
};

static void count_upload(const struct health_data *d, const struct catalog_entry *e, struct uploads *u)
{
    gboolean pending = is_state(state_of(e), "pending");
    if (e->object || is_state(state_of(e), "uploaded"))
        u->newest = health_is_good(d, e) ? MAX(u->newest, health_taken_at(e)) : u->newest;
    if (!state_of(e) || (pending && is_under_way(d, e)))
        return;
    d->numbers->pending_copies += pending;
    if (pending && !u->pending)
        u->pending = e;
    if (health_taken_at(e) < d->now - health_window_s(d))
        return;
    u->wanted++;
    u->there += !pending;
}

static struct uploads count_uploads(const struct health_data *d)
{
    struct uploads u = {0};
    d->numbers->pending_copies = 0;
    for (guint i = 0; i < d->backups->len; i++)
        count_upload(d, d->backups->pdata[i], &u);
    return u;
}

/* No bucket is set. Fine, unless there was one a week ago: then somebody lost the setting. */
static gboolean check_unset(const struct uploads *u, struct health_check *c)
{
    if (u->wanted == 0)
        return FALSE;
    health_raise(c, HEALTH_WARNING);
    c->value = g_strdup("backups went to S3 this week, but no bucket is set now");
    health_advise(c, "Set BACKUP_S3_BUCKET again; or, if that was meant, this ends 7 days after the last such backup.");
    return TRUE;
}

/* A day, or where backups are taken less often, as old as they may become. */
static gint64 oldest_newest_s(const struct health_data *d)
{
    return MAX(DAY, d->limits.age_critical_minutes * 60);
}

static void judge_newest(const struct health_data *d, const struct uploads *u, struct health_check *c)
{
    gint64 age = d->now - u->newest;
    if (d->backups->len && (!u->newest || age > oldest_newest_s(d))) {
        health_raise(c, HEALTH_CRITICAL);
        g_autofree char *text = health_duration((double)age);
        c->value = u->newest ? g_strdup_printf("the newest good copy in S3 is %s old", text)
                             : g_strdup("there is no good copy in S3");
    }
}

gboolean health_check_upload(const struct health_data *d, struct health_check *c)
{
    struct uploads u = count_uploads(d);
    c->target = g_strdup("100 %");
    g_autofree char *red = health_duration((double)oldest_newest_s(d));
    int days = (int)(health_window_s(d) / DAY);
    c->threshold = g_strdup_printf("warning if one failed, critical if none is younger than %s", red);
    if (!d->request->offsite && !d->request->s3_problem)
        return check_unset(&u, c);
    health_measure(c, u.wanted ? 100.0 * u.there / u.wanted : NAN, "%", HEALTH_BELOW, 100, NAN);
    if (d->numbers->pending_copies > 0)
        health_raise(c, HEALTH_WARNING);
    judge_newest(d, &u, c);
    if (u.there == u.wanted && d->numbers->pending_copies == 0)
        health_blame_age(d, c);
    if (!c->value && u.wanted == 0)
        health_raise(c, d->backups->len ? HEALTH_WARNING : health_without_backup(d, &c->value));
    if (!c->value)
        c->value = u.wanted
                       ? g_strdup_printf("%.1f %% of %d days: %u of %u backups", c->number, days, u.there, u.wanted)
                       : g_strdup_printf("no backup was to go to S3 in %d days", days);
    const char *why = u.pending ? meta_s3_text(u.pending->meta, "error") : NULL;
    if (why)
        health_advise(c, "%s was not uploaded: %s. `opstower sync` tries again.", u.pending->id, why);
    health_advise(c, "`opstower sync` uploads what is missing; `opstower bucket check` finds what is wrong.");
    return TRUE;
}

/* ---- what is still there ---- */

/* Gone, or not what it was. Not one whose days in S3 are over: whoever deleted it there did what was due. */
static gboolean is_lost(const struct health_data *d, const struct gap_list *silence, const struct catalog_entry *e,
                        const char *state)
{
    gint64 days = tiers_days(&d->request->tiers, e->meta ? e->meta->type : NULL, TIER_S3);
    gboolean due = health_taken_at(e) + gaps_uncounted(silence, e->taken_at) < d->now - days * DAY;
    return (is_state(state, "missing") && !due) || is_state(state, "wrong size") || is_state(state, "failed");
}

static gboolean is_present(const char *state)
{
    return is_state(state, "present") || is_state(state, "uploaded") || is_state(state, "no metadata");
}

static const struct catalog_entry *count_copies(const struct health_data *d, const char **ret_state)
{
    const struct catalog_entry *first = NULL;
    struct health_numbers *n = d->numbers;
    g_autoptr(gap_list) silence = gaps_of_entries(d->backups, NULL, TIER_S3, &d->request->tiers, d->now);
    n->s3_backups = n->s3_bytes = n->missing_copies = 0;
    for (guint i = 0; i < d->backups->len; i++) {
        const struct catalog_entry *e = d->backups->pdata[i];
        const char *state = describe_s3(e, d->s3_looked);
        gboolean lost = is_lost(d, silence, e, state);
        n->missing_copies += lost;
        if (lost && !first) {
            first = e;
            *ret_state = state;
        }
        if (lost || !is_present(state))
            continue;
        n->s3_backups++;
        n->s3_bytes += (gint64)e->size_bytes;
    }
    return first;
}

gboolean health_check_copies(const struct health_data *d, struct health_check *c)
{
    const char *state = NULL;
    if (!d->request->offsite && !d->request->s3_problem)
        return FALSE;
    const struct catalog_entry *first = count_copies(d, &state);
    c->target = g_strdup("each uploaded copy is there, with its size");
    c->threshold = g_strdup("warning if S3 does not answer, critical if one is missing");
    health_measure(c, (double)d->numbers->missing_copies, "", HEALTH_ABOVE, NAN, 0);
    if (first) {
        c->value = g_strdup_printf("%" G_GINT64_FORMAT " missing or damaged: %s (%s)", d->numbers->missing_copies,
                                   first->id, state);
        health_advise(c,
                      "Find out who or what deletes in the bucket (`opstower bucket check`, its access log); `opstower "
                      "sync` uploads again what is still here.");
        return TRUE;
    }
    if (!d->s3_looked)
        health_raise(c, d->request->look_away ? HEALTH_UNKNOWN : HEALTH_WARNING);
    c->value = d->s3_looked ? g_strdup_printf("%" G_GINT64_FORMAT " copies", d->numbers->s3_backups)
                            : g_strdup(d->s3_problem ? d->s3_problem : "S3 was not asked");
    health_advise(c, "`opstower bucket check` tries every call and says what is wrong.");
    return TRUE;
}
