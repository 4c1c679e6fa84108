/*
 * Whether a test server can bring a backup back at all: extensions, their versions, and libraries that the backed-up
 * server loaded when it started. What it lacks is named, and is no fault of the backup's.
 */
#pragma once

#include <jansson.h>

#include "engine/report.h"
#include "pg/session.h"

struct testhost {
    char *versions; /* extensions that have another version here, as a sentence; NULL: none */
    char *preload;  /* libraries that are not loaded here; NULL: none */
};

/* OT_PREREQUISITE if an extension is not here. The rest is told to the report. */
gboolean testhost_check(struct testhost *h, struct session *s, const json_t *facts, struct report *report,
                        GError **error);

/* After a failed test: *error says what the host lacks, where that may be the reason; a difference is then no verdict
 * on the backup (OT_PREREQUISITE). */
void testhost_explain(const struct testhost *h, GError **error);
void testhost_clear(struct testhost *h);
