/* Asking the server to stop a query. libpq waits for the answer without limit, so that is done on a thread. */
#pragma once

#include <glib.h>
#include <libpq-fe.h>

#define CANCEL_WAIT_MS 1000

struct cancel;

/* For this connection; usable from any thread, and after the connection is gone. */
struct cancel *cancel_new(PGconn *pg);

/* Sends the request, and waits so long for the server to have it, so that it does not meet a later query. */
void cancel_send(struct cancel *c, gint64 wait_ms);

void cancel_unref(struct cancel *c);
