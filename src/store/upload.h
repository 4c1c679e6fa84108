/*
 * A stream that becomes an object: parts go up in parallel while more is written. What is smaller than one part goes
 * up in a single request. Until upload_finish the object does not exist.
 */
#pragma once

#include "base/sink.h"
#include "store/s3_objects.h"

struct upload_options {
    struct s3_props props;
    guint parallel;         /* parts in flight; 0: 4 */
    gsize part_bytes;       /* of the first parts; 0: 8 MiB */
    guint max_parts;        /* 0: 10,000; some servers take only 1,000 */
    guint64 expected_bytes; /* a guess of the whole; 0: none. Parts are made large enough for it from the start */
};

struct upload;

/* key must outlive it. No request is made yet. */
struct upload *upload_new(struct s3 *s, const char *key, const struct upload_options *options);

/* Its sink: write blocks while all buffers are full, flush returns when every part is up. Fails once a part failed. */
struct sink *upload_sink(struct upload *u);

/* Bytes written so far. */
guint64 upload_bytes(const struct upload *u);

/* After flush: makes the object, and checks that it is there with this size and ETag, and the wished class, tags and
 * encryption. ret_object: what the server says of it; may be NULL. */
gboolean upload_finish(struct upload *u, struct s3_object **ret_object, GError **error);

/* Not finished: aborts it, also after an interrupt. FALSE if something of it may still be in S3. */
gboolean upload_free(struct upload *u);

/* Bytes of buffers at most in use. */
gsize upload_memory_bytes(const struct upload_options *options);

/* The size of part number n (from 1): it doubles again and again as parts run out, to 2 GiB at most. */
guint64 upload_part_bytes(guint64 first_bytes, guint max_parts, guint n);
