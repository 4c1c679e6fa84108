/* Lists of names, held against each other. */
#include "pg/objectnames.h"

#include <string.h>

#define NAMED(class, name, schema, from) "SELECT '" class "', oid, " name "::text, " schema " FROM pg_catalog." from

/* Objects of an installation's own (oids below 16384) are nobody's to rename; tables are locked. */
const char *const objectnames_sql =
    NAMED("schema", "nspname", "0::oid", "pg_namespace WHERE nspname !~ '^pg_'") " UNION ALL "
    NAMED("relation", "relname", "relnamespace",
          "pg_class WHERE oid >= 16384 AND relkind IN ('v', 'm', 'S', 'f') AND relpersistence <> 't'") " UNION ALL "
    NAMED("function", "proname", "pronamespace", "pg_proc WHERE oid >= 16384") " UNION ALL "
    NAMED("type", "typname", "typnamespace", "pg_type WHERE oid >= 16384 AND typrelid = 0 AND typcategory <> 'A'")
    " UNION ALL "
    NAMED("operator", "oprname", "oprnamespace", "pg_operator WHERE oid >= 16384") " UNION ALL "
    NAMED("collation", "collname", "collnamespace", "pg_collation WHERE oid >= 16384")
    " ORDER BY 1, 2";

const char *const objectnames_schemas_sql =
    "SELECT string_agg(oid || ' ' || xmin::text, ',' ORDER BY oid) FROM pg_catalog.pg_namespace"
    " WHERE nspname !~ '^pg_'";

static int compare_keys(const PGresult *a, int row_a, const PGresult *b, int row_b)
{
    int order = strcmp(PQgetvalue(a, row_a, 0), PQgetvalue(b, row_b, 0));
    if (order != 0)
        return order;
    guint64 x = g_ascii_strtoull(PQgetvalue(a, row_a, 1), NULL, 10);
    guint64 y = g_ascii_strtoull(PQgetvalue(b, row_b, 1), NULL, 10);
    return x < y ? -1 : x > y;
}

static gboolean same_name(const PGresult *a, int row_a, const PGresult *b, int row_b)
{
    return strcmp(PQgetvalue(a, row_a, 2), PQgetvalue(b, row_b, 2)) == 0 &&
           strcmp(PQgetvalue(a, row_a, 3), PQgetvalue(b, row_b, 3)) == 0;
}

gboolean objectnames_check(const PGresult *snapshot, const PGresult *now, GError **error)
{
    for (int i = 0, k = 0; i < PQntuples(snapshot) && k < PQntuples(now);) {
        int order = compare_keys(snapshot, i, now, k);
        if (order == 0 && !same_name(snapshot, i, now, k))
            return ot_fail(error, OT_LOCK_TIMEOUT, "%s %s was renamed or moved while the backup was begun",
                           PQgetvalue(snapshot, i, 0), PQgetvalue(snapshot, i, 2));
        i += order <= 0;
        k += order >= 0;
    }
    return TRUE;
}
