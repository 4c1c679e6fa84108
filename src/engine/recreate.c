/* A table's entries, found by their dependencies on it, run as pg_restore words them. */
#include "engine/recreate.h"

#include <string.h>

#include "pg/pgdump.h"

static const char *const before_rows[] = {"SEQUENCE", "SEQUENCE OWNED BY", "DEFAULT", "TABLE ATTACH",
                                          "ACL",      "COMMENT",           NULL};
static const char *const after_rows[] = {"CONSTRAINT", "INDEX",  "INDEX ATTACH", "CHECK CONSTRAINT",  "STATISTICS",
                                         "TRIGGER",    "POLICY", "ROW SECURITY", "PUBLICATION TABLE", NULL};
static const char *const links[] = {"FK CONSTRAINT", NULL};

static const struct toc_entry *find_table(const struct toc *t, const char *schema, const char *name, GError **error)
{
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, "TABLE") && g_strcmp0(e->schema, schema) == 0 && g_str_equal(e->tag, name))
            return e;
    }
    ot_fail(error, OT_NOT_FOUND, "the backup has no definition of it");
    return NULL;
}

static gboolean is_duplicate(const PGresult *result)
{
    static const char *const states[] = {"42P07", "42710", "42P16", NULL}; /* relation, object, second primary key */
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state && g_strv_contains(states, state);
}

/* What is still there (the foreign key of a table that was not dropped, say) is left as it is. */
static gboolean run_entry(struct session *s, const struct toc *t, const char *bindir, const struct toc_entry *e,
                          GError **error)
{
    g_autoptr(GString) sql = pgdump_entry_sql(t, bindir, session_version(s) / 10000, e, NULL, error);
    if (!sql || !session_exec(s, "SAVEPOINT recreate", error))
        return FALSE;
    g_autoptr(PGresult) result = PQexec(session_pg(s), sql->str);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
        return session_exec(s, "RELEASE recreate", error);
    if (is_duplicate(result))
        return session_exec(s, "ROLLBACK TO recreate", error);
    g_autofree char *label = toc_entry_label(e);
    return session_fail(s, result, OT_RESTORE, label, error);
}

static gboolean run_dependents(struct session *s, const struct toc *t, const char *bindir, int dump_id,
                               const char *const *kinds, GError **error)
{
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_strv_contains(kinds, e->desc) && toc_entry_depends_on(e, dump_id) && !run_entry(s, t, bindir, e, error))
            return FALSE;
    }
    return TRUE;
}

/* A sequence is owned by the table if a SEQUENCE OWNED BY entry depends on both. */
static gboolean is_owned(const struct toc *t, const struct toc_entry *sequence, int table_id)
{
    if (toc_entry_depends_on(sequence, table_id))
        return TRUE; /* of an identity column */
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, "SEQUENCE OWNED BY") && toc_entry_depends_on(e, table_id) &&
            toc_entry_depends_on(e, sequence->dump_id))
            return TRUE;
    }
    return FALSE;
}

static gboolean run_sequences(struct session *s, const struct toc *t, const char *bindir, int table_id, gboolean values,
                              GError **error)
{
    static const char *const before[] = {"ACL", "COMMENT", NULL};
    static const char *const value[] = {"SEQUENCE SET", NULL};
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (!g_str_equal(e->desc, "SEQUENCE") || !is_owned(t, e, table_id))
            continue;
        gboolean own = !values && !toc_entry_depends_on(e, table_id);
        if ((own && !run_entry(s, t, bindir, e, error)) ||
            !run_dependents(s, t, bindir, e->dump_id, values ? value : before, error))
            return FALSE;
    }
    return TRUE;
}

gboolean recreate_table(struct session *s, const struct toc *t, const char *bindir, const char *schema,
                        const char *name, struct report *report, GError **error)
{
    const struct toc_entry *table = find_table(t, schema, name, error);
    if (!table || !run_entry(s, t, bindir, table, error) ||
        !run_sequences(s, t, bindir, table->dump_id, FALSE, error) ||
        !run_dependents(s, t, bindir, table->dump_id, before_rows, error))
        return FALSE;
    report_info(report, "Made %s.%s again as the backup defines it", schema, name);
    return TRUE;
}

gboolean recreate_indexes(struct session *s, const struct toc *t, const char *bindir, const char *schema,
                          const char *name, struct report *report, GError **error)
{
    (void)report;
    const struct toc_entry *table = find_table(t, schema, name, error);
    return table && run_dependents(s, t, bindir, table->dump_id, after_rows, error) &&
           run_sequences(s, t, bindir, table->dump_id, TRUE, error);
}

gboolean recreate_links(struct session *s, const struct toc *t, const char *bindir, const char *schema,
                        const char *name, struct report *report, GError **error)
{
    static const char *const data[] = {"TABLE DATA", "SEQUENCE SET", NULL};
    const struct toc_entry *table = find_table(t, schema, name, error);
    if (!table || !run_dependents(s, t, bindir, table->dump_id, links, error))
        return FALSE;
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (!toc_entry_depends_on(e, table->dump_id) || g_strv_contains(before_rows, e->desc) ||
            g_strv_contains(after_rows, e->desc) || g_strv_contains(links, e->desc) || g_strv_contains(data, e->desc))
            continue;
        g_autofree char *label = toc_entry_label(e);
        report_warn(report, "If it was dropped with the table, %s is still to be made again", label);
    }
    return TRUE;
}
