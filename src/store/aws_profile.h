/*
 * The files that AWS's tools share, ~/.aws/credentials and ~/.aws/config: profiles with settings, as the AWS CLI reads
 * them. Lines are `name = value` under a [section]; # and ; begin comments, at the beginning of a line or after a
 * blank outside of quotes; a line that is indented deeper than the setting above it continues its value, or, where that
 * is empty, is a setting of a setting (as max_concurrent_requests of s3), which is skipped. Names of settings have no
 * case. Which setting means what is store/aws_assume.c's business.
 */
#pragma once

#include "store/credentials.h"

/* What makes a section a profile: in the one it is its name; in the other it is [default] or [profile NAME]. */
enum aws_file_kind { AWS_CREDENTIALS_FILE, AWS_CONFIG_FILE };
#define AWS_FILE_KINDS 2

/* char *profile to GHashTable of char *setting to char *value. Errors: OT_PREREQUISITE with "FILE:LINE: ..." and never
 * the line's text. */
GHashTable *aws_profile_parse(const char *text, gsize length, const char *file, enum aws_file_kind kind,
                              GError **error);

struct aws_profiles;
typedef struct aws_profiles aws_profiles;

/* Reads both. A file that is not there is an empty one. */
struct aws_profiles *aws_profiles_load(const struct credentials_config *config, GError **error);
void aws_profiles_free(struct aws_profiles *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(aws_profiles, aws_profiles_free)

/* Which profile is meant: AWS_PROFILE, else "default". */
const char *aws_profiles_chosen(const struct credentials_config *config);

gboolean aws_profiles_has(const struct aws_profiles *p, const char *profile);

/* A profile's setting, the credentials file's before the config file's; NULL if it is not there or empty. */
const char *aws_profiles_get(const struct aws_profiles *p, const char *profile, const char *setting);

/* "profile NAME in FILE": the file that has the setting. To be freed. */
char *aws_profiles_origin(const struct aws_profiles *p, const char *profile, const char *setting);

/* "FILE and FILE", with what is not there called so. To be freed. */
char *aws_profiles_places(const struct aws_profiles *p);

/* The profile's own keys: all from one file, the credentials file if it has any. OT_NOT_FOUND if neither has. */
struct credentials *aws_profiles_keys(const struct aws_profiles *p, const char *profile, GError **error);
