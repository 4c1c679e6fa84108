/* The check of the alerts themselves: whether those who should know do know. */
#include <math.h>

#include "engine/health_data.h"

#define DROPPED_S (24 * 3600)
#define PATIENCE_S (15 * 60.0) /* a server's short absence is no trouble */

/* Those of the last day; what is still bad is told again by the next look. */
static void judge_dropped(const struct health_data *d, struct health_check *c)
{
    const struct alert_backlog *b = &d->alerts;
    if (!b->dropped_at || d->now - b->dropped_at > DROPPED_S)
        return;
    g_autofree char *before = g_steal_pointer(&c->value);
    c->value = g_strdup_printf("%s; %d were dropped, as too many waited", before, (int)b->dropped);
    health_raise(c, HEALTH_WARNING);
    health_advise(c, "`opstower alert list` shows what is open; `opstower alert test` tries the channels.");
}

gboolean health_check_alerts(const struct health_data *d, struct health_check *c)
{
    const struct alert_backlog *b = &d->alerts;
    if (!d->alerts_used)
        return FALSE;
    double age = b->oldest_at ? (double)MAX(0, d->now - b->oldest_at) : 0;
    g_autofree char *time = health_duration(age), *limit = health_duration(PATIENCE_S);
    c->target = g_strdup("all sent");
    c->threshold = g_strdup_printf("warning when one waits for more than %s", limit);
    health_measure(c, age, "s", HEALTH_ABOVE, PATIENCE_S, NAN);
    g_autofree char *sent = b->waiting
                                ? g_strdup_printf("%u not sent by %s, the oldest for %s", b->waiting, b->channels, time)
                                : g_strdup("all sent");
    c->value = b->refused ? g_strdup_printf("%s; refused: %s", sent, b->refused) : g_strdup(sent);
    if (b->refused) {
        health_raise(c, HEALTH_WARNING);
        if (c->number <= PATIENCE_S)
            health_advise(c, "Correct ALERT_EMAIL, then run `opstower alert test email`.");
    }
    judge_dropped(d, c);
    health_advise(c, "Run `opstower alert test` to see what the servers answer; the last time it was: %s", b->error);
    return TRUE;
}
