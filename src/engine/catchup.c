/* The journal is asked again before each job: a monthly test may have been what the drill would do. */
#include "engine/catchup.h"

#include <string.h>

#include "base/environment.h"
#include "base/interrupt.h"
#include "base/lock.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "catalog/inuse.h"
#include "catalog/journal.h"
#include "catalog/record.h"
#include "catalog/tiers.h"
#include "engine/schedule_text.h"

#define ACT "catch-up"
#define GRACE_S 3600 /* until then cron's own line may be at work */
#define LOCK_FILE ".catch-up.lock"

/* ---- what was missed ---- */

static gboolean is_caught_up(const struct schedule_job *job)
{
    return !job->serve && !job->when.every_minutes && job->when.hour >= 0;
}

/* A full test is also a verification. */
static gboolean is_run_of(const struct schedule_request *q, const struct schedule_job *job, const json_t *record)
{
    if (record_is(record, ACT))
        return g_strcmp0(record_text(record, "job"), job->name) == 0;
    gboolean full_test = json_is_true(json_object_get(record, "full_test"));
    gboolean from_s3 = g_strcmp0(record_text(record, "place"), tiers_place_name(TIER_S3)) == 0;
    return record_is(record, job->command) && (!job->full_test || full_test) &&
           (!job->from_s3 || !q->bucket || from_s3);
}

/* Since when there are runs to be missed: the last install, or where that is in no journal of ours the first look. */
static gint64 begin_of(const GPtrArray *records)
{
    gint64 installed = 0, first = 0;
    for (guint i = 0; i < records->len; i++) {
        const json_t *record = records->pdata[i];
        gint64 at = record_time(record);
        if (record_is(record, "schedule-install") && !record_failed(record))
            installed = MAX(installed, at);
        if (record_is(record, ACT) && (!first || at < first))
            first = at;
    }
    return installed ? installed : first;
}

gint64 catchup_missed(const struct schedule_request *q, const struct schedule_job *job, const GPtrArray *records,
                      gint64 now)
{
    gint64 due = is_caught_up(job) ? schedule_last(&job->when, now) : 0, begin = begin_of(records);
    if (!due || !begin || due <= begin || due + GRACE_S > now)
        return 0;
    for (guint i = 0; i < records->len; i++)
        if (record_time(records->pdata[i]) >= due && is_run_of(q, job, records->pdata[i]))
            return 0;
    return due;
}

/* ---- the journals ---- */

static void unref_json(gpointer json)
{
    json_decref(json);
}

static GPtrArray *load_all(const struct catchup_request *q, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(unref_json);
    for (const char *const *dir = q->dirs; *dir; dir++) {
        g_autoptr(GPtrArray) records = journal_load(*dir, error);
        if (!records)
            return NULL;
        for (guint i = 0; i < records->len; i++)
            g_ptr_array_add(all, json_incref(records->pdata[i]));
    }
    return g_steal_pointer(&all);
}

/* Before it is done: a job that ends the machine must not be begun again every hour. job NULL: the first look. */
static gboolean write_down(const struct catchup_request *q, const struct schedule_job *job, gint64 due, GError **error)
{
    g_autofree char *when = job ? text_iso_time(due) : NULL;
    json_t *record = json_pack("{ss ss si ss* ss*}", "act", ACT, "result", "ok", "code", OT_OK, "job",
                               job ? job->name : NULL, "due", when);
    gboolean ok = journal_append(q->dirs[0], record, error);
    json_decref(record);
    return ok;
}

/* ---- running ---- */

static gboolean is_read(const char *folder, const char *file)
{
    gsize length = strlen(file), ending = strlen(INUSE_ENDING);
    if (file[0] != '.' || length <= ending + 1 || !g_str_has_suffix(file, INUSE_ENDING))
        return FALSE;
    g_autofree char *id = g_strndup(file + 1, length - ending - 1);
    return inuse_is_read(folder, id);
}

/* A verification or restore is at work, perhaps cron's own. */
static gboolean somebody_reads(const struct catchup_request *q)
{
    gboolean found = FALSE;
    for (const char *const *dir = q->dirs; *dir && !found; dir++) {
        g_autoptr(GDir) files = g_dir_open(*dir, 0, NULL);
        for (const char *name; files && !found && (name = g_dir_read_name(files));)
            found = is_read(*dir, name);
    }
    return found;
}

/* Its exit code; with *error set, it could not be run. */
static int run_job(const struct schedule_request *q, const struct schedule_job *job, GError **error)
{
    g_autoptr(GPtrArray) argv = schedule_words(q, job, TRUE);
    g_ptr_array_insert(argv, 0, (gpointer)q->program);
    g_ptr_array_add(argv, (gpointer) "--quiet");
    g_ptr_array_add(argv, NULL);
    g_auto(GStrv) environment = environment_of_caller();
    if (q->env_file)
        environment = g_environ_setenv(environment, "OPSTOWER_ENV_FILE", q->env_file, TRUE);
    struct subprocess_options o = {.environment = environment, .pass_stderr = TRUE, .ends_itself = TRUE};
    g_autoptr(subprocess) child = subprocess_start((const char *const *)argv->pdata, &o, error);
    if (!child)
        return OT_FAILED;
    subprocess_wait(child, NULL); /* what went wrong it has said */
    return subprocess_exit_code(child);
}

static gboolean catch_up(const struct catchup_request *q, const struct schedule_job *job, struct report *report,
                         guint *ran, int *worst, GError **error)
{
    GError *problem = NULL;
    g_autoptr(GPtrArray) records = load_all(q, error);
    gint64 due = records ? catchup_missed(q->schedule, job, records, q->now) : 0;
    if (!due)
        return records != NULL;
    if (somebody_reads(q)) {
        report_info(report, "Not now, for a backup is being read: %s", job->name);
        return TRUE;
    }
    if (!interrupt_check(error) || !write_down(q, job, due, error))
        return FALSE;
    g_autofree char *when = text_iso_time(due);
    report_info(report, "Catching up %s, which was due at %s", job->name, when);
    int code = run_job(q->schedule, job, &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    ++*ran;
    *worst = MAX(*worst, code);
    return interrupt_check(error);
}

static gboolean begin(const struct catchup_request *q, GError **error)
{
    g_autoptr(GPtrArray) records = load_all(q, error);
    return records && (begin_of(records) || write_down(q, NULL, 0, error));
}

gboolean catchup_run(const struct catchup_request *q, struct report *report, guint *ret_ran, GError **error)
{
    int worst = OT_OK;
    *ret_ran = 0;
    g_autofree char *path = g_build_filename(q->dirs[0], LOCK_FILE, NULL);
    g_autoptr(lock) alone = lock_take(path, ACT, error);
    if (!alone || !begin(q, error))
        return FALSE;
    for (const struct schedule_job *job = schedule_jobs; job->name; job++)
        if (!catch_up(q, job, report, ret_ran, &worst, error))
            return FALSE;
    return worst == OT_OK || ot_fail(error, worst,
                                     "of %u missed jobs that were caught up at least one failed: its own "
                                     "[ERROR] line says why",
                                     *ret_ran);
}
