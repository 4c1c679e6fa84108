/*
 * Installing, removing and looking at what runs by itself.
 * Nothing is written before every file was looked at: a file of that name that is not ours stops it all.
 */
#include "engine/schedule.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "engine/schedule_text.h"

#define MAX_FILE_BYTES (1 << 20)

/* ---- which files ---- */

static void add_file(GPtrArray *files, char *path, char *text)
{
    struct schedule_file *f = g_new0(struct schedule_file, 1);
    f->path = path;
    f->text = text;
    g_ptr_array_add(files, f);
}

static char *cron_path(const struct schedule_request *q)
{
    return g_build_filename(q->unit_dir ? q->unit_dir : SCHEDULE_CRON_DIR, SCHEDULE_CRON_NAME, NULL);
}

static char *unit_path(const struct schedule_request *q, const struct schedule_job *job, const char *ending)
{
    g_autofree char *name = schedule_unit_name(job, ending);
    return g_build_filename(q->unit_dir ? q->unit_dir : SCHEDULE_UNIT_DIR, name, NULL);
}

static char *cron_text(const struct schedule_request *q)
{
    gboolean crontab = q->kind == SCHEDULE_CRONTAB;
    g_autoptr(GString) text = g_string_new(crontab ? SCHEDULE_BEGIN : SCHEDULE_MARK);
    if (!crontab)
        g_string_append(text, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
    for (const struct schedule_job *job = schedule_jobs; job->name; job++) {
        if (!schedule_wants(q, job))
            continue;
        g_autofree char *line = schedule_cron_line(q, job, !crontab);
        g_string_append(text, line);
    }
    if (crontab)
        g_string_append(text, SCHEDULE_END);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean path_fits(const char *path, GError **error)
{
    for (const char *p = path ? path : ""; *p; p++)
        if (g_ascii_iscntrl(*p))
            return ot_fail(error, OT_USAGE, "a path with control characters cannot stand in a unit or crontab");
    return TRUE;
}

static gboolean paths_fit(const struct schedule_request *q, GError **error)
{
    for (const char *const *p = q->writable; p && *p; p++)
        if (!path_fits(*p, error))
            return FALSE;
    for (const char *const *p = q->several; p && *p; p++)
        if (!path_fits(*p, error))
            return FALSE;
    return path_fits(q->program, error) && path_fits(q->scripts, error) && path_fits(q->env_file, error);
}

GPtrArray *schedule_files(const struct schedule_request *q, GError **error)
{
    if (!paths_fit(q, error))
        return NULL;
    GPtrArray *files = g_ptr_array_new_with_free_func((GDestroyNotify)schedule_file_free);
    if (q->kind != SCHEDULE_SYSTEMD)
        add_file(files, q->kind == SCHEDULE_CRONTAB ? g_strdup("crontab") : cron_path(q), cron_text(q));
    for (const struct schedule_job *job = schedule_jobs; q->kind == SCHEDULE_SYSTEMD && job->name; job++) {
        if (!schedule_wants(q, job))
            continue;
        add_file(files, unit_path(q, job, ".service"), schedule_service_text(q, job));
        if (!job->serve)
            add_file(files, unit_path(q, job, ".timer"), schedule_timer_text(job));
    }
    return files;
}

/* ---- whose files ---- */

enum schedule_owner schedule_owner_of(const char *path, char **ret_text, GError **error)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return SCHEDULE_ABSENT;
        ot_fail_errno(error, OT_IO, "cannot look at %s", path);
        return SCHEDULE_UNKNOWN;
    }
    g_autofree char *text = NULL;
    if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_BYTES)
        return SCHEDULE_OTHERS;
    if (!files_read(path, MAX_FILE_BYTES, &text, NULL, error))
        return SCHEDULE_UNKNOWN;
    if (!g_str_has_prefix(text, SCHEDULE_MARK))
        return SCHEDULE_OTHERS;
    if (ret_text)
        *ret_text = g_steal_pointer(&text);
    return SCHEDULE_OURS;
}

gboolean schedule_has_serve(const struct schedule_request *q)
{
    for (const struct schedule_job *job = schedule_jobs; job->name; job++) {
        g_autofree char *path = unit_path(q, job, ".service");
        if (job->serve && schedule_owner_of(path, NULL, NULL) == SCHEDULE_OURS)
            return TRUE;
    }
    return FALSE;
}

static gboolean may_write_all(const GPtrArray *files, GError **error)
{
    for (guint i = 0; i < files->len; i++) {
        const struct schedule_file *f = files->pdata[i];
        switch (schedule_owner_of(f->path, NULL, error)) {
        case SCHEDULE_UNKNOWN:
            return FALSE;
        case SCHEDULE_OTHERS:
            return ot_fail(
                error, OT_REFUSED,
                "%s is there and was not made by opstower: nothing was changed. Move it away, then run again", f->path);
        case SCHEDULE_ABSENT:
        case SCHEDULE_OURS:
            break;
        }
    }
    return TRUE;
}

