/* The backup's own account of where it comes from, compared with the server. */
#include "engine/restore_target.h"

#include <string.h>

#include "archive/plain.h"
#include "archive/reader.h"
#include "engine/server_identity.h"
#include "pg/facts.h"
#include "pg/swap.h"

/* Tables, views, sequences that are nobody's but the user's. */
#define CONTENT_SQL                                                                                                    \
    "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "  \
    "WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> "                      \
    "'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = "                       \
    "'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')"

void restore_target_clear(struct restore_target *t)
{
    g_free(t->backup_server);
    g_free(t->server);
    memset(t, 0, sizeof *t);
}

/* ---- the backup ---- */

/* What the file itself says; NULL: nothing, or it cannot be opened, which its verification tells. New reference. */
static json_t *read_facts(const struct copy *c)
{
    enum archive_kind kind;
    g_autoptr(source) file = copy_open(c, NULL);
    if (!file || !archive_detect(file, &kind, NULL) || kind != ARCHIVE_OURS)
        return NULL;
    g_autoptr(archive_reader) reader = archive_reader_open(file, NULL);
    if (!reader)
        return NULL;
    file = NULL; /* the reader's now */
    return json_incref(reader->contents->facts);
}

/* The metadata beside it, in which what the file itself says wins; never NULL. */
static struct meta *read_origin(const struct copy *c)
{
    struct meta *m = copy_meta(c, NULL);
    json_t *facts = read_facts(c);
    const char *database = facts_text(facts, "database"), *system = facts_text(facts, "system_identifier");
    m = m ? m : g_new0(struct meta, 1);
    if (database) {
        g_free(m->database);
        m->database = g_strdup(database);
    }
    if (system) {
        g_free(m->system_identifier);
        m->system_identifier = g_strdup(system);
    }
    json_decref(facts);
    return m;
}

/* ---- the database ---- */

static gboolean check_database(const struct restore_request *q, const struct meta *m, const char *live, GError **error)
{
    g_autofree char *name = g_utf8_make_valid(live, -1);
    gboolean same = !m->database || g_str_equal(m->database, live) || g_str_equal(m->database, name);
    if (same || q->target_db || q->other_database || (q->tables && !q->put_back))
        return TRUE;
    return ot_fail(error, OT_REFUSED,
                   "the backup is of database %s, and %s: restore it beside with --target-db, or give "
                   "--allow-other-database",
                   m->database, q->tables ? "its rows are not put into another" : "does not replace another");
}

/* ---- the server ---- */

static gboolean has_content(const struct restore_request *q, struct session *admin, const char *live,
                            gboolean *ret_content, GError **error)
{
    gint64 found = 0;
    *ret_content = FALSE;
    if (!swap_exists(admin, live, ret_content, error) || !*ret_content)
        return !error || !*error;
    g_autoptr(session) s = session_open(q->target, live, error);
    if (!s || !session_get_number(s, error, CONTENT_SQL, 0, NULL, &found))
        return FALSE;
    *ret_content = found > 0;
    return TRUE;
}

static gboolean check_content(const struct restore_request *q, struct session *admin, const char *live,
                              const struct restore_target *t, struct report *report, GError **error)
{
    gboolean content = FALSE;
    gboolean beside = q->tables ? !q->put_back : q->target_db != NULL;
    if (!beside && !q->other_database && !has_content(q, admin, live, &content, error))
        return FALSE;
    if (content)
        return ot_fail(error, OT_REFUSED,
                       "the backup is of another server, %s; database %s on %s is not replaced with it: restore it "
                       "beside with --target-db; after a migration, an upgrade or a recovery make that server's "
                       "backups this one's with `opstower adopt`; or give --allow-other-database",
                       t->backup_server, live, t->server);
    report_warn(report, "The backup is of another server: %s. It is restored to %s", t->backup_server, t->server);
    return TRUE;
}

static gboolean check_server(const struct restore_request *q, const struct meta *m, const char *live,
                             struct report *report, struct restore_target *t, GError **error)
{
    struct pg_system system = {0};
    g_autoptr(session) admin = swap_admin(q->target, live, error);
    if (!admin || !pg_system_read(admin, &system, error))
        return FALSE;
    struct lineage_server self = {system.identifier, system.host, system.port};
    t->server = lineage_server_text(system.identifier, system.host, system.port);
    t->backup_server = lineage_server_text(m->system_identifier, m->host, m->port);
    t->is_other = !lineage_fits(m, &self);
    report_fact_text(report, "system_identifier", system.identifier);
    if (m->host || m->system_identifier)
        report_info(report, "Backup of server %s; restoring to server %s", t->backup_server, t->server);
    gboolean ok = !t->is_other || check_content(q, admin, live, t, report, error);
    pg_system_clear(&system);
    return ok;
}

gboolean restore_target_check(const struct restore_request *q, const char *live, struct report *report,
                              struct restore_target *ret, GError **error)
{
    g_autoptr(meta) m = read_origin(q->copy);
    return check_database(q, m, live, error) && check_server(q, m, live, report, ret, error);
}

void restore_target_offer(const struct restore_target *t, struct report *report)
{
    if (t->is_other)
        report_info(report,
                    "The backups of %s stay a history of their own. If %s takes its place, `opstower adopt` makes them "
                    "this server's",
                    t->backup_server, t->server);
}
