/*
 * opstower schedule
 * The jobs are told what their own settings are, not the caller's: the .env file alone, for cron and systemd have no
 * more than that.
 */
#include "engine/schedule.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "cmd/command.h"
#include "cmd/several.h"
#include "engine/catchup.h"

/* Everything a request points to. */
struct plan {
    struct schedule_request request;
    gboolean named; /* the .env file names a database */
    char *program, *scripts, *env_file, *unit_dir;
    GPtrArray *several, *writable; /* char *, NULL at the end */
    GPtrArray *env_files;          /* char *: what the jobs read */
    GPtrArray *dirs;               /* char *, NULL at the end: BACKUP_DIR of each of them */
};

static void plan_clear(struct plan *p)
{
    g_free(p->program);
    g_free(p->scripts);
    g_free(p->env_file);
    g_free(p->unit_dir);
    g_clear_pointer(&p->several, g_ptr_array_unref);
    g_clear_pointer(&p->writable, g_ptr_array_unref);
    g_clear_pointer(&p->env_files, g_ptr_array_unref);
    g_clear_pointer(&p->dirs, g_ptr_array_unref);
}

/* ---- what is to run ---- */

static gboolean find_program(struct plan *p, GError **error)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        return ot_fail_errno(error, OT_PREREQUISITE, "cannot find out where this program lies");
    path[length] = '\0';
    if (g_str_has_suffix(path, " (deleted)"))
        return ot_fail(error, OT_PREREQUISITE, "%s: this program was replaced while it ran; run again", path);
    p->program = g_strdup(path);
    /* build/opstower beside scripts/, or PREFIX/bin/opstower beside PREFIX/share. */
    static const char *const places[] = {"../scripts", "../share/opstower/scripts"};
    g_autofree char *folder = g_path_get_dirname(path);
    for (gsize i = 0; i < G_N_ELEMENTS(places) && !p->scripts; i++) {
        g_autofree char *joined = g_build_filename(folder, places[i], NULL);
        g_autofree char *candidate = g_canonicalize_filename(joined, NULL);
        g_autofree char *script = g_build_filename(candidate, "backup-database.sh", NULL);
        if (g_file_test(script, G_FILE_TEST_IS_EXECUTABLE))
            p->scripts = g_steal_pointer(&candidate);
    }
    return TRUE;
}

static void add_folder(GPtrArray *folders, const char *path)
{
    g_autofree char *absolute = path ? g_canonicalize_filename(path, NULL) : NULL;
    if (absolute && !g_ptr_array_find_with_equal_func(folders, absolute, g_str_equal, NULL))
        g_ptr_array_add(folders, g_steal_pointer(&absolute));
}

/* The jobs start elsewhere: in the root folder, or the user's home. */
static gboolean folders_are_absolute(const struct settings *job, const char *env_file, GError **error)
{
    const char *relative = !g_path_is_absolute(job->backup_dir)                ? "BACKUP_DIR"
                           : job->tmp_dir && !g_path_is_absolute(job->tmp_dir) ? "BACKUP_TMPDIR"
                                                                               : NULL;
    return !relative ||
           ot_fail(error, OT_USAGE, "%s in %s is not an absolute path: the jobs would look for it in another folder",
                   relative, env_file);
}

/* What a job with this .env file and nothing else will write to, and whether it knows its database and bucket. */
static gboolean learn_from(struct plan *p, const char *env_file, gboolean any_database, GError **error)
{
    g_autofree char *variable = g_strconcat("OPSTOWER_ENV_FILE=", env_file, NULL);
    char *environment[] = {variable, NULL};
    g_auto(GStrv) words = NULL;
    struct settings job = {0};
    if (!settings_load(&job, CMD_BACKUP, 0, NULL, environment, &words, NULL, error))
        return FALSE;
    gboolean named = job.database_url || job.database_name || any_database;
    gboolean ok = named && folders_are_absolute(&job, env_file, error);
    if (!named)
        ot_fail(error, OT_USAGE,
                "%s names no database, and the jobs have no other settings: set DATABASE_URL or DATABASE_NAME in it",
                env_file);
    p->named = job.database_url || job.database_name;
    g_ptr_array_add(p->env_files, g_strdup(env_file));
    for (char **file = job.secret_files; file && *file; file++)
        g_ptr_array_add(p->env_files, g_strdup(*file));
    add_folder(p->dirs, job.backup_dir);
    add_folder(p->writable, job.backup_dir);
    add_folder(p->writable, job.tmp_dir);
    p->request.hooks = p->request.hooks || job.hook_pre_backup || job.hook_post_backup || job.hook_on_failure;
    p->request.bucket = p->request.bucket || job.s3_bucket;
    p->request.alerts =
        p->request.alerts || job.slack_webhook_url || job.pagerduty_key || job.alert_email || job.alert_webhook_url;
    settings_clear(&job);
    return ok;
}

