/* Settings are read and judged, calls are tried: both are tables. */
#include "store/bucket.h"

#include <string.h>

#include "store/s3_hold.h"
#include "store/s3_optional.h"
#include "store/s3_xml.h"
#include "store/upload.h"

/* ---- findings ---- */

static void finding_free(gpointer data)
{
    struct bucket_finding *f = data;
    g_free(f->detail);
    g_free(f);
}

GPtrArray *bucket_findings_new(void)
{
    return g_ptr_array_new_with_free_func(finding_free);
}

void bucket_add(GPtrArray *list, const char *name, enum bucket_verdict verdict, const char *action, const char *format,
                ...)
{
    struct bucket_finding *f = g_new0(struct bucket_finding, 1);
    va_list args;
    va_start(args, format);
    *f = (struct bucket_finding){name, verdict, g_strdup_vprintf(format, args), action};
    va_end(args);
    g_ptr_array_add(list, f);
}

const char *bucket_verdict_name(enum bucket_verdict verdict)
{
    static const char *const names[] = {"OK", "WARN", "FAIL", "UNKNOWN"};
    return names[verdict];
}

/* ---- settings ---- */

#define LOCK_NAME "Object Lock"
#define LOCK_ON "on"

struct _xmlDoc *bucket_get(struct s3 *s, const char *query, const char *root, struct s3_failure *failure,
                           GError **error)
{
    struct http_response r = {0};
    struct s3_request request = {.method = "GET", .query = (char *[]){(char *)query, (char *)"", NULL}};
    if (!s3_send(s, &request, &r, failure, error))
        return NULL;
    xmlDoc *doc = s3_xml_read(r.body->data, r.body->len, root, error);
    http_response_clear(&r);
    return doc;
}

static void judge_versioning(const xmlNode *root, const struct bucket_wishes *w, GPtrArray *list, const char *name)
{
    (void)w;
    g_autofree char *status = s3_xml_text(root, "Status");
    if (g_strcmp0(status, "Enabled") == 0)
        bucket_add(list, name, BUCKET_OK, NULL, "on");
    else
        bucket_add(list, name, BUCKET_WARN, NULL,
                   "off: what is overwritten or deleted is gone; `bucket setup` turns it on");
}

static void judge_encryption(const xmlNode *root, const struct bucket_wishes *w, GPtrArray *list, const char *name)
{
    (void)w;
    const xmlNode *rule = s3_xml_child(s3_xml_child(root, "Rule"), "ApplyServerSideEncryptionByDefault");
    g_autofree char *how = s3_xml_text(rule, "SSEAlgorithm");
    bucket_add(list, name, how ? BUCKET_OK : BUCKET_WARN, NULL, "%s", how ? how : "none");
}

static void judge_public(const xmlNode *root, const struct bucket_wishes *w, GPtrArray *list, const char *name)
{
    static const char *const parts[] = {"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy",
                                        "RestrictPublicBuckets"};
    (void)w;
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *text = s3_xml_text(root, parts[i]);
        if (g_strcmp0(text, "true") == 0 || g_strcmp0(text, "TRUE") == 0)
            continue;
        bucket_add(list, name, BUCKET_WARN, NULL, "%s is off; `bucket setup` turns it on", parts[i]);
        return;
    }
    bucket_add(list, name, BUCKET_OK, NULL, "blocked");
}

static void judge_lock(const xmlNode *root, const struct bucket_wishes *w, GPtrArray *list, const char *name)
{
    g_autofree char *on = s3_xml_text(root, "ObjectLockEnabled");
    gboolean is_on = g_strcmp0(on, "Enabled") == 0;
    bucket_add(list, name, is_on || !w->props.lock_mode ? BUCKET_OK : BUCKET_FAIL, NULL, "%s", is_on ? LOCK_ON : "off");
}

char *bucket_rule_prefix(const xmlNode *rule)
{
    const xmlNode *filter = s3_xml_child(rule, "Filter");
    const xmlNode *both = s3_xml_child(filter, "And");
    char *text = s3_xml_text(both ? both : filter ? filter : rule, "Prefix");
    return text ? text : g_strdup("");
}

static gboolean has_tag(const xmlNode *rule)
{
    const xmlNode *filter = s3_xml_child(rule, "Filter");
    return s3_xml_child(filter, "Tag") || s3_xml_child(s3_xml_child(filter, "And"), "Tag");
}

