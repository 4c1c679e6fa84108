/* The error domain: codes, hints, and the two ways to fill a GError. */
#include "base/error.h"

#include <errno.h>
#include <string.h>

G_DEFINE_QUARK(opstower - error - quark, ot_error)

static const struct {
    int code;
    const char *hint;
} hints[] = {
    {OT_USAGE, "See `opstower --help` or `opstower COMMAND --help`."},
    {OT_CONNECT, "Check DATABASE_URL or DATABASE_HOST, _PORT, _NAME, _USER, _PASSWORD (and .env), and the server's "
                 "pg_hba.conf."},
    {OT_SPACE, "Free space on that disk (or, for backups, choose another BACKUP_DIR), then run again."},
    {OT_CORRUPT, "Use another backup: `opstower list` shows what there is."},
    {OT_MISMATCH, "Do not rely on this backup; take a new one and look into the difference."},
    {OT_NOT_FOUND, "`opstower list` shows the backups in BACKUP_DIR."},
    {OT_RESTORE, "The live database was not changed."},
    {OT_LOCK_TIMEOUT, "A migration or maintenance job holds or waits for a table lock; run again when it is done."},
    {OT_UPLOAD,
     "The next backup or `opstower sync` uploads what is missing; `opstower bucket check` finds what is wrong."},
    {OT_S3, "Check BACKUP_S3_BUCKET, AWS_REGION and the credentials; `opstower bucket check` tries every call."},
    {OT_TAMPERED, "Keep the journal as it is, compare it with its copies (S3, your own), and find out who changed it."},
    {OT_INCOMPLETE, "Each object that was left out is named in the warnings and in the log."},
    {OT_BUSY, "Wait until it ends, or stop it, then run again."},
};

const char *ot_error_hint(int code)
{
    for (gsize i = 0; i < G_N_ELEMENTS(hints); i++)
        if (hints[i].code == code)
            return hints[i].hint;
    return NULL;
}

static gboolean fail_va(GError **error, enum ot_code code, const char *suffix, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);
    g_set_error(error, OT_ERROR, (int)code, "%s%s%s", text, suffix ? ": " : "", suffix ? suffix : "");
    return FALSE;
}

gboolean ot_fail_errno(GError **error, enum ot_code code, const char *format, ...)
{
    int saved = errno;
    if (saved == ENOSPC || saved == EDQUOT || saved == EFBIG)
        code = OT_SPACE;
    va_list args;
    va_start(args, format);
    fail_va(error, code, g_strerror(saved), format, args);
    va_end(args);
    return FALSE;
}

gboolean ot_fail(GError **error, enum ot_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_va(error, code, NULL, format, args);
    va_end(args);
    return FALSE;
}
