/* opstower bucket */
#include "store/bucket.h"

#include <stdio.h>
#include <string.h>

#include "cmd/command.h"
#include "cmd/requests.h"

static struct bucket_wishes wishes_of(const struct settings *s)
{
    return (struct bucket_wishes){
        .prefix = s->s3_prefix,
        .props = request_s3_props(s),
        .noncurrent_days = s->s3_noncurrent_days,
        .longstop_days = s->s3_longstop_days,
    };
}

static json_t *findings_json(const GPtrArray *list)
{
    json_t *array = json_array();
    for (guint i = 0; i < list->len; i++) {
        const struct bucket_finding *f = list->pdata[i];
        json_array_append_new(array,
                              json_pack("{ss ss ss ss*}", "name", f->name, "verdict", bucket_verdict_name(f->verdict),
                                        "detail", f->detail, "missing_action", f->action));
    }
    return array;
}

static void print_findings(struct console *c, const GPtrArray *list)
{
    g_autofree char *from = s3_credentials_source(c->s3);
    report_info(&c->report, "Bucket %s, region %s, credentials: %s", s3_bucket(c->s3), s3_region(c->s3), from);
    for (guint i = 0; i < list->len; i++) {
        const struct bucket_finding *f = list->pdata[i];
        report_info(&c->report, "%s: %s (%s)%s%s", f->name, bucket_verdict_name(f->verdict), f->detail,
                    f->action ? "; missing permission: " : "", f->action ? f->action : "");
    }
}

static guint count(const GPtrArray *list, enum bucket_verdict verdict)
{
    guint n = 0;
    for (guint i = 0; i < list->len; i++)
        n += ((const struct bucket_finding *)list->pdata[i])->verdict == verdict;
    return n;
}

static gboolean tell(struct console *c, GPtrArray *list, GError **error)
{
    if (!c->settings.json)
        print_findings(c, list);
    else if (!console_print_json(findings_json(list), error))
        return FALSE;
    guint failed = count(list, BUCKET_FAIL), warned = count(list, BUCKET_WARN), unknown = count(list, BUCKET_UNKNOWN);
    if (failed > 0)
        return ot_fail(error, OT_S3, "%u of %u checks of the bucket failed", failed, list->len);
    if (!c->settings.json)
        report_info(&c->report, "Backups can be stored here; %u warnings, %u things that could not be found out",
                    warned, unknown);
    return TRUE;
}

static gboolean check_longstop(const struct settings *s, GError **error)
{
    return s->s3_longstop_days == 0 || s->s3_longstop_days >= 2 * s->s3_retention_days ||
           ot_fail(error, OT_USAGE,
                   "BACKUP_S3_LONGSTOP_DAYS=%d is too short: at least twice BACKUP_S3_RETENTION_DAYS, %d, so that it "
                   "is a longstop and not the retention",
                   s->s3_longstop_days, 2 * s->s3_retention_days);
}

static gboolean print_policy(struct console *c, const char *role, GError **error)
{
    const struct settings *s = &c->settings;
    static const char *const roles[] = {
        [BUCKET_WRITER] = "writer", [BUCKET_PRUNER] = "pruner", [BUCKET_RESTORER] = "restorer"};
    guint found = 0;
    while (role && found < G_N_ELEMENTS(roles) && !g_str_equal(role, roles[found]))
        found++;
    if (found == G_N_ELEMENTS(roles))
        return ot_fail(error, OT_USAGE, "bucket policy is for a writer, a pruner or a restorer, not for \"%s\"", role);
    if (!s->s3_bucket)
        return ot_fail(error, OT_USAGE, "no bucket is set: BACKUP_S3_BUCKET names it");
    const char *key = g_str_equal(s->s3_sse, "aws:kms") ? s->s3_kms_key_id : NULL;
    g_autofree char *region = request_s3_region(s);
    g_autofree char *text = bucket_policy(s->s3_bucket, s->s3_prefix, key, region, (enum bucket_role)found);
    return puts(text) >= 0 || ot_fail_errno(error, OT_IO, "cannot write to stdout");
}

static gboolean run(struct console *c, char **words, GError **error)
{
    static const char *const verbs[] = {"check", "setup", "policy", NULL};
    if (g_str_equal(words[0], "policy"))
        return print_policy(c, words[1], error);
    gboolean setup = g_str_equal(words[0], "setup");
    if (!setup && !g_str_equal(words[0], "check")) {
        const char *near = options_nearest_word(words[0], verbs);
        return ot_fail(error, OT_USAGE, "opstower bucket knows check, setup and policy, not \"%s\"%s%s", words[0],
                       near ? "; did you mean " : "", near ? near : "");
    }
    if (words[1])
        return ot_fail(error, OT_USAGE, "one word too many: %s", words[1]);
    struct bucket_wishes wishes = wishes_of(&c->settings);
    if (!check_longstop(&c->settings, error) || !request_s3(c, error))
        return FALSE;
    g_autoptr(GPtrArray) list = (setup ? bucket_setup : bucket_check)(c->s3, &wishes, error);
    return list && tell(c, list, error);
}

const struct command cmd_bucket = {
    .name = "bucket",
    .mask = CMD_BUCKET,
    .usage = "check|setup|policy [writer|pruner|restorer] [OPTION]...",
    .summary = "Check or set up the S3 bucket; print the permissions it needs.",
    .details =
        "check looks at versioning, encryption, public access, lifecycle and Object Lock, then tries every call\n"
        "that backups need with a small object of its own, and names each permission that is missing.\n"
        "setup turns on versioning, default encryption and the block of public access, and adds lifecycle rules;\n"
        "rules of others stay. It never makes a bucket less safe, and never creates one.\n"
        "policy prints the least IAM policy for a host that writes backups and cannot delete them (writer), for\n"
        "one that writes and lets retention delete in S3 (pruner), or for one that restores.",
    .min_words = 1,
    .max_words = 2,
    .run = run,
};
