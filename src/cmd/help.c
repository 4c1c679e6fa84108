/* Commands and their help. */
#include "cmd/help.h"

#include <stdio.h>
#include <string.h>

#include "base/version.h"

static const struct command *const commands[] = {
    &cmd_backup, &cmd_verify, &cmd_restore,   &cmd_list,  &cmd_status,   &cmd_sync,  &cmd_bucket,
    &cmd_hold,   &cmd_prune,  &cmd_retention, &cmd_alert, &cmd_schedule, &cmd_audit, &cmd_serve,
    &cmd_adopt,  &cmd_config,
};

static const char exit_codes[] =
    "Exit codes:\n"
    "   0  done, and proven        5  server not reachable      10  no such backup or table\n"
    "   1  failed                  6  another run is at work    11  restore failed, production unchanged\n"
    "   2  wrong usage or setting  7  the dump failed           12  refused, or not confirmed\n"
    "   3  something is missing    8  the backup is damaged     13  table locks not to be had\n"
    "   4  disk full               9  not what the proof says   14  a file could not be read or written\n"
    "  15  complete here, but not in S3                         16  S3 cannot be reached, or refuses\n"
    "  17  the journal is not as it was written                 18  rows are back, objects left out\n"
    " 130  interrupted (SIGINT)  143  terminated (SIGTERM)      129  the terminal is gone (SIGHUP)\n";

const struct command *help_find(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        if (g_str_equal(commands[i]->name, name))
            return commands[i];
    return NULL;
}

/* The exit code of what went to stdout. */
static int printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return OT_OK;
    fputs("[ERROR] cannot write to stdout\n", stderr);
    return OT_IO;
}

static void print_all(void)
{
    printf(
        "Backs up, proves and restores a PostgreSQL database.\n\nUsage: opstower COMMAND [OPTION]...\n\nCommands:\n");
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    printf("\nopstower COMMAND --help tells more. Settings come from flags, the environment and .env, in this "
           "order.\n\n%s",
           exit_codes);
}

int help_print(const char *name)
{
    const struct command *c = name ? help_find(name) : NULL;
    if (name && !c)
        return help_unknown(name);
    if (c) {
        g_autofree char *options = options_help(c->mask);
        printf("%s\n\nUsage: opstower %s %s\n\n%s\n\n%s\n%s", c->summary, c->name, c->usage, c->details, options,
               exit_codes);
    } else {
        print_all();
    }
    return printed();
}

int help_version(void)
{
    puts("opstower " TOOL_VERSION);
    return printed();
}

int help_unknown(const char *name)
{
    const char *names[G_N_ELEMENTS(commands) + 1] = {NULL};
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        names[i] = commands[i]->name;
    const char *nearest = options_nearest_word(name, names);
    fprintf(stderr, "[ERROR] unknown command %s%s%s%s See `opstower --help`.\n", name, nearest ? "; did you mean " : "",
            nearest ? nearest : "", nearest ? "?" : ".");
    return OT_USAGE;
}
