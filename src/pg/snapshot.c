/* Locks and the snapshot, and that both fit and last. */
#include "pg/snapshot.h"

#include <string.h>

#include "pg/dumpholder.h"
#include "pg/objectnames.h"
#include "pg/pgdump.h"
#include "pg/tablelocks.h"
#include "pg/watch.h"

#define TRIES 20
#define MIN_HELD_BY_DUMP 1500 /* of so many tables, however empty, pg_dump cannot write the data into a pipe's buffer  \
                               */
#define TOC_TRIES 5

struct snapshot {
    struct session *session;
    struct watch *watch;
    char *id;
    gint64 time;
    guint lock_timeout_ms;
    gboolean guards;
    GPtrArray *tables; /* struct seen_table *: as the snapshot shows them */
    /* where pg_dump holds the locks */
    gboolean dump_holds;
    struct dumpholder holder;
    GMutex mutex;  /* of the session while it is idle, and of the rest */
    gboolean idle; /* nobody plans: the session may be asked whether it lives */
    GError *lost;
};

struct session *snapshot_open_for_rows(const struct pg_target *t, const char *dbname, const char *encoding,
                                       GError **error)
{
    g_autoptr(session) s = session_open(t, dbname, error);
    if (!s)
        return NULL;
    g_autofree char *literal = session_quote_literal(s, encoding ? encoding : "UTF8");
    if (!session_execf(s, error, "SET client_encoding = %s", literal))
        return NULL;
    return g_steal_pointer(&s);
}

static gboolean name_session(struct session *s, GError **error)
{
    return session_execf(s, error, "SET application_name = '%s'", session_run_name());
}

static char *own_pid(const struct snapshot *s)
{
    return g_strdup_printf("%d", session_backend_pid(s->session));
}

/* ---- whether the locks hold ---- */

/* The first answer: after the server's last words libpq has its own to say about the lost connection. */
static PGresult *first_answer(PGconn *pg, const char *sql)
{
    PGresult *first = NULL, *next;
    if (!PQsendQuery(pg, sql))
        return NULL;
    while ((next = PQgetResult(pg))) {
        if (first)
            PQclear(next);
        else
            first = next;
        if (PQstatus(pg) == CONNECTION_BAD)
            break;
    }
    return first;
}

/* A pooler that gave the server's session to somebody else in the middle of the transaction would show by its pid. */
static gboolean is_from(const PGresult *answer, const struct session *s)
{
    return PQresultStatus(answer) == PGRES_TUPLES_OK && PQntuples(answer) == 1 &&
           g_ascii_strtoll(PQgetvalue(answer, 0, 0), NULL, 10) == session_backend_pid(s);
}

static gboolean session_lives(struct snapshot *s, GError **error)
{
    PGconn *pg = session_pg(s->session);
    session_wait_begins(s->session);
    g_autoptr(PGresult) answer = first_answer(pg, "SELECT pg_catalog.pg_backend_pid()");
    session_wait_ends(s->session);
    return (is_from(answer, s->session) && PQtransactionStatus(pg) == PQTRANS_INTRANS) ||
           session_fail(s->session, answer, OT_DUMP, "the session that holds the table locks is lost", error);
}

static gboolean watch_lives(struct snapshot *s, GError **error)
{
    return !watch_failed(s->watch) || ot_fail(error, OT_DUMP, "the session that watches over the table locks is lost");
}

