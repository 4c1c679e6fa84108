/*
 * Tests of the checks of what ends, and of the server: each threshold from both sides and at it.
 */
#include "health_world.h"

#include "catalog/hold.h"

static void assert_absent(const struct world *w, check_function check)
{
    struct health_check c = {.unit = ""};
    g_assert_false(check(&w->data, &c));
    drop(&c);
}

static void hold(struct catalog_entry *e, gint64 until)
{
    json_decref(e->meta->hold);
    e->meta->hold = hold_new("audit of 2026", until ? NOW + until : 0, NOW - DAY);
}

static void test_holds(void)
{
    static const struct {
        gint64 until;
        enum health_verdict expected;
    } cases[] = {{0, HEALTH_OK},
                 {7 * DAY + 1, HEALTH_OK},
                 {7 * DAY, HEALTH_OK},
                 {7 * DAY - 1, HEALTH_WARNING},
                 {1, HEALTH_WARNING}};
    struct world w;
    world_init(&w);
    struct catalog_entry *e = add_backup(&w, DAY, META_VERIFIED, "hourly");
    assert_absent(&w, health_check_holds);
    hold(add_backup(&w, 2 * DAY, META_VERIFIED, "hourly"), 300 * DAY);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        hold(e, cases[i].until);
        assert_verdict(&w, health_check_holds, cases[i].expected);
    }
    world_clear(&w);
}

/* One that has ended is none. */
static void test_hold_that_ended(void)
{
    struct world w;
    world_init(&w);
    hold(add_backup(&w, DAY, META_VERIFIED, "hourly"), -1);
    assert_absent(&w, health_check_holds);
    world_clear(&w);
}

static void test_certificates(void)
{
    static const struct {
        gint64 left;
        enum health_verdict expected;
    } cases[] = {{14 * DAY + 1, HEALTH_OK},     {14 * DAY, HEALTH_OK},     {14 * DAY - 1, HEALTH_WARNING},
                 {3 * DAY + 1, HEALTH_WARNING}, {3 * DAY, HEALTH_WARNING}, {3 * DAY - 1, HEALTH_CRITICAL},
                 {-DAY, HEALTH_CRITICAL}};
    struct world w;
    world_init(&w);
    assert_absent(&w, health_check_certificates);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        w.data.servers = (struct health_servers){.s3_tls = TRUE, .s3_certificate = NOW + cases[i].left};
        assert_verdict(&w, health_check_certificates, cases[i].expected);
        w.data.servers.database_certificate = NOW + 300 * DAY;
        assert_verdict(&w, health_check_certificates, cases[i].expected);
        w.data.servers = (struct health_servers){.database_certificate = NOW + cases[i].left};
        assert_verdict(&w, health_check_certificates, cases[i].expected);
    }
    w.data.servers = (struct health_servers){.s3_tls = TRUE, .certificate_problem = (char *)"no answer"};
    assert_verdict(&w, health_check_certificates, HEALTH_UNKNOWN);
    world_clear(&w);
}

static void test_credentials(void)
{
    struct world w;
    world_init(&w);
    assert_absent(&w, health_check_credentials);
    w.data.servers = (struct health_servers){.s3_asked = TRUE, .credentials_source = (char *)"environment"};
    assert_verdict(&w, health_check_credentials, HEALTH_OK);
    w.data.servers.credentials_borrowed = TRUE;
    assert_verdict(&w, health_check_credentials, HEALTH_WARNING);
    w.data.servers.credentials_problem = (char *)"none found";
    assert_verdict(&w, health_check_credentials, HEALTH_CRITICAL);
    world_clear(&w);
}

static void test_database(void)
{
    struct world w;
    world_init(&w);
    assert_absent(&w, health_check_database);
    w.data.servers = (struct health_servers){.database_asked = TRUE, .database_version = (char *)"15.3"};
    assert_verdict(&w, health_check_database, HEALTH_OK);
    w.data.servers.database_problem = (char *)"connection refused";
    assert_verdict(&w, health_check_database, HEALTH_WARNING);
    world_clear(&w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/health_ends/holds", test_holds);
    g_test_add_func("/health_ends/hold_that_ended", test_hold_that_ended);
    g_test_add_func("/health_ends/certificates", test_certificates);
    g_test_add_func("/health_ends/credentials", test_credentials);
    g_test_add_func("/health_ends/database", test_database);
    return g_test_run();
}
