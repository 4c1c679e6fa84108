/* IAM policies as data. */
#include "store/bucket.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "store/aws_partition.h"

#define WRITES                                                                                                         \
    "s3:PutObject", "s3:PutObjectTagging", "s3:GetObjectTagging", "s3:PutObjectLegalHold", "s3:GetObjectLegalHold",    \
        "s3:PutObjectRetention", "s3:GetObjectRetention", "s3:GetObject"

static const char *const writer_objects[] = {WRITES, "s3:AbortMultipartUpload", NULL};
static const char *const pruner_objects[] = {WRITES, "s3:AbortMultipartUpload", "s3:DeleteObject", NULL};
/* The settings are read by bucket_check only, which says what deletes backups behind our back. */
static const char *const writer_bucket[] = {"s3:ListBucket",
                                            "s3:ListBucketMultipartUploads",
                                            "s3:GetBucketVersioning",
                                            "s3:GetBucketObjectLockConfiguration",
                                            "s3:GetEncryptionConfiguration",
                                            "s3:GetBucketPublicAccessBlock",
                                            "s3:GetLifecycleConfiguration",
                                            NULL};
static const char *const restorer_objects[] = {"s3:GetObject", NULL};
static const char *const restorer_bucket[] = {"s3:ListBucket", "s3:GetBucketVersioning", NULL};
static const char *const writer_key[] = {"kms:GenerateDataKey", "kms:Decrypt", NULL};
static const char *const restorer_key[] = {"kms:Decrypt", NULL};

static json_t *statement(const char *sid, const char *const *actions, char *resource)
{
    json_t *list = json_array();
    for (; *actions; actions++)
        json_array_append_new(list, json_string(*actions));
    json_t *made = json_pack("{ss ss so ss}", "Sid", sid, "Effect", "Allow", "Action", list, "Resource", resource);
    g_free(resource);
    return made;
}

char *bucket_policy(const char *bucket, const char *prefix, const char *kms_key_id, const char *region,
                    enum bucket_role role)
{
    const char *partition = aws_partition(region);
    gboolean writes = role != BUCKET_RESTORER;
    const char *const *objects = role == BUCKET_PRUNER ? pruner_objects : writes ? writer_objects : restorer_objects;
    const char *slash = *prefix && !g_str_has_suffix(prefix, "/") ? "/" : "";
    json_t *list = json_array();
    json_array_append_new(
        list, statement("Backups", objects, g_strdup_printf("arn:%s:s3:::%s/%s%s*", partition, bucket, prefix, slash)));
    json_array_append_new(list, statement("Bucket", writes ? writer_bucket : restorer_bucket,
                                          g_strdup_printf("arn:%s:s3:::%s", partition, bucket)));
    if (kms_key_id)
        json_array_append_new(list, statement("Key", writes ? writer_key : restorer_key,
                                              g_str_has_prefix(kms_key_id, "arn:")
                                                  ? g_strdup(kms_key_id)
                                                  : g_strdup_printf("arn:%s:kms:*:*:key/%s", partition, kms_key_id)));
    json_t *policy = json_pack("{ss so}", "Version", "2012-10-17", "Statement", list);
    char *text = json_dumps(policy, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    char *copied = g_strdup(text);
    free(text);
    json_decref(policy);
    return copied;
}
