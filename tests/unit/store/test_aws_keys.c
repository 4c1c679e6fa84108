/*
 * Tests of keys out of answers: tables of JSON and XML and what must become of them, and cuts of both.
 */
#include "store/aws_keys.h"

#include <glib/gstdio.h>
#include <string.h>

#define SECRET "hunter2"
#define JSON_KEYS "\"AccessKeyId\": \"AK\", \"SecretAccessKey\": \"hunter2\""
#define XML_KEYS "<AccessKeyId>AK</AccessKeyId><SecretAccessKey>hunter2</SecretAccessKey>"
#define XML(inner) "<A xmlns=\"urn:x\"><B><Credentials>" inner "</Credentials></B></A>"

/* EXPECTED: "ACCESS SECRET TOKEN EXPIRES_AT", or, if it begins with "!", a message. */
struct answer {
    const char *name, *text, *expected;
};

static const struct answer json[] = {
    {"all", "{" JSON_KEYS ", \"T\": \"TO\", \"Expiration\": \"2027-01-15T08:00:00Z\"}", "AK hunter2 TO 1800000000"},
    {"fraction", "{" JSON_KEYS ", \"Expiration\": \"2027-01-15T08:00:00.123Z\"}", "AK hunter2 - 1800000000"},
    {"offset", "{" JSON_KEYS ", \"Expiration\": \"2027-01-15T09:00:00+01:00\"}", "AK hunter2 - 1800000000"},
    {"no_zone_is_utc", "{" JSON_KEYS ", \"Expiration\": \"2027-01-15T08:00:00\"}", "AK hunter2 - 1800000000"},
    {"basic_format", "{" JSON_KEYS ", \"Expiration\": \"20270115T080000Z\"}", "AK hunter2 - 1800000000"},
    {"never", "{" JSON_KEYS "}", "AK hunter2 - 0"},
    {"empty_is_none", "{" JSON_KEYS ", \"T\": \"\", \"Expiration\": \"\"}", "AK hunter2 - 0"},
    {"null_is_none", "{" JSON_KEYS ", \"T\": null, \"Expiration\": null}", "AK hunter2 - 0"},
    {"other_members", "{" JSON_KEYS ", \"x\": [{}], \"LastUpdated\": 1}", "AK hunter2 - 0"},
    {"success", "{" JSON_KEYS ", \"Code\": \"Success\", \"Version\": 1}", "AK hunter2 - 0"},
    {"bad_time", "{" JSON_KEYS ", \"Expiration\": \"hunter2\"}", "!the time at which they expire is not in ISO 8601"},
    {"bad_date", "{" JSON_KEYS ", \"Expiration\": \"2027-02-30T08:00:00Z\"}",
     "!the time at which they expire is not in ISO 8601"},
    {"code", "{" JSON_KEYS ", \"Code\": \"Failed\", \"Message\": \"no\\nrole\"}", "!Failed: no role"},
    {"code_alone", "{\"Code\": \"Failed\"}", "!Failed: no more is said"},
    {"version", "{" JSON_KEYS ", \"Version\": 2}", "!the answer's Version is not 1"},
    {"version_as_text", "{" JSON_KEYS ", \"Version\": \"1\"}", "!the answer's Version is not 1"},
    {"no_access_key", "{\"SecretAccessKey\": \"hunter2\"}", "!there is no access key"},
    {"no_secret_key", "{\"AccessKeyId\": \"AK\"}", "!there is no secret key"},
    {"number", "{\"AccessKeyId\": \"AK\", \"SecretAccessKey\": 1}", "!there is no secret key"},
    {"line_break", "{\"AccessKeyId\": \"AK\\r\\nX: hunter2\", \"SecretAccessKey\": \"hunter2\"}",
     "!the access key is not one word of ASCII"},
    {"not_ascii", "{\"AccessKeyId\": \"AK\", \"SecretAccessKey\": \"hunter2\xc3\xa4\"}",
     "!the secret key is not one word of ASCII"},
    {"blank_in_token", "{" JSON_KEYS ", \"T\": \"hunter2 x\"}", "!the session token is not one word of ASCII"},
    {"array", "[" SECRET "]", "!the answer is not a JSON object"},
    {"text", "\"hunter2\"", "!the answer is not a JSON object"},
    {"not_json", "{" JSON_KEYS " hunter2", "!the answer is not a JSON object"},
    {"behind", "{" JSON_KEYS "} hunter2", "!the answer is not a JSON object"},
    {"nothing", "", "!the answer is not a JSON object"},
};