/* ---- install ---- */

/* Units and cron's files are for all to read; there is no secret in them. */
static gboolean write_file(const struct schedule_file *f, struct report *report, guint *changed, GError **error)
{
    g_autofree char *old = NULL;
    if (schedule_owner_of(f->path, &old, error) == SCHEDULE_UNKNOWN)
        return FALSE;
    if (g_strcmp0(old, f->text) == 0)
        return TRUE;
    g_autofree char *folder = g_path_get_dirname(f->path);
    g_autofree char *name = g_path_get_basename(f->path);
    if (!files_need_folder(folder, error) || !files_write(folder, name, f->text, strlen(f->text), TRUE, error))
        return FALSE;
    if (g_chmod(f->path, 0644) != 0)
        return ot_fail_errno(error, OT_IO, "cannot make %s readable", f->path);
    report_info(report, "Written: %s", f->path);
    (*changed)++;
    return TRUE;
}

static gboolean write_crontab(const char *block, struct report *report, guint *changed, GError **error)
{
    GString *text = schedule_crontab_read(error);
    if (!text)
        return FALSE;
    g_autofree char *old = NULL;
    g_autoptr(GError) problem = NULL;
    schedule_crontab_cut(text, &old, &problem);
    gboolean ok = problem == NULL;
    if (ok && g_strcmp0(old, block) != 0) {
        if (text->len > 0 && text->str[text->len - 1] != '\n')
            g_string_append_c(text, '\n');
        g_string_append(text, block);
        ok = schedule_crontab_write(text->str, text->len, &problem);
        *changed += ok ? 1 : 0;
    }
    if (ok && *changed)
        report_info(report, "Written: the crontab of this user");
    g_string_free(text, TRUE);
    if (problem)
        g_propagate_error(error, g_steal_pointer(&problem));
    return ok;
}

/* What systemd starts: the timer, or the service that stays. */
static char *started_unit(const struct schedule_job *job)
{
    return schedule_unit_name(job, job->serve ? ".service" : ".timer");
}

/* A service that runs already would go on as it was. */
static gboolean restart(const struct schedule_job *job, GError **error)
{
    g_autofree char *unit = started_unit(job);
    const char *const words[] = {"try-restart", unit, NULL};
    return schedule_systemctl(words, NULL, error);
}

static gboolean start_units(const struct schedule_request *q, gboolean changed, GError **error)
{
    static const char *const reload[] = {"daemon-reload", NULL};
    gboolean ok = schedule_systemctl(reload, NULL, error);
    for (const struct schedule_job *job = schedule_jobs; ok && job->name; job++) {
        if (!schedule_wants(q, job))
            continue;
        g_autofree char *unit = started_unit(job);
        const char *const enable[] = {"enable", "--now", unit, NULL};
        ok = schedule_systemctl(enable, NULL, error) && (!job->serve || !changed || restart(job, error));
    }
    return ok;
}

static gboolean remove_kind(const struct schedule_request *q, struct report *report, guint *removed, GError **error);

static gboolean remove_job(const struct schedule_request *q, const struct schedule_job *job, gboolean told,
                           struct report *report, guint *removed, GError **error);

static gboolean tells_systemd(const struct schedule_request *q)
{
    return q->kind == SCHEDULE_SYSTEMD && !q->unit_dir && schedule_has_systemd();
}

/* Units of jobs that an earlier install wrote; in a cron file they are just not written again. */
static gboolean remove_unwanted(const struct schedule_request *q, struct report *report, GError **error)
{
    guint removed = 0;
    for (const struct schedule_job *job = schedule_jobs; q->kind == SCHEDULE_SYSTEMD && job->name; job++)
        if (!schedule_wants(q, job) && !remove_job(q, job, tells_systemd(q), report, &removed, error))
            return FALSE;
    return TRUE;
}

/* As root one of the two is enough: both would run each job twice. */
static gboolean remove_other_kind(const struct schedule_request *q, struct report *report, GError **error)
{
    struct schedule_request other = *q;
    guint removed = 0;
    if (q->kind == SCHEDULE_CRONTAB)
        return TRUE;
    other.kind = q->kind == SCHEDULE_SYSTEMD ? SCHEDULE_CRON_FILE : SCHEDULE_SYSTEMD;
    return remove_kind(&other, report, &removed, error);
}

