/* INSERTs and counts, by key or by whole rows. */
#include "engine/putsql.h"

#include <string.h>

static const struct table_column *column_at(const struct put_rows *p, guint i)
{
    return p->def->columns->pdata[i];
}

static char *columns(struct session *s, const struct put_rows *p)
{
    GString *list = g_string_new(NULL);
    for (guint i = 0; i < p->def->columns->len; i++) {
        g_autofree char *name = session_quote_name(s, column_at(p, i)->name);
        g_string_append_printf(list, "%s%s", i ? ", " : "", name);
    }
    return g_string_free(list, FALSE);
}

/* What is inserted. Other types are left to the server's assignment, which refuses what would not fit. */
static char *recovered_values(struct session *s, const struct put_rows *p)
{
    GString *list = g_string_new(NULL);
    for (guint i = 0; i < p->def->columns->len; i++) {
        g_autofree char *name = session_quote_name(s, column_at(p, i)->name);
        g_string_append_printf(list, "%sr.%s", i ? ", " : "", name);
        if (p->as_text)
            g_string_append_printf(list, "::%s", live_table_column(p->live, column_at(p, i)->name)->type);
    }
    return g_string_free(list, FALSE);
}

/* Both sides of a comparison as text. A live column of another type is brought back to the backup's, so that 1 and
 * 1.0, or a time with and without its zone, are not told as a change, and a rounded value is. */
static char *whole_row(struct session *s, const struct put_rows *p, const char *alias)
{
    GString *row = g_string_new("ROW(");
    gboolean is_live = g_str_equal(alias, "l");
    for (guint i = 0; i < p->def->columns->len; i++) {
        const struct table_column *c = column_at(p, i);
        const char *type = is_live ? live_table_column(p->live, c->name)->type : c->type;
        g_autofree char *name = session_quote_name(s, c->name);
        g_string_append_printf(row, "%s%s.%s", i ? ", " : "", alias, name);
        if (!p->as_text && !g_str_equal(type, c->type))
            g_string_append_printf(row, "::%s", c->type);
    }
    g_string_append(row, ")::text");
    return g_string_free(row, FALSE);
}

/* Short and of one length, however long a row is: to sort and hash it takes little. */
static char *digest(struct session *s, const struct put_rows *p, const char *alias)
{
    g_autofree char *row = whole_row(s, p, alias);
    return g_strdup_printf("pg_catalog.sha256(pg_catalog.convert_to(%s, pg_catalog.getdatabaseencoding()))", row);
}

/* Rows of an inheriting table are not the parent's; those of a partition are. */
static char *from_live(const struct put_rows *p)
{
    return g_strdup_printf("%s%s", p->live->kind == 'p' ? "" : "ONLY ", p->live->name);
}

static char *same_key(struct session *s, const struct put_rows *p)
{
    GString *on = g_string_new(NULL);
    for (guint i = 0; i < p->key->len; i++) {
        const struct live_key_column *c = p->key->pdata[i];
        const char *type = live_table_column(p->live, c->name)->type;
        g_autofree char *name = session_quote_name(s, c->name);
        g_string_append_printf(on, "%sl.%s %s (r.%s::%s%s)", i ? " AND " : "", name, c->equal, name, type, c->collate);
    }
    return g_string_free(on, FALSE);
}

/* ---- inserting ---- */

static char *insert_into(struct session *s, const struct put_rows *p)
{
    g_autofree char *list = columns(s, p);
    g_autofree char *values = recovered_values(s, p);
    if (p->def->columns->len == 0)
        return g_strdup_printf("INSERT INTO %s SELECT", p->live->name);
    return g_strdup_printf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s", p->live->name, list, values);
}

char *put_sql_insert_all(struct session *s, const struct put_rows *p)
{
    g_autofree char *insert = insert_into(s, p);
    return g_strdup_printf("%s FROM %s AS r", insert, p->recovered);
}

/* Of three equal rows of which one is left, two are put back. */
static char *insert_by_row(struct session *s, const struct put_rows *p, const char *insert, const char *live)
{
    g_autofree char *theirs = digest(s, p, "r");
    g_autofree char *ours = digest(s, p, "l");
    return g_strdup_printf(
        "%s FROM (SELECT r.*, pg_catalog.row_number() OVER (PARTITION BY %s) AS opstower_copy, %s AS opstower_row"
        " FROM %s AS r) AS r LEFT JOIN (SELECT %s AS opstower_row, pg_catalog.count(*) AS opstower_rows FROM %s AS l"
        " GROUP BY 1) AS h ON h.opstower_row OPERATOR(pg_catalog.=) r.opstower_row"
        " WHERE r.opstower_copy OPERATOR(pg_catalog.>) COALESCE(h.opstower_rows, 0)",
        insert, theirs, theirs, p->recovered, ours, live);
}

char *put_sql_insert(struct session *s, const struct put_rows *p)
{
    g_autofree char *insert = insert_into(s, p);
    g_autofree char *live = from_live(p);
    if (p->def->columns->len == 0)
        return g_strdup_printf("%s FROM %s OFFSET (SELECT pg_catalog.count(*) FROM %s)", insert, p->recovered, live);
    if (!p->key)
        return insert_by_row(s, p, insert, live);
    g_autofree char *on = same_key(s, p);
    return g_strdup_printf("%s FROM %s AS r WHERE NOT EXISTS (SELECT FROM %s AS l WHERE %s)", insert, p->recovered,
                           live, on);
}

/* ---- counting ---- */

static char *count_by_row(struct session *s, const struct put_rows *p, const char *live)
{
    g_autofree char *theirs = digest(s, p, "r");
    g_autofree char *ours = digest(s, p, "l");
    return g_strdup_printf("SELECT COALESCE(sum(greatest(n.c - COALESCE(h.c, 0), 0)), 0), 0 FROM"
                           " (SELECT %s AS d, count(*) AS c FROM %s AS r GROUP BY 1) AS n LEFT JOIN"
                           " (SELECT %s AS d, count(*) AS c FROM %s AS l GROUP BY 1) AS h ON h.d = n.d",
                           theirs, p->recovered, ours, live);
}

char *put_sql_count(struct session *s, const struct put_rows *p)
{
    g_autofree char *live = from_live(p);
    if (p->def->columns->len == 0)
        return g_strdup_printf("SELECT greatest((SELECT count(*) FROM %s) - (SELECT count(*) FROM %s), 0), 0",
                               p->recovered, live);
    if (!p->key)
        return count_by_row(s, p, live);
    g_autofree char *on = same_key(s, p);
    g_autofree char *theirs = whole_row(s, p, "r");
    g_autofree char *ours = whole_row(s, p, "l");
    g_autofree char *first = session_quote_name(s, ((const struct live_key_column *)p->key->pdata[0])->name);
    return g_strdup_printf("SELECT count(*) FILTER (WHERE l.%s IS NULL), count(*) FILTER (WHERE l.%s IS NOT NULL"
                           " AND %s <> %s) FROM %s AS r LEFT JOIN %s AS l ON %s",
                           first, first, theirs, ours, p->recovered, live, on);
}

char *put_sql_total(const struct put_rows *p)
{
    g_autofree char *live = from_live(p);
    return g_strdup_printf("SELECT count(*) FROM %s", live);
}
