/* The table's sequences by the catalogs' dependencies; where the backup had them by its table of contents. */
#include "engine/putsequence.h"

#include <string.h>

/* Of identity and serial columns, and any other that a default takes its value from. A sequence that cycles gives its
 * numbers again anyway. */
#define SEQUENCES_SQL                                                                                                  \
    "SELECT DISTINCT n.nspname, c.relname, a.attname, a.atttypid IN (20, 21, 23), q.seqincrement > 0"                  \
    " FROM (SELECT objid, refobjsubid FROM pg_depend WHERE classid = 'pg_class'::regclass"                             \
    "  AND refclassid = 'pg_class'::regclass AND refobjid = $1::oid AND deptype IN ('a', 'i') AND refobjsubid > 0"     \
    "  UNION SELECT d.refobjid, ad.adnum FROM pg_attrdef ad JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass"    \
    "  AND d.objid = ad.oid AND d.refclassid = 'pg_class'::regclass WHERE ad.adrelid = $1::oid) AS s(seq, column_no)"  \
    " JOIN pg_class c ON c.oid = s.seq AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace"              \
    " JOIN pg_sequence q ON q.seqrelid = c.oid AND NOT q.seqcycle"                                                     \
    " JOIN pg_attribute a ON a.attrelid = $1::oid AND a.attnum = s.column_no"

/* "SELECT pg_catalog.setval('public.orders_id_seq', 50, true);" *ret_value: the last number that it had given; not set
 * (FALSE in *ret_called) if it had given none. FALSE: the backup has no sequence of that name. */
static gboolean value_in_backup(const struct toc *t, const char *schema, const char *name, gint64 *ret_value,
                                gboolean *ret_called)
{
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (!g_str_equal(e->desc, "SEQUENCE SET") || g_strcmp0(e->schema, schema) != 0 || !g_str_equal(e->tag, name))
            continue;
        const char *value = e->definition ? g_strrstr(e->definition, "', ") : NULL;
        char *end = NULL;
        *ret_value = value ? g_ascii_strtoll(value + strlen("', "), &end, 10) : 0;
        *ret_called = value && g_str_has_prefix(end, ", true");
        return TRUE;
    }
    return FALSE;
}

/* Under another name than in the backup (a table that was made anew): at least behind the rows that were put back. */
static gboolean value_in_rows(struct session *s, const struct put_rows *rows, const char *column, gboolean up,
                              gint64 *ret_value, gboolean *ret_found, GError **error)
{
    g_autofree char *name = session_quote_name(s, column);
    g_autofree char *value = NULL;
    g_autofree char *sql =
        g_strdup_printf("SELECT %s(r.%s::bigint) FROM %s AS r", up ? "max" : "min", name, rows->recovered);
    *ret_found = FALSE;
    for (guint i = 0; i < rows->def->columns->len; i++)
        if (g_str_equal(((struct table_column *)rows->def->columns->pdata[i])->name, column))
            *ret_found = TRUE;
    if (!*ret_found)
        return TRUE;
    if (!session_get_text(s, error, sql, 0, NULL, &value))
        return FALSE;
    *ret_found = value != NULL;
    *ret_value = value ? g_ascii_strtoll(value, NULL, 10) : 0;
    return TRUE;
}

/* One statement reads where it stands and moves it, and only forward. */
static gboolean move_to(struct session *s, const char *sequence, gint64 value, gboolean up, struct report *report,
                        GError **error)
{
    g_autofree char *literal = session_quote_literal(s, sequence);
    const char *before = up ? "<" : ">";
    g_autofree char *sql = g_strdup_printf(
        "SELECT l.last_value, pg_catalog.setval(%s::regclass, %" G_GINT64_FORMAT ") FROM %s AS l, pg_sequence q"
        " WHERE q.seqrelid = %s::regclass AND %" G_GINT64_FORMAT " BETWEEN q.seqmin AND q.seqmax"
        " AND (l.last_value %s %" G_GINT64_FORMAT " OR (l.last_value = %" G_GINT64_FORMAT " AND NOT l.is_called))",
        literal, value, sequence, literal, value, before, value, value);
    g_autoptr(PGresult) moved = session_query(s, error, sql, 0, NULL);
    if (moved && PQntuples(moved) > 0)
        report_info(report, "Moved sequence %s on from %s to %" G_GINT64_FORMAT, sequence, PQgetvalue(moved, 0, 0),
                    value);
    return moved != NULL;
}

gboolean putsequence_move_on(struct session *s, const struct toc *t, const struct put_rows *rows, struct report *report,
                             GError **error)
{
    const char *params[] = {rows->live->oid};
    g_autoptr(PGresult) found = session_query(s, error, SEQUENCES_SQL, 1, params);
    for (int i = 0; found && i < PQntuples(found); i++) {
        const char *schema = PQgetvalue(found, i, 0), *name = PQgetvalue(found, i, 1);
        gboolean number = PQgetvalue(found, i, 3)[0] == 't', up = PQgetvalue(found, i, 4)[0] == 't';
        gint64 value = 0;
        gboolean known = FALSE;
        if (!value_in_backup(t, schema, name, &value, &known) && number &&
            !value_in_rows(s, rows, PQgetvalue(found, i, 2), up, &value, &known, error))
            return FALSE;
        g_autofree char *sequence = session_quote_pair(s, schema, name);
        if (known && !move_to(s, sequence, value, up, report, error))
            return FALSE;
    }
    return found != NULL;
}
