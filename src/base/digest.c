/* SHA-256. OpenSSL's own failures here (out of memory, no such algorithm) leave no way on: they abort. */
#include "base/digest.h"

#include <openssl/evp.h>

#include "base/interrupt.h"

#define READ_SIZE (1u << 20)

struct digest {
    EVP_MD_CTX *context;
};

static void must(int ok)
{
    if (!ok)
        g_error("SHA-256 failed in OpenSSL");
}

struct digest *digest_new(void)
{
    struct digest *d = g_new0(struct digest, 1);
    d->context = EVP_MD_CTX_new();
    must(d->context && EVP_DigestInit_ex(d->context, EVP_sha256(), NULL));
    return d;
}

void digest_add(struct digest *d, const void *data, gsize length)
{
    must(EVP_DigestUpdate(d->context, data, length));
}

char *digest_text(const struct digest *d)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    must(copy && EVP_MD_CTX_copy_ex(copy, d->context) && EVP_DigestFinal_ex(copy, raw, &length));
    EVP_MD_CTX_free(copy);
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i < length; i++)
        g_string_append_printf(text, "%02x", raw[i]);
    return g_string_free(text, FALSE);
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->context);
    g_free(d);
}

gboolean digest_add_source(struct digest *d, struct source *s, guint64 offset, guint64 end, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(READ_SIZE);
    while (offset < end) {
        gsize n = (gsize)MIN(READ_SIZE, end - offset);
        if (!interrupt_check(error) || !s->read_at(s, offset, buffer, n, error))
            return FALSE;
        digest_add(d, buffer, n);
        offset += n;
    }
    return TRUE;
}
