/* The bucket's own settings: what they are, what they should be, and who may do what. */
#pragma once

#include "store/s3_objects.h"

enum bucket_verdict {
    BUCKET_OK,
    BUCKET_WARN,    /* backups work, but are less safe than they could be */
    BUCKET_FAIL,    /* backups do not work */
    BUCKET_UNKNOWN, /* the server does not know such a thing, or we may not ask */
};

struct bucket_finding {
    const char *name; /* "Versioning"; static */
    enum bucket_verdict verdict;
    char *detail;       /* what is, and what to do; may be NULL */
    const char *action; /* the IAM action that is missing, as "s3:PutObject"; NULL */
};

/* "OK", "WARN", "FAIL", "UNKNOWN". */
const char *bucket_verdict_name(enum bucket_verdict verdict);

struct bucket_wishes {
    const char *prefix;    /* where backups lie: "database" */
    struct s3_props props; /* as backups are stored; tags, if any, are used for the check's own object too */
    int noncurrent_days;   /* how long deleted or replaced versions stay */
    int longstop_days;     /* S3 itself deletes hourly backups so long after they were stored; 0: never */
};

/* Looks at every setting, then tries every call that backups need with a small object PREFIX/.opstower-check-RANDOM,
 * which is deleted again if we may. Holds are tried where the bucket has Object Lock, locks where wishes->props has
 * one. struct bucket_finding *; NULL if the bucket cannot be reached at all. */
GPtrArray *bucket_check(struct s3 *s, const struct bucket_wishes *wishes, GError **error);

/* Sets what bucket_check looks for, but nothing that is stricter already, and keeps lifecycle rules of others. One
 * finding per setting: OK with what was changed or found right, FAIL where it was refused. Object Lock cannot be turned
 * on afterwards. */
GPtrArray *bucket_setup(struct s3 *s, const struct bucket_wishes *wishes, GError **error);

/* The least IAM policy, as JSON: for a host that writes backups and cannot delete any, for one that writes and lets
 * retention delete, or for one that restores. region, which may be NULL, says in which partition of AWS the bucket is. */
enum bucket_role { BUCKET_WRITER, BUCKET_PRUNER, BUCKET_RESTORER };
char *bucket_policy(const char *bucket, const char *prefix, const char *kms_key_id, const char *region,
                    enum bucket_role role);

/* ---- for the files of bucket_ only ---- */

GPtrArray *bucket_findings_new(void);
void bucket_add(GPtrArray *list, const char *name, enum bucket_verdict verdict, const char *action, const char *format,
                ...) G_GNUC_PRINTF(5, 6);

/* One of the bucket's documents, as query "lifecycle"; NULL with the failure if it is refused or not there. */
struct _xmlDoc *bucket_get(struct s3 *s, const char *query, const char *root, struct s3_failure *failure,
                           GError **error);

/* The prefix of a lifecycle rule, wherever it stands; "" if it has none. To be freed. */
struct _xmlNode;
char *bucket_rule_prefix(const struct _xmlNode *rule);