/* The caller holds the mutex. */
static gboolean ask(struct snapshot *s, GError **error)
{
    if (s->lost)
        return FALSE;
    GError *problem = NULL;
    if (session_lives(s, &problem) && watch_lives(s, &problem) &&
        (!s->holder.pid || dumpholder_lives(&s->holder, s->watch, &problem)))
        return TRUE;
    if (g_error_matches(problem, OT_ERROR, OT_INTERRUPTED)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    static const char by_administrator[] = "57P01";
    gboolean meant = g_str_equal(session_sqlstate(s->session), by_administrator);
    gboolean silent = session_was_silent(s->session); /* another try would wait as long for nothing */
    ot_fail(&s->lost, silent ? OT_CONNECT : meant ? OT_DUMP : OT_LOCK_TIMEOUT, "%s", problem->message);
    g_error_free(problem);
    return FALSE;
}

gboolean snapshot_check(struct snapshot *s, GError **error)
{
    GError *interrupted = NULL;
    g_mutex_lock(&s->mutex);
    gboolean lives = ask(s, &interrupted);
    if (s->lost && error)
        *error = g_error_copy(s->lost);
    g_mutex_unlock(&s->mutex);
    if (interrupted)
        g_propagate_error(error, interrupted);
    return lives;
}

/* A session that says something now and then is no idle one to those who end such sessions, nor to firewalls. */
static void beat(void *data)
{
    struct snapshot *s = data;
    g_mutex_lock(&s->mutex);
    g_autoptr(GError) unused = NULL;
    if (s->idle)
        ask(s, &unused);
    g_mutex_unlock(&s->mutex);
}

static void set_idle(struct snapshot *s, gboolean idle)
{
    g_mutex_lock(&s->mutex);
    s->idle = idle;
    g_mutex_unlock(&s->mutex);
}

void snapshot_planned(struct snapshot *s)
{
    set_idle(s, TRUE);
}

gboolean snapshot_is_lost(struct snapshot *s)
{
    g_mutex_lock(&s->mutex);
    gboolean lost = s->lost != NULL;
    g_mutex_unlock(&s->mutex);
    return lost || watch_failed(s->watch) || watch_gave_way(s->watch);
}

gboolean snapshot_prove(struct snapshot *s, GError **error)
{
    g_autoptr(PGresult) now = watch_query(s->watch, error, tablelocks_filenodes_sql, 0, NULL);
    return now && tablelocks_check_filenodes(s->tables, now, error) && snapshot_check(s, error);
}

char *snapshot_name_now(struct snapshot *s, struct session *quoting, guint64 oid, GError **error)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, oid);
    const char *params[] = {text};
    g_autoptr(PGresult) now =
        watch_query(s->watch, error,
                    "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c"
                    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
                    1, params);
    if (now && PQntuples(now) > 0)
        return session_quote_pair(quoting, PQgetvalue(now, 0, 0), PQgetvalue(now, 0, 1));
    if (now)
        ot_fail(error, OT_LOCK_TIMEOUT, "a table was dropped while the backup was taken: its lock did not hold");
    return NULL;
}

void snapshot_explain(struct snapshot *s, GError **error)
{
    GError *reason = NULL;
    if (!error || !*error || g_error_matches(*error, OT_ERROR, OT_INTERRUPTED) || !s->session ||
        watch_gave_way(s->watch) || snapshot_check(s, &reason) || !reason)
        return;
    g_clear_error(error);
    g_propagate_error(error, reason);
}

/* ---- the snapshot ---- */

/* We and pg_dump lock each table; the server has room for twice as many locks as it promises objects. Where that is not
 * enough, or leaves others too little, pg_dump must do alone. */
static gboolean choose_holder(struct snapshot *s, guint n_tables, GError **error)
{
    gint64 room = 0;
    if (!session_get_number(s->session, error,
                            "SELECT pg_catalog.current_setting('max_locks_per_transaction')::bigint"
                            " * (pg_catalog.current_setting('max_connections')::bigint"
                            " + pg_catalog.current_setting('max_prepared_transactions')::bigint)",
                            0, NULL, &room))
        return FALSE;
    s->dump_holds = n_tables >= MIN_HELD_BY_DUMP && n_tables > room / 4 * 3;
    return TRUE;
}

