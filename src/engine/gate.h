/*
 * What stands before a restore on the server: the right to make databases, the lock that lets in one restore of a
 * database at a time, and what a killed one left behind.
 */
#pragma once

#include "engine/report.h"
#include "pg/session.h"

/* A session in another database of the server than live, from which databases are made and renamed. It holds the lock
 * on restores of live as long as it lives; side databases that nobody loads are gone. NULL: OT_CONNECT,
 * OT_PREREQUISITE (the user may not create databases), OT_BUSY (another restore is at work, which is named). */
struct session *gate_open(const struct pg_target *target, const char *live, struct report *report, GError **error);

/* The comment that tells a side database of live while it is one. To be freed. */
char *gate_side_mark(const char *live, const char *side);
