/* Three feeds: S3, folder and journal, checks. */
#include "web/sight.h"

#include <string.h>

#include "catalog/journal.h"
#include "catalog/record.h"
#include "catalog/remote.h"

#define HERE_FRESH_MS 3000
#define THERE_FRESH_MS 60000 /* listing a bucket costs money */
#define HEALTH_FRESH_MS 15000
#define HERE_WAIT_MS 5000
#define THERE_WAIT_MS 1000
#define HEALTH_WAIT_MS 2500
#define RETENTION_FRESH_MS 60000 /* it reads metadata in the bucket */
#define RETENTION_WAIT_MS 3000

struct sight_feeds {
    const struct web_config *config;
    struct feed *here, *there, *health, *retention;
};

static char *redacted(const struct web_config *config, const char *text)
{
    const struct report *r = config->report;
    return r->redact ? r->redact(text, r->data) : g_strdup(text);
}

static void entry_free(gpointer data)
{
    catalog_entry_free(data);
}

static void array_free(gpointer data)
{
    g_ptr_array_unref(data);
}

/* ---- S3 ---- */

/* Entries of what lies in the bucket. The folder's metadata saves reading it from there; where their files are is
 * looked at more often than this. */
static void *make_there(void *data, GError **error)
{
    const struct web_config *config = ((struct sight_feeds *)data)->config;
    g_autoptr(GPtrArray) list = catalog_list(config->health->dir, config->name, NULL);
    if (!list)
        list = g_ptr_array_new_with_free_func(entry_free);
    if (!remote_join(list, config->s3, config->s3_prefix, config->name, error))
        return NULL;
    server_identity_mark(config->health->identity, list);
    for (guint i = 0; i < list->len; i++)
        g_clear_pointer(&((struct catalog_entry *)list->pdata[i])->path, g_free);
    return g_steal_pointer(&list);
}

/* ---- the folder and the journal ---- */

static void backups_free(gpointer data)
{
    struct sight_backups *b = data;
    g_clear_pointer(&b->all, g_ptr_array_unref);
    g_clear_pointer(&b->own, g_ptr_array_unref);
    g_clear_pointer(&b->ours, g_ptr_array_unref);
    g_clear_pointer(&b->journal, g_ptr_array_unref);
    feed_value_unref(b->there);
    g_free(b->s3_problem);
    g_free(b->journal_problem);
    g_free(b);
}

static struct catalog_object *copy_of(const struct catalog_object *o)
{
    if (!o)
        return NULL;
    struct catalog_object *copy = g_new0(struct catalog_object, 1);
    *copy = (struct catalog_object){
        g_strdup(o->key), g_strdup(o->storage_class), g_strdup(o->etag), o->size_bytes, o->modified, o->has_meta};
    return copy;
}

/* Adds to the folder's entries what the last look into the bucket found; whose they are, that look knows better. */
static void join(struct sight_backups *b, const GPtrArray *there)
{
    g_autoptr(GHashTable) by_id = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < b->own->len; i++)
        g_hash_table_insert(by_id, ((struct catalog_entry *)b->own->pdata[i])->id, b->own->pdata[i]);
    for (guint i = 0; i < there->len; i++) {
        struct catalog_entry *far = there->pdata[i];
        struct catalog_entry *near = g_hash_table_lookup(by_id, far->id);
        if (near && far->object) {
            near->object = copy_of(far->object);
            near->monthly = copy_of(far->monthly);
            near->lineage = far->lineage;
        } else if (!near && far->object)
            g_ptr_array_add(b->all, far);
    }
    catalog_sort(b->all);
}

static void look_there(struct sight_backups *b, const struct sight_feeds *f)
{
    if (!f->there)
        return;
    b->there = feed_peek(f->there);
    gint64 age_us = b->there ? g_get_monotonic_time() - b->there->made_at_us : 0;
    if (b->there && b->there->error)
        b->s3_problem = redacted(f->config, b->there->error->message);
    else if (!b->there || age_us > SIGHT_STALE_S * G_USEC_PER_SEC)
        b->s3_problem = g_strdup("S3 has not answered yet");
    b->s3_looked = !b->s3_problem;
    if (b->s3_looked)
        join(b, b->there->data);
}

static void read_journal(struct sight_backups *b, const struct sight_feeds *f)
{
    g_autoptr(GError) problem = NULL;
    b->journal = journal_load_recent(f->config->health->dir, NULL, NULL, SIGHT_MAX_RECORDS, &problem);
    b->ours = g_ptr_array_new();
    if (!b->journal) {
        b->journal = g_ptr_array_new();
        b->journal_problem = redacted(f->config, problem->message);
    }
    for (guint i = 0; i < b->journal->len; i++) {
        const char *database = record_text(b->journal->pdata[i], "database");
        if (!database || g_str_equal(database, f->config->health->database))
            g_ptr_array_add(b->ours, b->journal->pdata[i]);
    }
}

