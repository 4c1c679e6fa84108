/* Order-independent content fingerprints. */
#include "base/fingerprint.h"

#include <string.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* the widest vectors that the processor has, for rows over 240 bytes; the same hash */
#else
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

void fingerprint_add_row(struct fingerprint *f, const void *text, gsize length)
{
    XXH128_hash_t hash = XXH3_128bits(text, length);
    f->sum += ((unsigned __int128)hash.high64 << 64) | hash.low64;
    f->rows++;
}

void fingerprint_add_lines(struct fingerprint *f, const char *lines, gsize length)
{
    const char *end = lines + length;
    while (lines < end) {
        const char *newline = memchr(lines, '\n', (gsize)(end - lines));
        const char *next = newline ? newline + 1 : end;
        fingerprint_add_row(f, lines, (gsize)(next - lines));
        lines = next;
    }
}

void fingerprint_merge(struct fingerprint *f, const struct fingerprint *other)
{
    f->sum += other->sum;
    f->rows += other->rows;
}

gboolean fingerprint_equal(const struct fingerprint *a, const struct fingerprint *b)
{
    return a->sum == b->sum && a->rows == b->rows;
}

guint64 fingerprint_of_bytes(const void *data, gsize length)
{
    return XXH3_64bits(data, length);
}

char *fingerprint_text(const struct fingerprint *f)
{
    return g_strdup_printf("%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x", (guint64)(f->sum >> 64),
                           (guint64)f->sum);
}

gboolean fingerprint_parse(struct fingerprint *f, const char *text)
{
    if (strlen(text) != FINGERPRINT_TEXT_LENGTH || strspn(text, "0123456789abcdef") != FINGERPRINT_TEXT_LENGTH)
        return FALSE;
    unsigned __int128 sum = 0;
    for (const char *c = text; *c; c++)
        sum = (sum << 4) | (unsigned)g_ascii_xdigit_value(*c);
    f->sum = sum;
    return TRUE;
}
