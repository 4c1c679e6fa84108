/*
 * What psql would run of a backup file, held against the file's own table of contents. A restore goes by that table,
 * so its rows can be right while the text around them is not.
 */
#pragma once

#include "archive/reader.h"
#include "pg/toc.h"

/* Head, tail and sequences must be what the table of contents makes, each table's COPY statement the one that it names.
 * FALSE with OT_MISMATCH, which names the first line that differs. Only the pg_restore that wrote head and tail makes
 * the very same text: if another one is found here and its text differs, the answer is TRUE, and ret_doubt a sentence
 * that says so (else NULL; the caller frees it). */
gboolean statements_check(struct archive_reader *reader, const struct toc *t, const char *bindir, char **ret_doubt,
                          GError **error);
