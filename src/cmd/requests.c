/* Settings become engine requests. */
#include "cmd/requests.h"

#include "catalog/catalog.h"
#include "catalog/names.h"
#include "catalog/remote.h"
#include "engine/audit.h"
#include "engine/choose.h"

#define LIST_RETRY_S 15 /* somebody is waiting for the list */

/* ---- S3 ---- */

static void warn(const char *text, void *data)
{
    struct console *c = data;
    report_warn(&c->report, "%s", text);
}

static struct credentials_config credentials_of(const struct settings *s)
{
    return (struct credentials_config){
        .access_key = s->aws_access_key,
        .secret_key = s->aws_secret_key,
        .session_token = s->aws_session_token,
        .profile = s->aws_profile,
        .config_file = s->aws_config_file,
        .credentials_file = s->aws_credentials_file,
        .role_arn = s->aws_role_arn,
        .web_identity_file = s->aws_web_identity_file,
        .session_name = s->aws_session_name,
        .container_relative_uri = s->aws_container_relative_uri,
        .container_full_uri = s->aws_container_full_uri,
        .container_token = s->aws_container_token,
        .container_token_file = s->aws_container_token_file,
        .metadata_endpoint = s->aws_metadata_endpoint,
        .metadata_disabled = g_str_equal(s->aws_metadata_disabled, "true"),
        .sts_endpoint = s->aws_endpoint_sts,
        .ca_file = s->aws_ca_bundle,
        .tls13 = g_str_equal(s->s3_tls_min, "1.3"),
    };
}

char *request_s3_region(const struct settings *s)
{
    struct credentials_config from = credentials_of(s);
    const char *set = s->aws_region ? s->aws_region : s->aws_default_region;
    return set ? g_strdup(set) : credentials_profile_region(&from);
}

static enum s3_addressing addressing_of(const char *word)
{
    return g_str_equal(word, "path")      ? S3_ADDRESS_PATH
           : g_str_equal(word, "virtual") ? S3_ADDRESS_VIRTUAL
                                          : S3_ADDRESS_AUTO;
}

struct s3 *request_s3_for(struct console *c, guint retry_s, GError **error)
{
    const struct settings *s = &c->settings;
    if (!s->s3_bucket) {
        ot_fail(error, OT_USAGE, "no bucket is set: BACKUP_S3_BUCKET names it");
        return NULL;
    }
    struct s3_config config = {
        .bucket = s->s3_bucket,
        .region = s->aws_region ? s->aws_region : s->aws_default_region,
        .endpoint = s->aws_endpoint_s3 ? s->aws_endpoint_s3 : s->aws_endpoint,
        .addressing = addressing_of(s->s3_addressing),
        .ca_file = s->aws_ca_bundle,
        .tls13 = g_str_equal(s->s3_tls_min, "1.3"),
        .allow_http = g_str_equal(s->s3_allow_http, "true"),
        .stall_timeout_s = (guint)s->s3_timeout_s,
        .retry_s = retry_s,
        .credentials = credentials_of(s),
        .missing = &c->s3_missing,
        .warn = warn,
        .warn_data = c,
    };
    return s3_new(&config, error);
}

struct s3 *request_s3(struct console *c, GError **error)
{
    if (!c->s3)
        c->s3 = request_s3_for(c, (guint)c->settings.s3_retry_s, error);
    return c->s3;
}

struct s3_props request_s3_props(const struct settings *s)
{
    const char *mode = g_str_equal(s->s3_object_lock, "governance")   ? "GOVERNANCE"
                       : g_str_equal(s->s3_object_lock, "compliance") ? "COMPLIANCE"
                                                                      : NULL;
    return (struct s3_props){
        .storage_class = s->s3_storage_class,
        .sse = g_str_equal(s->s3_sse, "none") ? NULL : s->s3_sse,
        .kms_key_id = s->s3_kms_key_id,
        .lock_mode = mode,
    };
}

struct tiers request_tiers(const struct settings *s)
{
    struct tiers t = tiers_make(s->retention_days, s->s3_retention_days);
    tiers_set(&t, TIER_PRE_DEPLOYMENT, TIER_LOCAL, s->pre_deployment_days);
    tiers_set(&t, TIER_PRE_DEPLOYMENT, TIER_S3, s->pre_deployment_s3_days);
    tiers_set(&t, TIER_PRE_MAINTENANCE, TIER_LOCAL, s->pre_maintenance_days);
    tiers_set(&t, TIER_PRE_MAINTENANCE, TIER_S3, s->pre_maintenance_s3_days);
    tiers_set(&t, TIER_MONTHLY, TIER_S3, s->monthly_s3_days);
    tiers_set(&t, TIER_MANUAL, TIER_LOCAL, s->manual_days);
    tiers_set(&t, TIER_MANUAL, TIER_S3, s->manual_s3_days);
    tiers_set(&t, TIER_PRE_RESTORE, TIER_LOCAL, s->pre_restore_days);
    tiers_set(&t, TIER_PRE_RESTORE, TIER_S3, s->pre_restore_s3_days);
    return t;
}

