/* Gathers what the checks look at, and runs the table of checks. */
#include "engine/health_ends.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "catalog/describe.h"
#include "catalog/journal.h"
#include "catalog/names.h"
#include "catalog/remote.h"

/* Metadata that lies in S3 only is read of backups since then. */
#define METADATA_SINCE_S (24 * 3600) /* and what the checks look back */

/* Rows of tables are compared over a day: that many backups hold it, with those between the hours. */
#define TABLES_OF 64

#define MAX_RECORDS 20000 /* of this database: a year of hourly backups has fewer */

static const struct row {
    const char *name, *title;
    gboolean (*check)(const struct health_data *d, struct health_check *c);
} rows[] = {
    {"backup_age", "Backup age", health_check_age},
    {"success_rate", "Success rate", health_check_success},
    {"rpo", "RPO, measured", health_check_rpo},
    {"rto", "RTO, measured", health_check_rto},
    {"rto_predicted", "RTO, predicted", health_check_rto_predicted},
    {"size_change", "Backup size", health_check_size},
    {"row_loss", "Rows of each table", health_check_rows},
    {"s3_upload", "S3 uploads", health_check_upload},
    {"s3_copies", "S3 copies", health_check_copies},
    {"verification", "Last verification", health_check_verified},
    {"full_test", "Last full test", health_check_full_test},
    {"drill", "Last drill", health_check_drill},
    {"database", "Database server", health_check_database},
    {"credentials", "S3 credentials", health_check_credentials},
    {"certificates", "Certificates", health_check_certificates},
    {"holds", "Holds", health_check_holds},
    {"disk_space", "Disk space", health_check_disk},
    {"clock", "Clock", health_check_clock},
    {"other_servers", "Other servers' backups", health_check_others},
    {"journal", "Journal", health_check_journal},
    {"alerts", "Alerts", health_check_alerts},
};

/* ---- verdicts ---- */

const char *health_verdict_name(enum health_verdict v)
{
    static const char *const names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    return names[v];
}

enum health_verdict health_worse(enum health_verdict a, enum health_verdict b)
{
    static const int badness[] = {[HEALTH_OK] = 0, [HEALTH_UNKNOWN] = 1, [HEALTH_WARNING] = 2, [HEALTH_CRITICAL] = 3};
    return badness[a] >= badness[b] ? a : b;
}

static gboolean beyond(double number, double limit, enum health_side side)
{
    if (isnan(number) || isnan(limit))
        return FALSE;
    return side == HEALTH_ABOVE ? number > limit : side == HEALTH_BELOW ? number < limit : fabs(number) > limit;
}

void health_measure(struct health_check *c, double number, const char *unit, enum health_side side, double warning,
                    double critical)
{
    c->number = number;
    c->unit = unit;
    c->side = side;
    c->warning = warning;
    c->critical = critical;
    if (beyond(number, warning, side))
        health_raise(c, HEALTH_WARNING);
    if (beyond(number, critical, side))
        health_raise(c, HEALTH_CRITICAL);
}

void health_raise(struct health_check *c, enum health_verdict v)
{
    c->verdict = health_worse(c->verdict, v);
}

void health_advise(struct health_check *c, const char *format, ...)
{
    if (c->verdict == HEALTH_OK || c->advice)
        return;
    va_list args;
    va_start(args, format);
    c->advice = g_strdup_vprintf(format, args);
    va_end(args);
}

void health_blame_age(const struct health_data *d, struct health_check *c)
{
    if (!health_newest_good(d))
        c->cause = "backup_age";
}

char *health_duration(double seconds)
{
    g_autofree char *text = text_duration((gint64)fabs(seconds));
    char *second = strchr(text, ' ') ? strchr(strchr(text, ' ') + 1, ' ') : NULL;
    if (second && g_str_has_prefix(second, " 0 ")) /* "2 h 0 min" */
        *second = '\0';
    return g_strconcat(seconds <= -1 ? "-" : "", text, NULL);
}

