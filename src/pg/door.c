/* Who may connect to a database that is being made. */
#include "pg/door.h"

#include <string.h>

#include "pg/facts.h"
#include "pg/properties.h"

void door_clear(struct door *d)
{
    g_free(d->name);
    g_free(d->stamp);
    memset(d, 0, sizeof *d);
}

static gboolean is_superuser(struct session *admin, gboolean *ret_superuser, GError **error)
{
    gint64 found = 0;
    gboolean ok = session_get_number(
        admin, error, "SELECT rolsuper::int FROM pg_catalog.pg_roles WHERE rolname = current_user", 0, NULL, &found);
    *ret_superuser = found > 0;
    return ok;
}

/* ---- its stamp ---- */

/* Where only superusers can change its row, what it says is enough. Where the owner can, he could also take back what he
 * did: but whatever ALTER DATABASE and GRANT do, the row becomes another version of itself, which VACUUM does not. (So it
 * does by a GRANT without any effect of somebody without any right.) */
static gboolean read_stamp(const struct door *d, struct session *admin, char **ret_stamp, GError **error)
{
    const char *params[] = {d->name, d->superuser && !d->handed_over ? NULL : "yes"};
    return session_get_text(admin, error,
                            "SELECT pg_catalog.format('%s %s %s %s %s %s %s', d.oid, d.datdba, d.datconnlimit,"
                            " d.datallowconn, coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba)),"
                            " CASE WHEN $2::text IS NOT NULL THEN d.xmin END,"
                            " (SELECT count(*) FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid))"
                            " FROM pg_catalog.pg_database d WHERE d.datname = $1",
                            2, params, ret_stamp);
}

gboolean door_stamp(struct door *d, struct session *admin, GError **error)
{
    g_clear_pointer(&d->stamp, g_free);
    return read_stamp(d, admin, &d->stamp, error);
}

gboolean door_check(const struct door *d, struct session *admin, GError **error)
{
    g_autofree char *now = NULL;
    if (!read_stamp(d, admin, &now, error))
        return FALSE;
    return g_strcmp0(now, d->stamp) == 0 ||
           ot_fail(error, OT_RESTORE,
                   "somebody was at the rights or settings of %s while it was loaded (GRANT, ALTER DATABASE): what is in "
                   "it may not be the backup's alone, and is not used",
                   d->name);
}

/* ---- making it ---- */

static gboolean create_as_superuser(struct session *admin, const json_t *facts, const struct door *d,
                                    gboolean tablespaces, GError **error)
{
    g_autofree char *create = properties_create_sql(admin, facts, d->name, NULL, tablespaces);
    return session_execf(admin, error, "%s CONNECTION LIMIT = 0", create);
}

/* Nobody gets in before CONNECT is taken. */
static gboolean create_for_owner(struct session *admin, const json_t *facts, const struct door *d, gboolean tablespaces,
                                 GError **error)
{
    const char *owner = facts_text(facts, "owner");
    g_autofree char *create = properties_create_sql(admin, facts, d->name, owner, tablespaces);
    return session_execf(admin, error, "%s ALLOW_CONNECTIONS = false CONNECTION LIMIT = 0", create);
}

static gboolean let_us_in(struct session *admin, const json_t *facts, const struct door *d, GError **error)
{
    if (d->superuser)
        return TRUE;
    const char *owner = facts_text(facts, "owner");
    const char *us = PQuser(session_pg(admin));
    g_autofree char *quoted = session_quote_name(admin, d->name);
    g_autofree char *to_owner = session_quote_name(admin, owner ? owner : us);
    g_autofree char *to_us = session_quote_name(admin, us);
    return session_execf(admin, error,
                         "REVOKE ALL ON DATABASE %s FROM PUBLIC; REVOKE CONNECT ON DATABASE %s FROM %s;"
                         "GRANT ALL ON DATABASE %s TO %s;"
                         "ALTER DATABASE %s ALLOW_CONNECTIONS true; ALTER DATABASE %s CONNECTION LIMIT -1",
                         quoted, quoted, to_owner, quoted, to_us, quoted, quoted);
}

