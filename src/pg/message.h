/*
 * What may be said of a server's message. Rows stand in many: in the DETAIL ("Key (a)=(b)", "Failing row contains
 * (...)"), in the CONTEXT ("COPY t, line 1: ..."), in the message itself (invalid input syntax for type integer: "...").
 * Logs, the journal and alerts go to more people than the database: they get names and line numbers only.
 */
#pragma once

#include <glib.h>
#include <libpq-fe.h>

/* "ERROR:  message", and its DETAIL, HINT and CONTEXT on further lines, without rows. Valid UTF-8; the caller frees it
 * with g_free. */
char *message_of(const PGresult *result);

/* The same of what pg_restore or pg_dump says on stderr (in English). */
char *message_without_rows(const char *text);
