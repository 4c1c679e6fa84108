/* Tests of lineages: whose a backup is, by every way in which two servers can be told apart or not. */
#include "catalog/lineage.h"

#include "base/text.h"

#define A "7301234567890123456"
#define B "7309999999999999999"
#define C "7300000000000000000"
#define NOW 1770436800

static struct catalog_entry *add(GPtrArray *list, const char *system, const char *host, int port, gint64 oid)
{
    static int second;
    g_autofree char *timestamp = text_timestamp(NOW + second);
    g_autofree char *file = g_strdup_printf("app_%s.sql.gz", timestamp);
    struct catalog_entry *e = catalog_entry_new(file, NULL);
    struct meta *m = g_new0(struct meta, 1);
    m->date = text_iso_time(NOW + second++);
    m->system_identifier = g_strdup(system);
    m->host = g_strdup(host);
    m->port = port;
    m->database_oid = oid;
    catalog_entry_set_meta(e, m);
    g_ptr_array_add(list, e);
    return e;
}

static void entry_free(gpointer data)
{
    catalog_entry_free(data);
}

static GPtrArray *new_list(void)
{
    return g_ptr_array_new_with_free_func(entry_free);
}

/* One backup, seen by one server. oid 0: made before servers were told apart. */
static const struct {
    const char *system, *host;
    int port;
    gint64 oid;
    struct lineage_server self;
    enum lineage expected;
} cases[] = {
    /* the identifier decides, whatever the address is */
    {A, "db1", 5432, 5, {A, "db1", 5432}, LINEAGE_THIS},
    {A, "db1", 5432, 5, {A, "db2", 6432}, LINEAGE_THIS}, /* a failover, another name */
    {A, "db1", 5432, 9, {A, "db1", 5432}, LINEAGE_THIS}, /* the database was replaced by a restore */
    {B, "db1", 5432, 5, {A, "db1", 5432}, LINEAGE_OTHER}, /* a new server at the old address */
    {B, "db2", 5432, 5, {A, "db1", 5432}, LINEAGE_OTHER},
    /* where one of them may not be read, the address does */
    {NULL, "db1", 5432, 5, {A, "db1", 5432}, LINEAGE_THIS},
    {NULL, "DB1", 5432, 9, {NULL, "db1", 5432}, LINEAGE_THIS},
    {A, "db1", 5432, 5, {NULL, "db1", 5432}, LINEAGE_THIS},
    {NULL, "db1", 5432, 5, {NULL, "db1", 5433}, LINEAGE_OTHER},
    {NULL, "db2", 5432, 5, {A, "db1", 5432}, LINEAGE_OTHER},
    {A, "db2", 5432, 5, {NULL, "db1", 5432}, LINEAGE_OTHER},
    {NULL, "localhost", 5432, 5, {NULL, "127.0.0.1", 5432}, LINEAGE_THIS},
    {NULL, "::1", 5432, 5, {NULL, "localhost", 5432}, LINEAGE_THIS},
    {NULL, "/run/a", 5432, 5, {NULL, "/run/b", 5432}, LINEAGE_OTHER},
    /* older backups go on as they did */
    {NULL, "db1", 5432, 0, {A, "db1", 5432}, LINEAGE_THIS},
    {NULL, "db9", 5432, 0, {A, "db1", 5432}, LINEAGE_UNKNOWN},
    {NULL, "db9", 5432, 0, {NULL, "db1", 5432}, LINEAGE_UNKNOWN},
    /* what is no identifier says nothing */
    {"", "db9", 5432, 0, {A, "db1", 5432}, LINEAGE_UNKNOWN},
    {"7301 OR 1", "db9", 5432, 0, {A, "db1", 5432}, LINEAGE_UNKNOWN},
    {"111111111111111111111", "db9", 5432, 0, {A, "db1", 5432}, LINEAGE_UNKNOWN},
    /* nobody knows which server is meant by its address */
    {A, "db1", 5432, 5, {A, NULL, 0}, LINEAGE_THIS},
    {B, "db1", 5432, 5, {A, NULL, 0}, LINEAGE_OTHER},
};

static void test_each(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) list = new_list();
        struct catalog_entry *e = add(list, cases[i].system, cases[i].host, cases[i].port, cases[i].oid);
        lineage_mark(list, &cases[i].self);
        g_test_message("case %zu", i);
        g_assert_cmpstr(lineage_name(e->lineage), ==, lineage_name(cases[i].expected));
        g_assert_true(lineage_is_ours(e) == (cases[i].expected != LINEAGE_OTHER));
        g_assert_true(lineage_fits(e->meta, &cases[i].self) == lineage_is_ours(e));
    }
}

