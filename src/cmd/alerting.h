/* Alerts as the settings want them: what acts and checks have to tell, and the heartbeat of backups. */
#pragma once

#include "cmd/console.h"
#include "engine/alert.h"
#include "engine/health.h"

/* Borrows from the console; *ret_database, which it points to, is to be freed after it. */
struct alert_config alerting_config(struct console *c, char **ret_database);

/* The outcome of the act c->act; problem: its error, NULL if it went well. */
void alerting_act(struct console *c, const GError *problem);

/* What a look at the backups found: changes are told, and what waits is sent. complete: all checks were made. */
void alerting_health(struct console *c, const struct health *h, gboolean complete);

/* Whether the watch itself could look. problem: why not; NULL: it could. */
void alerting_watch(struct console *c, const GError *problem);

/* The same for a watch of several databases: whether it is known which there are. */
void alerting_watch_several(struct console *c, const GError *problem);

/* Tells the dead-man's switch, if there is one, that a backup begins. How it ended, alerting_act tells. */
void alerting_backup_starts(struct console *c);

/* The same for a run of several backups, which together are one for the switch: their own runs, to be started after
 * this, leave it alone, so that a good one does not hide another that failed. found: whether it is known which there
 * are. problem: NULL if all went well. */
void alerting_several_start(struct console *c);
void alerting_several_found(struct console *c, const GError *problem);
void alerting_several_end(struct console *c, const GError *problem);

/* Every channel that is set; struct notify_channel *. */
GPtrArray *alerting_channels(const struct notify_config *config);