static gboolean export_snapshot(struct snapshot *s, GError **error)
{
    /* The statement's time is just before its snapshot is taken; the transaction began before the locks were had. */
    g_autoptr(PGresult) taken = session_query(
        s->session, error,
        "SELECT pg_catalog.pg_export_snapshot(), floor(extract(epoch FROM pg_catalog.statement_timestamp()))::bigint",
        0, NULL);
    if (!taken)
        return FALSE;
    g_free(s->id);
    s->id = g_strdup(PQgetvalue(taken, 0, 0));
    s->time = g_ascii_strtoll(PQgetvalue(taken, 0, 1), NULL, 10);
    g_clear_pointer(&s->tables, g_ptr_array_unref);
    s->tables = tablelocks_list(s->session, error);
    return s->tables != NULL;
}

/* Whether the snapshot shows these tables as they are at present, which is under locks. */
static gboolean shows_present(struct snapshot *s, const GPtrArray *tables, gboolean *ret_same, GError **error)
{
    g_autofree char *oids = tablelocks_oids(tables);
    const char *params[] = {oids};
    g_autoptr(PGresult) shown = session_query(s->session, error, tablelocks_identity_sql, 1, params);
    g_autoptr(PGresult) present = shown ? watch_query(s->watch, error, tablelocks_identity_sql, 1, params) : NULL;
    *ret_same = present && tablelocks_same(shown, present);
    return present != NULL;
}

/* Tables that came between the list and the snapshot are locked now, and must be what the snapshot shows. */
static gboolean lock_the_rest(struct snapshot *s, const GPtrArray *missing, gboolean *ret_again, GError **error)
{
    g_autofree char *pid = own_pid(s);
    gboolean same = FALSE;
    if (!tablelocks_take(s->session, missing, NULL, ret_again, error))
        return FALSE;
    g_autoptr(GHashTable) held = tablelocks_held(s->session, pid, error);
    g_autoptr(GPtrArray) still = held ? tablelocks_missing(missing, held) : NULL;
    if (!still || !shows_present(s, missing, &same, error))
        return FALSE;
    *ret_again = still->len > 0 || !same;
    return !*ret_again || ot_fail(error, OT_LOCK_TIMEOUT, "tables keep being created or altered");
}

static gboolean has_gone(const GPtrArray *tables)
{
    for (guint i = 0; i < tables->len; i++)
        if (((struct seen_table *)tables->pdata[i])->gone)
            return TRUE;
    return FALSE;
}

/* A table that was locked before the snapshot was taken is what the snapshot shows. */
static gboolean check_locked(struct snapshot *s, gboolean *ret_again, GError **error)
{
    g_autofree char *pid = own_pid(s);
    g_autoptr(GHashTable) held = tablelocks_held(s->session, pid, error);
    g_autoptr(GPtrArray) missing = held ? tablelocks_missing(s->tables, held) : NULL;
    return missing && (missing->len == 0 || lock_the_rest(s, missing, ret_again, error));
}

