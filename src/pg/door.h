/*
 * The door of a database that is being made: from its first moment until it is put in place nobody but us, and
 * superusers, can connect to it, whoever will own it. Else its owner could put a trigger on a table before the rows
 * come, and have it run with our rights.
 *
 * A superuser's database belongs to himself and has CONNECTION LIMIT 0, which counts for all but superusers. Any other
 * role makes it the owner's, for without that it could not load it, and takes CONNECT from PUBLIC and the owner. The
 * owner could give it back: door_check sees that.
 */
#pragma once

#include <jansson.h>

#include "pg/session.h"

struct door {
    char *name;
    gboolean superuser;   /* we are one */
    gboolean handed_over; /* it is the owner's already */
    char *stamp; /* of its row in pg_database as we left it */
};
void door_clear(struct door *d);

/* CREATE DATABASE name as the facts say (encoding, locale, tablespace), closed; mark becomes its comment. A run that is
 * killed before the mark leaves an empty database that only superusers get into, or nobody. */
gboolean door_create(struct session *admin, const json_t *facts, const char *name, const char *mark,
                     gboolean tablespaces, struct door *ret_door, GError **error);

/* Makes it the owner's already, if objects in it work only then: those that have a right by pg_database_owner. s: a
 * session in it. */
gboolean door_hand_over(struct door *d, struct session *admin, struct session *s, const json_t *facts, GError **error);

/* Takes the present state of its rights and settings, which we made, for what door_check is to find. */
gboolean door_stamp(struct door *d, struct session *admin, GError **error);

/* FALSE with OT_RESTORE if somebody changed its rights or its settings since. */
gboolean door_check(const struct door *d, struct session *admin, GError **error);

/* The statements that give it owner, ACL, connection limit, template mark and comment, and so open it. In one
 * transaction with what puts it in place. The caller frees it; NULL: the facts are damaged. */
char *door_open_sql(const struct door *d, struct session *admin, const json_t *facts, GError **error);
