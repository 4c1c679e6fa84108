/* Test restores. */
#include "engine/fulltest.h"

#include <string.h>
#include <unistd.h>

#include "engine/compare.h"
#include "engine/plainload.h"
#include "engine/statements.h"
#include "engine/testhost.h"
#include "pg/door.h"
#include "pg/facts.h"
#include "pg/scratch.h"
#include "pg/snapshot.h"
#include "pg/swap.h"

#define OLDEST_MAJOR 12

/* Where the test runs: a server, a database of its own on it, and what was made for it. */
struct place {
    struct scratch *scratch;
    struct pg_target target; /* of the maintenance database */
    struct session *admin;
    char *dbname;
    struct door door;   /* of that database */
    struct door second; /* of another one, which is made if the comparison asks for it */
    GPtrArray *roles;   /* created by us on a server that is not ours */
};

/* What a test makes on a server that is not ours is marked, databases and roles alike, with the database's name; the
 * test holds an advisory lock on that name as long as it lives. */
#define MARK "opstower test restore "

static gboolean hold_name(struct session *admin, const char *dbname, gboolean *ret_held, GError **error)
{
    const char *params[] = {dbname};
    g_autofree char *held = NULL;
    gboolean ok = session_get_text(
        admin, error, "SELECT pg_catalog.pg_try_advisory_lock(hashtext('" MARK "'), hashtext($1))", 1, params, &held);
    *ret_held = g_strcmp0(held, "t") == 0;
    return ok;
}

/* Databases whose test was killed, then roles whose database is gone. */
static gboolean drop_left_behind(struct place *p, GError **error)
{
    struct session *admin = p->admin;
    g_autoptr(PGresult) databases = session_query(
        admin, error,
        "SELECT datname FROM pg_catalog.pg_database WHERE pg_catalog.shobj_description(oid, 'pg_database') = '" MARK
        "' || datname",
        0, NULL);
    for (int i = 0; databases && i < PQntuples(databases); i++) {
        const char *name = PQgetvalue(databases, i, 0);
        gboolean held = FALSE;
        if (!hold_name(admin, name, &held, error) || (held && !swap_discard(&p->target, admin, name, error)))
            return FALSE;
    }
    g_autoptr(PGresult) roles =
        !databases
            ? NULL
            : session_query(admin, error,
                            "SELECT quote_ident(rolname) FROM pg_catalog.pg_roles r"
                            " WHERE pg_catalog.shobj_description(oid, 'pg_authid') LIKE '" MARK
                            "%' AND NOT EXISTS (SELECT FROM"
                            " pg_catalog.pg_database WHERE pg_catalog.shobj_description(r.oid, 'pg_authid') = '" MARK
                            "' || datname)",
                            0, NULL);
    for (int i = 0; roles && i < PQntuples(roles); i++)
        if (!session_execf(admin, error, "DROP ROLE %s", PQgetvalue(roles, i, 0)))
            return FALSE;
    return roles != NULL;
}

static gboolean mark_roles(struct place *p, GError **error)
{
    for (guint i = 0; i < p->roles->len; i++) {
        g_autofree char *role = session_quote_name(p->admin, p->roles->pdata[i]);
        if (!session_execf(p->admin, error, "COMMENT ON ROLE %s IS '" MARK "%s'", role, p->dbname))
            return FALSE;
    }
    return TRUE;
}

static void place_clear(struct place *p)
{
    if (p->admin && p->dbname && !p->scratch) {
        /* What stays is dropped by the next test. */
        swap_discard(&p->target, p->admin, p->dbname, NULL);
        if (p->second.name)
            swap_discard(&p->target, p->admin, p->second.name, NULL);
        for (guint i = 0; i < p->roles->len; i++) {
            g_autofree char *role = session_quote_name(p->admin, p->roles->pdata[i]);
            session_execf(p->admin, NULL, "DROP ROLE IF EXISTS %s", role);
        }
    }
    session_free(p->admin);
    door_clear(&p->door);
    door_clear(&p->second);
    scratch_free(p->scratch);
    pg_target_clear(&p->target);
    g_ptr_array_unref(p->roles);
    g_free(p->dbname);
}

static gboolean place_open(struct place *p, const struct fulltest_request *request, int major, const json_t *facts,
                           GError **error)
{
    p->roles = g_ptr_array_new_with_free_func(g_free);
    p->dbname = g_strdup_printf("opstower_test_%d_%" G_GINT64_FORMAT, (int)getpid(), g_get_real_time());
    if (!request->server) {
        struct scratch_options options = {
            .tmp_dir = request->tmp_dir,
            .bindir = request->bindir,
            .major = MAX(major, OLDEST_MAJOR),
            .superuser = facts_text(facts, "bootstrap_superuser"),
            .preload = facts_text(facts, "shared_preload_libraries"),
            .database = p->dbname,
        };
        p->scratch = scratch_start(&options, error);
        if (!p->scratch) {
            g_prefix_error(error, "cannot make a scratch server for the test (--test-url names another): ");
            return FALSE;
        }
    }
    p->target = pg_target_copy(p->scratch ? scratch_target(p->scratch) : request->server);
    p->admin = session_open(&p->target, NULL, error);
    gboolean held = FALSE;
    if (!p->admin)
        return FALSE;
    if (p->scratch)
        return TRUE;
    return hold_name(p->admin, p->dbname, &held, error) && drop_left_behind(p, error);
}

