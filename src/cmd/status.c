/* opstower status */
#include "cmd/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/files.h"
#include "cmd/alerting.h"
#include "cmd/command.h"
#include "cmd/requests.h"
#include "cmd/several.h"

static void health_delete(gpointer data)
{
    health_clear(data);
    g_free(data);
}

static gboolean look(struct console *c, const char *database, GPtrArray *list, GError **error)
{
    struct health_request q;
    struct health *h = g_new0(struct health, 1);
    request_health(c, database, &q);
    q.look_away = c->settings.local_only;
    if (!health_run(&q, h, error)) {
        g_free(h);
        return FALSE;
    }
    g_ptr_array_add(list, h);
    return TRUE;
}

/* The names of all databases that have a backup in the folder; a name that its metadata does not say is none. */
static gboolean databases_here(const char *dir, GPtrArray *names, GError **error)
{
    g_autoptr(GPtrArray) backups = catalog_list(dir, NULL, error);
    for (guint i = 0; backups && i < backups->len; i++) {
        const struct catalog_entry *e = backups->pdata[i];
        const char *name = e->meta ? e->meta->database : NULL;
        if (name && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
            g_ptr_array_add(names, g_strdup(name));
    }
    return backups != NULL;
}

/* The database of the settings, and with --all those that have backups. */
static gboolean look_at_all(struct console *c, GPtrArray *list, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const struct settings *s = &c->settings;
    if (!s->all || s->database_url || s->database_name || s->database) {
        char *database = pg_target_database(&c->target, error);
        if (!database)
            return FALSE;
        g_ptr_array_add(names, database);
    }
    if (s->all && !databases_here(s->backup_dir, names, error))
        return FALSE;
    for (guint i = 0; i < names->len; i++)
        if (!look(c, names->pdata[i], list, error))
            return FALSE;
    return list->len > 0 || ot_fail(error, OT_NOT_FOUND, "there is no backup of any database in %s", s->backup_dir);
}

static void tell_json(const GPtrArray *list, gboolean all, GString *text)
{
    json_t *value = all ? json_array() : health_json(list->pdata[0]);
    for (guint i = 0; all && i < list->len; i++)
        json_array_append_new(value, health_json(list->pdata[i]));
    char *json = json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    g_string_append_printf(text, "%s\n", json);
    free(json);
    json_decref(value);
}

static void tell(const struct settings *s, const GPtrArray *list, GString *text)
{
    if (s->json)
        tell_json(list, s->all, text);
    else if (s->prometheus)
        health_prometheus(list, text);
    else if (s->nagios)
        status_nagios(list, text);
    else
        for (guint i = 0; i < list->len; i++) {
            g_string_append(text, i ? "\n" : "");
            status_table(list->pdata[i], text);
        }
}

/* Readable by all before it has its name: a collector is another user. */
static gboolean put_file(const char *path, const GString *text, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path), *name = g_path_get_basename(path);
    g_autoptr(file_sink) file = file_sink_new(folder, name, error);
    if (!file || !file_sink_write(file, text->str, text->len, error))
        return FALSE;
    if (chmod(file_sink_path(file), 0644) != 0)
        return ot_fail_errno(error, OT_IO, "cannot make %s readable", path);
    return file_sink_sync(file, error) && file_sink_publish(file, TRUE, error);
}

static gboolean put(const struct settings *s, const GString *text, GError **error)
{
    if (s->output)
        return put_file(s->output, text, error);
    return s->quiet || fwrite(text->str, 1, text->len, stdout) == text->len ||
           ot_fail_errno(error, OT_IO, "cannot write to stdout");
}

static gboolean one_form(const struct settings *s, GError **error)
{
    return s->json + s->nagios + s->prometheus <= 1 ||
           ot_fail(error, OT_USAGE, "--json, --nagios and --prometheus exclude each other");
}

static gboolean fail_unwatched(GError **error)
{
    return ot_fail(error, OT_USAGE,
                   "--alert has nobody to tell: set SLACK_WEBHOOK_URL, PAGERDUTY_SERVICE_KEY, ALERT_EMAIL or "
                   "ALERT_WEBHOOK_URL");
}

/* As look_at_all; with --alert people are told, also when there is nothing to be seen. */
static gboolean watch(struct console *c, GPtrArray *list, GError **error)
{
    g_autofree char *database = NULL;
    struct alert_config config = alerting_config(c, &database);
    g_autoptr(GError) problem = NULL;
    gboolean tells = c->settings.alert && alert_is_configured(&config);
    c->untold = c->settings.alert && !tells;
    if (c->untold && !several_is_part()) /* of several, some may do without: the whole says it, if all do */
        return fail_unwatched(error);
    gboolean ok = look_at_all(c, list, &problem);
    if (tells)
        alerting_watch(c, problem);
    for (guint i = 0; tells && i < list->len; i++)
        alerting_health(c, list->pdata[i], !c->settings.local_only);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&problem));
    return ok;
}

static gboolean run(struct console *c, char **words, GError **error)
{
    (void)words;
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(health_delete);
    g_autoptr(GString) text = g_string_new(NULL);
    if (!one_form(&c->settings, error) || !watch(c, list, error))
        return FALSE;
    tell(&c->settings, list, text);
    if (!put(&c->settings, text, error))
        return FALSE;
    enum health_verdict worst = HEALTH_OK;
    for (guint i = 0; i < list->len; i++)
        worst = health_worse(worst, ((const struct health *)list->pdata[i])->verdict);
    /* Who runs the watch takes 3 for a look that failed: what is not known yet is none. */
    c->verdict = (int)(c->settings.alert && worst == HEALTH_UNKNOWN ? HEALTH_WARNING : worst);
    return TRUE;
}

const struct command cmd_status = {
    .name = "status",
    .mask = CMD_STATUS,
    .usage = "[--json | --nagios | --prometheus] [--output FILE] [--alert] [--all] [--local-only] [OPTION]...",
    .summary = "Tell how the backups are doing, and what to do.",
    .details =
        "Each check has a value, its target and thresholds in brackets, a verdict, and what to do if it is not "
        "OK.\nWorks with the database and S3 down: that S3 does not answer is a verdict too. Exit codes of "
        "status are\nthose of Nagios's plugins: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN, or status itself could "
        "not be run\n(wrong usage or setting, folder not readable: with an [ERROR] line). With --alert 3 is the latter "
        "only:\nUNKNOWN ends with 1 there.",
    .min_words = 0,
    .max_words = 0,
    .failed_code = HEALTH_UNKNOWN,
    .several = TRUE,
    .run = run,
};
