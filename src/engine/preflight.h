/*
 * What would make a restore fail late, looked for before the backup is read: rights, sessions, prepared transactions,
 * locales, roles, space. Takes seconds.
 */
#pragma once

#include "engine/restore.h"
#include "pg/toc.h"

struct preflight_request {
    const struct restore_request *restore;
    struct session *admin;
    const struct restore_preview *preview;
    const json_t *facts;   /* of the backup; NULL: a plain dump */
    const struct toc *toc; /* NULL: a plain dump */
};

/* Adds to ret_notes (char *) what the restore will change beside the database itself. FALSE if something stands in its
 * way: the message names all of it, with the statement or step that helps. */
gboolean preflight_run(const struct preflight_request *request, GPtrArray *ret_notes, GError **error);
