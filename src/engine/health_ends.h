/* What the servers say that backups depend on: whether the database answers, and when credentials and certificates
 * end. */
#pragma once

#include "engine/health_data.h"

/* Asks them, each for some seconds at most, and notes the answers in d->servers. Whatever fails is noted too. */
void health_ask_servers(struct health_data *d);
