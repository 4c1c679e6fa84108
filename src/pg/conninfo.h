/* Connection parameters, from a target's URL and parts. */
#pragma once

#include "pg/session.h"

/* Pairs for PQconnectStartParams, ended by NULL. The first to set a keyword wins. */
struct conninfo {
    GPtrArray *keywords, *values;
};

/* dbname, if set, is the database whatever the target says. Keepalives are asked for where neither the URL nor a
 * service says otherwise. OT_USAGE if the URL cannot be read. */
gboolean conninfo_fill(struct conninfo *c, const struct pg_target *t, const char *dbname, GError **error);
void conninfo_clear(struct conninfo *c);

/* NULL if it is not given. */
const char *conninfo_get(const struct conninfo *c, const char *keyword);

/* After the options that it has: "-c name=value ...". */
void conninfo_add_options(struct conninfo *c, const char *more);

struct conninfo conninfo_copy(const struct conninfo *c);

/* The value of KEYWORD as libpq will have it: given, of a service, or a default; NULL if there is none. The caller
 * frees it with g_free. */
char *conninfo_find(const struct conninfo *c, const char *keyword);
void conninfo_replace(struct conninfo *c, const char *keyword, const char *value);
