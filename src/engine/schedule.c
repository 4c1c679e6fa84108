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
        add_file(files, unit_path(q, job, ".service"), schedule_service_text(q, job));
        add_file(files, unit_path(q, job, ".timer"), schedule_timer_text(job));
    }
    return files;
}

/* ---- whose files ---- */

enum owner { ABSENT, OURS, OTHERS, UNKNOWN };

/* A link (a masked unit is one) is not ours. ret_text (may be NULL): what is in a file of ours. UNKNOWN: see error. */
static enum owner owner_of(const char *path, char **ret_text, GError **error)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return ABSENT;
        ot_fail_errno(error, OT_IO, "cannot look at %s", path);
        return UNKNOWN;
    }
    g_autofree char *text = NULL;
    if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_BYTES)
        return OTHERS;
    if (!files_read(path, MAX_FILE_BYTES, &text, NULL, error))
        return UNKNOWN;
    if (!g_str_has_prefix(text, SCHEDULE_MARK))
        return OTHERS;
    if (ret_text)
        *ret_text = g_steal_pointer(&text);
    return OURS;
}

static gboolean may_write_all(const GPtrArray *files, GError **error)
{
    for (guint i = 0; i < files->len; i++) {
        const struct schedule_file *f = files->pdata[i];
        switch (owner_of(f->path, NULL, error)) {
        case UNKNOWN:
            return FALSE;
        case OTHERS:
            return ot_fail(
                error, OT_REFUSED,
                "%s is there and was not made by opstower: nothing was changed. Move it away, then run again", f->path);
        case ABSENT:
        case OURS:
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
    if (owner_of(f->path, &old, error) == UNKNOWN)
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

static gboolean start_timers(GError **error)
{
    static const char *const reload[] = {"daemon-reload", NULL};
    gboolean ok = schedule_systemctl(reload, NULL, error);
    for (const struct schedule_job *job = schedule_jobs; ok && job->name; job++) {
        g_autofree char *unit = schedule_unit_name(job, ".timer");
        const char *const enable[] = {"enable", "--now", unit, NULL};
        ok = schedule_systemctl(enable, NULL, error);
    }
    return ok;
}

static gboolean remove_kind(const struct schedule_request *q, struct report *report, guint *removed, GError **error);

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
    if (!may_write_all(files, error) || !remove_other_kind(q, report, error))
        return FALSE;
    for (guint i = 0; i < files->len; i++)
        if (!write_file(files->pdata[i], report, ret_changed, error))
            return FALSE;
    /* Also if no file changed: somebody may have stopped a timer. */
    return q->kind != SCHEDULE_SYSTEMD || q->unit_dir || !schedule_has_systemd() || start_timers(error);
}

/* ---- remove ---- */

static gboolean remove_file(const char *path, struct report *report, guint *removed, GError **error)
{
    switch (owner_of(path, NULL, error)) {
    case UNKNOWN:
        return FALSE;
    case ABSENT:
        return TRUE;
    case OTHERS:
        report_warn(report, "%s was not made by opstower: it stays", path);
        return TRUE;
    case OURS:
        break;
    }
    if (!files_remove(path, error))
        return FALSE;
    report_info(report, "Removed: %s", path);
    (*removed)++;
    return TRUE;
}

/* systemd's own note of when the timer last ran goes too; it can be cleaned only while the unit is known. */
static gboolean stop_timer(const char *unit, struct report *report, GError **error)
{
    const char *const disable[] = {"disable", "--now", unit, NULL};
    const char *const clean[] = {"clean", "--what=state", unit, NULL};
    g_autoptr(GError) unclean = NULL;
    if (!schedule_systemctl(disable, NULL, error))
        return FALSE;
    if (!schedule_systemctl(clean, NULL, &unclean))
        report_warn(report, "systemd keeps its note of the last run of %s: %s", unit, unclean->message);
    return TRUE;
}

static gboolean remove_job(const struct schedule_request *q, const struct schedule_job *job, gboolean told,
                           struct report *report, guint *removed, GError **error)
{
    g_autofree char *unit = schedule_unit_name(job, ".timer");
    g_autofree char *timer = unit_path(q, job, ".timer");
    g_autofree char *service = unit_path(q, job, ".service");
    enum owner owner = owner_of(timer, NULL, error);
    return owner != UNKNOWN && (owner != OURS || !told || stop_timer(unit, report, error)) &&
           remove_file(timer, report, removed, error) && remove_file(service, report, removed, error);
}

static gboolean remove_units(const struct schedule_request *q, struct report *report, guint *removed, GError **error)
{
    static const char *const reload[] = {"daemon-reload", NULL};
    guint before = *removed;
    gboolean told = !q->unit_dir && schedule_has_systemd();
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

/* ---- status ---- */

static const char *compare(const char *path, const char *text, GError **error)
{
    g_autofree char *old = NULL;
    switch (owner_of(path, &old, error)) {
    case UNKNOWN:
        return NULL;
    case ABSENT:
        return "no";
    case OTHERS:
        return "not ours";
    case OURS:
        break;
    }
    return g_str_equal(old, text) ? "yes" : "differs";
}

static const char *compare_crontab(const char *block, GError **error)
{
    GString *text = schedule_crontab_read(error);
    g_autoptr(GError) problem = NULL;
    g_autofree char *old = NULL;
    if (!text)
        return NULL;
    schedule_crontab_cut(text, &old, &problem);
    g_string_free(text, TRUE);
    if (problem) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    return !old ? "no" : g_str_equal(old, block) ? "yes" : "differs";
}

/* A timer without its service, or the other way round, is not what would be installed. */
static const char *compare_units(const GPtrArray *files, guint i, GError **error)
{
    const struct schedule_file *service = files->pdata[2 * i], *timer = files->pdata[2 * i + 1];
    const char *a = compare(service->path, service->text, error);
    const char *b = a ? compare(timer->path, timer->text, error) : NULL;
    return !b || g_str_equal(a, b)                                    ? b
           : g_str_equal(a, "not ours") || g_str_equal(b, "not ours") ? "not ours"
                                                                      : "differs";
}

/* What systemd says of the timer: whether it is enabled and waiting, and until when. */
static gboolean ask_systemd(struct schedule_state *state, GError **error)
{
    g_autofree char *unit = schedule_unit_name(state->job, ".timer");
    const char *const words[] = {"show", "--timestamp=unix",
                                 "--property=UnitFileState,ActiveState,NextElapseUSecRealtime", unit, NULL};
    GString *text = NULL;
    if (!schedule_systemctl(words, &text, error))
        return FALSE;
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
    g_string_free(text, TRUE);
    gboolean enabled = g_strv_contains((const char *const *)lines, "UnitFileState=enabled");
    state->enabled = enabled && g_strv_contains((const char *const *)lines, "ActiveState=active");
    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, "NextElapseUSecRealtime=@"))
            state->next = g_ascii_strtoll(strchr(*line, '@') + 1, NULL, 10);
    return TRUE;
}

static gboolean look(const struct schedule_request *q, const GPtrArray *files, guint i, struct schedule_state *state,
                     GError **error)
{
    const struct schedule_file *first = files->pdata[0];
    state->installed = q->kind == SCHEDULE_SYSTEMD   ? compare_units(files, i, error)
                       : q->kind == SCHEDULE_CRONTAB ? compare_crontab(first->text, error)
                                                     : compare(first->path, first->text, error);
    if (!state->installed)
        return FALSE;
    gboolean there = g_str_equal(state->installed, "yes") || g_str_equal(state->installed, "differs");
    if (!there)
        return TRUE;
    if (q->kind != SCHEDULE_SYSTEMD)
        state->enabled = schedule_has_cron();
    else if (!q->unit_dir && schedule_has_systemd() && !ask_systemd(state, error))
        return FALSE;
    if (state->enabled && q->kind != SCHEDULE_SYSTEMD)
        state->next = schedule_next(&state->job->when, g_get_real_time() / G_USEC_PER_SEC);
    return TRUE;
}

GPtrArray *schedule_status(const struct schedule_request *q, GError **error)
{
    g_autoptr(GPtrArray) files = schedule_files(q, error);
    g_autoptr(GPtrArray) states = g_ptr_array_new_with_free_func(g_free);
    for (const struct schedule_job *job = schedule_jobs; files && job->name; job++) {
        struct schedule_state *state = g_new0(struct schedule_state, 1);
        state->job = job;
        g_ptr_array_add(states, state);
        if (!look(q, files, states->len - 1, state, error))
            return NULL;
    }
    return files ? g_steal_pointer(&states) : NULL;
}
