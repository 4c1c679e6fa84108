/* Rows, counted or estimated. */
#include "engine/preview_rows.h"

#include <string.h>

#define MAX_SHOWN 10
#define BUDGET_US (2 * G_USEC_PER_SEC)
#define COUNTED_BYTES (16 << 20)

struct both {
    char *name;
    gint64 now, then; /* -1: not there, or (now) not known */
    gboolean there;   /* now */
    gboolean estimated;
};

static void both_free(gpointer data)
{
    struct both *b = data;
    g_free(b->name);
    g_free(b);
}

/* The smallest first: most tables are counted. reltuples is -1 where nobody has looked yet. */
#define TABLES_SQL                                                                                                     \
    "SELECT n.nspname, c.relname, c.reltuples::bigint, pg_catalog.pg_relation_size(c.oid),"                            \
    " pg_catalog.format('SELECT count(*) FROM ONLY %I.%I', n.nspname, c.relname)"                                      \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                             \
    " WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'" \
    " ORDER BY 4, 1, 2"

static void count(struct session *s, const char *sql, gint64 until, struct both *b)
{
    gint64 rows = 0, left_ms = (until - g_get_monotonic_time()) / 1000;
    if (left_ms <= 0 || !session_execf(s, NULL, "SET statement_timeout = %d", (int)left_ms) ||
        !session_get_number(s, NULL, sql, 0, NULL, &rows))
        return;
    b->now = rows;
    b->estimated = FALSE;
}

static char *full_name(const char *schema, const char *name)
{
    return g_strdup_printf("%s.%s", schema, name);
}

/* name -> struct both * */
static GHashTable *look_now(struct session *s)
{
    gint64 until = g_get_monotonic_time() + BUDGET_US;
    g_autoptr(PGresult) rows = session_query(s, NULL, TABLES_SQL, 0, NULL);
    if (!rows)
        return NULL;
    GHashTable *found = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, both_free);
    for (int i = 0; i < PQntuples(rows); i++) {
        struct both *b = g_new0(struct both, 1);
        *b = (struct both){
            .name = full_name(PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1)),
            .now = g_ascii_strtoll(PQgetvalue(rows, i, 2), NULL, 10),
            .then = -1,
            .there = TRUE,
            .estimated = TRUE,
        };
        gint64 bytes = g_ascii_strtoll(PQgetvalue(rows, i, 3), NULL, 10);
        if (bytes == 0)
            b->now = 0, b->estimated = FALSE;
        else if (bytes <= COUNTED_BYTES)
            count(s, PQgetvalue(rows, i, 4), until, b);
        g_hash_table_replace(found, b->name, b);
    }
    return found;
}

static void add_backup(GHashTable *tables, const struct archive_contents *contents)
{
    for (guint i = 0; i < contents->tables->len; i++) {
        const struct archive_table *t = contents->tables->pdata[i];
        g_autofree char *name = full_name(t->def->schema, t->def->name);
        struct both *b = g_hash_table_lookup(tables, name);
        if (!b) {
            b = g_new0(struct both, 1);
            b->name = g_steal_pointer(&name);
            b->now = -1;
            g_hash_table_replace(tables, b->name, b);
        }
        b->then = (gint64)t->proof.rows;
    }
}

/* ---- what is said of it ---- */

static gint64 distance(const struct both *b)
{
    gint64 difference = MAX(b->now, 0) - MAX(b->then, 0);
    return difference < 0 ? -difference : difference;
}

/* An estimate that is near tells nothing. */
static gboolean differs(const struct both *b)
{
    if (!b->there || b->then < 0)
        return TRUE;
    if (b->now < 0)
        return b->then > 0;
    return b->estimated ? distance(b) > b->then / 10 : b->now != b->then;
}

static gint farthest_first(gconstpointer a, gconstpointer b)
{
    const struct both *x = *(struct both *const *)a, *y = *(struct both *const *)b;
    gint64 dx = distance(x), dy = distance(y);
    return dx > dy ? -1 : dx < dy ? 1 : strcmp(x->name, y->name);
}

static char *in_words(const struct both *b)
{
    g_autofree char *now = !b->there      ? g_strdup("not there now")
                           : b->now < 0   ? g_strdup("an unknown number now")
                           : b->estimated ? g_strdup_printf("about %" G_GINT64_FORMAT " now", b->now)
                                          : g_strdup_printf("%" G_GINT64_FORMAT " now", b->now);
    if (b->then < 0)
        return g_strdup_printf("  %s: %s, not in the backup", b->name, now);
    return g_strdup_printf("  %s: %s, %" G_GINT64_FORMAT " in the backup", b->name, now, b->then);
}

static void add_sums(GPtrArray *lines, GHashTable *tables)
{
    gint64 now = 0, then = 0;
    gboolean about = FALSE;
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, tables);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct both *b = value;
        now += MAX(b->now, 0);
        then += MAX(b->then, 0);
        about = about || (b->there && b->estimated);
    }
    g_ptr_array_add(lines, g_strdup_printf("Rows in all: %s%" G_GINT64_FORMAT " now, %" G_GINT64_FORMAT " in the backup",
                                           about ? "about " : "", now, then));
}

static GPtrArray *say(GHashTable *tables)
{
    g_autoptr(GPtrArray) different = g_ptr_array_new();
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, tables);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        if (differs(value))
            g_ptr_array_add(different, value);
    g_ptr_array_sort(different, farthest_first);
    add_sums(lines, tables);
    if (different->len)
        g_ptr_array_add(lines, g_strdup("Tables that differ:"));
    for (guint i = 0; i < MIN(different->len, MAX_SHOWN); i++)
        g_ptr_array_add(lines, in_words(different->pdata[i]));
    if (different->len > MAX_SHOWN)
        g_ptr_array_add(lines, g_strdup_printf("  and %u more", different->len - MAX_SHOWN));
    return lines;
}

GPtrArray *preview_rows(const struct pg_target *t, const char *live, const struct archive_contents *contents)
{
    g_autoptr(session) s = session_open(t, live, NULL);
    if (s && session_can_utf8(s))
        session_exec(s, "SET client_encoding = 'UTF8'", NULL);
    g_autoptr(GHashTable) tables = s ? look_now(s) : NULL;
    if (!tables)
        return NULL;
    add_backup(tables, contents);
    return say(tables);
}
