/* Gathers what a restore would do. */
#pragma once

#include "engine/restore.h"

/* facts: of the backup, NULL for a plain dump. plain_bytes: of the dump, 0 if not known. */
gboolean preview_gather(const struct restore_request *request, struct session *admin, const char *database,
                        const json_t *facts, guint64 plain_bytes, struct restore_preview *ret_preview, GError **error);
void preview_clear(struct restore_preview *p);

/* Says it line by line. */
void preview_report(const struct restore_preview *p, struct report *report);