gboolean request_prune(struct console *c, const char *name, struct prune_request *ret_request, GError **error)
{
    const struct settings *s = &c->settings;
    *ret_request = (struct prune_request){
        .dir = s->backup_dir,
        .name = name,
        .tiers = request_tiers(s),
        .keep_min = s->keep_min,
        .keep_pending = s->s3_bucket != NULL,
        .wait_s = (guint)s->wait_minutes * 60,
        .local = TRUE,
        .thorough = TRUE,
        .identity = request_identity(c),
        .now = g_get_real_time() / G_USEC_PER_SEC,
    };
    return s->local_only || request_offsite(c, &ret_request->offsite, error);
}

struct s3_props request_sidecar_props(const struct settings *s)
{
    struct offsite o = {.upload.props = request_s3_props(s), .tiers = request_tiers(s)};
    return offsite_sidecar_props(&o, NULL);
}

gboolean request_offsite(struct console *c, const struct offsite **ret_offsite, GError **error)
{
    const struct settings *s = &c->settings;
    *ret_offsite = NULL;
    if (!s->s3_bucket)
        return TRUE;
    if (!request_s3(c, error))
        return FALSE;
    c->offsite = (struct offsite){
        .client = c->s3,
        .prefix = s->s3_prefix,
        .upload =
            {
                .props = request_s3_props(s),
                .parallel = (guint)s->s3_parallel,
                .part_bytes = (gsize)s->s3_part_mib << 20,
                .max_parts = (guint)s->s3_max_parts,
            },
        .tiers = request_tiers(s),
    };
    *ret_offsite = &c->offsite;
    return TRUE;
}

/* ---- the acts ---- */

static gboolean choose_places(const struct settings *s, enum backup_places *ret_places, GError **error)
{
    if (s->local_only && s->s3_only)
        return ot_fail(error, OT_USAGE, "--local-only and --s3-only exclude each other");
    if (s->s3_only && !s->s3_bucket)
        return ot_fail(error, OT_USAGE, "--s3-only needs a bucket: BACKUP_S3_BUCKET names it");
    *ret_places = s->s3_only ? BACKUP_S3_ONLY : s->s3_bucket && !s->local_only ? BACKUP_BOTH : BACKUP_HERE;
    return TRUE;
}

gboolean request_backup(struct console *c, struct backup_request *ret_request, GError **error)
{
    const struct settings *s = &c->settings;
    *ret_request = (struct backup_request){
        .target = &c->target,
        .dir = s->backup_dir,
        .type = s->type,
        .tag = s->tag,
        .bindir = s->pg_bindir,
        .jobs = (guint)s->jobs,
        .compress_level = s->compress_level,
        .lock_timeout_ms = (guint)s->lock_timeout_s * 1000,
        .lock_attempts = (guint)s->lock_attempts,
        .wait_s = (guint)s->wait_minutes * 60,
        .tiers = request_tiers(s),
        .keep_min = s->keep_min,
        .globals = s->globals,
        .prune = TRUE,
        .prune_s3 = g_str_equal(s->s3_prune, "true"),
        .monthly = g_str_equal(s->monthly_archive, "true"),
        .keep_pending = s->s3_bucket != NULL,
    };
    return choose_places(s, &ret_request->places, error) &&
           (ret_request->places == BACKUP_HERE || request_offsite(c, &ret_request->offsite, error));
}

/* ---- which backup ---- */

struct server_identity *request_identity(struct console *c)
{
    const struct settings *s = &c->settings;
    gboolean named = s->database_url || s->database_name || s->database || !s->all;
    c->identity.target = named ? &c->target : NULL;
    c->identity.may_ask = named;
    return &c->identity;
}

/* FALSE: what was written is no such word, but names a backup. */
static gboolean read_wish(const struct settings *s, const char *what, struct select_wish *ret, gboolean *ret_is_wish,
                          GError **error)
{
    *ret = (struct select_wish){.now = g_get_real_time() / G_USEC_PER_SEC};
    *ret_is_wish = !what || select_parse_word(what, &ret->kind);
    if (!s->at)
        return *ret_is_wish || what;
    if (!*ret_is_wish)
        return ot_fail(error, OT_USAGE, "--at chooses the backup: it goes with \"latest\" or \"latest-good\", not with "
                                        "%s", what);
    return audit_parse_time(s->at, TRUE, &ret->until, error);
}