/* ---- what it is about ---- */

gint64 health_taken_at(const struct catalog_entry *e)
{
    return e->taken_at;
}

gboolean health_is_cut(const struct catalog_entry *e)
{
    return e->meta && e->path && e->meta->size_bytes > 0 && e->meta->size_bytes != e->size_bytes;
}

/* A file that has not its size any more is none, unless there is a whole copy in S3. */
gboolean health_is_good(const struct health_data *d, const struct catalog_entry *e)
{
    gboolean whole = !health_is_cut(e) || (d->s3_looked && g_strcmp0(describe_s3(e, TRUE), "present") == 0);
    return e->meta && e->meta->state >= META_VERIFIED && whole && !catalog_is_pre_restore(e) &&
           !catalog_is_future(e, d->now);
}

const struct catalog_entry *health_newest_good(const struct health_data *d)
{
    for (guint i = 0; i < d->backups->len; i++)
        if (health_is_good(d, d->backups->pdata[i]))
            return d->backups->pdata[i];
    return NULL;
}

gint64 health_window_s(const struct health_data *d)
{
    return MAX(7 * 24 * 3600, 4 * (gint64)d->limits.rpo_minutes * 60);
}

/* ---- gathering ---- */

struct health_limits health_fill_limits(struct health_limits l)
{
    l.rpo_minutes = l.rpo_minutes ? l.rpo_minutes : 60;
    l.rto_minutes = l.rto_minutes ? l.rto_minutes : 4 * 60;
    l.age_warning_minutes = l.age_warning_minutes ? l.age_warning_minutes : 2 * l.rpo_minutes;
    l.age_critical_minutes = l.age_critical_minutes ? l.age_critical_minutes : 4 * l.rpo_minutes;
    return l;
}

static void unref(gpointer line)
{
    json_decref(line);
}

static gboolean is_of(const char *id, const char *name)
{
    g_autofree char *found = NULL, *timestamp = NULL;
    return names_split_id(id, &found, &timestamp) && g_str_equal(found, name);
}

/* Lines of other databases are not ours; nor is one of a file that is nobody's backup. A line that names nothing may
 * concern all. A restore beside the live database names the new one: there the backup tells whose it is. */
static gboolean is_ours(const json_t *line, const char *database, const char *name)
{
    const char *of = record_text(line, "database"), *id = record_text(line, "id");
    if (of && g_str_equal(of, database))
        return TRUE;
    if (id && (!of || record_is(line, "restore")))
        return is_of(id, name);
    return !of && !(record_is(line, "verify") && record_text(line, "of"));
}

/* What a line of this database holds, as journal_append writes it. */
struct needles {
    char *database, *id;
};

static char *json_key(const char *key, const char *value)
{
    json_t *text = json_string(value);
    char *printed = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
    char *result = g_strdup_printf("\"%s\":%s", key, printed ? printed : "\"");
    free(printed);
    json_decref(text);
    return result;
}

/* Only lines that name another database are passed over unread. */
static gboolean may_be_ours(const char *line, gsize length, void *data)
{
    const struct needles *n = data;
    return !g_strstr_len(line, (gssize)length, "\"database\":\"") || g_strstr_len(line, (gssize)length, n->database) ||
           g_strstr_len(line, (gssize)length, n->id);
}

static void read_journal(struct health_data *d, const char *name)
{
    g_autoptr(GError) problem = NULL;
    struct needles needles = {json_key("database", d->request->database), json_key("id", name)};
    needles.id[strlen(needles.id) - 1] = '_'; /* for the quotation mark: an id goes on with its time */
    g_autoptr(GPtrArray) all = journal_load_recent(d->request->dir, may_be_ours, &needles, MAX_RECORDS, &problem);
    g_free(needles.database);
    g_free(needles.id);
    d->journal = g_ptr_array_new_with_free_func(unref);
    if (!all)
        d->journal_problem = g_strdup(problem->message);
    for (guint i = 0; all && i < all->len; i++)
        if (is_ours(all->pdata[i], d->request->database, name))
            g_ptr_array_add(d->journal, json_incref(all->pdata[i]));
}

