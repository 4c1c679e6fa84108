/* pg_restore as a child that builds a schema. */
#pragma once

#include "pg/session.h"
#include "pg/toc.h"

struct pgrestore {
    struct session *session; /* of the database that is filled */
    const struct toc *toc;
    const char *bindir;
    const char *section;  /* "pre-data", "post-data" */
    const char *options;  /* for the server: as for session_child_environment */
    guint jobs;           /* connections */
    gboolean tablespaces; /* FALSE: everything goes to the default one */
};

/* An event trigger, or what is said of one. It would be fired by what is restored after it. */
gboolean pgrestore_is_event_trigger(const struct toc_entry *e);

/* Restores a section without data, and without event triggers. An entry that fails does not end it. *ret_said: what
 * pg_restore complained of, NULL if nothing failed; the caller frees it with g_free. FALSE if pg_restore could not do
 * its work; *ret_refused: since the server does not know a parameter that it sets first, so that nothing was done. */
gboolean pgrestore_section(const struct pgrestore *request, char **ret_said, gboolean *ret_refused, GError **error);

/* The first thing that it complained of, for a message; the caller frees it with g_free. */
char *pgrestore_complaint(const char *said);

/* Marks the entries that are named in what was said: per entry of the table of contents. One connection names each, but
 * several name none. FALSE if there is none. */
gboolean pgrestore_named(const char *said, const struct toc *t, gboolean *failed);
