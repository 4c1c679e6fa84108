/* Reads a whole backup file and holds every byte of it against its contents and trailer. */
#pragma once

#include "archive/reader.h"

struct archive_check_options {
    guint jobs;
    /* What a writer wrote into this file a moment ago. Then the contents must be these, and every member's bytes must
     * have the hash that was taken of them: its SHA-256 and fingerprints come from the same buffers, and are not
     * computed again. NULL: nothing is known of the file; every fingerprint and the SHA-256 are held against what it
     * says. */
    const struct archive_contents *written;
    char **ret_sha256; /* the digest of the whole file; only without `written`; set on success only; may be NULL */
    void (*progress)(guint64 done_bytes, void *data); /* file bytes unpacked so far; any thread; may be NULL */
    void *progress_data;
};

/* TRUE if the file is whole. Any difference is OT_CORRUPT. */
gboolean archive_check(struct archive_reader *r, const struct archive_check_options *options, GError **error);