static void judge_lifecycle(const xmlNode *root, const struct bucket_wishes *w, GPtrArray *list, const char *name)
{
    gboolean aborts = FALSE, old_versions = FALSE;
    for (const xmlNode *rule = root->children; rule; rule = rule->next) {
        g_autofree char *status = s3_xml_text(rule, "Status"), *id = s3_xml_text(rule, "ID");
        g_autofree char *prefix = bucket_rule_prefix(rule);
        gboolean ours = g_str_has_prefix(w->prefix, prefix) || g_str_has_prefix(prefix, w->prefix);
        if (g_strcmp0(status, "Enabled") != 0 || !ours)
            continue;
        aborts = aborts || s3_xml_child(rule, "AbortIncompleteMultipartUpload");
        old_versions = old_versions || s3_xml_child(rule, "NoncurrentVersionExpiration");
        if (s3_xml_child(s3_xml_child(rule, "Expiration"), "Days") && !has_tag(rule))
            bucket_add(list, name, BUCKET_WARN, NULL,
                       "rule %s deletes by age alone: while backups fail, it deletes the last good one too",
                       id ? id : "without a name");
    }
    if (aborts && old_versions)
        bucket_add(list, name, BUCKET_OK, NULL, "unfinished uploads and old versions are cleared");
    else
        bucket_add(list, name, BUCKET_WARN, NULL, "%s pile up; `bucket setup` adds a rule",
                   aborts         ? "old versions"
                   : old_versions ? "unfinished uploads"
                                  : "unfinished uploads and old versions");
}

static const struct setting {
    const char *name, *query, *root, *action;
    const char *none; /* the code that says there is no such setting */
    void (*judge)(const xmlNode *root, const struct bucket_wishes *w, GPtrArray *list, const char *name);
} settings[] = {
    {"Versioning", "versioning", "VersioningConfiguration", "s3:GetBucketVersioning", "", judge_versioning},
    {"Default encryption", "encryption", "ServerSideEncryptionConfiguration", "s3:GetEncryptionConfiguration",
     "ServerSideEncryptionConfigurationNotFoundError", judge_encryption},
    {"Public access", "publicAccessBlock", "PublicAccessBlockConfiguration", "s3:GetBucketPublicAccessBlock",
     "NoSuchPublicAccessBlockConfiguration", judge_public},
    {"Lifecycle", "lifecycle", "LifecycleConfiguration", "s3:GetLifecycleConfiguration", "NoSuchLifecycleConfiguration",
     judge_lifecycle},
    {LOCK_NAME, "object-lock", "ObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration",
     "ObjectLockConfigurationNotFoundError", judge_lock},
};

