/* Addresses to listen on, names in Host, tokens and passwords. */
#include "web/access.h"

#include <string.h>

static void check_address(const char *text, gboolean loopback, guint port, const char *host)
{
    struct address a = {0};
    g_autoptr(GError) error = NULL;
    g_assert_true(address_parse(&a, text, &error));
    g_assert_cmpint(a.loopback, ==, loopback);
    g_assert_cmpuint(a.port, ==, port);
    g_assert_cmpstr(a.host, ==, host);
    address_clear(&a);
}

static void test_addresses(void)
{
    check_address("127.0.0.1:8484", TRUE, 8484, "127.0.0.1");
    check_address("127.9.9.9:1", TRUE, 1, "127.9.9.9");
    check_address("localhost:0", TRUE, 0, "127.0.0.1");
    check_address("[::1]:8484", TRUE, 8484, "::1");
    check_address(":8484", FALSE, 8484, "0.0.0.0");
    check_address("0.0.0.0:65535", FALSE, 65535, "0.0.0.0");
    check_address("[::]:1", FALSE, 1, "::");
    check_address("192.0.2.1:80", FALSE, 80, "192.0.2.1");
    static const char *const wrong[] = {"",
                                        ":",
                                        "8484",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:80x",
                                        "::1:80",
                                        "[::1]",
                                        "[::1]80",
                                        "example.com:80",
                                        "1.2.3.4.5:80",
                                        "127.0.0.1 :80",
                                        "[127.0.0.1:80",
                                        "http://127.0.0.1:80"};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        struct address a = {0};
        g_autoptr(GError) error = NULL;
        g_assert_false(address_parse(&a, wrong[i], &error));
        g_assert_error(error, OT_ERROR, OT_USAGE);
        g_assert_nonnull(strstr(error->message, wrong[i]));
    }
}

static gboolean host_fits(const char *listen, const char *const *hosts, const char *host)
{
    struct web_config config = {.listen = listen, .hosts = hosts};
    struct address a;
    g_assert_true(address_parse(&a, listen, NULL));
    gboolean fits = access_host_fits(&config, &a, host);
    address_clear(&a);
    return fits;
}

static void test_hosts(void)
{
    static const char *const hosts[] = {"board.example.com", NULL};
    g_assert_true(host_fits("127.0.0.1:1", NULL, "localhost:1"));
    g_assert_true(host_fits("127.0.0.2:1", NULL, "127.0.0.2"));
    g_assert_false(host_fits("127.0.0.1:1", NULL, "127.0.0.2"));
    g_assert_true(host_fits("[::1]:1", NULL, "[::1]:1"));
    g_assert_false(host_fits("127.0.0.1:1", NULL, NULL));
    g_assert_false(host_fits("127.0.0.1:1", NULL, "evil.example"));
    g_assert_false(host_fits("127.0.0.1:1", NULL, "[evil.example"));
    g_assert_false(host_fits("127.0.0.1:1", NULL, "localhost.evil.example:1"));
    g_assert_true(host_fits("127.0.0.1:1", hosts, "BOARD.example.com.:443"));
    g_assert_false(host_fits("127.0.0.1:1", hosts, "example.com"));
    g_assert_true(host_fits("0.0.0.0:1", NULL, "anything"));
    g_assert_false(host_fits("0.0.0.0:1", hosts, "anything"));
    g_assert_true(host_fits("0.0.0.0:1", hosts, "board.example.com"));
}

static char *basic(const char *pair)
{
    g_autofree char *encoded = g_base64_encode((const guchar *)pair, strlen(pair));
    return g_strconcat("Basic ", encoded, NULL);
}

static void check_login(const struct web_config *config, const char *pair, gboolean expected)
{
    g_autofree char *header = basic(pair);
    g_assert_cmpint(access_authorized(config, header), ==, expected);
}

static void test_logins(void)
{
    struct web_config open = {0}, token = {.token = "0123456789abcdef"},
                      both = {.token = "0123456789abcdef", .user = "ops", .password = "a:long:one"};
    g_assert_true(access_authorized(&open, NULL));
    g_assert_false(access_authorized(&token, NULL));
    g_assert_true(access_authorized(&token, "Bearer 0123456789abcdef"));
    g_assert_false(access_authorized(&token, "Bearer 0123456789abcde"));
    g_assert_false(access_authorized(&token, "Bearer 0123456789abcdef "));
    g_assert_false(access_authorized(&token, "0123456789abcdef"));
    check_login(&token, "x:0123456789abcdef", TRUE);
    check_login(&token, ":0123456789abcdef", TRUE);
    check_login(&token, "0123456789abcdef", FALSE);
    check_login(&token, ":", FALSE);
    check_login(&both, "ops:a:long:one", TRUE);
    check_login(&both, "ops:0123456789abcdef", TRUE);
    check_login(&both, "Ops:a:long:one", FALSE);
    check_login(&both, "ops:a:long:one ", FALSE);
    check_login(&both, "ops:", FALSE);
    g_assert_false(access_authorized(&both, "Bearer a:long:one"));
    g_assert_false(access_authorized(&both, "Basic"));
    g_assert_false(access_authorized(&both, "Basic "));
    g_assert_false(access_authorized(&both, "Basic ===="));
    struct web_config password = {.user = "ops", .password = "password"};
    g_assert_false(access_authorized(&password, "Bearer "));
    g_assert_false(access_authorized(&password, "Bearer password"));
    g_autofree char *nul = g_strconcat("Basic ", "b3BzAHg6cGFzc3dvcmQ=", NULL); /* a NUL in the user's name */
    g_assert_false(access_authorized(&password, nul));
    g_autofree char *huge = g_strnfill(100000, 'A');
    g_assert_false(access_authorized(&password, huge));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/access/addresses", test_addresses);
    g_test_add_func("/access/hosts", test_hosts);
    g_test_add_func("/access/logins", test_logins);
    return g_test_run();
}
