/* Who is told that nothing was done at all. */
#include "cmd/unsettled.h"

#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "cmd/alerting.h"
#include "cmd/telling.h"
#include "config/salvage.h"

/* Commands that a clock starts, and whose silence would be noticed by nobody. */
static const char *act_of(const struct command *command, const struct settings *s)
{
    static const struct command *const acts[] = {&cmd_backup, &cmd_sync};
    for (gsize i = 0; i < G_N_ELEMENTS(acts); i++)
        if (command == acts[i])
            return command->name;
    return command == &cmd_status && s->alert ? "status" : NULL;
}

static void tell_system(const struct console *c, const GError *problem)
{
    g_autofree char *text = options_redact(&c->settings, problem->message);
    json_t *record = json_pack("{ss ss si ss*}", "act", c->act, "result", "failed", "code",
                               console_exit_code(problem), "error", text);
    telling_system(record);
    json_decref(record);
}

void unsettled_tell(const struct command *command, int argc, char **argv, char **envp, const GError *problem)
{
    if (isatty(STDERR_FILENO))
        return;
    struct console c = {0};
    settings_salvage(&c.settings, argc, argv, envp);
    c.act = act_of(command, &c.settings);
    c.settings.quiet = TRUE;
    if (c.act) {
        options_settle_environment(&c.settings);
        interrupt_init();
        console_start(&c);
        tell_system(&c, problem);
        alerting_act(&c, problem);
    }
    console_clear(&c);
}
