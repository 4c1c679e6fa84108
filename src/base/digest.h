/* SHA-256 of a file's bytes, by OpenSSL. */
#pragma once

#include "base/source.h"

#define DIGEST_TEXT_LENGTH 64

struct digest;
typedef struct digest digest;
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *data, gsize length);

/* The digest of all bytes so far, as 64 lower-case hexadecimal digits; more may be added afterwards. */
char *digest_text(const struct digest *d);
void digest_free(struct digest *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(digest, digest_free)

/* Adds the source's bytes from offset to end. */
gboolean digest_add_source(struct digest *d, struct source *s, guint64 offset, guint64 end, GError **error);
