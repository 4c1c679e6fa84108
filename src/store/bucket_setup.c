/* Makes a bucket safer, never less safe. */
#include "store/bucket.h"

#include <string.h>

#include "store/s3_xml.h"

#define UNFINISHED "opstower-unfinished"
#define OLD_VERSIONS "opstower-old-versions"
#define LONGSTOP "opstower-longstop"

/* Some of these calls demand an MD5, others take a checksum: both are sent. */
static gboolean put_document(struct s3 *s, const char *query, const char *xml, struct s3_failure *failure,
                             GError **error)
{
    guint8 raw[16];
    gsize length = sizeof raw;
    g_autoptr(GChecksum) md5 = g_checksum_new(G_CHECKSUM_MD5);
    g_checksum_update(md5, (const guchar *)xml, (gssize)strlen(xml));
    g_checksum_get_digest(md5, raw, &length);
    g_autofree char *text = g_base64_encode(raw, length);
    g_autofree char *header = g_strconcat("Content-MD5: ", text, NULL);
    struct http_response r = {0};
    struct s3_request request = {
        .method = "PUT",
        .query = (char *[]){(char *)query, (char *)"", NULL},
        .headers = (const char *[]){header, "Content-Type: application/xml", NULL},
        .body = xml,
        .body_length = strlen(xml),
        .checksum = TRUE,
    };
    gboolean ok = s3_send(s, &request, &r, failure, error);
    http_response_clear(&r);
    return ok;
}

static void set(struct s3 *s, GPtrArray *list, const char *name, const char *query, const char *action, const char *xml,
                const char *done)
{
    struct s3_failure failure = {0};
    g_autoptr(GError) problem = NULL;
    if (put_document(s, query, xml, &failure, &problem))
        bucket_add(list, name, BUCKET_OK, NULL, "%s", done);
    else if (failure.status == 501 || failure.status == 405 || failure.status == 400 || failure.status == 500)
        bucket_add(list, name, BUCKET_UNKNOWN, NULL, "the server does not take it (%ld %s)", failure.status,
                   failure.code);
    else
        bucket_add(list, name, BUCKET_FAIL, failure.status == 403 ? action : NULL, "%s", problem->message);
}

static void set_versioning(struct s3 *s, GPtrArray *list)
{
    gboolean on = FALSE;
    if (s3_get_versioning(s, &on, NULL) && on)
        bucket_add(list, "Versioning", BUCKET_OK, NULL, "was on");
    else
        set(s, list, "Versioning", "versioning", "s3:PutBucketVersioning",
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status>"
            "</VersioningConfiguration>",
            "turned on");
}

/* Whatever is set stays: it may be stricter than ours. */
static void set_encryption(struct s3 *s, const struct bucket_wishes *w, GPtrArray *list)
{
    struct s3_failure failure = {0};
    xmlDoc *doc = bucket_get(s, "encryption", "ServerSideEncryptionConfiguration", &failure, NULL);
    gboolean there = doc != NULL;
    xmlFreeDoc(doc);
    const char *how = w->props.sse ? w->props.sse : "AES256";
    gboolean with_key = g_str_equal(how, "aws:kms") && w->props.kms_key_id;
    g_autofree char *key =
        with_key ? g_markup_printf_escaped("<KMSMasterKeyID>%s</KMSMasterKeyID>", w->props.kms_key_id) : g_strdup("");
    g_autofree char *xml = g_strdup_printf(
        "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>"
        "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>%s</SSEAlgorithm>%s</ApplyServerSideEncryptionByDefault>"
        "</Rule></ServerSideEncryptionConfiguration>",
        how, key);
    if (there)
        bucket_add(list, "Default encryption", BUCKET_OK, NULL, "was set");
    else
        set(s, list, "Default encryption", "encryption", "s3:PutEncryptionConfiguration", xml, how);
}

/* Only at AWS: radosgw 16, for one, then refuses every upload. */
static void set_public(struct s3 *s, GPtrArray *list)
{
    if (!s3_is_aws(s)) {
        bucket_add(list, "Public access", BUCKET_UNKNOWN, NULL, "left as it is: this server is not AWS's");
        return;
    }
    set(s, list, "Public access", "publicAccessBlock", "s3:PutBucketPublicAccessBlock",
        "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>"
        "<BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>"
        "</PublicAccessBlockConfiguration>",
        "blocked");
}

/* ---- lifecycle ---- */

/* Below which backups lie, with its slash. */
static char *rule_folder(const struct bucket_wishes *w)
{
    const char *slash = *w->prefix && !g_str_has_suffix(w->prefix, "/") ? "/" : "";
    return g_strconcat(w->prefix, slash, NULL);
}

/* What the ids of a folder's rules end with: an id is unique in a bucket. */
static char *rule_mark(const char *folder)
{
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, folder, -1);
    return g_strdup_printf("-%.8s", sum);
}

