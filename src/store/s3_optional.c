/* The table of what is optional. */
#include "store/s3_optional.h"

#include <string.h>

static const struct optional {
    enum s3_optional part;
    const char *header; /* how the header's line begins, in lower case */
    const char *name;   /* how messages of servers name it */
    const char *title, *meaning;
} table[] = {
    {S3_CHECKSUMS, "x-amz-checksum-", "checksum", "checksums in headers",
     "the SHA-256 in each request's signature still guards what is sent"},
    {S3_TAGS, "x-amz-tagging", "tagging", "object tags",
     "BACKUP_S3_LONGSTOP_DAYS, which goes by tags, has no effect there"},
    {S3_STORAGE_CLASS, "x-amz-storage-class:", "storage-class", "the storage class asked for",
     "objects are stored in the server's own class"},
    {S3_SSE, "x-amz-server-side-encryption: aes256", "server-side-encryption", "encryption asked for by header",
     "objects are encrypted only if the server does that by itself"},
    {S3_CONDITION, "if-none-match:", "if-none-match", "conditional writes",
     "two hosts that take the same id in the same moment are told apart by reading back"},
};

guint s3_optional_of_header(const char *header)
{
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
        if (g_ascii_strncasecmp(header, table[i].header, strlen(table[i].header)) == 0)
            return table[i].part;
    return 0;
}

guint s3_optional_named(const char *message)
{
    guint found = 0;
    g_autofree char *lower = message ? g_ascii_strdown(message, -1) : NULL;
    for (gsize i = 0; lower && i < G_N_ELEMENTS(table); i++)
        found |= strstr(lower, table[i].name) ? table[i].part : 0;
    return found;
}

static const struct optional *entry(guint part)
{
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
        if (table[i].part == part)
            return &table[i];
    g_assert_not_reached();
}

const char *s3_optional_title(guint part)
{
    return entry(part)->title;
}

const char *s3_optional_meaning(guint part)
{
    return entry(part)->meaning;
}
