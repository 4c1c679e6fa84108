/* AWS's Security Token Service: a role for a token or for other keys. Two requests, and what their answers mean. */
#pragma once

#include "store/aws_keys.h"

/* Which role, and how; all but arn may be NULL. */
struct sts_role {
    const char *arn;
    const char *session_name; /* stands in AWS's logs; NULL: opstower-backup */
    const char *external_id, *duration_seconds;
    const char *region; /* whose STS is asked; NULL: the global one */
};

/* AssumeRoleWithWebIdentity: for the token that is in the file now. */
struct credentials *sts_web_identity(struct aws_context *ctx, const struct sts_role *role, const char *token_file,
                                     const char *origin, GError **error);

/* AssumeRole, signed with other keys. */
struct credentials *sts_assume_role(struct aws_context *ctx, const struct sts_role *role,
                                    const struct credentials *with, const char *origin, GError **error);
