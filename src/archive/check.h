/* Reads a whole backup file and holds every byte of it against its contents and trailer. */
#pragma once

#include "archive/reader.h"

struct archive_check_options {
    guint jobs;
    /* Compute every row's fingerprint again. Without it, rows are counted and every member's CRC compared: enough
     * where the CRCs were taken from the same buffers as the fingerprints, a moment ago. */
    gboolean fingerprints;
    const char *expected_sha256; /* of the whole file; NULL: not compared */
    char **ret_sha256;           /* the digest of the whole file; set on success only; may be NULL */
    void (*progress)(guint64 done_bytes, void *data); /* file bytes unpacked so far; any thread; may be NULL */
    void *progress_data;
};

/* TRUE if the file is whole. Any difference is OT_CORRUPT. */
gboolean archive_check(struct archive_reader *r, const struct archive_check_options *options, GError **error);
