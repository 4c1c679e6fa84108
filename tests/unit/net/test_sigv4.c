/*
 * Tests of the signer against what AWS published: the four examples of S3's API reference, and the Signature Version 4
 * test suite (as kept in awslabs/aws-c-auth, tests/aws-signing-test-suite/v4). Of the suite those are left out that
 * need a path made normal (get-relative*, get-slash*): S3 keys are never changed so.
 */
#include "net/sigv4.h"

#include <string.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define QUERY(...) ((char *[]){__VA_ARGS__, NULL})
#define ALPHABET "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define STS_TOKEN                                                                                                      \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuw"  \
    "thAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHN"  \
    "VXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLx"   \
    "BA=="

struct vector {
    const char *name, *method, *path;
    char **query;
    const char *const *headers;
    const char *body, *token, *signed_headers, *signature;
};

static const struct vector s3_vectors[] = {
    {"GET with Range", "GET", "/test.txt", NULL, HEADERS("Range: bytes=0-9"), "", NULL,
     "host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT", "PUT", "/test$file.text", NULL,
     HEADERS("Date: Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class: REDUCED_REDUNDANCY"), "Welcome to Amazon S3.",
     NULL, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET ?lifecycle", "GET", "/", QUERY("lifecycle", ""), NULL, "", NULL, "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"list", "GET", "/", QUERY("prefix", "J", "max-keys", "2"), NULL, "", NULL, "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static const struct vector suite_vectors[] = {
    {"get-vanilla", "GET", "/", NULL, NULL, "", NULL, "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla, empty path", "GET", "", NULL, NULL, "", NULL, "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-empty-query-key", "GET", "/", QUERY("Param1", "value1"), NULL, "", NULL, "host;x-amz-date",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-key-case", "GET", "/", QUERY("Param2", "value2", "Param1", "value1"), NULL, "", NULL,
     "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-order-encoded", "GET", "/",
     QUERY("Param-3", "Value3", "Param", "Value2", "\xe1\x88\xb4", "Value1"), NULL, "", NULL, "host;x-amz-date",
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"get-vanilla-query-unreserved", "GET", "/", QUERY(ALPHABET, ALPHABET), NULL, "", NULL, "host;x-amz-date",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query", "GET", "/", QUERY("\xe1\x88\xb4", "bar"), NULL, "", NULL, "host;x-amz-date",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-unreserved", "GET", "/" ALPHABET, NULL, NULL, "", NULL, "host;x-amz-date",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8", "GET", "/\xe1\x88\xb4", NULL, NULL, "", NULL, "host;x-amz-date",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-space-unnormalized", "GET", "/example space/", NULL, NULL, "", NULL, "host;x-amz-date",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-header-key-duplicate", "GET", "/", NULL,
     HEADERS("My-Header1:value2", "My-Header1:value2", "My-Header1:value1"), "", NULL, "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-order", "GET", "/", NULL,
     HEADERS("My-Header1:value4", "My-Header1:value1", "My-Header1:value3", "My-Header1:value2"), "", NULL,
     "host;my-header1;x-amz-date", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim", "GET", "/", NULL, HEADERS("My-Header1: value1", "My-Header2: \"a   b   c\""), "", NULL,
     "host;my-header1;my-header2;x-amz-date", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"get-header-value-multiline, as folded by RFC 7230", "GET", "/", NULL,
     HEADERS("My-Header1:value1\n  value2\n     value3"), "", NULL, "host;my-header1;x-amz-date",
     "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"},
    {"post-vanilla", "POST", "/", NULL, NULL, "", NULL, "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-sort", "POST", "/", NULL, HEADERS("My-Header1:value1"), "", NULL, "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-x-www-form-urlencoded, as first published", "POST", "/", NULL,
     HEADERS("Content-Type:application/x-www-form-urlencoded"), "Param1=value1", NULL, "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-x-www-form-urlencoded, as in aws-c-auth", "POST", "/", NULL,
     HEADERS("Content-Type:application/x-www-form-urlencoded", "Content-Length:13",
             "x-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
     "Param1=value1", NULL, "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
     "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
    {"get-vanilla-with-session-token", "GET", "/", NULL, NULL, "",
     "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267", "host;x-amz-date;x-amz-security-token",
     "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
    {"post-sts-header-before", "POST", "/", NULL, NULL, "", STS_TOKEN, "host;x-amz-date;x-amz-security-token",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"an empty token is none", "GET", "/", NULL, NULL, "", "", "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
};

static struct sigv4_request s3_request(void)
{
    return (struct sigv4_request){.method = "GET",
                                  .host = "examplebucket.s3.amazonaws.com",
                                  .path = "/",
                                  .payload_sha256 = EMPTY,
                                  .access_key = "AKIAIOSFODNN7EXAMPLE",
                                  .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                  .region = "us-east-1",
                                  .service = "s3",
                                  .now = 1369353600}; /* 20130524T000000Z */
}

static struct sigv4_request suite_request(void)
{
    return (struct sigv4_request){.method = "GET",
                                  .host = "example.amazonaws.com",
                                  .path = "/",
                                  .payload_sha256 = EMPTY,
                                  .access_key = "AKIDEXAMPLE",
                                  .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                  .region = "us-east-1",
                                  .service = "service",
                                  .now = 1440938160}; /* 20150830T123600Z */
}

static void check_vector(const struct vector *v, struct sigv4_request r, const char *scope)
{
    g_test_message("%s", v->name);
    g_autofree char *hash = sigv4_sha256(v->body, strlen(v->body));
    r.method = v->method;
    r.path = v->path;
    r.query = v->query;
    r.headers = v->headers;
    r.payload_sha256 = hash;
    r.session_token = v->token;
    g_auto(GStrv) lines = sigv4_sign(&r);
    g_autofree char *expected =
        g_strdup_printf("Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                        r.access_key, scope, v->signed_headers, v->signature);
    g_assert_cmpstr(lines[g_strv_length(lines) - 1], ==, expected);
}

static void test_s3_vectors(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(s3_vectors); i++)
        check_vector(&s3_vectors[i], s3_request(), "20130524/us-east-1/s3/aws4_request");
}

static void test_suite_vectors(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(suite_vectors); i++)
        check_vector(&suite_vectors[i], suite_request(), "20150830/us-east-1/service/aws4_request");
}

/* As printed in S3's API reference beside the first example. */
static void test_steps(void)
{
    struct sigv4_request r = s3_request();
    r.path = "/test.txt";
    r.headers = HEADERS("Range: bytes=0-9");
    g_autofree char *names = NULL;
    g_autofree char *canonical = sigv4_canonical_request(&r, &names);
    g_assert_cmpstr(names, ==, "host;range;x-amz-content-sha256;x-amz-date");
    g_assert_cmpstr(canonical, ==,
                    "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n"
                    "x-amz-content-sha256:" EMPTY "\nx-amz-date:20130524T000000Z\n\n"
                    "host;range;x-amz-content-sha256;x-amz-date\n" EMPTY);
    g_autofree char *to_sign = sigv4_string_to_sign(&r);
    g_assert_cmpstr(to_sign, ==,
                    "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
                    "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
}

/* Names one of which begins another: curl 7.88 sorts the lines, where "-" stands before ":". */
static void test_header_order(void)
{
    struct sigv4_request r = suite_request();
    r.headers = HEADERS("x-amz-server-side-encryption-aws-kms-key-id: k", "x-amz-server-side-encryption: aws:kms",
                        "x-amz-meta-a-b: 2", "X-Amz-Meta-A: 1", "x-amz-meta-a0: 3", "Content-MD5: zz",
                        "x-amz-meta-e:", "x-amz-meta-blank:  \t ", "x-amz-meta-t: \t a \t b:c  d ");
    g_autofree char *names = NULL;
    g_autofree char *canonical = sigv4_canonical_request(&r, &names);
    g_assert_cmpstr(canonical, ==,
                    "GET\n/\n\ncontent-md5:zz\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n"
                    "x-amz-meta-a:1\nx-amz-meta-a-b:2\nx-amz-meta-a0:3\nx-amz-meta-blank:\nx-amz-meta-e:\n"
                    "x-amz-meta-t:a b:c d\nx-amz-server-side-encryption:aws:kms\n"
                    "x-amz-server-side-encryption-aws-kms-key-id:k\n\n"
                    "content-md5;host;x-amz-date;x-amz-meta-a;x-amz-meta-a-b;x-amz-meta-a0;x-amz-meta-blank;"
                    "x-amz-meta-e;x-amz-meta-t;x-amz-server-side-encryption;"
                    "x-amz-server-side-encryption-aws-kms-key-id\n" EMPTY);
    g_assert_true(strstr(canonical, names) != NULL);
}

static const struct {
    const char *path, *escaped;
} paths[] = {
    {"/bucket/a b+c%d", "/bucket/a%20b%2Bc%25d"},
    {"/b/\xc3\xa4/../x//y/./", "/b/%C3%A4/../x//y/./"},
    {"/b/2026-02-07T12:00:00,(1)!*'=&@$;?#", "/b/2026-02-07T12%3A00%3A00%2C%281%29%21%2A%27%3D%26%40%24%3B%3F%23"},
    {"/b/%2F", "/b/%252F"},
};

static void test_paths(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
        struct sigv4_request r = s3_request();
        r.path = paths[i].path;
        g_autofree char *canonical = sigv4_canonical_request(&r, NULL);
        g_auto(GStrv) lines = g_strsplit(canonical, "\n", -1);
        g_assert_cmpstr(lines[1], ==, paths[i].escaped);
    }
}

static const struct {
    char **query;
    const char *expected;
} queries[] = {
    {NULL, ""},
    {QUERY(NULL), ""},
    {QUERY("uploads", ""), "uploads="},
    {QUERY("prefix", "a/b c+d", "list-type", "2", "delimiter", "/"), "delimiter=%2F&list-type=2&prefix=a%2Fb%20c%2Bd"},
    {QUERY("a", "2", "a", "10", "a", ""), "a=&a=10&a=2"},
    {QUERY("a-b", "1", "a", "3", "a%", "2", "a.", "4"), "a=3&a%25=2&a-b=1&a.=4"},
    {QUERY("b", "1", "B", "2", "\xc3\xa9", "3", "_", "4"), "%C3%A9=3&B=2&_=4&b=1"},
    {QUERY("t", "=&%"), "t=%3D%26%25"},
    {QUERY("t", "\001"), "t=%01"},
};

static void test_queries(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(queries); i++) {
        g_autofree char *text = sigv4_query(queries[i].query);
        g_assert_cmpstr(text, ==, queries[i].expected);
    }
}

static void test_sent_headers(void)
{
    struct sigv4_request r = s3_request();
    r.headers = HEADERS("X-Amz-Meta-E:", "Content-Type:  text/plain ");
    r.payload_sha256 = "UNSIGNED-PAYLOAD";
    r.session_token = "token";
    g_auto(GStrv) lines = sigv4_sign(&r);
    g_assert_cmpuint(g_strv_length(lines), ==, 6);
    g_assert_cmpstr(lines[0], ==, "X-Amz-Meta-E:");
    g_assert_cmpstr(lines[1], ==, "Content-Type:  text/plain ");
    g_assert_cmpstr(lines[2], ==, "x-amz-date: 20130524T000000Z");
    g_assert_cmpstr(lines[3], ==, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
    g_assert_cmpstr(lines[4], ==, "x-amz-security-token: token");
    g_assert_nonnull(strstr(lines[5], "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;"
                                      "x-amz-meta-e;x-amz-security-token, "));
    g_assert_null(strstr(lines[5], r.secret_key));
}

static void test_only_s3_sends_the_hash(void)
{
    struct sigv4_request r = suite_request();
    r.service = "sts";
    g_auto(GStrv) lines = sigv4_sign(&r);
    g_assert_cmpuint(g_strv_length(lines), ==, 2);
    g_assert_cmpstr(lines[0], ==, "x-amz-date: 20150830T123600Z");
}

static void test_sha256(void)
{
    g_autofree char *empty = sigv4_sha256(NULL, 0);
    g_autofree char *text = sigv4_sha256("Welcome to Amazon S3.", 21);
    g_assert_cmpstr(empty, ==, EMPTY);
    g_assert_cmpstr(text, ==, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sigv4/s3_vectors", test_s3_vectors);
    g_test_add_func("/sigv4/suite_vectors", test_suite_vectors);
    g_test_add_func("/sigv4/steps", test_steps);
    g_test_add_func("/sigv4/header_order", test_header_order);
    g_test_add_func("/sigv4/paths", test_paths);
    g_test_add_func("/sigv4/queries", test_queries);
    g_test_add_func("/sigv4/sent_headers", test_sent_headers);
    g_test_add_func("/sigv4/only_s3_sends_the_hash", test_only_s3_sends_the_hash);
    g_test_add_func("/sigv4/sha256", test_sha256);
    return g_test_run();
}
