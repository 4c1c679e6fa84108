/* A table of what files begin with. */
#include "archive/foreign.h"

#include <string.h>

#include "archive/gunzip.h"

#define UNPACK_FIRST " file: unpack it first, then try again"
#define DECRYPT_FIRST ": decrypt it first, then try again"
#define ANSWER ", probably the answer of a server or proxy in place of the file: fetch it again"
#define UTF16 "text in UTF-16, as PowerShell's > writes: convert it first (iconv -f utf-16 -t utf-8)"
#define PGP "encrypted by GnuPG (OpenPGP)" DECRYPT_FIRST " (gpg -d)"
#define OTHER_DBMS ", not of PostgreSQL"

static const struct kind {
    guint offset, length;
    const char *begins, *name;
} kinds[] = {
    {0, 5, "PGDMP", "pg_dump's custom format: use pg_restore (pg_restore -d DATABASE FILE)"},
    {0, 7, "toc.dat", "pg_dump's tar format: use pg_restore (pg_restore -d DATABASE FILE)"},
    {0, 12, "backup_label", "a tar file of pg_basebackup, a physical copy of a server: unpack it as a data directory"},
    {257, 5, "ustar", "a tar file: unpack it first, then try again"},
    {0, 2, "\x1f\x8b", "compressed by gzip twice: unpack it once more (gunzip -c FILE > FILE.gz), then try again"},
    {0, 4, "PK\x03\x04", "a zip" UNPACK_FIRST " (unzip)"},
    {0, 6, "\xfd\x37zXZ\0", "an xz" UNPACK_FIRST " (xz -d)"},
    {0, 4, "\x28\xb5\x2f\xfd", "a zstd" UNPACK_FIRST " (zstd -d)"},
    {0, 3, "BZh", "a bzip2" UNPACK_FIRST " (bzip2 -d)"},
    {0, 4, "\x04\x22\x4d\x18", "an lz4" UNPACK_FIRST " (lz4 -d)"},
    {0, 4, "LZIP", "an lzip" UNPACK_FIRST " (lzip -d)"},
    {0, 9, "\x89LZO\0\r\n\x1a\n", "an lzop" UNPACK_FIRST " (lzop -d)"},
    {0, 5, "\x5d\0\0\x80\0", "an lzma" UNPACK_FIRST " (xz -d)"},
    {0, 6, "7z\xbc\xaf\x27\x1c", "a 7z" UNPACK_FIRST " (7z x)"},
    {0, 6, "Rar!\x1a\x07", "a rar" UNPACK_FIRST},
    {0, 2, "\x1f\x9d", "a compress (.Z)" UNPACK_FIRST " (gunzip)"},
    {0, 4, "\xff\xfe\0\0", "text in UTF-32: convert it first (iconv -f utf-32 -t utf-8)"},
    {0, 2, "\xff\xfe", UTF16},
    {0, 2, "\xfe\xff", UTF16},
    {0, 4, "-\0-\0", UTF16},
    {0, 4, "\0-\0-", UTF16},
    {0, 21, "age-encryption.org/v1", "encrypted by age" DECRYPT_FIRST " (age -d)"},
    {0, 34, "-----BEGIN AGE ENCRYPTED FILE-----", "encrypted by age" DECRYPT_FIRST " (age -d)"},
    {0, 27, "-----BEGIN PGP MESSAGE-----", PGP},
    {0, 3, "\x8c\x0d\x04", PGP},
    {0, 3, "\xc3\x0d\x04", PGP},
    {0, 3, "\x84\x5e\x03", PGP},
    {0, 2, "\x85\x01", PGP},
    {0, 2, "\x85\x02", PGP},
    {0, 8, "Salted__", "encrypted by openssl enc" DECRYPT_FIRST " (openssl enc -d)"},
    {0, 10, "U2FsdGVkX1", "encrypted by openssl enc -a" DECRYPT_FIRST " (openssl enc -d -a)"},
    {0, 16, "SQLite format 3\0", "a database of SQLite" OTHER_DBMS},
    {0, 13, "-- MySQL dump", "a dump of MySQL" OTHER_DBMS},
    {0, 15, "-- MariaDB dump", "a dump of MariaDB" OTHER_DBMS},
    {0, 42, "version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS: fetch the file itself (git lfs pull)"},
    {0, 1, "<", "an HTML or XML page" ANSWER},
    {0, 1, "{", "a JSON text" ANSWER},
};

const char *foreign_name(const guint8 *head, gsize length)
{
    static const char mark[] = "\xef\xbb\xbf";
    gsize skip = length >= 3 && memcmp(head, mark, 3) == 0 ? 3 : 0;
    while (skip < length && memchr(" \t\r\n", head[skip], 4))
        skip++;
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const struct kind *k = &kinds[i];
        gboolean is_page = k->length == 1; /* may stand behind blanks */
        gsize at = is_page ? skip : k->offset;
        if (at + k->length <= length && memcmp(head + at, k->begins, k->length) == 0)
            return k->name;
    }
    return NULL;
}

gboolean foreign_check(const char *name, const guint8 *head, gsize length, gboolean is_gzip, GError **error)
{
    guint8 plain[512];
    gsize made = 0;
    if (is_gzip) {
        g_autoptr(gunzip) unzip = gunzip_new();
        gunzip_feed(unzip, head, length);
        if (!gunzip_read(unzip, plain, sizeof plain, &made, NULL))
            return TRUE; /* damaged: whoever reads it will say so */
    }
    const char *kind = is_gzip ? foreign_name(plain, made) : foreign_name(head, length);
    gboolean twice = kind && is_gzip && plain[0] == 0x1f && plain[1] == 0x8b;
    return !kind || ot_fail(error, OT_REFUSED, "%s is neither a backup of this program nor a plain dump, but %s%s",
                            name, is_gzip && !twice ? "(within gzip) " : "", kind);
}

gboolean foreign_is_text(const guint8 *head, gsize length)
{
    gboolean some = FALSE;
    for (gsize i = 0; i < length; i++) {
        if (head[i] < ' ' && !memchr("\t\r\n\f\v\b\x1b", head[i], 7))
            return FALSE;
        some = some || head[i] > ' ';
    }
    return some;
}
