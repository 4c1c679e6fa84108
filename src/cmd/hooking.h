/* Hooks as the settings want them: which is run when, what it is told, what its failure means. */
#pragma once

#include "cmd/console.h"

enum hooking_event {
    HOOKING_PRE_BACKUP,
    HOOKING_POST_BACKUP,
    HOOKING_PRE_RESTORE,
    HOOKING_POST_RESTORE,
    HOOKING_ON_FAILURE,
};

/* What a hook is told besides the facts of the act (console's report); may be NULL, as each of them. */
struct hooking_facts {
    const char *file, *s3_url;
};

/* OT_USAGE if a hook that is set is not a command line: before anything is begun. */
gboolean hooking_check(struct console *c, GError **error);

/* The hook before an act. FALSE: the act must not begin. */
gboolean hooking_before(struct console *c, enum hooking_event event, const struct hooking_facts *facts, GError **error);

/* The hook after an act that had begun; problem (taken): what the act ended with, NULL if it went well. It is run even
 * if the run was interrupted, since it puts back what the first one changed. FALSE with problem, or with the hook's
 * failure after the words done. */
gboolean hooking_after(struct console *c, enum hooking_event event, const struct hooking_facts *facts, const char *done,
                       GError *problem, GError **error);

/* The hook of failures. Its own is a warning. */
void hooking_failed(struct console *c, const GError *problem);
