/* Tables in small groups, each within a savepoint. */
#include "pg/reader.h"

#include <string.h>

#define MIN_GROUP 64
#define GROUPS 100 /* a proof looks at all locks of the server: its cost grows with the tables, so must the groups */
#define MAX_GROUP_US (2 * G_USEC_PER_SEC)
#define NAME_TRIES 5

/* The name of no two tables of a group is the same, schemas apart. Tables are locked, so none changes its own name:
 * COPY a.t opens some t, and if each of the group's oids is locked, it was the group's. */
struct reader {
    struct session *session;
    struct snapshot *snapshot;
    guint max_group;
    GHashTable *group;   /* names without schema: borrowed */
    GHashTable *waiting; /* const struct table_def *: of the group */
    gint64 begun_us;
    gboolean in_table; /* there is a savepoint of the last table */
};

static const char lock_count_sql[] =
    "SELECT count(DISTINCT relation) FROM pg_catalog.pg_locks WHERE locktype = 'relation' AND granted"
    " AND pid = pg_catalog.pg_backend_pid() AND relation = ANY ($1::oid[]) AND database ="
    " (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

struct reader *reader_open(struct snapshot *s, const struct pg_target *t, guint n_tables, GError **error)
{
    g_autoptr(session) joined = snapshot_join(s, t, error);
    if (!joined || !session_exec(joined, "SAVEPOINT grp", error))
        return NULL;
    struct reader *r = g_new0(struct reader, 1);
    r->session = g_steal_pointer(&joined);
    r->snapshot = s;
    r->max_group = MAX(MIN_GROUP, n_tables / GROUPS);
    r->group = g_hash_table_new(g_str_hash, g_str_equal);
    r->waiting = g_hash_table_new(g_direct_hash, g_direct_equal);
    return r;
}

struct session *reader_session(struct reader *r)
{
    return r->session;
}

/* ---- the proof ---- */

static char *oids_of(GHashTable *tables)
{
    GString *list = g_string_new("{");
    GHashTableIter each;
    gpointer t;
    g_hash_table_iter_init(&each, tables);
    while (g_hash_table_iter_next(&each, &t, NULL))
        g_string_append_printf(list, "%s%" G_GUINT64_FORMAT, list->len > 1 ? "," : "",
                               ((const struct table_def *)t)->oid);
    return g_string_free(g_string_append_c(list, '}'), FALSE);
}

static gboolean were_read(struct reader *r, GError **error)
{
    g_autofree char *oids = oids_of(r->waiting);
    const char *params[] = {oids};
    gint64 locked = 0;
    if (!session_get_number(r->session, error, lock_count_sql, 1, params, &locked))
        return FALSE;
    return locked == g_hash_table_size(r->waiting) ||
           ot_fail(error, OT_LOCK_TIMEOUT, "schemas were renamed while their tables were read");
}

gboolean reader_prove(struct reader *r, GError **error)
{
    if (g_hash_table_size(r->waiting) == 0)
        return TRUE;
    if (!were_read(r, error) || !session_exec(r->session, "ROLLBACK TO SAVEPOINT grp", error) ||
        !snapshot_check(r->snapshot, error))
        return FALSE;
    r->in_table = FALSE;
    g_hash_table_remove_all(r->group);
    g_hash_table_remove_all(r->waiting);
    return TRUE;
}

/* ---- reading ---- */

static gboolean fits(const struct reader *r, const struct table_def *t)
{
    return g_hash_table_size(r->waiting) == 0 ||
           (!g_hash_table_contains(r->group, t->name) && g_hash_table_size(r->waiting) < r->max_group &&
            g_get_monotonic_time() - r->begun_us < MAX_GROUP_US);
}

/* Locks whatever has that name, and looks whether it is the table. A lock that is new makes the server look the name up
 * afresh; a savepoint lets a name that is gone do no harm to the rest of the group. */
static gboolean lock_named(struct reader *r, const struct table_def *t, const char *name, gboolean *ret_right,
                           GError **error)
{
    gint64 found = 0;
    const char *params[] = {name};
    *ret_right = FALSE;
    gboolean ok = session_execf(r->session, error, "%sSAVEPOINT tab; LOCK TABLE ONLY %s IN ACCESS SHARE MODE",
                                r->in_table ? "RELEASE SAVEPOINT tab; " : "", name);
    r->in_table = TRUE;
    ok = ok && session_get_number(r->session, error, "SELECT $1::pg_catalog.regclass::pg_catalog.oid", 1, params, &found);
    *ret_right = ok && (guint64)found == t->oid;
    return ok;
}

/* Errors of a name that is not the table's any more. */
static gboolean is_of_a_name(const struct reader *r)
{
    static const char *const states[] = {"42P01", "3F000", "42809", "42501", "55000", "42703", NULL};
    return g_strv_contains(states, session_sqlstate(r->session));
}

/* The name that the table has now, by which it is locked; NULL on failure. */
static char *lock_table(struct reader *r, const struct table_def *t, GError **error)
{
    g_autofree char *name = session_quote_pair(r->session, t->schema, t->name);
    for (int i = 0; i < NAME_TRIES; i++) {
        gboolean right;
        g_autoptr(GError) problem = NULL;
        gboolean ok = lock_named(r, t, name, &right, &problem);
        if (right)
            return g_steal_pointer(&name);
        if (!ok && !is_of_a_name(r)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
        g_autofree char *now = snapshot_name_now(r->snapshot, r->session, t->oid, error);
        if (!now || !session_exec(r->session, "ROLLBACK TO SAVEPOINT tab", error))
            return NULL;
        if (!ok && g_str_equal(now, name)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
        g_free(name);
        name = g_steal_pointer(&now);
    }
    ot_fail(error, OT_LOCK_TIMEOUT, "its schema keeps being renamed");
    return NULL;
}

static gboolean copy_named(struct reader *r, const char *name, const struct table_def *t,
                           const struct plan_piece *piece, copy_row take, void *data, GError **error)
{
    g_autofree char *sql = plan_copy_out_from_sql(name, t, piece);
    if (copy_out(r->session, sql, take, data, error))
        return TRUE;
    g_autofree char *now = is_of_a_name(r) ? snapshot_name_now(r->snapshot, r->session, t->oid, NULL) : NULL;
    if (now && !g_str_equal(now, name)) {
        g_clear_error(error);
        ot_fail(error, OT_LOCK_TIMEOUT, "it was renamed while it was read");
    }
    return FALSE;
}

gboolean reader_copy(struct reader *r, const struct table_def *t, const struct plan_piece *piece, copy_row take,
                     void *data, GError **error)
{
    if (!fits(r, t) && !reader_prove(r, error))
        return FALSE;
    if (g_hash_table_size(r->waiting) == 0)
        r->begun_us = g_get_monotonic_time();
    g_autofree char *name = lock_table(r, t, error);
    if (!name || !copy_named(r, name, t, piece, take, data, error)) {
        snapshot_explain(r->snapshot, error);
        return FALSE;
    }
    g_hash_table_add(r->group, t->name);
    g_hash_table_add(r->waiting, (gpointer)t);
    return TRUE;
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    session_free(r->session);
    g_hash_table_unref(r->group);
    g_hash_table_unref(r->waiting);
    g_free(r);
}
