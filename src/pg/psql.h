/* psql as a child that is fed SQL text. */
#pragma once

#include "base/subprocess.h"
#include "pg/session.h"

/* Starts psql on the session's database: it stops at the first error, reads no ~/.psqlrc, and takes SQL from
 * subprocess_stdin. Close that and wait for its verdict. */
struct subprocess *psql_start(struct session *s, const char *bindir, GError **error);