static const struct answer xml[] = {
    {"all", XML(XML_KEYS "<SessionToken>\n TO \n</SessionToken><Expiration>2027-01-15T08:00:00Z</Expiration>"),
     "AK hunter2 TO 1800000000"},
    {"prefix",
     "<a:A xmlns:a=\"urn:x\"><a:Credentials><a:AccessKeyId>AK</a:AccessKeyId>"
     "<a:SecretAccessKey>hunter2</a:SecretAccessKey></a:Credentials></a:A>",
     "AK hunter2 - 0"},
    {"escapes", XML("<AccessKeyId>A&#75;</AccessKeyId><SecretAccessKey>hunter2&lt;&amp;</SecretAccessKey>"),
     "AK hunter2<& - 0"},
    {"cdata", XML("<AccessKeyId><![CDATA[AK]]></AccessKeyId><SecretAccessKey>hunter2</SecretAccessKey>"),
     "AK hunter2 - 0"},
    {"with_head", "<?xml version=\"1.0\"?>\n<!-- c -->" XML(XML_KEYS), "AK hunter2 - 0"},
    {"not_around_them", "<A><Credentials/>" XML_KEYS "</A>", "!there is no access key"},
    {"no_credentials", "<A>" XML_KEYS "</A>", "!the answer holds no credentials"},
    {"entity",
     "<!DOCTYPE A [<!ENTITY e \"AK\">]>" XML(
         "<AccessKeyId>&e;</AccessKeyId><SecretAccessKey>hunter2</SecretAccessKey>"),
     "!the answer holds no credentials"},
    {"unknown_entity", XML("<AccessKeyId>&e;</AccessKeyId>"), "!the answer holds no credentials"},
    {"two_roots", XML(XML_KEYS) "<B/>", "!the answer holds no credentials"},
    {"html", "<html><p>hunter2</html>", "!the answer holds no credentials"},
    {"not_xml", "hunter2", "!the answer holds no credentials"},
    {"nothing", "", "!the answer holds no credentials"},
    {"time", XML(XML_KEYS "<Expiration>soon</Expiration>"), "!the time at which they expire is not in ISO 8601"},
};

static void check(const struct answer *a, struct credentials *got, GError *problem)
{
    g_autoptr(credentials) c = got;
    g_autoptr(GError) error = problem;
    if (*a->expected == '!') {
        g_assert_null(c);
        g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
        g_assert_cmpstr(error->message, ==, a->expected + 1);
        return;
    }
    g_assert_no_error(error);
    g_autofree char *text = g_strdup_printf("%s %s %s %" G_GINT64_FORMAT, c->access_key, c->secret_key,
                                            c->session_token ? c->session_token : "-", c->expires_at);
    g_assert_cmpstr(text, ==, a->expected);
    g_assert_cmpstr(c->source, ==, "there");
}

static void test_json(gconstpointer data)
{
    const struct answer *a = data;
    GError *error = NULL;
    struct credentials *c = aws_keys_from_json(a->text, strlen(a->text), "T", "there", &error);
    check(a, c, error);
}

static void test_xml(gconstpointer data)
{
    const struct answer *a = data;
    GError *error = NULL;
    struct credentials *c = aws_keys_from_xml(a->text, strlen(a->text), "there", &error);
    check(a, c, error);
}

static const struct answer problems[] = {
    {"both",
     "<ErrorResponse><Error><Type>Sender</Type><Code>Denied</Code><Message>Not\n you</Message></Error></ErrorResponse>",
     "Denied: Not  you"},
    {"code_alone", "<R><Error><Code>Denied</Code></Error></R>", "Denied"},
    {"no_code", "<R><Error><Message>x</Message></Error></R>", NULL},
    {"other", "<R><Code>x</Code></R>", NULL},
    {"html", "<html>", NULL},
    {"nothing", "", NULL},
};