/* FALSE only where going on makes no sense. */
static gboolean look_at(struct s3 *s, const struct setting *setting, const struct bucket_wishes *w, GPtrArray *list,
                        GError **error)
{
    struct s3_failure failure = {0};
    g_autoptr(GError) problem = NULL;
    xmlDoc *doc = bucket_get(s, setting->query, setting->root, &failure, &problem);
    if (doc) {
        setting->judge(xmlDocGetRootElement(doc), w, list, setting->name);
        xmlFreeDoc(doc);
        return TRUE;
    }
    xmlNode nothing = {0};
    if (*setting->none && g_str_equal(failure.code, setting->none))
        setting->judge(&nothing, w, list, setting->name);
    else if (failure.status == 403)
        bucket_add(list, setting->name, BUCKET_UNKNOWN, setting->action, "may not be asked");
    else if (failure.status && !g_str_equal(failure.code, "NoSuchBucket"))
        bucket_add(list, setting->name, BUCKET_UNKNOWN, NULL, "the server does not say (%ld %s)", failure.status,
                   failure.code);
    else {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    return TRUE;
}

/* ---- calls ---- */

struct trial {
    struct s3 *s;
    const struct bucket_wishes *wishes;
    char *key;
    gboolean lockable; /* the bucket has Object Lock */
    gboolean stored, held, locked;
};

#define TRIAL_TEXT "opstower bucket check\n"
#define TRIAL_LOCK_S 60 /* an older version by then, which is locked no longer than others stay */

static gboolean try_put(struct trial *t, GError **error)
{
    struct s3_props props = t->wishes->props;
    props.lock_mode = NULL; /* what is locked could not be deleted again */
    props.tags = (char *[]){(char *)"type", (char *)"check", NULL};
    t->stored = s3_put(t->s, t->key, TRIAL_TEXT, strlen(TRIAL_TEXT), &props, NULL, error);
    return t->stored;
}

static gboolean try_head(struct trial *t, GError **error)
{
    g_autoptr(s3_object) o = s3_head(t->s, t->key, error);
    return o && (o->size_bytes == strlen(TRIAL_TEXT) || ot_fail(error, OT_S3, "the object has another size"));
}

static gboolean try_range(struct trial *t, GError **error)
{
    struct source *object = s3_open(t->s, t->key, error);
    char text[8] = "";
    gboolean ok = object && object->read_at(object, 9, text, 6, error) &&
                  (g_str_equal(text, "bucket") || ot_fail(error, OT_S3, "the object has other bytes"));
    source_free(object);
    return ok;
}

static gboolean try_list(struct trial *t, GError **error)
{
    g_autoptr(GPtrArray) list = s3_list(t->s, t->key, error);
    return list && (list->len == 1 || ot_fail(error, OT_S3, "the object is not listed"));
}

static gboolean try_tags(struct trial *t, GError **error)
{
    char *tags[] = {(char *)"type", (char *)"check", NULL};
    return s3_put_tags(t->s, t->key, tags, error);
}

static gboolean try_read_tags(struct trial *t, GError **error)
{
    if (s3_missing(t->s) & S3_TAGS)
        return TRUE;
    g_autoptr(GPtrArray) tags = s3_tags(t->s, t->key, NULL, error);
    if (tags && tags->len == 0)
        s3_learn_missing(t->s, S3_TAGS); /* it takes them, and forgets them */
    return tags && (tags->len == 0 || (tags->len == 2 && g_str_equal(tags->pdata[1], "check")) ||
                    ot_fail(error, OT_S3, "the object has other tags"));
}

static gboolean try_hold(struct trial *t, GError **error)
{
    return s3_set_legal_hold(t->s, t->key, TRUE, &t->held, error) &&
           (t->held || ot_fail(error, OT_S3, "the bucket says that it has no Object Lock"));
}

/* Who may not see it is not told so: the answer lacks it. */
static gboolean try_see_hold(struct trial *t, GError **error)
{
    g_autoptr(s3_object) o = s3_head(t->s, t->key, error);
    return o && (o->legal_hold || ot_fail(error, OT_REFUSED, "the answer does not show it"));
}

static gboolean try_release(struct trial *t, GError **error)
{
    gboolean known;
    if (s3_set_legal_hold(t->s, t->key, FALSE, &known, error))
        return TRUE;
    g_prefix_error(error, "%s stays held: ", t->key);
    return FALSE;
}

static gboolean try_lock(struct trial *t, GError **error)
{
    struct s3_props props = t->wishes->props;
    props.lock_until = g_get_real_time() / G_USEC_PER_SEC + TRIAL_LOCK_S;
    t->locked = s3_put(t->s, t->key, TRIAL_TEXT, strlen(TRIAL_TEXT), &props, NULL, error);
    return t->locked;
}

static gboolean try_see_lock(struct trial *t, GError **error)
{
    g_autoptr(s3_object) o = s3_head(t->s, t->key, error);
    return o && (o->lock_mode || ot_fail(error, OT_REFUSED, "the answer does not show it"));
}

static gboolean try_unfinished(struct trial *t, GError **error)
{
    g_autoptr(GPtrArray) list = s3_list_unfinished(t->s, t->key, error);
    return list != NULL;
}

/* Two parts, so that it is a multipart upload. */
static gboolean try_multipart(struct trial *t, GError **error)
{
    const gsize part = 5u << 20;
    struct upload_options options = {.props = t->wishes->props, .parallel = 1, .part_bytes = part};
    options.props.lock_mode = NULL;
    struct upload *u = upload_new(t->s, t->key, &options);
    g_autofree char *zeros = g_malloc0(part);
    struct sink *to = upload_sink(u);
    gboolean ok = to->write(to, zeros, part, error) && to->write(to, "end", 3, error) && to->flush(to, error) &&
                  upload_finish(u, NULL, error);
    upload_free(u);
    return ok;
}

/* Begun, one part sent, and given up. */
static gboolean try_abort(struct trial *t, GError **error)
{
    const gsize part = 5u << 20;
    struct upload_options options = {.props = t->wishes->props, .parallel = 1, .part_bytes = part};
    options.props.lock_mode = NULL;
    struct upload *u = upload_new(t->s, t->key, &options);
    g_autofree char *zeros = g_malloc0(part);
    struct sink *to = upload_sink(u);
    gboolean ok = to->write(to, zeros, part, error) && to->flush(to, error);
    gboolean clean = upload_free(u);
    return ok && (clean || ot_fail(error, OT_S3, "an unfinished upload could not be ended"));
}

/* What a call is tried on. */
enum need { NOTHING, OBJECT, LOCKABLE_OBJECT, HELD_OBJECT, LOCK_WANTED, LOCKED_OBJECT };

static const struct call {
    const char *name, *action;
    gboolean (*run)(struct trial *t, GError **error);
    enum need need;
} calls[] = {
    {"Store an object", "s3:PutObject", try_put, NOTHING},
    {"Look at it", "s3:GetObject", try_head, OBJECT},
    {"Read a part of it", "s3:GetObject", try_range, OBJECT},
    {"List", "s3:ListBucket", try_list, OBJECT},
    {"Set tags", "s3:PutObjectTagging", try_tags, OBJECT},
    {"Read tags", "s3:GetObjectTagging", try_read_tags, OBJECT},
    {"Put a legal hold", "s3:PutObjectLegalHold", try_hold, LOCKABLE_OBJECT},
    {"See a legal hold", "s3:GetObjectLegalHold", try_see_hold, HELD_OBJECT},
    {"Take a legal hold away", "s3:PutObjectLegalHold", try_release, HELD_OBJECT},
    {"Upload in parts", "s3:PutObject", try_multipart, NOTHING},
    {"List unfinished uploads", "s3:ListBucketMultipartUploads", try_unfinished, NOTHING},
    {"End an unfinished upload", "s3:AbortMultipartUpload", try_abort, NOTHING},
    {"Lock an object", "s3:PutObjectRetention", try_lock, LOCK_WANTED},
    {"See a lock", "s3:GetObjectRetention", try_see_lock, LOCKED_OBJECT},
};

/* Legal holds and locks only where the bucket can have them; locks only if backups are to be locked. */
static gboolean applies(const struct trial *t, enum need need)
{
    return need <= OBJECT || (t->lockable && (need <= HELD_OBJECT || t->wishes->props.lock_mode));
}

static gboolean can_be_tried(const struct trial *t, enum need need)
{
    return need == NOTHING || need == LOCK_WANTED ||
           (need == HELD_OBJECT     ? t->held
            : need == LOCKED_OBJECT ? t->locked
                                    : t->stored);
}

static void try_call(struct trial *t, const struct call *call, GPtrArray *list)
{
    g_autoptr(GError) problem = NULL;
    if (!applies(t, call->need))
        return;
    if (!can_be_tried(t, call->need)) {
        bucket_add(list, call->name, BUCKET_UNKNOWN, NULL, "not tried: there is no object to try it on");
        return;
    }
    gboolean done = call->run(t, &problem);
    if (strstr(call->action, "ObjectTagging") && s3_missing(t->s) & S3_TAGS) {
        bucket_add(list, call->name, BUCKET_UNKNOWN, NULL, "this server has no object tags");
        return;
    }
    if (done) {
        bucket_add(list, call->name, BUCKET_OK, NULL, "works");
        return;
    }
    gboolean refused = strstr(problem->message, ": 403") || g_error_matches(problem, OT_ERROR, OT_REFUSED);
    bucket_add(list, call->name, BUCKET_FAIL, refused ? call->action : NULL, "%s", problem->message);
}

/* Whoever writes backups need not be able to delete them. */
static void try_delete(struct trial *t, GPtrArray *list)
{
    g_autoptr(GError) problem = NULL;
    if (s3_delete(t->s, t->key, &problem))
        bucket_add(list, "Delete", BUCKET_OK, NULL, "works: these credentials could also delete backups");
    else if (strstr(problem->message, ": 403"))
        bucket_add(list, "Delete", BUCKET_OK, NULL, "refused, which is safest for a writer; %s stays", t->key);
    else
        bucket_add(list, "Delete", BUCKET_WARN, NULL, "%s", problem->message);
}

/* What the calls have shown that the server does without. */
static void add_missing(struct s3 *s, GPtrArray *list)
{
    for (guint part = 1; part <= S3_OPTIONAL_LAST; part <<= 1)
        if (s3_missing(s) & part)
            bucket_add(list, "Not taken by this server", BUCKET_WARN, NULL, "%s: left out; %s",
                       s3_optional_title(part), s3_optional_meaning(part));
}

static gboolean has_object_lock(const GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        const struct bucket_finding *f = list->pdata[i];
        if (g_str_equal(f->name, LOCK_NAME))
            return g_str_equal(f->detail, LOCK_ON);
    }
    return FALSE;
}

GPtrArray *bucket_check(struct s3 *s, const struct bucket_wishes *wishes, GError **error)
{
    g_autoptr(GPtrArray) list = bucket_findings_new();
    for (gsize i = 0; i < G_N_ELEMENTS(settings); i++)
        if (!look_at(s, &settings[i], wishes, list, error))
            return NULL;
    g_autofree char *random = g_uuid_string_random();
    struct trial t = {.s = s, .wishes = wishes, .lockable = has_object_lock(list)};
    const char *slash = *wishes->prefix && !g_str_has_suffix(wishes->prefix, "/") ? "/" : "";
    t.key = g_strdup_printf("%s%s.opstower-check-%.8s", wishes->prefix, slash, random);
    for (gsize i = 0; i < G_N_ELEMENTS(calls); i++)
        try_call(&t, &calls[i], list);
    add_missing(s, list);
    try_delete(&t, list);
    g_free(t.key);
    return g_steal_pointer(&list);
}