static gboolean is_our_id(const char *id)
{
    return id && (g_str_has_prefix(id, UNFINISHED) || g_str_has_prefix(id, OLD_VERSIONS) ||
                  g_str_has_prefix(id, LONGSTOP));
}

/* Of setup, for exactly this prefix: another installation's may lie in the same bucket under another one. */
static gboolean is_ours(const xmlNode *rule, const struct bucket_wishes *w)
{
    g_autofree char *id = s3_xml_text(rule, "ID"), *prefix = bucket_rule_prefix(rule), *folder = rule_folder(w);
    g_autofree char *mark = rule_mark(folder);
    return is_our_id(id) && (g_str_has_suffix(id, mark) || g_str_equal(prefix, folder));
}

/* Rules of others, as they stand. */
static gboolean others_rules(struct s3 *s, const struct bucket_wishes *w, GString *out, GError **error)
{
    struct s3_failure failure = {0};
    GError *problem = NULL;
    xmlDoc *doc = bucket_get(s, "lifecycle", "LifecycleConfiguration", &failure, &problem);
    if (!doc) {
        gboolean none = g_str_equal(failure.code, "NoSuchLifecycleConfiguration");
        if (none)
            g_error_free(problem);
        else
            g_propagate_error(error, problem);
        return none;
    }
    for (xmlNode *rule = xmlDocGetRootElement(doc)->children; rule; rule = rule->next) {
        if (rule->type != XML_ELEMENT_NODE || strcmp((const char *)rule->name, "Rule") != 0 || is_ours(rule, w))
            continue;
        xmlBuffer *text = xmlBufferCreate();
        xmlNodeDump(text, doc, rule, 0, 0);
        g_string_append(out, (const char *)xmlBufferContent(text));
        xmlBufferFree(text);
    }
    xmlFreeDoc(doc);
    return TRUE;
}

static void our_rules(GString *out, const struct bucket_wishes *w)
{
    g_autofree char *folder = rule_folder(w), *mark = rule_mark(folder);
    g_autofree char *prefix = g_markup_printf_escaped("<Prefix>%s</Prefix>", folder);
    g_string_append_printf(out,
                           "<Rule><ID>" UNFINISHED "%s</ID><Filter>%s</Filter><Status>Enabled</Status>"
                           "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
                           "</AbortIncompleteMultipartUpload></Rule>",
                           mark, prefix);
    g_string_append_printf(out,
                           "<Rule><ID>" OLD_VERSIONS "%s</ID><Filter>%s</Filter><Status>Enabled</Status>"
                           "<NoncurrentVersionExpiration><NoncurrentDays>%d</NoncurrentDays>"
                           "</NoncurrentVersionExpiration></Rule>",
                           mark, prefix, w->noncurrent_days);
    if (w->longstop_days > 0)
        g_string_append_printf(out,
                               "<Rule><ID>" LONGSTOP "%s</ID><Filter><And>%s<Tag><Key>type</Key>"
                               "<Value>hourly</Value></Tag><Tag><Key>hold</Key><Value>no</Value></Tag></And></"
                               "Filter><Status>Enabled</Status>"
                               "<Expiration><Days>%d</Days></Expiration></Rule>",
                               mark, prefix, w->longstop_days);
}

static void set_lifecycle(struct s3 *s, const struct bucket_wishes *w, GPtrArray *list)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GString) xml = g_string_new("<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    if (!others_rules(s, w, xml, &problem)) {
        bucket_add(list, "Lifecycle", BUCKET_FAIL, "s3:GetLifecycleConfiguration",
                   "not changed, for the rules of others cannot be read: %s", problem->message);
        return;
    }
    our_rules(xml, w);
    g_string_append(xml, "</LifecycleConfiguration>");
    set(s, list, "Lifecycle", "lifecycle", "s3:PutLifecycleConfiguration", xml->str,
        w->longstop_days > 0 ? "unfinished uploads, old versions, and a longstop for hourly backups"
                             : "unfinished uploads end after a day, old versions are cleared; backups never expire");
}

GPtrArray *bucket_setup(struct s3 *s, const struct bucket_wishes *wishes, GError **error)
{
    struct s3_failure failure = {0};
    GError *problem = NULL;
    xmlDoc *doc = bucket_get(s, "versioning", "VersioningConfiguration", &failure, &problem);
    xmlFreeDoc(doc);
    if (problem && (!failure.status || g_str_equal(failure.code, "NoSuchBucket"))) {
        g_propagate_error(error, problem);
        return NULL;
    }
    g_clear_error(&problem);
    GPtrArray *list = bucket_findings_new();
    set_versioning(s, list);
    set_encryption(s, wishes, list);
    set_public(s, list);
    set_lifecycle(s, wishes, list);
    return list;
}