/* ---- ours ---- */

static gboolean prepare(struct place *p, const json_t *facts, GError **error)
{
    g_autofree char *mark = g_strconcat(MARK, p->dbname, NULL);
    return session_exec(p->admin, "BEGIN", error) && facts_create_roles(p->admin, facts, TRUE, p->roles, error) &&
           mark_roles(p, error) && session_exec(p->admin, "COMMIT", error) &&
           door_create(p->admin, facts, p->dbname, mark, FALSE, &p->door, error);
}

struct handing_over {
    struct place *place;
    const json_t *facts;
    const struct load_request *load;
    const struct toc *toc;
};

/* An empty database like the first one. It is its owner's from the beginning: no row and no trigger of his gets in, so
 * nothing runs for him. */
static struct session *open_second(void *data, GError **error)
{
    const struct handing_over *h = data;
    struct place *p = h->place;
    g_autofree char *name = g_strconcat(p->dbname, "_2", NULL);
    g_autofree char *mark = g_strconcat(MARK, name, NULL);
    const char *owner = facts_text(h->facts, "owner");
    g_autofree char *quoted = session_quote_name(p->admin, name);
    g_autofree char *quoted_owner = session_quote_name(p->admin, owner ? owner : "");
    gboolean held;
    if (!hold_name(p->admin, name, &held, error) ||
        !door_create(p->admin, h->facts, name, mark, FALSE, &p->second, error) ||
        (owner && !session_execf(p->admin, error, "ALTER DATABASE %s OWNER TO %s", quoted, quoted_owner)))
        return NULL;
    return session_open(&p->target, name, error);
}

/* Where the first load needed help, the second one does too. */
static gboolean load_second(struct session *s, void *data, GError **error)
{
    const struct handing_over *h = data;
    return load_schema(h->load, s, h->facts, h->toc, error);
}

static gboolean hand_over(struct session *s, void *data, GError **error)
{
    struct handing_over *h = data;
    return door_hand_over(&h->place->door, h->place->admin, s, h->facts, error);
}

void fulltest_result_clear(struct fulltest_result *r)
{
    g_free(r->doubt);
    memset(r, 0, sizeof *r);
}

/* What is missing on this machine, or on the server that was named. */
static void warn_of_major(const struct fulltest_request *request, int here, int wanted, struct report *report)
{
    g_autofree char *way = request->server
                               ? g_strdup_printf("give a server of version %d with --test-url", wanted)
                               : g_strdup_printf("install postgresql-%d (initdb and postgres) on this machine", wanted);
    report_warn(report,
                "The test server is version %d, the backup's was %d: rows are compared, the schema is not, and this is "
                "no proof for version %d. For a full test that proves it, %s",
                here, wanted, wanted, way);
}

static gboolean load_and_compare(struct place *p, const struct fulltest_request *request, struct archive_reader *reader,
                                 const struct toc *t, struct report *report, struct load_outcome *outcome,
                                 struct fulltest_result *result, GError **error)
{
    struct handing_over handing_over = {.place = p, .facts = reader->contents->facts, .toc = t};
    struct load_request load = {
        .target = &p->target,
        .dbname = p->dbname,
        .bindir = request->bindir,
        .jobs = request->jobs,
        .before_indexes = hand_over,
        .data = &handing_over,
    };
    struct load_times times;
    handing_over.load = &load;
    if (!load_backup(&load, reader, t, report, &times, outcome, error))
        return FALSE;
    report_info(report, "Test restore: loaded in %.1f s (schema %.1f s, rows %.1f s, indexes and constraints %.1f s)",
                (double)(times.schema_ms + times.rows_ms + times.indexes_ms) / 1000, (double)times.schema_ms / 1000,
                (double)times.rows_ms / 1000, (double)times.indexes_ms / 1000);
    int wanted = facts_major(reader->contents->facts);
    result->major = session_version(p->admin) / 10000;
    result->same_major = result->major == wanted;
    if (!result->same_major)
        warn_of_major(request, result->major, wanted, report);
    struct compare_request compare = {
        .target = &p->target,
        .dbname = p->dbname,
        .bindir = request->bindir,
        .jobs = request->jobs,
        .open_empty = result->same_major ? open_second : NULL,
        .open_data = &handing_over,
        .left_out = outcome->left_entries,
        .load_schema = outcome->helped->len > 0 || outcome->left_out->len > 0 ? load_second : NULL,
    };
    return compare_with_proof(&compare, reader, t, report, error);
}

