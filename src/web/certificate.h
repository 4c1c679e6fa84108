/* The files that TLS needs: their text, and whether others have taken their place. */
#pragma once

#include "base/error.h"

struct certificate_files {
    const char *certificate, *key; /* paths; borrowed; both or none */
    char *used, *seen;             /* which files were taken last, and which were there at the last look */
};
void certificate_files_clear(struct certificate_files *f);

struct certificate_text {
    char *certificate, *key; /* PEM; NULL: there is no TLS */
};
/* Also forgets the key's bytes. */
void certificate_text_clear(struct certificate_text *t);

/* Reads both; what is there now counts as used, whatever comes of it. */
gboolean certificate_read(struct certificate_files *f, struct certificate_text *ret, GError **error);

/* To be called every few seconds. TRUE if the files are other ones than those used and were the same at the last look:
 * two files do not change at once. */
gboolean certificate_is_new(struct certificate_files *f);