gboolean schedule_install(const struct schedule_request *q, struct report *report, guint *ret_changed, GError **error)
{
    g_autoptr(GPtrArray) files = schedule_files(q, error);
    *ret_changed = 0;
    if (!files)
        return FALSE;
    if (q->kind == SCHEDULE_CRONTAB)
        return write_crontab(((struct schedule_file *)files->pdata[0])->text, report, ret_changed, error);
    if (!may_write_all(files, error) || !remove_other_kind(q, report, error) || !remove_unwanted(q, report, error))
        return FALSE;
    for (guint i = 0; i < files->len; i++)
        if (!write_file(files->pdata[i], report, ret_changed, error))
            return FALSE;
    /* Also if no file changed: somebody may have stopped a timer. */
    return !tells_systemd(q) || start_units(q, *ret_changed > 0, error);
}

/* ---- remove ---- */

static gboolean remove_file(const char *path, struct report *report, guint *removed, GError **error)
{
    switch (schedule_owner_of(path, NULL, error)) {
    case SCHEDULE_UNKNOWN:
        return FALSE;
    case SCHEDULE_ABSENT:
        return TRUE;
    case SCHEDULE_OTHERS:
        report_warn(report, "%s was not made by opstower: it stays", path);
        return TRUE;
    case SCHEDULE_OURS:
        break;
    }
    if (!files_remove(path, error))
        return FALSE;
    report_info(report, "Removed: %s", path);
    (*removed)++;
    return TRUE;
}

static void clean(const char *what, const char *unit, struct report *report)
{
    const char *const words[] = {"clean", what, unit, NULL};
    g_autoptr(GError) unclean = NULL;
    if (!schedule_systemctl(words, NULL, &unclean))
        report_warn(report, "systemd keeps something of %s: %s", unit, unclean->message);
}

/* systemd's own note of when the timer last ran goes too, and the service's folder in /run; they can be cleaned only
 * while the units are known. */
static gboolean stop_unit(const struct schedule_job *job, struct report *report, GError **error)
{
    g_autofree char *unit = started_unit(job), *service = schedule_unit_name(job, ".service");
    const char *const disable[] = {"disable", "--now", unit, NULL};
    if (!schedule_systemctl(disable, NULL, error))
        return FALSE;
    if (!job->serve)
        clean("--what=state", unit, report);
    if (job->watch)
        clean("--what=runtime", service, report);
    return TRUE;
}

static gboolean remove_job(const struct schedule_request *q, const struct schedule_job *job, gboolean told,
                           struct report *report, guint *removed, GError **error)
{
    g_autofree char *timer = unit_path(q, job, ".timer");
    g_autofree char *service = unit_path(q, job, ".service");
    enum schedule_owner owner = schedule_owner_of(job->serve ? service : timer, NULL, error);
    return owner != SCHEDULE_UNKNOWN && (owner != SCHEDULE_OURS || !told || stop_unit(job, report, error)) &&
           remove_file(timer, report, removed, error) && remove_file(service, report, removed, error);
}

static gboolean remove_units(const struct schedule_request *q, struct report *report, guint *removed, GError **error)
{
    static const char *const reload[] = {"daemon-reload", NULL};
    guint before = *removed;
    gboolean told = tells_systemd(q);
    for (const struct schedule_job *job = schedule_jobs; job->name; job++)
        if (!remove_job(q, job, told, report, removed, error))
            return FALSE;
    return *removed == before || !told || schedule_systemctl(reload, NULL, error);
}

static gboolean remove_lines(struct report *report, guint *removed, GError **error)
{
    GString *text = schedule_crontab_read(error);
    g_autoptr(GError) problem = NULL;
    if (!text)
        return FALSE;
    gboolean ok = TRUE;
    if (schedule_crontab_cut(text, NULL, &problem)) {
        ok = schedule_crontab_write(text->str, text->len, &problem);
        *removed += ok ? 1 : 0;
    }
    g_string_free(text, TRUE);
    if (problem) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    if (*removed)
        report_info(report, "Removed: the lines of opstower in the crontab of this user");
    return ok;
}

static gboolean remove_kind(const struct schedule_request *q, struct report *report, guint *removed, GError **error)
{
    if (q->kind == SCHEDULE_CRONTAB)
        return remove_lines(report, removed, error);
    if (q->kind == SCHEDULE_SYSTEMD)
        return remove_units(q, report, removed, error);
    g_autofree char *path = cron_path(q);
    return remove_file(path, report, removed, error);
}

gboolean schedule_remove(const struct schedule_request *q, struct report *report, guint *ret_removed, GError **error)
{
    *ret_removed = 0;
    struct schedule_request other = *q;
    if (q->kind == SCHEDULE_CRONTAB)
        return remove_kind(q, report, ret_removed, error);
    other.kind = SCHEDULE_SYSTEMD;
    if (!remove_kind(&other, report, ret_removed, error))
        return FALSE;
    other.kind = SCHEDULE_CRON_FILE;
    return remove_kind(&other, report, ret_removed, error);
}