static void *make_here(void *data, GError **error)
{
    const struct sight_feeds *f = data;
    const char *folder = f->config->health->dir;
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR) && !f->config->s3) {
        ot_fail(error, OT_IO, "BACKUP_DIR %s is not there", folder);
        return NULL;
    }
    GPtrArray *own = catalog_list(folder, f->config->name, error);
    if (!own)
        return NULL;
    server_identity_mark(f->config->health->identity, own);
    struct sight_backups *b = g_new0(struct sight_backups, 1);
    b->own = own;
    b->all = g_ptr_array_new();
    for (guint i = 0; i < own->len; i++)
        g_ptr_array_add(b->all, own->pdata[i]);
    look_there(b, f);
    read_journal(b, f);
    return b;
}

/* ---- the checks ---- */

static void health_free(gpointer data)
{
    health_clear(data);
    g_free(data);
}

static void *make_health(void *data, GError **error)
{
    const struct web_config *config = ((struct sight_feeds *)data)->config;
    struct health *h = g_new0(struct health, 1);
    if (health_run(config->health, h, error))
        return h;
    g_free(h);
    return NULL;
}

/* ---- what retention would do ---- */

static void *make_retention(void *data, GError **error)
{
    const struct web_config *config = ((struct sight_feeds *)data)->config;
    struct prune_request q = *config->retention;
    g_autoptr(GPtrArray) verdicts = prune_verdicts_new();
    q.apply = FALSE;
    q.now = g_get_real_time() / G_USEC_PER_SEC;
    return prune_run(&q, config->report, verdicts, error) ? g_steal_pointer(&verdicts) : NULL;
}

/* ---- together ---- */

struct sight_feeds *sight_feeds_new(const struct web_config *config)
{
    struct sight_feeds *f = g_new0(struct sight_feeds, 1);
    f->config = config;
    if (config->s3)
        f->there = feed_new(make_there, array_free, f, THERE_FRESH_MS, THERE_WAIT_MS);
    f->here = feed_new(make_here, backups_free, f, HERE_FRESH_MS, HERE_WAIT_MS);
    f->health = feed_new(make_health, health_free, f, HEALTH_FRESH_MS, HEALTH_WAIT_MS);
    f->retention = feed_new(make_retention, array_free, f, RETENTION_FRESH_MS, RETENTION_WAIT_MS);
    return f;
}

void sight_feeds_free(struct sight_feeds *f)
{
    feed_free(f->retention);
    feed_free(f->health);
    feed_free(f->here);
    feed_free(f->there);
    g_free(f);
}

static char *problem_of(const struct web_config *config, const struct feed_value *v, const char *nothing_yet)
{
    return v && v->error ? redacted(config, v->error->message) : v ? NULL : g_strdup(nothing_yet);
}

/* Checks that are old are not believed: whatever they wait for hangs. */
static void judge(struct sight *s)
{
    gint64 age_s = s->health_value ? (g_get_monotonic_time() - s->health_value->made_at_us) / G_USEC_PER_SEC : 0;
    s->verdict = s->health ? s->health->verdict : HEALTH_UNKNOWN;
    if (!s->health || age_s <= SIGHT_STALE_S)
        return;
    s->verdict = health_worse(s->verdict, HEALTH_UNKNOWN);
    s->health_problem = g_strdup_printf("the checks below are %d minutes old: a newer look at the folder, S3 or the "
                                        "server does not come to an end",
                                        (int)(age_s / 60));
}

static void look_at_retention(struct sight_feeds *f, struct sight *s)
{
    s->retention_value = feed_get(f->retention);
    s->retention = s->retention_value ? s->retention_value->data : NULL;
    s->retention_problem = problem_of(f->config, s->retention_value, "the first look is not done yet");
}

void sight_look(struct sight_feeds *f, gboolean retention, struct sight *s)
{
    if (f->there) {
        g_autoptr(feed_value) asked = feed_get(f->there);
    }
    *s = (struct sight){.backups_value = feed_get(f->here), .health_value = feed_get(f->health)};
    s->backups = s->backups_value ? s->backups_value->data : NULL;
    s->health = s->health_value ? s->health_value->data : NULL;
    s->backups_problem = problem_of(f->config, s->backups_value, "the folder has not been read yet");
    s->health_problem = problem_of(f->config, s->health_value, "the first look is not done yet");
    s->now = g_get_real_time() / G_USEC_PER_SEC;
    judge(s);
    if (retention)
        look_at_retention(f, s);
}

void sight_clear(struct sight *s)
{
    feed_value_unref(s->backups_value);
    feed_value_unref(s->health_value);
    feed_value_unref(s->retention_value);
    g_free(s->retention_problem);
    g_free(s->backups_problem);
    g_free(s->health_problem);
    memset(s, 0, sizeof *s);
}
