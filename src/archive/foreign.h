/* Names files that are neither backups of ours nor plain dumps, so that a whole file of another kind is not taken for a
 * damaged one, and says what to do with it. */
#pragma once

#include "base/error.h"

/* "pg_dump's custom format: use pg_restore ..." of a file that begins so; NULL: unknown, or a plain dump. 512 bytes
 * tell all kinds apart. The text is static. */
const char *foreign_name(const guint8 *head, gsize length);

/* OT_REFUSED if the file's beginning is of another kind; is_gzip: also looks at what is packed in it. */
gboolean foreign_check(const char *name, const guint8 *head, gsize length, gboolean is_gzip, GError **error);

/* Whether these bytes could be text in UTF-8 or a single-byte encoding; blanks alone are none. */
gboolean foreign_is_text(const guint8 *head, gsize length);
