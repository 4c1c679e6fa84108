/* Of SMTP what needs no server: addresses, and URLs that are refused before anything is sent. */
#include "net/smtp.h"

#include <string.h>

static void test_addresses(void)
{
    static const char *const good[] = {"a@b", "ops+db@example.org", "o'neil_x-1@sub.example.org", "a@[::1", NULL};
    static const char *const bad[] = {"",        "a",     "@b",      "a@",      "a@b@c", "a b@c",     "a@b\r\nRSET",
                                      "<a@b>",   "a@b>",  "a@b,c@d", "\"a\"@b", "a@b;c", "ä@example", "a@b\n",
                                      "a@b\x7f", "a\\@b", NULL};
    g_assert_true(smtp_is_address(good[0]) && smtp_is_address(good[1]) && smtp_is_address(good[2]));
    g_assert_false(smtp_is_address(good[3]));
    for (gsize i = 0; bad[i]; i++)
        g_assert_false(smtp_is_address(bad[i]));
    g_autofree char *local = g_strnfill(250, 'a'), *fits = g_strconcat(local, "@bcd", NULL);
    g_autofree char *longer = g_strconcat(fits, "e", NULL);
    g_assert_true(smtp_is_address(fits));
    g_assert_false(smtp_is_address(longer));
}

static GError *send_to(const char *url, const char *from, enum smtp_tls tls, enum http_failure *kind)
{
    const char *const to[] = {"ops@example.org", NULL};
    struct smtp_server server = {.url = url, .tls = tls, .timeout_ms = 2000};
    struct smtp_mail mail = {.from = from, .to = to, .text = "Subject: x\r\n\r\nx\r\n", .length = 17};
    GError *error = NULL;
    struct smtp_outcome outcome;
    g_assert_false(smtp_send(&server, &mail, &outcome, &error));
    *kind = outcome.failure;
    g_assert_cmpuint(outcome.refusals->len, ==, 0);
    smtp_outcome_clear(&outcome);
    return error;
}

static void test_urls_that_cannot_be_used(void)
{
    static const char *const urls[] = {"",
                                       "localhost",
                                       "localhost:25",
                                       "http://localhost",
                                       "smtp://",
                                       "smtp://bob:sec/ret@localhost",
                                       "smtp://bob:sec?ret@localhost",
                                       "smtp://bob:sec#ret@localhost",
                                       "smtp://localhost/path",
                                       "smtp://localhost:70000",
                                       "smtp://local host",
                                       NULL};
    for (gsize i = 0; urls[i]; i++) {
        enum http_failure kind = HTTP_NONE;
        g_autoptr(GError) error = send_to(urls[i], "a@b.c", SMTP_TLS_AUTO, &kind);
        g_assert_error(error, OT_ERROR, OT_USAGE);
        g_assert_cmpint(kind, ==, HTTP_FINAL);
        g_assert_null(strstr(error->message, "sec"));
    }
}

static void test_a_sender_that_is_none(void)
{
    enum http_failure kind;
    g_autoptr(GError) error = send_to("smtp://127.0.0.1:1", "a@b\r\nRCPT TO:<x@y>", SMTP_TLS_AUTO, &kind);
    g_assert_error(error, OT_ERROR, OT_USAGE);
}

static void test_a_password_needs_tls(void)
{
    enum http_failure kind;
    g_autoptr(GError) error = send_to("smtp://bob:word@mail.invalid", "a@b.c", SMTP_TLS_NEVER, &kind);
    g_assert_error(error, OT_ERROR, OT_USAGE);
    g_assert_nonnull(strstr(error->message, "without TLS"));
    g_assert_null(strstr(error->message, "word@"));
}

static void test_nobody_there(void)
{
    enum http_failure kind;
    g_autoptr(GError) error = send_to("smtp://127.0.0.1:1", "a@b.c", SMTP_TLS_AUTO, &kind);
    g_assert_error(error, OT_ERROR, OT_FAILED);
    g_assert_cmpint(kind, ==, HTTP_TRANSIENT);
    g_assert_nonnull(strstr(error->message, "127.0.0.1:1"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smtp/addresses", test_addresses);
    g_test_add_func("/smtp/URLs that cannot be used", test_urls_that_cannot_be_used);
    g_test_add_func("/smtp/a sender that is none", test_a_sender_that_is_none);
    g_test_add_func("/smtp/a password needs TLS", test_a_password_needs_tls);
    g_test_add_func("/smtp/nobody there", test_nobody_there);
    return g_test_run();
}