static void test_problem(gconstpointer data)
{
    const struct answer *a = data;
    g_autofree char *problem = aws_problem_from_xml(a->text, strlen(a->text));
    g_assert_cmpstr(problem, ==, a->expected);
}

/* Every cut is an error or keys, and under ASan never read past the end. */
static void test_every_cut(void)
{
    for (gsize i = 0; i < 2; i++) {
        const char *text = i ? xml[0].text : json[0].text;
        gsize length = strlen(text);
        for (gsize n = 0; n < length; n++) {
            g_autofree char *cut = g_memdup2(text, n ? n : 1);
            g_autoptr(GError) error = NULL;
            g_autoptr(credentials) c =
                i ? aws_keys_from_xml(cut, n, "there", &error) : aws_keys_from_json(cut, n, "T", "there", &error);
            g_assert_null(c);
            g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
        }
    }
}

/* As deep as it gets: parsers that call themselves must end by their own limits. */
static void test_deep(void)
{
    g_autofree char *brackets = g_strnfill(AWS_MAX_BYTES, '[');
    g_autoptr(GString) elements = g_string_new(NULL);
    while (elements->len + 3 <= AWS_MAX_BYTES)
        g_string_append(elements, "<a>");
    g_assert_null(aws_keys_from_json(brackets, AWS_MAX_BYTES, "T", "there", NULL));
    g_assert_null(aws_keys_from_xml(elements->str, elements->len, "there", NULL));
}

static void test_long_token(void)
{
    g_autofree char *fits = g_strnfill(20000, 'x');
    g_autofree char *too_long = g_strnfill(20001, 'x');
    g_assert_true(aws_is_token(fits));
    g_assert_false(aws_is_token(too_long));
    g_assert_false(aws_is_token(""));
}

static void test_tidy(void)
{
    g_autoptr(GString) text = g_string_new(" a\nb\x1b\xff ");
    for (int i = 0; i < 400; i++)
        g_string_append(text, "\xc3\xa4");
    g_autofree char *tidy = aws_tidy(text->str);
    g_assert_true(g_str_has_prefix(tidy, "a b \xef\xbf\xbd \xc3\xa4"));
    g_assert_true(g_utf8_validate(tidy, -1, NULL));
    g_assert_cmpuint(strlen(tidy), <=, 400);
}

static void test_secret_file(void)
{
    g_autofree char *folder = g_dir_make_tmp("aws-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "token", NULL);
    g_autoptr(GError) error = NULL;
    g_assert_null(aws_secret_from_file(path, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE); /* not OT_NOT_FOUND: that would try the next source */
    g_assert_nonnull(strstr(error->message, path));
    g_assert_true(g_file_set_contents(path, " hunter2\r\n", -1, NULL));
    g_autoptr(aws_secret) secret = aws_secret_from_file(path, NULL);
    g_assert_cmpstr(secret, ==, "hunter2");
    g_assert_true(g_file_set_contents(path, "hunter2\0x", 9, NULL));
    g_assert_null(aws_secret_from_file(path, NULL));
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    g_assert_null(aws_secret_from_file(path, NULL));
    g_autofree char *large = g_strnfill(AWS_MAX_BYTES + 1, 'x');
    g_assert_true(g_file_set_contents(path, large, -1, NULL));
    g_assert_null(aws_secret_from_file(path, NULL));
    g_remove(path);
    g_rmdir(folder);
}

static void add(const char *folder, const struct answer *answers, gsize n, GTestDataFunc test)
{
    for (gsize i = 0; i < n; i++) {
        g_autofree char *path = g_strdup_printf("/aws_keys/%s/%s", folder, answers[i].name);
        g_test_add_data_func(path, answers + i, test);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("json", json, G_N_ELEMENTS(json), test_json);
    add("xml", xml, G_N_ELEMENTS(xml), test_xml);
    add("problem", problems, G_N_ELEMENTS(problems), test_problem);
    g_test_add_func("/aws_keys/every_cut", test_every_cut);
    g_test_add_func("/aws_keys/deep", test_deep);
    g_test_add_func("/aws_keys/long_token", test_long_token);
    g_test_add_func("/aws_keys/tidy", test_tidy);
    g_test_add_func("/aws_keys/secret_file", test_secret_file);
    return g_test_run();
}
