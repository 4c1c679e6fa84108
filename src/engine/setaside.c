/* Constraints dropped and added again. */
#include "engine/setaside.h"

#include <string.h>

#include "engine/searchpaths.h"
#include "pg/objection.h"

#define NOT_VALID " NOT VALID"

struct rule {
    char *of;         /* "ALTER TABLE x", "ALTER DOMAIN x", or "ALTER TABLE x ALTER COLUMN c" */
    char *name;       /* quoted; NULL: it is NOT NULL */
    char *definition;
};

struct setaside {
    struct session *session;
    const GPtrArray *paths;
    GPtrArray *rules; /* struct rule * */
};

static void rule_free(gpointer data)
{
    struct rule *r = data;
    g_free(r->of);
    g_free(r->name);
    g_free(r->definition);
    g_free(r);
}

struct setaside *setaside_new(struct session *s, const GPtrArray *paths)
{
    struct setaside *a = g_new0(struct setaside, 1);
    a->session = s;
    a->paths = paths;
    a->rules = g_ptr_array_new_with_free_func(rule_free);
    return a;
}

void setaside_free(struct setaside *a)
{
    if (!a)
        return;
    g_ptr_array_unref(a->rules);
    g_free(a);
}

/* Parents first: what is dropped there goes from their children too, unless they have it themselves. */
#define RULES_SQL                                                                                                      \
    "WITH RECURSIVE up(rel, height) AS (SELECT pg_catalog.to_regclass($1)::oid, 0 UNION ALL"                           \
    " SELECT i.inhparent, up.height + 1 FROM up JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.rel"                  \
    " WHERE up.height < 100), types(t) AS (SELECT a.atttypid FROM pg_catalog.pg_attribute a JOIN up"                   \
    " ON a.attrelid = up.rel WHERE a.attnum > 0 AND NOT a.attisdropped UNION SELECT t.typbasetype FROM types"          \
    " JOIN pg_catalog.pg_type t ON t.oid = types.t WHERE t.typtype = 'd')"                                             \
    " SELECT 'ALTER TABLE ' || c.conrelid::pg_catalog.regclass, pg_catalog.quote_ident(c.conname),"                    \
    " pg_catalog.pg_get_constraintdef(c.oid), up.height FROM up JOIN pg_catalog.pg_constraint c"                       \
    " ON c.conrelid = up.rel WHERE c.contype IN ('c', 'f') AND c.conislocal AND c.conparentid = 0"                     \
    " UNION ALL SELECT 'ALTER DOMAIN ' || c.contypid::pg_catalog.regtype, pg_catalog.quote_ident(c.conname),"          \
    " pg_catalog.pg_get_constraintdef(c.oid), 0 FROM types JOIN pg_catalog.pg_constraint c ON c.contypid = types.t"    \
    " WHERE c.contype = 'c' ORDER BY 4 DESC, 1, 2"

static gboolean drop_rule(struct setaside *a, const PGresult *rows, int row, GError **error)
{
    struct rule *r = g_new0(struct rule, 1);
    r->of = g_strdup(PQgetvalue(rows, row, 0));
    r->name = g_strdup(PQgetvalue(rows, row, 1));
    r->definition = g_strdup(PQgetvalue(rows, row, 2));
    g_ptr_array_add(a->rules, r);
    return session_execf(a->session, error, "%s DROP CONSTRAINT IF EXISTS %s", r->of, r->name);
}

gboolean setaside_constraints(struct setaside *a, const char *schema, const char *name, GError **error)
{
    g_autofree char *table = session_quote_pair(a->session, schema, name);
    const char *params[] = {table};
    g_autoptr(PGresult) rows =
        searchpaths_use(a->session, "", error) ? session_query(a->session, error, RULES_SQL, 1, params) : NULL;
    for (int i = 0; rows && i < PQntuples(rows); i++)
        if (!drop_rule(a, rows, i, error))
            return FALSE;
    return rows != NULL;
}

/* Identity columns cannot do without. */
#define NOT_NULLS_SQL                                                                                                  \
    "SELECT 'ALTER TABLE ' || $1 || ' ALTER COLUMN ' || pg_catalog.quote_ident(attname) FROM pg_catalog.pg_attribute"  \
    " WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attnotnull"                  \
    " AND attidentity = ''"

gboolean setaside_not_nulls(struct setaside *a, const char *schema, const char *name, GError **error)
{
    g_autofree char *table = session_quote_pair(a->session, schema, name);
    const char *params[] = {table};
    g_autoptr(PGresult) rows = session_query(a->session, error, NOT_NULLS_SQL, 1, params);
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        struct rule *r = g_new0(struct rule, 1);
        r->of = g_strdup(PQgetvalue(rows, i, 0));
        g_ptr_array_add(a->rules, r);
        if (!session_execf(a->session, error, "%s DROP NOT NULL", r->of))
            return FALSE;
    }
    return rows != NULL;
}

/* ---- taken up again ---- */

/* A child has a constraint again as soon as its parent has it. */
#define DUPLICATE_OBJECT "42710"

static gboolean add_rule(struct setaside *a, const struct rule *r, const char *suffix, GError **error)
{
    if (!r->name)
        return session_execf(a->session, error, "%s SET NOT NULL", r->of);
    if (session_execf(a->session, error, "%s ADD CONSTRAINT %s %s%s", r->of, r->name, r->definition, suffix))
        return TRUE;
    if (!g_str_equal(session_sqlstate(a->session), DUPLICATE_OBJECT))
        return FALSE;
    g_clear_error(error);
    return TRUE;
}

/* TRUE: it is there. FALSE: *error, or *reason if the server only objects. */
static gboolean add_with_paths(struct setaside *a, const struct rule *r, const char *suffix, char **reason,
                               GError **error)
{
    for (guint i = 0; i < a->paths->len; i++) {
        g_autoptr(GError) problem = NULL;
        if (!searchpaths_use(a->session, a->paths->pdata[i], error))
            return FALSE;
        if (add_rule(a, r, suffix, &problem))
            return TRUE;
        if (!objection_is(a->session)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
        if (!*reason)
            *reason = load_first_line(problem->message);
    }
    return FALSE;
}

static void note_rule(const struct rule *r, gboolean weaker, const char *reason, struct load_outcome *outcome,
                      struct report *report)
{
    const char *of = r->of + strlen("ALTER ");
    if (r->name)
        load_outcome_leave(outcome, report, "constraint %s of %s%s (%s)", r->name, of, weaker ? " is NOT VALID" : "",
                           reason);
    else
        load_outcome_leave(outcome, report, "NOT NULL of %s (%s)", of, reason);
}

static gboolean take_up_one(struct setaside *a, const struct rule *r, struct load_outcome *outcome,
                            struct report *report, GError **error)
{
    g_autofree char *reason = NULL, *weaker_reason = NULL;
    GError *problem = NULL;
    if (add_with_paths(a, r, "", &reason, &problem))
        return TRUE;
    gboolean has_weaker = r->name && !g_str_has_suffix(r->definition, NOT_VALID);
    gboolean weaker = !problem && has_weaker && add_with_paths(a, r, NOT_VALID, &weaker_reason, &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    note_rule(r, weaker, reason, outcome, report);
    return TRUE;
}

gboolean setaside_take_up(struct setaside *a, struct load_outcome *outcome, struct report *report, GError **error)
{
    for (guint i = 0; i < a->rules->len; i++)
        if (!take_up_one(a, a->rules->pdata[i], outcome, report, error))
            return FALSE;
    g_ptr_array_set_size(a->rules, 0);
    return searchpaths_use(a->session, "", error);
}