gboolean door_create(struct session *admin, const json_t *facts, const char *name, const char *mark,
                     gboolean tablespaces, struct door *ret_door, GError **error)
{
    struct door d = {.name = g_strdup(name)};
    g_autofree char *quoted = session_quote_name(admin, name);
    g_autofree char *comment = session_quote_literal(admin, mark);
    gboolean ok = is_superuser(admin, &d.superuser, error) &&
                  (d.superuser ? create_as_superuser : create_for_owner)(admin, facts, &d, tablespaces, error) &&
                  session_exec(admin, "BEGIN", error);
    if (ok) {
        ok = session_execf(admin, error, "COMMENT ON DATABASE %s IS %s", quoted, comment) &&
             let_us_in(admin, facts, &d, error);
        ok = session_exec(admin, ok ? "COMMIT" : "ROLLBACK", ok ? error : NULL) && ok;
    }
    if (ok && door_stamp(&d, admin, error)) {
        *ret_door = d;
        return TRUE;
    }
    door_clear(&d);
    return FALSE;
}

/* ---- the owner ---- */

/* Index functions and materialized views work with the rights of their owner, who may have the one on a schema only as
 * the database's owner: so it is where USAGE on schema public was taken from PUBLIC. */
#define NEEDS_OWNER_SQL                                                                                                \
    "SELECT (EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspowner = o.oid AND NOT EXISTS"                    \
    "  (SELECT FROM pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a"               \
    "  WHERE a.grantee = 0 AND a.privilege_type = 'USAGE'))"                                                           \
    " OR EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a"                             \
    "  WHERE a.grantee = o.oid AND n.nspowner <> o.oid)"                                                               \
    " OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relowner = o.oid OR EXISTS"                                 \
    "  (SELECT FROM pg_catalog.aclexplode(c.relacl) a WHERE a.grantee = o.oid))"                                       \
    " OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.proowner = o.oid OR EXISTS"                                  \
    "  (SELECT FROM pg_catalog.aclexplode(p.proacl) a WHERE a.grantee = o.oid)))::int"                                 \
    " FROM pg_catalog.pg_roles o WHERE o.rolname = 'pg_database_owner'"

gboolean door_hand_over(struct door *d, struct session *admin, struct session *s, const json_t *facts, GError **error)
{
    const char *owner = facts_text(facts, "owner");
    gint64 needed = 0;
    if (!d->superuser || !owner)
        return TRUE;
    if (!session_get_number(s, error, NEEDS_OWNER_SQL, 0, NULL, &needed))
        return FALSE;
    if (!needed)
        return TRUE;
    g_autofree char *quoted = session_quote_name(admin, d->name);
    g_autofree char *to = session_quote_name(admin, owner);
    if (!door_check(d, admin, error) || !session_execf(admin, error, "ALTER DATABASE %s OWNER TO %s", quoted, to))
        return FALSE;
    d->handed_over = TRUE;
    return door_stamp(d, admin, error);
}

/* ---- opening it ---- */

/* What was taken by let_us_in comes back; a superuser's was never taken. */
static void append_default_acl(GString *sql, struct session *admin, const json_t *facts, const char *quoted)
{
    const char *owner = facts_text(facts, "owner");
    const char *us = PQuser(session_pg(admin));
    g_autofree char *to_owner = session_quote_name(admin, owner ? owner : us);
    g_autofree char *from_us = session_quote_name(admin, us);
    g_string_append_printf(sql,
                           "REVOKE ALL ON DATABASE %s FROM %s; GRANT CONNECT, TEMPORARY ON DATABASE %s TO PUBLIC;"
                           "GRANT ALL ON DATABASE %s TO %s;",
                           quoted, from_us, quoted, quoted, to_owner);
}

static void append_without_us(GString *sql, struct session *admin, const char *quoted)
{
    g_autofree char *us = session_quote_name(admin, PQuser(session_pg(admin)));
    g_string_append_printf(sql, "REVOKE ALL ON DATABASE %s FROM %s;", quoted, us);
}

char *door_open_sql(const struct door *d, struct session *admin, const json_t *facts, GError **error)
{
    const char *owner = facts_text(facts, "owner");
    g_autofree char *quoted = session_quote_name(admin, d->name);
    g_autofree char *to = session_quote_name(admin, owner ? owner : "");
    g_autoptr(GString) sql = g_string_new(NULL);
    if (owner && d->superuser)
        g_string_append_printf(sql, "ALTER DATABASE %s OWNER TO %s;", quoted, to);
    gboolean has_acl = json_is_array(json_object_get(facts, "acl")) && owner;
    if (!d->superuser && has_acl)
        append_without_us(sql, admin, quoted);
    if (has_acl && !properties_append_acl(sql, admin, facts, d->name, d->superuser, error))
        return NULL;
    if (!d->superuser && !has_acl)
        append_default_acl(sql, admin, facts, quoted);
    properties_append_marks(sql, admin, facts, d->name);
    return g_string_free(g_steal_pointer(&sql), FALSE);
}