static void test_not_known_which_is_meant(void)
{
    g_autoptr(GPtrArray) list = new_list();
    struct catalog_entry *named = add(list, A, "db1", 5432, 5), *older = add(list, NULL, "db1", 5432, 0);
    lineage_mark(list, NULL);
    g_assert_cmpint(named->lineage, ==, LINEAGE_UNSURE);
    g_assert_cmpint(older->lineage, ==, LINEAGE_UNKNOWN);
    g_assert_true(lineage_is_ours(named) && !lineage_is_certain(named) && lineage_is_certain(older));
    g_assert_cmpuint(lineage_find_others(list, FALSE).backups, ==, 0);
    g_assert_cmpuint(lineage_find_others(list, TRUE).backups, ==, 1);
}

/* What was made before servers were told apart is that server's which has its address today. */
static void test_older_ones_by_address(void)
{
    g_autoptr(GPtrArray) list = new_list();
    struct lineage_server self = {A, "db1", 5432};
    struct catalog_entry *ours = add(list, NULL, "db1", 5432, 0), *theirs = add(list, NULL, "db2", 5432, 0);
    struct catalog_entry *nobodys = add(list, NULL, "db3", 5432, 0);
    lineage_mark(list, &self);
    g_assert_true(lineage_is_ours(ours) && lineage_is_ours(theirs) && lineage_is_ours(nobodys));
    add(list, B, "DB2", 5432, 5);
    add(list, B, "db1", 5432, 5); /* it had our address once: that does not take away what is ours */
    lineage_mark(list, &self);
    g_assert_true(lineage_is_ours(ours) && !lineage_is_ours(theirs) && lineage_is_ours(nobodys));
}

static void test_adopted(void)
{
    g_autoptr(GPtrArray) list = new_list();
    struct lineage_server self = {A, "db1", 5432}, third = {C, "db3", 5432}, nameless = {NULL, "db4", 5432};
    struct catalog_entry *e = add(list, B, "db2", 5432, 5);
    e->meta->adopted_by = json_string(A);
    lineage_mark(list, &self);
    g_assert_cmpint(e->lineage, ==, LINEAGE_OTHER); /* no list of names */
    json_decref(e->meta->adopted_by);
    e->meta->adopted_by = json_pack("[siss]", C, 5, "db4:5432", A);
    const struct lineage_server *const adopters[] = {&self, &third, &nameless};
    for (gsize i = 0; i < G_N_ELEMENTS(adopters); i++) {
        lineage_mark(list, adopters[i]);
        g_assert_cmpint(e->lineage, ==, LINEAGE_ADOPTED);
    }
}

static void test_last_known(void)
{
    g_autoptr(GPtrArray) list = new_list();
    g_assert_null(lineage_only_known(list));
    g_assert_true(lineage_is_plain(list, "db1", 5432));
    add(list, A, "db1", 5432, 5);
    g_autofree char *only = lineage_only_known(list);
    g_assert_cmpstr(only, ==, A);
    g_assert_true(lineage_is_plain(list, "db1", 5432));
    g_assert_false(lineage_is_plain(list, "db2", 5432)); /* it may be another server */
    add(list, B, "db1", 5432, 5);
    add(list, C, "db2", 5432, 5);
    g_autofree char *newest = lineage_last_known(list, "db1", 5432), *none = lineage_last_known(list, "db9", 5432);
    g_assert_cmpstr(newest, ==, B);
    g_assert_null(none);
    g_assert_null(lineage_only_known(list));
    g_assert_false(lineage_is_plain(list, "db1", 5432));
}

/* Metadata comes from outside; what it says goes to terminals. */
static void test_text(void)
{
    static const struct {
        const char *system, *host, *expected;
    } texts[] = {
        {A, "db1", "db1:5432 (system " A ")"},
        {NULL, "db1", "db1:5432"},
        {"\033[2J", "a\033[2Jb\n", "a?[2Jb?:5432"},
        {A, NULL, "an unknown address (system " A ")"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *text = lineage_server_text(texts[i].system, texts[i].host, 5432);
        g_assert_cmpstr(text, ==, texts[i].expected);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lineage/each", test_each);
    g_test_add_func("/lineage/not_known_which_is_meant", test_not_known_which_is_meant);
    g_test_add_func("/lineage/older_ones_by_address", test_older_ones_by_address);
    g_test_add_func("/lineage/adopted", test_adopted);
    g_test_add_func("/lineage/last_known", test_last_known);
    g_test_add_func("/lineage/text", test_text);
    return g_test_run();
}
