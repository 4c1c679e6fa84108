/* The check of the alerts themselves: whether those who should know do know. */
#include <math.h>

#include "engine/health_data.h"

#define PATIENCE_S (15 * 60.0) /* a server's short absence is no trouble */

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
    health_advise(c, "Run `opstower alert test` to see what the servers answer; the last time it was: %s", b->error);
    return TRUE;
}
