/* From settings and facts to hooks and their environment. */
#include "cmd/hooking.h"

#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "engine/hooks.h"

#define MAX_ERROR_BYTES 2000

#define COMMAND(field) offsetof(struct settings, field)

static const struct {
    const char *event;
    gsize command, policy;
} events[] = {
    [HOOKING_PRE_BACKUP] = {"pre-backup", COMMAND(hook_pre_backup), COMMAND(hook_pre_backup_failure)},
    [HOOKING_POST_BACKUP] = {"post-backup", COMMAND(hook_post_backup), COMMAND(hook_post_backup_failure)},
    [HOOKING_PRE_RESTORE] = {"pre-restore", COMMAND(hook_pre_restore), COMMAND(hook_pre_restore_failure)},
    [HOOKING_POST_RESTORE] = {"post-restore", COMMAND(hook_post_restore), COMMAND(hook_post_restore_failure)},
    [HOOKING_ON_FAILURE] = {"on-failure", COMMAND(hook_on_failure), COMMAND(hook_failure)},
};

static const char *text_at(const struct settings *s, gsize offset)
{
    return *(char *const *)((const char *)s + offset);
}

static struct hook hook_of(const struct console *c, enum hooking_event event)
{
    const struct settings *s = &c->settings;
    const char *own = text_at(s, events[event].policy), *policy = g_str_equal(own, "same") ? s->hook_failure : own;
    return (struct hook){
        .event = events[event].event,
        .command = text_at(s, events[event].command),
        .shell = g_str_equal(s->hook_shell, "true"),
        .timeout_s = (guint)s->hook_timeout_s,
        .policy = g_str_equal(policy, "abort")  ? HOOK_ABORT
                  : g_str_equal(policy, "warn") ? HOOK_WARN
                                                : HOOK_IGNORE,
    };
}

gboolean hooking_check(struct console *c, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(events); i++) {
        struct hook h = hook_of(c, (enum hooking_event)i);
        g_auto(GStrv) words = h.command ? hook_words(&h, error) : NULL;
        if (h.command && !words)
            return FALSE;
    }
    return TRUE;
}

/* ---- what a hook is told ---- */

/* Facts of the act by their names in the journal. */
static const struct {
    const char *fact, *variable;
} told[] = {
    {"database", "OPSTOWER_DATABASE"},
    {"id", "OPSTOWER_ID"},
    {"type", "OPSTOWER_TYPE"},
    {"tag", "OPSTOWER_TAG"},
    {"size", "OPSTOWER_SIZE"},
    {"replaced", "OPSTOWER_REPLACED"},
    {"pre_restore_backup", "OPSTOWER_PRE_RESTORE_BACKUP"},
    {"healthcheck", "OPSTOWER_HEALTHCHECK"},
};

/* NULL: not told, and whatever was there under that name is not either. */
static void set(char ***environment, const char *name, const char *value)
{
    *environment = value ? g_environ_setenv(*environment, name, value, TRUE) : g_environ_unsetenv(*environment, name);
}

static void set_facts(struct console *c, char ***environment)
{
    for (gsize i = 0; i < G_N_ELEMENTS(told); i++) {
        const json_t *value = json_object_get(c->report.facts, told[i].fact);
        g_autofree char *number =
            json_is_integer(value) ? g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value)) : NULL;
        set(environment, told[i].variable, number ? number : json_string_value(value));
    }
    const struct settings *s = &c->settings;
    gboolean begins = g_strcmp0(c->act, "backup") == 0 && !json_object_get(c->report.facts, "type");
    if (begins) { /* the facts come with the backup */
        set(environment, "OPSTOWER_TYPE", s->type);
        set(environment, "OPSTOWER_TAG", s->tag);
    }
}

static char *error_text(struct console *c, const GError *problem)
{
    g_autofree char *valid = g_utf8_make_valid(problem->message, -1);
    g_autofree char *text = options_redact(&c->settings, valid);
    if (strlen(text) > MAX_ERROR_BYTES)
        text[MAX_ERROR_BYTES] = '\0';
    return g_utf8_make_valid(text, -1);
}

/* What became of the act; before it, nothing. */
static void set_outcome(struct console *c, char ***environment, gboolean ended, const GError *problem)
{
    g_autofree char *code = g_strdup_printf("%d", problem ? console_exit_code(problem) : OT_OK);
    g_autofree char *error = problem ? error_text(c, problem) : NULL;
    set(environment, "OPSTOWER_RESULT", !ended ? NULL : problem ? "failed" : "ok");
    set(environment, "OPSTOWER_EXIT_CODE", ended ? code : NULL);
    set(environment, "OPSTOWER_ERROR", error);
}

static gboolean run(struct console *c, enum hooking_event event, const struct hooking_facts *facts, gboolean ended,
                    const GError *problem, GError **error)
{
    struct hook h = hook_of(c, event);
    if (!h.command)
        return TRUE;
    char **environment = options_without_secrets(environ);
    set(&environment, "OPSTOWER_EVENT", h.event);
    set(&environment, "OPSTOWER_ACT", c->act);
    set(&environment, "OPSTOWER_FILE", facts ? facts->file : NULL);
    set(&environment, "OPSTOWER_S3_URL", facts ? facts->s3_url : NULL);
    set_facts(c, &environment);
    set_outcome(c, &environment, ended, problem);
    h.environment = environment;
    h.despite_interrupt = ended && interrupt_signal();
    if (event == HOOKING_ON_FAILURE && h.policy == HOOK_ABORT)
        h.policy = HOOK_WARN; /* there is nothing left to abort */
    gboolean ok = hook_run(&h, &c->report, error);
    g_strfreev(environment);
    return ok;
}

/* ---- when ---- */

gboolean hooking_before(struct console *c, enum hooking_event event, const struct hooking_facts *facts, GError **error)
{
    return run(c, event, facts, FALSE, NULL, error);
}

gboolean hooking_after(struct console *c, enum hooking_event event, const struct hooking_facts *facts, const char *done,
                       GError *problem, GError **error)
{
    GError *own = NULL;
    if (!run(c, event, facts, TRUE, problem, &own) && problem) {
        report_warn(&c->report, "%s", own->message);
        g_clear_error(&own);
    }
    if (own)
        g_prefix_error(&own, "%s", done);
    if (problem || own)
        g_propagate_error(error, problem ? problem : own);
    return !problem && !own;
}

void hooking_failed(struct console *c, const GError *problem)
{
    g_autoptr(GError) own = NULL;
    if (!run(c, HOOKING_ON_FAILURE, NULL, TRUE, problem, &own))
        report_warn(&c->report, "%s", own->message);
}
