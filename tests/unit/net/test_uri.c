/* Tests of escaping and of endpoint URLs: tables of what goes in and what comes out. */
#include "net/uri.h"

#include <string.h>

static const struct {
    const char *text;
    gboolean keep_slash;
    const char *expected;
} escapes[] = {
    {"", FALSE, ""},
    {"AZaz09-._~", FALSE, "AZaz09-._~"},
    {"a b", FALSE, "a%20b"},
    {"a+b", FALSE, "a%2Bb"},
    {"100%", FALSE, "100%25"},
    {"a%20b", TRUE, "a%2520b"},
    {"/a/b", TRUE, "/a/b"},
    {"/a/b", FALSE, "%2Fa%2Fb"},
    {"/a/../b//./c/", TRUE, "/a/../b//./c/"},
    {"!\"#$&'()*,:;<=>?@[\\]^`{|}", TRUE,
     "%21%22%23%24%26%27%28%29%2A%2C%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D"},
    {"\xc3\xa9\xe1\x88\xb4", FALSE, "%C3%A9%E1%88%B4"},
    {"\x01\n\x7f\xff", FALSE, "%01%0A%7F%FF"},
};

static void test_escape(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(escapes); i++) {
        g_autofree char *text = uri_escape(escapes[i].text, escapes[i].keep_slash);
        g_assert_cmpstr(text, ==, escapes[i].expected);
    }
}

static const struct {
    const char *url;
    gboolean https;
    const char *host;
    int port;
    const char *path;
} urls[] = {
    {"https://s3.amazonaws.com", TRUE, "s3.amazonaws.com", 0, ""},
    {"https://s3.amazonaws.com/", TRUE, "s3.amazonaws.com", 0, ""},
    {"http://127.0.0.1:9000", FALSE, "127.0.0.1", 9000, ""},
    {"http://127.0.0.1:9000/", FALSE, "127.0.0.1", 9000, ""},
    {"HTTPS://Minio.Example:443/a/b/", TRUE, "Minio.Example", 443, "/a/b"},
    {"https://h/a//", TRUE, "h", 0, "/a"},
    {"https://h//", TRUE, "h", 0, ""},
    {"https://h:/a", TRUE, "h", 0, "/a"},
    {"https://h/a%20b", TRUE, "h", 0, "/a b"},
    {"http://[::1]:8080/x", FALSE, "::1", 8080, "/x"},
    {"https://h%41", TRUE, "hA", 0, ""},
    {"https://b\xc3\xbcher.example", TRUE, "xn--bher-0ra.example", 0, ""},
    {"https://under_score.local:65535", TRUE, "under_score.local", 65535, ""},
};

static void test_parse(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(urls); i++) {
        g_test_message("%s", urls[i].url);
        struct uri_parts parts;
        g_assert_true(uri_parse(urls[i].url, &parts));
        g_assert_cmpint(parts.https, ==, urls[i].https);
        g_assert_cmpstr(parts.host, ==, urls[i].host);
        g_assert_cmpint(parts.port, ==, urls[i].port);
        g_assert_cmpstr(parts.path, ==, urls[i].path);
        uri_parts_clear(&parts);
        g_assert_null(parts.host);
        g_assert_null(parts.path);
    }
}

static const char *const wrong_urls[] = {
    "",
    "localhost",
    "localhost:9000",
    "127.0.0.1:9000",
    "//h/a",
    "http:",
    "http://",
    "https:///a",
    "https:h",
    "ftp://h",
    "s3://bucket",
    "file:///etc/passwd",
    "https://user@h",
    "https://user:password@h",
    "https://h?x=y",
    "https://h/a?",
    "https://h/a#b",
    "https://h:0",
    "https://h:65536",
    "https://h:-1",
    "https://h:9x",
    "https://h h",
    " https://h",
    "https://h\n",
    "https://h/a%0",
    "https://h/a%00b",
    "https://h\r\nX: y",
    "https://h%2Fa",
    "https://h%0d%0aX:y",
    "https://h,i",
    "https://[::1",
    "https://[fe80::1%25eth0]",
    "https://[abc]",
    "https://::1",
};

static void test_wrong_urls(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(wrong_urls); i++) {
        g_test_message("%s", wrong_urls[i]);
        struct uri_parts parts = {.port = 42};
        g_assert_false(uri_parse(wrong_urls[i], &parts));
        g_assert_cmpint(parts.port, ==, 42);
        g_assert_null(parts.host);
    }
}

static const struct {
    const char *host;
    gboolean loopback;
} hosts[] = {
    {"localhost", TRUE},
    {"LocalHost", TRUE},
    {"bucket.localhost", TRUE},
    {"127.0.0.1", TRUE},
    {"127.255.1.2", TRUE},
    {"::1", TRUE},
    {"0:0:0:0:0:0:0:1", TRUE},
    {"", FALSE},
    {".localhost", FALSE},
    {"localhost.example.com", FALSE},
    {"notlocalhost", FALSE},
    {"127.example.com", FALSE},
    {"127.0.0.1.example.com", FALSE},
    {"127.0.0", FALSE},
    {"128.0.0.1", FALSE},
    {"10.127.0.1", FALSE},
    {"0.0.0.0", FALSE},
    {"::", FALSE},
    {"::2", FALSE},
    {"169.254.169.254", FALSE},
};

static void test_loopback(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_test_message("%s", hosts[i].host);
        g_assert_cmpint(uri_is_loopback(hosts[i].host), ==, hosts[i].loopback);
    }
}

static void test_without_secrets(void)
{
    static const char *const cut[][2] = {
        {"http://localhost:4000/api/health", "http://localhost:4000/api/health"},
        {"https://u:p@h:1/a/@b?token=x#y", "https://h:1/a/@b"},
        {"https://u@x:p@h?token=x", "https://h"},
        {"https://h#x", "https://h"},
        {"no url?x", "no url"},
        {"", ""},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cut); i++) {
        g_autofree char *shown = uri_without_secrets(cut[i][0]);
        g_assert_cmpstr(shown, ==, cut[i][1]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/uri/escape", test_escape);
    g_test_add_func("/uri/parse", test_parse);
    g_test_add_func("/uri/wrong_urls", test_wrong_urls);
    g_test_add_func("/uri/loopback", test_loopback);
    g_test_add_func("/uri/without_secrets", test_without_secrets);
    return g_test_run();
}
