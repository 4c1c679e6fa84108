/* A free timestamp for a run, held by creating the run's log file: no two runs ever share a name. */
#pragma once

#include "engine/report.h"

/* Opens FOLDER/ACT_TIMESTAMP.log as report's log, at the first second from now on at which neither that log nor, if
 * name is given, a file of backup NAME_TIMESTAMP exists (also when the clock was set back). The timestamp; NULL on
 * failure. */
char *slot_take(const char *folder, const char *act, const char *name, struct report *report, GError **error);
