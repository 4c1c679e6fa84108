/* One line to the system's log: to journald with its fields where it runs, else to syslog. libsystemd only here. */
#pragma once

#include <syslog.h>

/* IDENTIFIER: as in "Feb  7 12:00:00 db1 opstower-backup[1234]: MESSAGE". PRIORITY: LOG_INFO, LOG_ERR. FIELDS:
 * "NAME=VALUE", NULL at the end, for journald. Where neither is there, nothing happens: what must not be lost is in our
 * own journal. */
void systemlog_send(const char *identifier, int priority, const char *message, const char *const *fields);
