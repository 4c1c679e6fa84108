/* The bucket's own settings: what they are, what they should be, and who may do what. */
#pragma once

#include "store/s3_objects.h"

enum bucket_verdict { BUCKET_OK, BUCKET_WARN, BUCKET_FAIL, BUCKET_UNKNOWN /* the server cannot, or may not, say */ };

struct bucket_finding {
    const char *name; /* "Versioning"; static */
    enum bucket_verdict verdict;
    char *detail;       /* what is, and what to do */
    const char *action; /* the IAM action that is missing, as "s3:GetBucketVersioning"; NULL */
};

struct bucket_wishes {
    const char *prefix;    /* where backups lie: "database" */
    struct s3_props props; /* as backups are stored */
    int noncurrent_days;   /* how long deleted or replaced versions stay */
    int abort_days;        /* unfinished uploads */
    int longstop_days;     /* expire objects by tag this long after they were stored; 0: never */
};

/* Looks at every setting and tries every call that we use, with a small object under PREFIX/.opstower-check-*, which is
 * deleted again. struct bucket_finding *; NULL only if S3 cannot be reached at all or the bucket is not there. */
GPtrArray *bucket_check(struct s3 *s, const struct bucket_wishes *wishes, GError **error);

/* Sets what bucket_check looks for, keeping what others set (their lifecycle rules). One finding per setting. */
GPtrArray *bucket_setup(struct s3 *s, const struct bucket_wishes *wishes, GError **error);

/* The least IAM policy, as JSON: for the host that writes backups and cannot delete any, or for one that restores. */
enum bucket_role { BUCKET_WRITER, BUCKET_RESTORER };
char *bucket_policy(const char *bucket, const char *prefix, const char *kms_key_id, enum bucket_role role);