/* One try. *ret_again: a table came, went or was renamed meanwhile, so it is worth another. */
static gboolean try_begin(struct snapshot *s, gboolean *ret_again, GError **error)
{
    static const char out_of_memory[] = "53200";
    g_autoptr(GPtrArray) before = tablelocks_list(s->session, error);
    if (!before || (!s->dump_holds && !choose_holder(s, before->len, error)) ||
        !session_exec(s->session, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", error))
        return FALSE;
    if (!s->dump_holds && !tablelocks_take(s->session, before, NULL, ret_again, error)) {
        if (before->len >= MIN_HELD_BY_DUMP && g_str_equal(session_sqlstate(s->session), out_of_memory))
            s->dump_holds = *ret_again = TRUE;
        return FALSE;
    }
    if (!export_snapshot(s, error))
        return FALSE;
    if (has_gone(s->tables)) {
        *ret_again = TRUE;
        return ot_fail(error, OT_LOCK_TIMEOUT, "tables keep being dropped");
    }
    return s->dump_holds || check_locked(s, ret_again, error);
}

static gboolean begin(struct snapshot *s, GError **error)
{
    for (int i = 0; i < TRIES; i++) {
        gboolean again = FALSE;
        g_autoptr(GError) problem = NULL;
        if (try_begin(s, &again, &problem))
            return TRUE;
        if (watch_gave_way(s->watch))
            return snapshot_end(s, error);
        if (!again || i == TRIES - 1) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
        if (!session_exec(s->session, "ROLLBACK", error))
            return FALSE;
    }
    return FALSE;
}

/* As pg_dump does: a view in a table's place would run its owner's functions with our rights. */
static gboolean set_guard(struct snapshot *s, struct session *joined, GError **error)
{
    g_autofree char *set = NULL;
    if (!session_get_text(joined, error,
                          "SELECT pg_catalog.set_config(name, 'view, foreign-table', false)"
                          " FROM pg_catalog.pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
                          0, NULL, &set))
        return FALSE;
    s->guards = set != NULL;
    return TRUE;
}

struct snapshot *snapshot_begin(const struct pg_target *t, guint lock_timeout_ms, GError **error)
{
    g_autoptr(snapshot) s = g_new0(struct snapshot, 1);
    g_mutex_init(&s->mutex);
    s->lock_timeout_ms = lock_timeout_ms;
    s->session = session_open(t, NULL, error);
    if (!s->session || !name_session(s->session, error) ||
        !session_set_lock_timeout(s->session, lock_timeout_ms, error) || !set_guard(s, s->session, error) ||
        !tablelocks_check_readable(s->session, error))
        return NULL;
    s->watch = watch_start(t, lock_timeout_ms, beat, s, error);
    return s->watch && begin(s, error) ? g_steal_pointer(&s) : NULL;
}

struct session *snapshot_session(struct snapshot *s)
{
    return s->session;
}

gboolean snapshot_guards(const struct snapshot *s)
{
    return s->guards;
}

const char *snapshot_id(const struct snapshot *s)
{
    return s->id;
}

gint64 snapshot_time(const struct snapshot *s)
{
    return s->time;
}

/* ---- the table of contents ---- */

/* The tables that pg_dump means to dump: of an extension's it locks only some. */
static void keep_dumped(struct snapshot *s, const struct toc *t)
{
    g_autoptr(GHashTable) dumped = g_hash_table_new(g_direct_hash, g_direct_equal);
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, "TABLE") || g_str_equal(e->desc, "TABLE DATA"))
            g_hash_table_add(dumped, GUINT_TO_POINTER((guint32)e->oid));
    }
    for (guint i = s->tables->len; i-- > 0;)
        if (!g_hash_table_contains(dumped, GUINT_TO_POINTER(((struct seen_table *)s->tables->pdata[i])->oid)))
            g_ptr_array_remove_index(s->tables, i);
}

static gboolean check_holder(struct snapshot *s, GError **error)
{
    g_autofree char *own = own_pid(s);
    gboolean same = FALSE;
    if (!dumpholder_find(&s->holder, s->watch, own, error))
        return FALSE;
    g_autoptr(GHashTable) held = dumpholder_held(&s->holder, s->watch, error);
    if (!held || !shows_present(s, s->tables, &same, error))
        return FALSE;
    g_autoptr(GPtrArray) missing = tablelocks_missing(s->tables, held);
    return (missing->len == 0 && same) ||
           ot_fail(error, OT_LOCK_TIMEOUT, "tables were altered before pg_dump had locked them");
}

static gboolean schemas_now(struct snapshot *s, char **ret_text, GError **error)
{
    g_autoptr(PGresult) now = watch_query(s->watch, error, objectnames_schemas_sql, 0, NULL);
    if (now)
        *ret_text = g_strdup(PQgetvalue(now, 0, 0));
    return now != NULL;
}

