/* The application's own word after a restore: its health page is asked until it says that all is well. */
#pragma once

#include "engine/report.h"

/* OT_USAGE unless it is an http or https URL. */
gboolean healthcheck_check_url(const char *url, GError **error);

/* Asks until an answer is 2xx, for at most timeout_s. *ret_outcome, to be freed, becomes "ok after 12 s" or
 * "failed: HTTP 503 for 60 s"; it is fact "healthcheck" too. FALSE: OT_FAILED, or OT_INTERRUPTED. */
gboolean healthcheck_wait(const char *url, guint timeout_s, struct report *report, char **ret_outcome, GError **error);
