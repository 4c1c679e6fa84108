/*
 * What a run that was ended in the middle leaves in S3: unfinished uploads, and a whole object without metadata. Each
 * upload is noted in the backup folder before it begins, so that the next run of that database can end the one and
 * complete the other.
 */
#pragma once

#include "engine/offsite.h"

/* Notes that key is on its way to the bucket. m, once the dump is complete: what its metadata will be, as long as
 * nobody has read it back; with the SQL of its globals (may be NULL). Replaces an older note of the same id. */
gboolean leftover_note(const struct offsite *o, const char *dir, const char *id, const char *key, const struct meta *m,
                       const char *globals_sql, GError **error);

/* It came to its end. */
void leftover_forget(const char *dir, const char *id);

/* Adds the names (encoded) of databases that have notes to a set that owns its keys. */
void leftover_add_names(const char *dir, GHashTable *names);

/* Ends the uploads of that database (encoded name) which earlier runs left unfinished. An object that is there without
 * metadata gets those of its note, as not verified, and a warning says so. The caller holds the database's lock. What
 * S3 does not let us do now stays noted, with a warning. */
void leftover_clean(const struct offsite *o, const char *dir, const char *name, struct report *report);
