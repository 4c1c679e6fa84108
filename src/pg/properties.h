/*
 * A database's properties (see pg/facts.h) as SQL for a server: how it is made, its rights, its settings. facts may be
 * NULL everywhere: nothing is known then.
 */
#pragma once

#include <jansson.h>

#include "pg/session.h"

/* CREATE DATABASE name as the facts say, but for the owner (NULL: who runs it). tablespaces FALSE: in the server's
 * default one. The caller frees it. */
char *properties_create_sql(struct session *s, const json_t *facts, const char *name, const char *owner,
                            gboolean tablespaces);

/* Appends the statements that give the database exactly the ACL of the facts, which must name one, and an owner.
 * superuser: in the name of whoever granted it. */
gboolean properties_append_acl(GString *sql, struct session *s, const json_t *facts, const char *name,
                               gboolean superuser, GError **error);

/* Appends the statements for connection limit, template mark and comment. */
void properties_append_marks(GString *sql, struct session *s, const json_t *facts, const char *name);

/* The statements (char *) for settings, also per role, and security labels. */
GPtrArray *properties_settings_sql(struct session *s, const json_t *facts, const char *name, GError **error);

/* Runs them, in the caller's transaction. What the server refuses is left out, and added to refused: the statement as it
 * is for final_name, with the reason (char *). FALSE: the server cannot be asked, or the facts are damaged. */
gboolean properties_apply_settings(struct session *s, const json_t *facts, const char *name, const char *final_name,
                                   GPtrArray *refused, GError **error);
