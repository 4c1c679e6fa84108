/* What keeps an object from being deleted: its tag, which rules and people see, and S3's legal hold, which binds. */
#pragma once

#include "store/s3.h"

/* The object's tags but the one named EXCEPT (NULL: all): name, value, ... as char *. */
GPtrArray *s3_tags(struct s3 *s, const char *key, const char *except, GError **error);

/* Sets one tag of an object; its other tags stay. OT_NOT_FOUND if there is no such object. */
gboolean s3_set_tag(struct s3 *s, const char *key, const char *name, const char *value, GError **error);

/* Puts the legal hold on the object's newest version, or takes it away. *ret_known: FALSE where the bucket has no
 * Object Lock, and so no legal holds: then nothing was done, and nothing was wrong. */
gboolean s3_set_legal_hold(struct s3 *s, const char *key, gboolean on, gboolean *ret_known, GError **error);
