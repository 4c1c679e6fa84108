/* Alerts as the settings want them: what acts and checks have to tell, and the heartbeat of backups. */
#pragma once

#include "cmd/console.h"
#include "engine/alert.h"

/* Borrows from the console; *ret_database, which it points to, is to be freed after it. */
struct alert_config alerting_config(struct console *c, char **ret_database);

/* The outcome of the act c->act; problem: its error, NULL if it went well. */
void alerting_act(struct console *c, const GError *problem);

/* Tells the dead-man's switch, if there is one, that a backup begins. How it ended, alerting_act tells. */
void alerting_backup_starts(struct console *c);

/* Every channel that is set; struct notify_channel *. */
GPtrArray *alerting_channels(const struct notify_config *config);
