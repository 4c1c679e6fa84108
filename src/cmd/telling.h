/* The outcome of an act for the system's log: syslog, journald. */
#pragma once

#include <jansson.h>

/* RECORD as for the journal: one line under the identifier opstower-backup, opstower-restore, opstower-verify, or
 * opstower for all other acts; each plain fact a field OPSTOWER_NAME. */
void telling_system(const json_t *record);
