/* An object copied within the bucket, by the server: nothing goes through this machine. */
#pragma once

#include "store/s3_objects.h"

/* Copies from (as it was looked at: size and ETag; if it is another object meanwhile, nothing is copied) to the key to,
 * with these props instead of its own. In one request up to 1 GiB, in parts above (S3 demands
 * it above 5 GB). Looks at the copy afterwards: size,
 * tags and lock. ret_object: what the server says of it; may be NULL. */
gboolean s3_copy(struct s3 *s, const struct s3_object *from, const char *to, const struct s3_props *props,
                 struct s3_object **ret_object, GError **error);

/* As s3_copy, with other limits: for tests. */
gboolean s3_copy_in_parts(struct s3 *s, const struct s3_object *from, const char *to, const struct s3_props *props,
                          guint64 part_bytes, GError **error);
