/*
 * A pooler invents the pid that the protocol tells at the beginning (PQbackendPID), for it is part of the key that
 * cancels a query. So a session whose pg_backend_pid() is another goes through one. Which kind, the pids of two
 * sessions show: a second one gets what the first has just left, or the first gets another afterwards.
 */
#include "pg/pooler.h"

#include <string.h>

#define ROUNDS 3
#define ASK_US (5 * (gint64)G_USEC_PER_SEC)

struct probe {
    PGconn *first, *second;
    const struct conninfo *conninfo;
    const struct connect_limit *limit;
    int pid; /* of the first */
    char *mark;
};

static PGresult *ask(const struct probe *p, PGconn *pg, const char *sql)
{
    struct connect_limit limit = *p->limit;
    limit.until_us = g_get_monotonic_time() + ASK_US;
    return connect_ask(pg, sql, &limit);
}

static gboolean command(const struct probe *p, PGconn *pg, const char *sql)
{
    g_autoptr(PGresult) result = ask(p, pg, sql);
    return PQresultStatus(result) == PGRES_COMMAND_OK;
}

/* 0: no answer, or an error. */
static int pid_of(const struct probe *p, PGconn *pg)
{
    g_autofree char *sql = g_strdup_printf("/* %s */ SELECT pg_catalog.pg_backend_pid()", p->mark);
    g_autoptr(PGresult) result = ask(p, pg, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
        return 0;
    return (int)g_ascii_strtoll(PQgetvalue(result, 0, 0), NULL, 10);
}

/* The same session outside of a transaction, and in one. */
static gboolean stays_alone(const struct probe *p)
{
    for (int i = 0; i < ROUNDS; i++)
        if (pid_of(p, p->first) != p->pid)
            return FALSE;
    return command(p, p->first, "BEGIN") && pid_of(p, p->first) == p->pid && command(p, p->first, "COMMIT") &&
           pid_of(p, p->first) == p->pid;
}

/* Whether somebody else has used the first's session since it last did. */
static gboolean is_used_by_others(const struct probe *p)
{
    g_autofree char *sql =
        g_strdup_printf("SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid = %d AND usename = session_user"
                        " AND state IS NOT NULL AND state <> 'disabled' AND pg_catalog.strpos(query, '%s') = 0",
                        p->pid, p->mark);
    g_autoptr(PGresult) result = ask(p, p->second, sql);
    return PQntuples(result) > 0;
}

static gboolean stays_beside_another(struct probe *p)
{
    struct connect_limit limit = *p->limit;
    limit.until_us = g_get_monotonic_time() + ASK_US;
    p->second = connect_open(p->conninfo, &limit, NULL, NULL);
    int theirs = p->second && command(p, p->second, "BEGIN") ? pid_of(p, p->second) : 0;
    /* Where there is none for the second, the first has not given its own away. */
    gboolean stays = theirs == 0 || (theirs != p->pid && !is_used_by_others(p));
    stays = stays && pid_of(p, p->first) == p->pid;
    if (theirs)
        command(p, p->second, "ROLLBACK");
    PQfinish(g_steal_pointer(&p->second));
    return stays;
}

static gboolean is_ours_alone(struct probe *p)
{
    for (int i = 0; i < ROUNDS; i++)
        if (!stays_alone(p) || !stays_beside_another(p))
            return FALSE;
    return TRUE;
}

/* ---- what is known ---- */

static GMutex mutex; /* of the table */
static GHashTable *known;

static char *place_of(PGconn *pg)
{
    return g_strdup_printf("%s %s %s %s", PQhost(pg), PQport(pg), PQuser(pg), PQdb(pg));
}

static gboolean is_known(const char *place)
{
    g_mutex_lock(&mutex);
    gboolean result = known && g_hash_table_contains(known, place);
    g_mutex_unlock(&mutex);
    return result;
}

static void remember(const char *place)
{
    g_mutex_lock(&mutex);
    if (!known)
        known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_add(known, g_strdup(place));
    g_mutex_unlock(&mutex);
}

gboolean pooler_check(PGconn *pg, const struct conninfo *c, int backend_pid, const struct connect_limit *limit,
                      GError **error)
{
    g_autofree char *place = place_of(pg);
    if (backend_pid == PQbackendPID(pg) || is_known(place))
        return TRUE;
    g_autofree char *mark = g_strdup_printf("opstower probe %08x%08x", g_random_int(), g_random_int());
    struct probe p = {.first = pg, .conninfo = c, .limit = limit, .pid = backend_pid, .mark = mark};
    if (is_ours_alone(&p)) {
        remember(place);
        return TRUE;
    }
    return ot_fail(error, OT_PREREQUISITE,
                   "%s port %s is a connection pooler that changes the server's session between transactions"
                   " (pool_mode transaction or statement): locks, snapshots and settings do not hold there;"
                   " connect to the server itself, or to a pool with pool_mode session",
                   PQhost(pg), PQport(pg));
}

gboolean pooler_takes_options(const struct conninfo *c, const char *options, const struct connect_limit *limit)
{
    struct connect_limit bounded = *limit;
    bounded.until_us = g_get_monotonic_time() + ASK_US;
    struct conninfo with = conninfo_copy(c);
    conninfo_add_options(&with, options);
    PGconn *pg = connect_open(&with, &bounded, NULL, NULL);
    gboolean taken = pg != NULL;
    PQfinish(pg);
    conninfo_clear(&with);
    return taken;
}
