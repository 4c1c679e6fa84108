/* Keys that a program prints, as `credential_process` of a profile names it. */
#pragma once

#include "store/aws_keys.h"

/* Runs COMMAND, whose words are quoted as for a shell; there is no shell. At most a minute. */
struct credentials *aws_process_credentials(const char *command, const char *origin, GError **error);