/* *ret_again: something was done to a schema meanwhile. It may have been renamed, and back. */
static struct toc *toc_once(struct snapshot *s, const char *bindir, GPtrArray *warnings, gboolean *ret_again,
                            GError **error)
{
    g_autofree char *before = NULL, *after = NULL;
    dumpholder_clear(&s->holder);
    g_ptr_array_set_size(warnings, 0); /* those of the last try */
    if (!schemas_now(s, &before, error))
        return NULL;
    set_idle(s, TRUE);
    g_autoptr(toc) t = pgdump_toc_kept(s->session, bindir, s->id, s->lock_timeout_ms, warnings,
                                       s->dump_holds ? &s->holder.child : NULL, error);
    set_idle(s, FALSE);
    if (!t || !schemas_now(s, &after, error))
        return NULL;
    *ret_again = !g_str_equal(before, after);
    if (*ret_again) {
        ot_fail(error, OT_LOCK_TIMEOUT, "schemas keep being altered");
        return NULL;
    }
    return g_steal_pointer(&t);
}

static gboolean check_names(struct snapshot *s, GError **error)
{
    g_autoptr(PGresult) shown = session_query(s->session, error, objectnames_sql, 0, NULL);
    g_autoptr(PGresult) now = shown ? watch_query(s->watch, error, objectnames_sql, 0, NULL) : NULL;
    return now && objectnames_check(shown, now, error);
}

/* pg_dump may have failed because a name was not there any more, or stood for something else. */
static void blame_names(struct snapshot *s, GError **error)
{
    GError *names = NULL;
    if (g_error_matches(*error, OT_ERROR, OT_INTERRUPTED) || check_names(s, &names))
        return;
    if (!g_error_matches(names, OT_ERROR, OT_LOCK_TIMEOUT)) {
        g_error_free(names);
        return;
    }
    g_clear_error(error);
    g_propagate_error(error, names);
}

struct toc *snapshot_toc(struct snapshot *s, const char *bindir, GPtrArray *warnings, GError **error)
{
    g_autoptr(toc) t = NULL;
    GError *problem = NULL;
    gboolean again = TRUE;
    for (int i = 0; i < TOC_TRIES && !t && again; i++) {
        g_clear_error(&problem);
        again = FALSE;
        t = toc_once(s, bindir, warnings, &again, &problem);
    }
    if (!t) {
        blame_names(s, &problem);
        g_propagate_error(error, problem);
        return NULL;
    }
    if (!check_names(s, error))
        return NULL;
    if (s->dump_holds)
        keep_dumped(s, t);
    return !s->dump_holds || check_holder(s, error) ? g_steal_pointer(&t) : NULL;
}

/* ---- further sessions ---- */

struct session *snapshot_join(struct snapshot *s, const struct pg_target *t, GError **error)
{
    g_autoptr(session) joined = session_open(t, NULL, error);
    if (!joined || !name_session(joined, error) || !session_set_lock_timeout(joined, s->lock_timeout_ms, error) ||
        !set_guard(s, joined, error) ||
        !session_exec(joined, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", error) ||
        !session_execf(joined, error, "SET TRANSACTION SNAPSHOT '%s'", s->id))
        return NULL;
    return g_steal_pointer(&joined);
}

/* ---- the end ---- */

gboolean snapshot_end(struct snapshot *s, GError **error)
{
    watch_stop(s->watch);
    dumpholder_clear(&s->holder);
    session_free(g_steal_pointer(&s->session));
    const char *reason = watch_gave_way(s->watch);
    return !reason || ot_fail(error, OT_LOCK_TIMEOUT, "the backup gave way to %s", reason);
}

void snapshot_free(struct snapshot *s)
{
    if (!s)
        return;
    watch_free(s->watch);
    dumpholder_clear(&s->holder);
    session_free(s->session);
    g_mutex_clear(&s->mutex);
    g_clear_error(&s->lost);
    if (s->tables)
        g_ptr_array_unref(s->tables);
    g_free(s->id);
    g_free(s);
}
