/* One command for several databases: a run of this program for each, one after the other, and one summary. */
#pragma once

#include "cmd/command.h"

/* Whether the settings ask for several runs, and the command is one that can be had so. */
gboolean several_wanted(const struct command *command, const struct settings *s);

/* Runs COMMAND with ARGV (ARGC words after the command's name) and its WORDS once per database, and prints the summary.
 * One that fails does not keep the others from running. The error's code is that of the first that failed. */
gboolean several_run(struct console *c, const struct command *command, int argc, char **argv, char **words,
                     GError **error);

/* The absolute paths of the *.env files in a folder, sorted: char *. OT_USAGE if there are none. */
GPtrArray *several_env_files(const char *folder, GError **error);

/* At the start of every run: learns whether it is one of several. Before any other thread. */
void several_join(void);

/* Whether this run is one of several. */
gboolean several_is_part(void);

/* In such a run, tells the one that started it what became of it. Does nothing in others. */
void several_tell(const struct console *c, const GError *problem);
