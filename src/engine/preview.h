/* Gathers what a restore would do. */
#pragma once

#include "archive/contents.h"
#include "engine/restore.h"

/* facts: of the backup, NULL for a plain dump. */
gboolean preview_gather(const struct restore_request *request, struct session *admin, const char *database,
                        const json_t *facts, struct restore_preview *ret_preview, GError **error);
void preview_clear(struct restore_preview *p);

/* What is known only of the opened backup: how long it takes (plain_bytes: of the dump), and each table's rows now and
 * then (contents; NULL: a plain dump). */
void preview_add_backup(struct restore_preview *p, const struct restore_request *request, guint64 plain_bytes,
                        const struct archive_contents *contents);

/* Says it line by line. */
void preview_report(const struct restore_preview *p, struct report *report);
