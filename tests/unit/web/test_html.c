/* Escaping, times and sizes on pages. */
#include "web/html.h"

#include <string.h>

static void check(const char *text, const char *expected)
{
    g_autoptr(GString) out = g_string_new(NULL);
    html(out, "<p title=\"%s\">%s</p>", text, text);
    g_autofree char *whole = g_strdup_printf("<p title=\"%s\">%s</p>", expected, expected);
    g_assert_cmpstr(out->str, ==, whole);
}

static void test_escaped(void)
{
    check("plain", "plain");
    check("<script>alert('x')</script>", "&lt;script&gt;alert(&apos;x&apos;)&lt;/script&gt;");
    check("\" onload=\"", "&quot; onload=&quot;");
    check("&amp; & <", "&amp;amp; &amp; &lt;");
    check("%s %n", "%s %n");
    check("\u00e9\u4e2d", "\u00e9\u4e2d");
    check("", "");
}

/* Bytes that are no UTF-8 never reach a page, and do not take what is behind them along. */
static void test_not_utf8(void)
{
    static const char *const texts[] = {"\xff",
                                        "a\xc3<b>",
                                        "\xc2",
                                        "\xe2\x82",
                                        "\xf0\x9f\x92",
                                        "\xc0\xbc"
                                        "script>"};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        html(out, "<p>%s</p>", texts[i]);
        g_assert_true(g_utf8_validate(out->str, -1, NULL));
        g_assert_true(g_str_has_suffix(out->str, "</p>"));
        g_assert_null(strstr(out->str, "<b>"));
        g_assert_null(strstr(out->str, "<script"));
    }
}

static void check_ago(gint64 at, gint64 now, const char *expected)
{
    g_autoptr(GString) out = g_string_new(NULL);
    html_ago(out, at, now);
    g_assert_nonnull(strstr(out->str, expected));
}

static void test_times(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    html_time(out, 1770465600);
    g_assert_cmpstr(out->str, ==, "<time datetime=\"2026-02-07T12:00:00+00:00\">7 Feb 2026, 12:00</time>");
    check_ago(1000, 1000 + 7200, "2 h 0 min ago");
    check_ago(1000 + 300, 1000, "in 5 min 0 s");
    check_ago(0, 1000, "never");
    check_ago(1000, 1000, "0 s ago");
    g_string_truncate(out, 0);
    html_time(out, G_MAXINT64); /* a year that GLib does not know */
    g_assert_cmpstr(out->str, ==, "\u2013");
}

static void test_uri(void)
{
    g_autofree char *uri = html_uri("a/b?c&d=e%20 \"<\u00e9");
    g_assert_cmpstr(uri, ==, "a%2Fb%3Fc%26d%3De%2520%20%22%3C%C3%A9");
}

int main(int argc, char **argv)
{
    g_setenv("TZ", "UTC", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/html/escaped", test_escaped);
    g_test_add_func("/html/not-utf8", test_not_utf8);
    g_test_add_func("/html/times", test_times);
    g_test_add_func("/html/uri", test_uri);
    return g_test_run();
}
