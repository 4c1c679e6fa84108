/* Parts of S3 that backups can do without, and that not every server has. */
#pragma once

#include <glib.h>

enum s3_optional {
    S3_CHECKSUMS = 1 << 0,     /* x-amz-checksum-* */
    S3_TAGS = 1 << 1,          /* object tags */
    S3_STORAGE_CLASS = 1 << 2, /* x-amz-storage-class */
    S3_CONDITION = 1 << 3,     /* If-None-Match on writing */
    S3_SSE = 1 << 4,           /* encryption with the server's own key asked for by header; never a key of KMS */
};
#define S3_OPTIONAL_LAST S3_SSE

/* The part that a header "Name: value" belongs to; 0: the request cannot do without it. */
guint s3_optional_of_header(const char *header);

/* Those whose headers the server's message names. */
guint s3_optional_named(const char *message);

/* "object tags", and what it means that they are left out. Static. */
const char *s3_optional_title(guint part);
const char *s3_optional_meaning(guint part);