static gboolean learn_from_dir(struct plan *p, const char *config_dir, GError **error)
{
    g_autofree char *folder = g_canonicalize_filename(config_dir, NULL);
    g_autoptr(GPtrArray) files = several_env_files(folder, error);
    for (guint i = 0; files && i < files->len; i++)
        if (!learn_from(p, files->pdata[i], FALSE, error))
            return FALSE;
    g_ptr_array_add(p->several, g_strconcat("--config-dir=", folder, NULL));
    return files != NULL;
}

static gboolean learn(struct plan *p, const struct settings *s, GError **error)
{
    if (s->config_dir && s->all_databases)
        return ot_fail(error, OT_USAGE, "--config-dir and --all-databases exclude each other");
    if (s->config_dir)
        return learn_from_dir(p, s->config_dir, error);
    if (!s->env_file)
        return ot_fail(error, OT_USAGE,
                       "there is no .env file, and the jobs will have none of this environment: write the settings to "
                       "/etc/opstower/backup.env, or name a file with --env-file");
    p->env_file = g_canonicalize_filename(s->env_file, NULL);
    if (s->all_databases)
        g_ptr_array_add(p->several, g_strdup("--all-databases"));
    return learn_from(p, p->env_file, s->all_databases, error);
}

/* ---- how it is started ---- */

static gboolean choose_kind(struct plan *p, const struct settings *s, GError **error)
{
    if (s->schedule_cron && s->schedule_systemd)
        return ot_fail(error, OT_USAGE, "--cron and --systemd exclude each other");
    gboolean own_files = s->unit_dir || geteuid() == 0;
    gboolean systemd = s->schedule_systemd || (!s->schedule_cron && own_files && schedule_has_systemd());
    if (systemd && !own_files)
        return ot_fail(error, OT_REFUSED,
                       "systemd's units are root's to install: run this through sudo, or use --cron");
    if (s->schedule_user && !own_files)
        return ot_fail(error, OT_USAGE, "--run-as is for root: a crontab's jobs run as the user it belongs to");
    p->request.kind = systemd ? SCHEDULE_SYSTEMD : own_files ? SCHEDULE_CRON_FILE : SCHEDULE_CRONTAB;
    return TRUE;
}