static void ask_s3(struct health_data *d, const char *name)
{
    const struct offsite *o = d->request->offsite;
    g_autoptr(GError) problem = NULL;
    d->s3_problem = g_strdup(d->request->s3_problem);
    if (!o || d->request->look_away)
        return;
    d->s3_looked = remote_join_since(d->backups, o->client, o->prefix, name, d->now - METADATA_SINCE_S - health_window_s(d), &problem);
    if (problem)
        d->s3_problem = g_strdup(problem->message);
}

static gboolean gather(struct health_data *d, GError **error)
{
    const struct health_request *q = d->request;
    g_autofree char *name = names_encode(q->database);
    guint64 free_bytes;
    d->backups = catalog_list_with_tables(q->dir, name, TABLES_OF, error);
    if (!d->backups)
        return FALSE;
    read_journal(d, name);
    ask_s3(d, name);
    health_ask_servers(d);
    health_part_others(d);
    health_begin(d);
    d->alerts_used = alert_backlog(q->dir, q->spare_dir, &d->alerts);
    d->free_bytes = files_free_space(q->dir, &free_bytes, NULL) ? (gint64)free_bytes : -1;
    d->numbers->free_bytes = d->free_bytes;
    return TRUE;
}

static void data_clear(struct health_data *d)
{
    g_clear_pointer(&d->backups, g_ptr_array_unref);
    g_clear_pointer(&d->others, g_ptr_array_unref);
    g_clear_pointer(&d->journal, g_ptr_array_unref);
    g_free(d->s3_problem);
    g_free(d->journal_problem);
    health_servers_clear(&d->servers);
    alert_backlog_clear(&d->alerts);
}

/* ---- the look ---- */

static void check_clear(gpointer data)
{
    struct health_check *c = data;
    g_free(c->value);
    g_free(c->target);
    g_free(c->threshold);
    g_free(c->advice);
    g_free(c->subject);
}

static void run_row(const struct row *row, const struct health_data *d, struct health *h)
{
    struct health_check c = {.name = row->name, .title = row->title, .number = NAN, .unit = ""};
    if (!row->check(d, &c)) {
        check_clear(&c);
        return;
    }
    if (c.verdict == HEALTH_OK)
        c.cause = NULL;
    h->verdict = health_worse(h->verdict, c.verdict);
    g_array_append_val(h->checks, c);
}

gboolean health_run(const struct health_request *request, struct health *ret, GError **error)
{
    gint64 now = request->now ? request->now : g_get_real_time() / G_USEC_PER_SEC;
    struct health h = {.database = g_strdup(request->database), .now = now};
    memset(&h.numbers, 0xff, sizeof h.numbers); /* -1 in each */
    struct health_data d = {
        .request = request, .limits = health_fill_limits(request->limits), .now = now, .numbers = &h.numbers};
    h.checks = g_array_new(FALSE, FALSE, sizeof(struct health_check));
    g_array_set_clear_func(h.checks, check_clear);
    gboolean ok = gather(&d, error);
    for (gsize i = 0; ok && i < G_N_ELEMENTS(rows); i++)
        run_row(&rows[i], &d, &h);
    data_clear(&d);
    if (ok)
        *ret = h;
    else
        health_clear(&h);
    return ok;
}

void health_clear(struct health *h)
{
    g_clear_pointer(&h->checks, g_array_unref);
    g_clear_pointer(&h->database, g_free);
}

const struct health_check *health_find(const struct health *h, const char *name)
{
    for (guint i = 0; i < h->checks->len; i++) {
        const struct health_check *c = &g_array_index(h->checks, struct health_check, i);
        if (g_str_equal(c->name, name))
            return c;
    }
    return NULL;
}
