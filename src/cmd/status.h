/* How `opstower status` is told. Each appends whole lines. */
#pragma once

#include "engine/health.h"

/* The table for people. */
void status_table(const struct health *h, GString *text);

/* The line of a plugin: the worst first, then performance data.
 * https://nagios-plugins.org/doc/guidelines.html */
void status_nagios(const GPtrArray *list, GString *text);