/* A name goes into a unit and a crontab's line as it is. */
static gboolean check_user(const struct settings *s, GError **error)
{
    const char *user = s->schedule_user;
    if (!user)
        return TRUE;
    if (user[strspn(user, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")])
        return ot_fail(error, OT_USAGE, "--run-as is not the name of a user");
    if (!s->unit_dir && !getpwnam(user))
        return ot_fail(error, OT_PREREQUISITE, "there is no user \"%s\" on this machine", user);
    return TRUE;
}

/* The dashboard is of one .env file, and of a database that this names. */
static gboolean choose_serve(struct plan *p, const struct settings *s, GError **error)
{
    gboolean fits = p->request.kind == SCHEDULE_SYSTEMD && p->env_file && p->named;
    p->request.serve = fits && (s->with_serve || schedule_has_serve(&p->request));
    if (!s->with_serve || fits)
        return TRUE;
    if (p->request.kind != SCHEDULE_SYSTEMD)
        return ot_fail(error, OT_USAGE, "--with-serve is for systemd: cron starts nothing that stays");
    return ot_fail(
        error, OT_USAGE,
        "--with-serve needs a .env file that names a database, and no --config-dir: the dashboard shows one");
}

static gboolean make_plan(struct console *c, gboolean in_full, struct plan *p, GError **error)
{
    const struct settings *s = &c->settings;
    p->several = g_ptr_array_new_with_free_func(g_free);
    p->writable = g_ptr_array_new_with_free_func(g_free);
    p->env_files = g_ptr_array_new_with_free_func(g_free);
    p->dirs = g_ptr_array_new_with_free_func(g_free);
    p->unit_dir = s->unit_dir ? g_canonicalize_filename(s->unit_dir, NULL) : NULL;
    p->request.unit_dir = p->unit_dir;
    p->request.user = s->schedule_user;
    if (!choose_kind(p, s, error) || !check_user(s, error))
        return FALSE;
    if (in_full && (!find_program(p, error) || !learn(p, s, error) || !choose_serve(p, s, error)))
        return FALSE;
    g_ptr_array_add(p->several, NULL);
    g_ptr_array_add(p->writable, NULL);
    g_ptr_array_add(p->dirs, NULL);
    p->request.program = p->program;
    p->request.scripts = p->scripts;
    p->request.env_file = p->env_file;
    p->request.several = (const char *const *)p->several->pdata;
    p->request.writable = (const char *const *)p->writable->pdata;
    return TRUE;
}

static const char *kind_name(enum schedule_kind kind)
{
    return kind == SCHEDULE_SYSTEMD ? "systemd" : kind == SCHEDULE_CRON_FILE ? "cron" : "crontab";
}

/* ---- print ---- */

static gboolean print_schedule(struct console *c, const struct plan *p, GError **error)
{
    g_autoptr(GPtrArray) files = schedule_files(&p->request, error);
    if (!files)
        return FALSE;
    json_t *array = json_array();
    for (guint i = 0; i < files->len; i++) {
        const struct schedule_file *f = files->pdata[i];
        if (c->settings.json)
            json_array_append_new(array, json_pack("{ss ss}", "file", f->path, "text", f->text));
        else
            printf("%s# %s\n%s", i ? "\n" : "", f->path, f->text);
    }
    if (c->settings.json)
        return console_print_json(array, error);
    json_decref(array);
    return TRUE;
}

/* ---- install, remove ---- */

/* The jobs' user must be able to write where it is to write; a folder that is there is its owner's business. */
static gboolean need_folders(struct console *c, const struct plan *p, GError **error)
{
    const char *user = p->request.user;
    for (const char *const *folder = p->request.writable; *folder; folder++) {
        if (p->request.unit_dir || g_file_test(*folder, G_FILE_TEST_EXISTS))
            continue;
        const struct passwd *owner = user ? getpwnam(user) : NULL;
        if (!files_need_folder(*folder, error))
            return FALSE;
        if (owner && chown(*folder, owner->pw_uid, owner->pw_gid) != 0)
            return ot_fail_errno(error, OT_PREREQUISITE, "cannot give %s to %s", *folder, user);
        report_info(&c->report, "Made: %s", *folder);
    }
    return TRUE;
}

/* test(1) as that user: modes, groups and the folders above all count. how: "-r" or "-w". */
static gboolean user_may(const char *user, const char *how, const char *path, GError **error)
{
    const char *const argv[] = {"test", how, path, NULL};
    struct subprocess_options o = {.user = user, .directory = "/"};
    return subprocess_run(argv, &o, 1024, NULL, NULL) ||
           ot_fail(error, OT_PREREQUISITE, "user \"%s\" may not %s %s: the jobs would fail", user,
                   g_str_equal(how, "-r") ? "read" : "write to", path);
}

static gboolean check_access(const struct plan *p, GError **error)
{
    const char *user = p->request.user;
    if (!user || p->request.unit_dir)
        return TRUE;
    for (guint i = 0; i < p->env_files->len; i++)
        if (!user_may(user, "-r", p->env_files->pdata[i], error))
            return FALSE;
    for (const char *const *folder = p->request.writable; *folder; folder++)
        if (!user_may(user, "-w", *folder, error))
            return FALSE;
    return TRUE;
}

static void warn_if_nobody_listens(struct console *c, const struct plan *p)
{
    if (p->request.unit_dir)
        return;
    if (p->request.kind == SCHEDULE_SYSTEMD && !schedule_has_systemd())
        report_warn(&c->report, "systemd is not running here: the timers start when it does, once enabled "
                                "(systemctl enable opstower-*.timer)");
    if (p->request.kind != SCHEDULE_SYSTEMD && !schedule_has_cron())
        report_warn(&c->report, "no cron daemon is running: nothing starts these jobs until one does");
}

static gboolean tell(struct console *c, const struct plan *p, const char *what, guint count, GError **error)
{
    const char *kind = kind_name(p->request.kind);
    report_fact(&c->report, "kind", json_string(kind));
    report_fact(&c->report, what, json_integer(count));
    if (c->settings.json)
        return console_print_json(json_pack("{ss si}", "kind", kind, what, (int)count), error);
    return TRUE;
}

/* Files for a package are no act on this machine. */
static const char *act_of(const struct plan *p, const char *act)
{
    return p->request.unit_dir ? NULL : act;
}

static gboolean install(struct console *c, const struct plan *p, GError **error)
{
    guint changed = 0;
    c->act = act_of(p, "schedule-install");
    if (!need_folders(c, p, error) || !check_access(p, error) ||
        !schedule_install(&p->request, &c->report, &changed, error))
        return FALSE;
    report_info(&c->report, changed ? "Installed (%s)" : "Nothing to change (%s): it is installed as it should be",
                kind_name(p->request.kind));
    warn_if_nobody_listens(c, p);
    if (!p->request.alerts)
        report_warn(&c->report,
                    "no channel for alerts is set in the .env file: nobody is told when backups stay away. Set "
                    "SLACK_WEBHOOK_URL, PAGERDUTY_SERVICE_KEY, ALERT_EMAIL or ALERT_WEBHOOK_URL, then run "
                    "this again");
    return tell(c, p, "changed", changed, error);
}

static gboolean remove_schedule(struct console *c, const struct plan *p, GError **error)
{
    guint removed = 0;
    c->act = act_of(p, "schedule-remove");
    if (!schedule_remove(&p->request, &c->report, &removed, error))
        return FALSE;
    if (removed == 0)
        report_info(&c->report, "Nothing was installed");
    return tell(c, p, "removed", removed, error);
}

/* ---- status ---- */

static void print_state(const struct schedule_state *s)
{
    g_autofree char *next = s->next ? text_iso_time(s->next) : g_strdup("-");
    printf("%-22s %-10s %-8s %-26s %s\n", s->job->name, s->installed, s->enabled ? "yes" : "no", next, s->job->title);
}

static json_t *state_json(const struct schedule_state *s)
{
    g_autofree char *next = s->next ? text_iso_time(s->next) : NULL;
    return json_pack("{ss ss ss sb ss*}", "name", s->job->name, "title", s->job->title, "installed", s->installed,
                     "enabled", s->enabled, "next", next);
}

static gboolean print_status(struct console *c, const struct plan *p, GError **error)
{
    g_autoptr(GPtrArray) states = schedule_status(&p->request, error);
    if (!states)
        return FALSE;
    json_t *array = json_array();
    if (!c->settings.json)
        printf("%-22s %-10s %-8s %-26s %s\n", "JOB", "INSTALLED", "ENABLED", "NEXT", "WHAT");
    for (guint i = 0; i < states->len; i++) {
        const struct schedule_state *s = states->pdata[i];
        if (!g_str_equal(s->installed, "yes") || !s->enabled)
            c->verdict = OT_FAILED;
        if (c->settings.json)
            json_array_append_new(array, state_json(s));
        else
            print_state(s);
    }
    if (!c->settings.json) {
        json_decref(array);
        return TRUE;
    }
    return console_print_json(json_pack("{ss so}", "kind", kind_name(p->request.kind), "jobs", array), error);
}

/* ---- catch-up ---- */

static gboolean catch_up(struct console *c, const struct plan *p, GError **error)
{
    guint ran = 0;
    struct catchup_request q = {
        .schedule = &p->request,
        .dirs = (const char *const *)p->dirs->pdata,
        .now = g_get_real_time() / G_USEC_PER_SEC,
    };
    if (!catchup_run(&q, &c->report, &ran, error))
        return FALSE;
    if (ran == 0)
        report_info(&c->report, "Nothing to catch up");
    return !c->settings.json || console_print_json(json_pack("{si}", "caught_up", (int)ran), error);
}

static const struct {
    const char *name;
    gboolean in_full; /* needs to know what would be installed */
    gboolean (*run)(struct console *c, const struct plan *p, GError **error);
} verbs[] = {
    {"print", TRUE, print_schedule}, {"install", TRUE, install},   {"remove", FALSE, remove_schedule},
    {"status", TRUE, print_status},  {"catch-up", TRUE, catch_up},
};

static gboolean run(struct console *c, char **words, GError **error)
{
    const char *names[G_N_ELEMENTS(verbs) + 1] = {NULL};
    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++) {
        names[i] = verbs[i].name;
        if (!g_str_equal(words[0], verbs[i].name))
            continue;
        struct plan p = {0};
        gboolean ok = make_plan(c, verbs[i].in_full, &p, error) && verbs[i].run(c, &p, error);
        plan_clear(&p);
        return ok;
    }
    const char *near = options_nearest_word(words[0], names);
    return ot_fail(error, OT_USAGE,
                   "opstower schedule knows print, install, remove, status and catch-up, not \"%s\"%s%s", words[0],
                   near ? "; did you mean " : "", near ? near : "");
}

const struct command cmd_schedule = {
    .name = "schedule",
    .mask = CMD_SCHEDULE,
    .usage = "print|install|remove|status|catch-up [--cron|--systemd] [--with-serve] [OPTION]...",
    .summary = "Run backups and their tests by themselves, by systemd's timers or cron.",
    .details =
        "Every hour a backup; on Sundays a verification of the latest one; on the first Sunday of a month a full\n"
        "restore test; on the second Sunday of January, April, July and October a drill: a full test of the\n"
        "copy in S3 if there is a bucket, else of the one here.\n"
        "print shows what install would write. install and remove may be run again; what others wrote is left\n"
        "alone. status says what is installed, whether it is what install would write now, and when it runs\n"
        "next; its exit code is 1 unless all is installed, up to date and enabled.\n"
        "catch-up runs what was missed of the weekly, monthly and quarterly jobs while the machine was off, each\n"
        "once; cron gets an hourly line for it, systemd's timers do so by themselves.\n"
        "The jobs get their settings from the .env file alone, whose path is all they are told: no secret\n"
        "stands in a unit or crontab.",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
