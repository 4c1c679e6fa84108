/* How each job stands: what is installed held against what would be, and whether something starts it. It only looks. */
#include <string.h>

#include <jansson.h>

#include "engine/schedule_text.h"

static const char *compare(const char *path, const char *text, GError **error)
{
    g_autofree char *old = NULL;
    switch (schedule_owner_of(path, &old, error)) {
    case SCHEDULE_UNKNOWN:
        return NULL;
    case SCHEDULE_ABSENT:
        return "no";
    case SCHEDULE_OTHERS:
        return "not ours";
    case SCHEDULE_OURS:
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

/* A timer without its service, or the other way round, is not what would be installed. The dashboard, which is the last
 * of all, has no timer. */
static const char *compare_units(const GPtrArray *files, guint i, GError **error)
{
    const struct schedule_file *service = files->pdata[2 * i];
    if (2 * i + 1 == files->len)
        return compare(service->path, service->text, error);
    const struct schedule_file *timer = files->pdata[2 * i + 1];
    const char *a = compare(service->path, service->text, error);
    const char *b = a ? compare(timer->path, timer->text, error) : NULL;
    return !b || g_str_equal(a, b)                                    ? b
           : g_str_equal(a, "not ours") || g_str_equal(b, "not ours") ? "not ours"
                                                                      : "differs";
}

/* What systemd says of the timer, or of the dashboard's service: whether it is enabled and waiting, or running. */
static gboolean ask_systemd(struct schedule_state *state, const char *unit, GError **error)
{
    const char *const words[] = {"show", "--property=UnitFileState,ActiveState", unit, NULL};
    GString *text = NULL;
    if (!schedule_systemctl(words, &text, error))
        return FALSE;
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
    g_string_free(text, TRUE);
    gboolean enabled = g_strv_contains((const char *const *)lines, "UnitFileState=enabled");
    state->enabled = enabled && g_strv_contains((const char *const *)lines, "ActiveState=active");
    return TRUE;
}

/* And until when: microseconds in list-timers, a date in the words of the locale in show. A systemd that does not write
 * JSON here (before 246) leaves it unknown. */
static gboolean ask_next(struct schedule_state *state, const char *unit, GError **error)
{
    const char *const words[] = {"list-timers", "--all", "--output=json", unit, NULL};
    GString *text = NULL;
    if (!schedule_systemctl(words, &text, error))
        return FALSE;
    json_t *timers = json_loads(text->str, 0, NULL);
    state->next = json_integer_value(json_object_get(json_array_get(timers, 0), "next")) / G_USEC_PER_SEC;
    json_decref(timers);
    g_string_free(text, TRUE);
    return TRUE;
}

static gboolean ask_of_job(struct schedule_state *state, GError **error)
{
    gboolean stays = state->job->serve;
    g_autofree char *unit = schedule_unit_name(state->job, stays ? ".service" : ".timer");
    return ask_systemd(state, unit, error) && (stays || ask_next(state, unit, error));
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
    else if (!q->unit_dir && schedule_has_systemd() && !ask_of_job(state, error))
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
        if (!schedule_wants(q, job))
            continue;
        struct schedule_state *state = g_new0(struct schedule_state, 1);
        state->job = job;
        g_ptr_array_add(states, state);
        if (!look(q, files, states->len - 1, state, error))
            return NULL;
    }
    return files ? g_steal_pointer(&states) : NULL;
}
