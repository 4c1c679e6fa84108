/*
 * The schema's part of a load. pg_restore does it; what it cannot restore is tried again by itself, with the search
 * paths that the database's own code may expect, and last in a form that rows which break a rule do not hinder.
 */
#pragma once

#include "engine/load_outcome.h"
#include "pg/session.h"

struct loadschema {
    struct session *session; /* of the database that is filled */
    const struct toc *toc;
    const char *bindir;
    const char *encoding;   /* of the backup */
    const char *options;    /* for pg_restore's sessions */
    const GPtrArray *paths; /* see searchpaths_of */
    guint jobs;
    gboolean tablespaces;
    struct load_outcome *outcome;
    struct report *report;
};

/* Everything that comes before the rows. FALSE with OT_RESTORE if something that rows need cannot be made. */
gboolean loadschema_pre_data(struct loadschema *ls, GError **error);

/* Everything that comes after them, event triggers last. What cannot be had is left out, and noted. */
gboolean loadschema_post_data(struct loadschema *ls, GError **error);
