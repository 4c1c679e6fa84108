/* What a profile's settings lead to: its keys, a program, or a role assumed for a token or with other keys. */
#pragma once

#include "store/aws_keys.h"

/* A source, as aws_keys.h defines it: the chosen profile's. */
struct credentials *aws_profile_credentials(struct aws_context *ctx, GError **error);
