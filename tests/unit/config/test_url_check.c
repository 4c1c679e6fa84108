/*
 * Tests of URLs that may be read in more than one way: by a table, and by passwords made at random, where what is
 * accepted must be what libpq reads, and what was written.
 */
#include "config/url_check.h"

#include <libpq-fe.h>
#include <string.h>

static const struct {
    const char *text;
    enum url_problem problem;
} connections[] = {
    {"postgresql://u:pw@h:5432/d", URL_FINE},
    {"postgres://u:p%40w@h/d", URL_FINE},
    {"postgresql://", URL_FINE},
    {"postgresql:///d", URL_FINE},
    {"postgresql:///d?host=/run/postgresql&port=5433&user=a@b", URL_FINE},
    {"postgresql://u@%2Frun%2Fpostgresql/d", URL_FINE},
    {"postgresql://u:a:b:c@h/d", URL_FINE},
    {"postgresql://u:pw@[::1]:5432/d", URL_FINE},
    {"postgresql://u:pw@[::1]/d", URL_FINE},
    {"postgresql://u:pw@h1:1,h2:2,h3/d?target_session_attrs=any", URL_FINE},
    {"postgresql://u:pw@h?sslmode=require", URL_FINE},
    {"postgresql://u:pw@h/d?user=x@y", URL_FINE},
    {"postgresql://u:pw@h:/d", URL_FINE},
    {"postgresql://u:pw@h/d?", URL_FINE},
    {"postgresql://admin%40server:pw@h/d", URL_FINE},
    {"host=h password=pw", URL_FINE},
    {"host = h password = 'a b\\'c' ", URL_FINE},
    {"password=a@b/c#d dbname=x", URL_FINE},
    {"password=postgresql://x", URL_FINE},
    {"password=a\\ b host=h", URL_FINE},
    {"password= host=h", URL_FINE},

    {"postgresql://u:p@w@h/d", URL_AMBIGUOUS},
    {"postgresql://u:p/w@h/d", URL_AMBIGUOUS},
    {"postgresql://u:1/w@h/d", URL_AMBIGUOUS},
    {"postgresql://u:/w@h/d", URL_AMBIGUOUS},
    {"postgresql://u:p#w@h/d", URL_AMBIGUOUS},
    {"postgresql://u:p?w@h/d", URL_AMBIGUOUS},
    {"postgresql://u:p@w/x@h/d", URL_AMBIGUOUS},
    {"postgresql://u:p/w@x@h/d", URL_AMBIGUOUS},
    {"postgresql://u:p/w?x@h/d", URL_AMBIGUOUS},
    {"postgresql://u:p@w:x@h/d", URL_AMBIGUOUS},
    {"postgresql://u:p@h:w/d", URL_AMBIGUOUS},
    {"postgresql://u:p@h:5432:7/d", URL_AMBIGUOUS},
    {"postgresql://u:p@[::1/d", URL_AMBIGUOUS},
    {"postgresql://u:p@h1:1,h2:x/d", URL_AMBIGUOUS},
    {"postgresql://user@domain@h/d", URL_AMBIGUOUS},
    {"postgresql://h?user=x@y&password=z", URL_AMBIGUOUS},
    {"postgresql://u:pw@h/d#x", URL_AMBIGUOUS},
    {"postgresql://h/d?password=a#b", URL_AMBIGUOUS},
    {"postgresql://h/d?password=a&b", URL_AMBIGUOUS},
    {"postgresql://h/d?password=a=b", URL_AMBIGUOUS},
    {"postgresql://u:100%sure@h/d", URL_BAD_ESCAPE},
    {"postgresql://u:p%@h/d", URL_BAD_ESCAPE},
    {"postgresql://u:p%00@h/d", URL_BAD_ESCAPE},
    {"u:pw@h/d", URL_NO_SCHEME},
    {"mysql://u:pw@h/d", URL_NO_SCHEME},
    {"mysql://u:pw@h/d?a=b", URL_NO_SCHEME},
    {"postgres:/u:pw@h/d", URL_NO_SCHEME},
    {"POSTGRESQL://u:p@h/d", URL_NO_SCHEME},
    {"host=h password=a b", URL_BARE_VALUE},
    {"host=h password='a", URL_BARE_VALUE},
    {"host=h password='a'b' user=u", URL_BARE_VALUE},
};

