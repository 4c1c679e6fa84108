/* A free timestamp for a run, held by creating the run's log file: no two runs ever share a name. */
#pragma once

#include "engine/report.h"

/* Another place in which the timestamp must be free. take: *ret_taken if it is not; FALSE on failure. */
struct slot_claim {
    gboolean (*take)(const char *timestamp, gboolean *ret_taken, void *data, GError **error);
    void (*give_back)(const char *timestamp, void *data);
    void *data;
};

/* Opens FOLDER/ACT_TIMESTAMP.log as report's log, at the first second from now on at which neither that log nor, if
 * name is given, a file of backup NAME_TIMESTAMP exists (also when the clock was set back), and which claim (NULL:
 * none) can take. The timestamp; NULL on failure. */
char *slot_take(const char *folder, const char *act, const char *name, const struct slot_claim *claim,
                struct report *report, GError **error);