char *request_find(struct console *c, const char *what, const struct offsite *offsite, enum choose_purpose purpose,
                   GError **error)
{
    const struct settings *s = &c->settings;
    struct choose_request q = {.dir = s->backup_dir, .offsite = offsite, .identity = request_identity(c)};
    gboolean is_wish;
    if (!what && !s->at) {
        ot_fail(error, OT_USAGE, "which backup? Name its file, id, \"latest\" or \"latest-good\", or give --at TIME");
        return NULL;
    }
    g_autofree char *database = pg_target_database(&c->target, error);
    if (!database || !read_wish(s, what, &q.wish, &is_wish, error))
        return NULL;
    if (!is_wish)
        return offsite ? remote_resolve(offsite->client, offsite->prefix, database, what, error)
                       : catalog_resolve(s->backup_dir, database, what, error);
    q.database = database;
    q.purpose = purpose;
    q.wish.skip_bad = purpose == CHOOSE_TO_RESTORE;
    q.wish.known = purpose == CHOOSE_TO_TEST;
    return choose_backup(&q, &c->report, error);
}

struct copy *request_copy(struct console *c, const char *what, enum choose_purpose purpose, GError **error)
{
    const struct offsite *o = NULL;
    if (c->settings.from_s3 && (!request_s3(c, error) || !request_offsite(c, &o, error)))
        return NULL;
    g_autofree char *place = request_find(c, what, o, purpose, error);
    if (!place)
        return NULL;
    if (!o)
        return copy_local(place);
    struct s3_props props = offsite_sidecar_props(o, NULL);
    return copy_s3(c->s3, &props, place);
}

/* ---- lists ---- */

void listing_clear(struct listing *l)
{
    g_clear_pointer(&l->list, g_ptr_array_unref);
    g_clear_pointer(&l->name, g_free);
    g_clear_error(&l->s3_problem);
}

gboolean request_list(struct console *c, struct listing *l, GError **error)
{
    const struct settings *s = &c->settings;
    gboolean one = (s->database_url || s->database_name || s->database) && !s->all;
    g_autofree char *database = one ? pg_target_database(&c->target, error) : NULL;
    return (database || !one) && request_list_of(c, database, l, error);
}

gboolean request_list_of(struct console *c, const char *database, struct listing *l, GError **error)
{
    const struct settings *s = &c->settings;
    l->name = database ? names_encode(database) : NULL;
    l->list = catalog_list(s->backup_dir, l->name, error);
    if (!l->list)
        return FALSE;
    gboolean ask = s->s3_bucket && !s->local_only;
    c->settings.s3_retry_s = MIN(s->s3_retry_s, LIST_RETRY_S);
    l->looked =
        ask && request_s3(c, &l->s3_problem) && remote_join(l->list, c->s3, s->s3_prefix, l->name, &l->s3_problem);
    if (l->name)
        server_identity_mark(request_identity(c), l->list);
    return TRUE;
}

gboolean request_list_complete(struct listing *l, GError **error)
{
    if (!l->s3_problem)
        return TRUE;
    g_prefix_error(&l->s3_problem, "the list lacks what is in S3: ");
    g_propagate_error(error, g_steal_pointer(&l->s3_problem));
    return FALSE;
}

#define HEALTH_RETRY_S 10 /* somebody waits, or the watch runs again in minutes */

void request_health(struct console *c, const char *database, struct health_request *ret_request)
{
    struct settings *s = &c->settings;
    g_autoptr(GError) problem = NULL;
    g_clear_pointer(&c->s3_problem, g_free);
    *ret_request = (struct health_request){
        .dir = s->backup_dir,
        .database = database,
        .spare_dir = s->tmp_dir ? s->tmp_dir : g_get_tmp_dir(),
        .target = &c->target,
        .identity = request_identity(c),
        .row_loss_ignore = (const char *const *)s->row_loss_ignore,
        .critical_tables = (const char *const *)s->critical_tables,
        .tiers = request_tiers(s),
        .limits = {s->rpo_minutes, s->rto_minutes, s->age_warning_minutes, s->age_critical_minutes},
    };
    s->s3_retry_s = MIN(s->s3_retry_s, HEALTH_RETRY_S);
    if (!request_offsite(c, &ret_request->offsite, &problem))
        ret_request->s3_problem = c->s3_problem = g_strdup(problem->message);
}