static const struct {
    const char *text;
    enum url_problem problem;
} webs[] = {
    {"http://localhost:4000/api/health", URL_FINE},
    {"http://u:pw@localhost:4000/api/@health?x=@y#z", URL_FINE},
    {"smtp://u:pw@mail.example.com:587", URL_FINE},
    {"smtp://localhost", URL_FINE},
    {"smtp://user@example.com:p@w@mail.example.com", URL_FINE},
    {"no address at all", URL_FINE},
    {"http://u:p/w@h/x", URL_AMBIGUOUS},
    {"http://u:p#w@h/x", URL_AMBIGUOUS},
    {"http://u:p?w@h/x", URL_AMBIGUOUS},
    {"smtp://u:1/w@mail.example.com", URL_AMBIGUOUS},
    {"smtps://u:1#w@mail.example.com", URL_AMBIGUOUS},
};

static void test_tables(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(connections); i++) {
        g_test_message("%s", connections[i].text);
        g_assert_cmpint(url_check_connection(connections[i].text), ==, connections[i].problem);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(webs); i++) {
        g_test_message("%s", webs[i].text);
        g_assert_cmpint(url_check_web(webs[i].text), ==, webs[i].problem);
    }
}

/* libpq reads what is accepted, but for the names of parameters. */
static void test_libpq_agrees(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(connections); i++) {
        if (connections[i].problem != URL_FINE)
            continue;
        g_test_message("%s", connections[i].text);
        PQconninfoOption *options = PQconninfoParse(connections[i].text, NULL);
        g_assert_nonnull(options);
        PQconninfoFree(options);
    }
}

static void assert_option(PQconninfoOption *options, const char *keyword, const char *value)
{
    for (PQconninfoOption *o = options; o->keyword; o++)
        if (g_str_equal(o->keyword, keyword))
            g_assert_cmpstr(o->val, ==, value);
}

static char *random_password(void)
{
    static const char letters[] = "ab1@/#?:%[]&=,;!";
    char *password = g_malloc0(8);
    int length = g_test_rand_int_range(1, 8);
    for (int i = 0; i < length; i++)
        password[i] = letters[g_test_rand_int_range(0, (int)strlen(letters))];
    return password;
}

static void test_random(void)
{
    guint fine = 0;
    for (int i = 0; i < 20000; i++) {
        g_autofree char *password = random_password();
        g_autofree char *url = g_strdup_printf("postgresql://u:%s@h:5432/d?sslmode=disable", password);
        if (url_check_connection(url) != URL_FINE)
            continue;
        fine++;
        g_test_message("%s", url);
        g_autofree char *plain = g_uri_unescape_string(password, NULL);
        PQconninfoOption *options = PQconninfoParse(url, NULL);
        g_assert_nonnull(options);
        assert_option(options, "password", plain ? plain : password);
        assert_option(options, "host", "h");
        assert_option(options, "port", "5432");
        assert_option(options, "dbname", "d");
        PQconninfoFree(options);
    }
    g_assert_cmpuint(fine, >, 1000);
}

/* Escaped, every password is accepted. */
static void test_escaped(void)
{
    for (int i = 0; i < 2000; i++) {
        g_autofree char *password = random_password();
        g_autofree char *escaped = g_uri_escape_string(password, NULL, FALSE);
        g_autofree char *url = g_strdup_printf("postgresql://u:%s@h/d", escaped);
        g_assert_cmpint(url_check_connection(url), ==, URL_FINE);
        g_autofree char *web = g_strdup_printf("smtp://u:%s@h:587", escaped);
        g_assert_cmpint(url_check_web(web), ==, URL_FINE);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/url_check/tables", test_tables);
    g_test_add_func("/url_check/libpq_agrees", test_libpq_agrees);
    g_test_add_func("/url_check/random", test_random);
    g_test_add_func("/url_check/escaped", test_escaped);
    return g_test_run();
}