gboolean fulltest_backup(const struct fulltest_request *request, struct archive_reader *reader, struct report *report,
                         struct load_outcome *outcome, struct fulltest_result *ret_result, GError **error)
{
    g_autoptr(toc) t = toc_parse(reader->contents->toc, error);
    if (!t || !statements_check(reader, t, request->bindir, &ret_result->doubt, error))
        return FALSE;
    const json_t *facts = reader->contents->facts;
    struct place p = {0};
    struct testhost host = {0};
    gboolean ok = place_open(&p, request, facts_major(facts), facts, error) &&
                  testhost_check(&host, p.admin, facts, report, error) && prepare(&p, facts, error) &&
                  load_and_compare(&p, request, reader, t, report, outcome, ret_result, error);
    if (!ok)
        testhost_explain(&host, error);
    place_clear(&p);
    testhost_clear(&host);
    return ok;
}

/* ---- others' ---- */

/* Rows that the table holds of itself (a partitioned one: with its partitions). -1: it belongs to an extension, which
 * may have put rows of its own into it. */
#define COUNT_SQL                                                                                                      \
    "SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid" \
    " AND deptype = 'e') THEN 'SELECT -1' ELSE format('SELECT count(*) FROM %s %s',"                                   \
    " CASE c.relkind WHEN 'r' THEN 'ONLY' ELSE '' END, c.oid::regclass) END"                                           \
    " FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)"

static gboolean check_counts(struct place *p, const struct plain_summary *sum, GError **error)
{
    g_autoptr(session) s = session_open(&p->target, p->dbname, error);
    g_autofree char *encoding = s ? session_quote_literal(s, sum->encoding ? sum->encoding : "UTF8") : NULL;
    if (!s || !session_execf(s, error, "SET client_encoding = %s", encoding))
        return FALSE;
    GHashTableIter iter;
    gpointer name, rows;
    g_hash_table_iter_init(&iter, sum->copied);
    while (g_hash_table_iter_next(&iter, &name, &rows)) {
        const char *params[] = {name};
        g_autofree char *sql = NULL;
        gint64 found = 0;
        if (!session_get_text(s, error, COUNT_SQL, 1, params, &sql) ||
            !session_get_number(s, error, sql ? sql : "SELECT 0", 0, NULL, &found))
            return FALSE;
        if (found >= 0 && (guint64)found != *(guint64 *)rows)
            return ot_fail(error, OT_MISMATCH,
                           "%s holds %" G_GINT64_FORMAT " rows after the test restore, the file %" G_GUINT64_FORMAT,
                           (char *)name, found, *(guint64 *)rows);
    }
    return TRUE;
}

/* The roles' names come as SQL from the dump itself: they are read as names, not run as they stand. */
static gboolean create_plain_roles(struct place *p, const GPtrArray *roles, GError **error)
{
    for (guint i = 0; i < roles->len; i++) {
        const char *sql = roles->pdata[i];
        const char *params[] = {sql};
        g_autofree char *name = NULL;
        if (!session_get_text(p->admin, error, "SELECT (parse_ident($1, true))[1]", 1, params, &name))
            return FALSE;
        g_autofree char *quoted = session_quote_name(p->admin, name ? name : "");
        const char *named[] = {name};
        gint64 found = 0;
        if (!session_get_number(p->admin, error, "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = $1", 1,
                                named, &found) ||
            (!found && !session_execf(p->admin, error, "CREATE ROLE %s NOLOGIN SUPERUSER", quoted)))
            return FALSE;
        if (!found)
            g_ptr_array_add(p->roles, g_strdup(name));
    }
    return TRUE;
}

static gboolean load_plain(struct place *p, struct source *file, enum archive_kind kind, const GPtrArray *roles,
                           struct report *report, GError **error)
{
    g_autofree char *quoted = session_quote_name(p->admin, p->dbname);
    if (!session_exec(p->admin, "BEGIN", error) || !create_plain_roles(p, roles, error) || !mark_roles(p, error) ||
        !session_exec(p->admin, "COMMIT", error) ||
        !session_execf(p->admin, error, "CREATE DATABASE %s TEMPLATE = template0", quoted) ||
        !session_execf(p->admin, error, "COMMENT ON DATABASE %s IS '" MARK "%s'", quoted, p->dbname))
        return FALSE;
    struct plain_summary sum = {0};
    if (!plainload_run(&p->target, p->dbname, file, kind, report, &sum, error))
        return FALSE;
    gboolean ok = check_counts(p, &sum, error);
    plain_summary_clear(&sum);
    return ok;
}

gboolean fulltest_plain(const struct fulltest_request *request, struct source *file, enum archive_kind kind,
                        struct report *report, GError **error)
{
    struct plain_summary sum = {0};
    if (!plain_scan(file, kind, NULL, NULL, &sum, error))
        return FALSE;
    if (!plain_check_refusal(&sum, error)) {
        plain_summary_clear(&sum);
        return FALSE;
    }
    int major = sum.server_version ? (int)g_ascii_strtoll(sum.server_version, NULL, 10) : OLDEST_MAJOR;
    struct place p = {0};
    gboolean ok = place_open(&p, request, major, NULL, error) && load_plain(&p, file, kind, sum.roles, report, error);
    place_clear(&p);
    plain_summary_clear(&sum);
    return ok;
}
