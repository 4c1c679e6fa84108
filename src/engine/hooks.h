/*
 * Hooks: programs of the operator's that are run before and after an act. Their output goes into the log line by line;
 * how long they may take is limited; what they leave running when their time is up is ended with them.
 */
#pragma once

#include "engine/report.h"

enum hook_policy {
    HOOK_ABORT,  /* its failure is the act's */
    HOOK_WARN,   /* a warning */
    HOOK_IGNORE, /* told, no more */
};

struct hook {
    const char *event;   /* "pre-backup", ...: what it is told, and how it is called in lines */
    const char *command; /* a line of words, quoted as for a shell; NULL: there is none */
    gboolean shell;      /* have /bin/sh read the line, with all that a shell does to it */
    guint timeout_s;
    enum hook_policy policy;
    char **environment;         /* whole; borrowed */
    gboolean despite_interrupt; /* it is run though the run was interrupted, for it puts things right; not
                                   waited for to the end */
};

/* The words of a command line; g_strfreev. NULL with OT_USAGE if quotes are not closed, or there is no word. */
char **hook_words(const struct hook *h, GError **error);

/* Runs it and waits for it; fine if there is none. The outcome becomes part of fact "hooks", as "ok after 2 s".
 * FALSE: it failed, could not be started, or took too long (OT_FAILED), and its policy is to abort; or the run was
 * interrupted, which ends the hook. */
gboolean hook_run(const struct hook *h, struct report *report, GError **error);
