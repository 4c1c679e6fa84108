/*
 * The one error domain. A code is also the program's exit code, and has a one-line hint
 * that says what to do next. This file knows the codes; it never prints.
 */
#pragma once

#include <glib.h>

#define OT_ERROR (ot_error_quark())
GQuark ot_error_quark(void);

enum ot_code {
    OT_OK = 0,
    OT_FAILED = 1,        /* a failure without a code of its own */
    OT_USAGE = 2,         /* command line, environment or .env cannot be understood */
    OT_PREREQUISITE = 3,  /* a program, folder, role or extension that the act needs is missing */
    OT_SPACE = 4,         /* not enough disk space */
    OT_CONNECT = 5,       /* the database server cannot be reached, or refuses the login */
    OT_BUSY = 6,          /* another run holds the lock on this database */
    OT_DUMP = 7,          /* the server or pg_dump failed while the backup was taken */
    OT_CORRUPT = 8,       /* a backup file is damaged */
    OT_MISMATCH = 9,      /* a restored database is not what the backup's proof says */
    OT_NOT_FOUND = 10,    /* no such backup, table or file */
    OT_RESTORE = 11,      /* a restore failed; production is as it was */
    OT_REFUSED = 12,      /* not confirmed, or refused because it would not be safe */
    OT_LOCK_TIMEOUT = 13, /* table locks could not be had without standing in others' way */
    OT_IO = 14,           /* a local file could not be read or written */
    OT_UPLOAD = 15,       /* the backup is complete on this machine, but not in S3 */
    OT_S3 = 16,           /* S3 cannot be reached, or refused what was asked */
    OT_TAMPERED = 17,     /* the journal is not as it was written */
    OT_INCOMPLETE = 18,   /* the rows are back, but some objects could not be made again */
    OT_INTERRUPTED = 130, /* by a signal; the exit code is 128 + the signal's number */
};

/* What to do next after an error of this code; NULL where the message says it all. Static text. */
const char *ot_error_hint(int code);

/* Fills *error from errno: "MESSAGE: strerror". Disk full (ENOSPC, EDQUOT, EFBIG) becomes OT_SPACE,
 * anything else CODE. errno must not have been touched since the failing call. Returns FALSE. */
gboolean ot_fail_errno(GError **error, enum ot_code code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Fills *error with CODE and the message. Returns FALSE. */
gboolean ot_fail(GError **error, enum ot_code code, const char *format, ...) G_GNUC_PRINTF(3, 4);
