/*
 * What must be known of a database to make one like it: encoding, locale, owner, ACL, settings, and which roles,
 * extensions and tablespaces it needs. Kept as JSON in every backup; the members are named in docs/FORMAT.md. Who takes
 * a backup adds what the server does not know: "snapshot_time" and "pg_restore_version".
 */
#pragma once

#include <jansson.h>

#include "pg/session.h"
#include "pg/toc.h"

/* Reads the facts of the session's database; t: its table of contents, for the owners in it (NULL: the database's own
 * dependencies are enough). New reference; NULL on failure. */
json_t *facts_read(struct session *s, const struct toc *t, GError **error);

/* Text members of the facts; NULL if not there. */
const char *facts_text(const json_t *facts, const char *key);

/* The major version of the server that was backed up; 0 if the facts do not say. */
int facts_major(const json_t *facts);

/* What this server lacks of what the facts need, as sentences ("role app", "extension postgis"): char *. */
GPtrArray *facts_missing(struct session *s, const json_t *facts, GError **error);

/* Creates the roles that the facts name and the server lacks, without login or password; with_attributes: superusers
 * become superusers (for a scratch cluster). created: their names are added (char *), also on failure; may be NULL. */
gboolean facts_create_roles(struct session *s, const json_t *facts, gboolean with_attributes, GPtrArray *created,
                            GError **error);
