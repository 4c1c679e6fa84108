/* What can be said of a backup's copy in S3 without reading its bytes. */
#pragma once

#include "engine/verify.h"

/* The object is there with the size that the metadata (may be NULL) says, its metadata beside it if with_sidecar,
 * encrypted as configured. What was seen, for people; NULL if something is not as it should be: OT_UPLOAD if it was
 * never uploaded, else OT_NOT_FOUND, OT_CORRUPT, OT_S3. To be freed. */
char *s3check_copy(const struct offsite *o, const struct copy *c, const struct meta *m, gboolean with_sidecar,
                   GError **error);

/* CHECK_PASS, CHECK_WARN (off) or CHECK_NOT_DONE (we may not ask, or the server does not say). */
enum check_state s3check_versioning(struct s3 *client, char **ret_detail);
