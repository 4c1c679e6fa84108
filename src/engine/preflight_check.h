/* What the checks of a preflight share. */
#pragma once

#include "engine/preflight.h"

struct preflight {
    const struct preflight_request *q;
    const char *live;
    const char *user; /* whom we log in as */
    gboolean superuser;
    GPtrArray *refusals, *notes; /* char * */
    GHashTable *lost;            /* dump ids of what will be left out */
    enum ot_code code;           /* of the first refusal */
};

/* Adds an obstacle, or a note. */
void preflight_refuse(struct preflight *p, enum ot_code code, const char *format, ...) G_GNUC_PRINTF(3, 4);
void preflight_note(struct preflight *p, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Unless we are a superuser: only one can make such an object. That is an obstacle; a note on a managed server, and
 * where it may be left out and no table needs it. e: its entry; NULL: it has none. */
void preflight_needs_superuser(struct preflight *p, const char *kind, const char *name, const struct toc_entry *e);

/* The first column's values with commas; the caller frees it. */
char *preflight_list(const PGresult *rows);
