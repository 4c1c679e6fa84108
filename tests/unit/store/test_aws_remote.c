/*
 * Tests of the sources that are asked over HTTP: STS, the container, the instance; each against a small server.
 */
#include "store/aws_remote.h"

#include "fake_aws.h"

#define ROLE "arn:aws:iam::1:role/r"
#define TOKEN_LINE "PUT /latest/api/token"
#define ROLES_LINE "GET /latest/meta-data/iam/security-credentials/"
#define TOKEN_HEADER "X-aws-ec2-metadata-token: hunter2-session"

/* --- web identity --- */

static void set_up_web_identity(struct world *w)
{
    world_write(w->token, "hunter2/a+b==\n");
    w->settings.web_identity_file = w->token;
    w->settings.role_arn = ROLE;
    w->settings.sts_endpoint = w->fake.address;
}

static void test_web_identity(struct world *w, gconstpointer data)
{
    (void)data;
    set_up_web_identity(w);
    g_autofree char *first = fake_xml("AK1", 3600);
    fake_set(&w->fake, "POST /", "Content-Type: application/x-www-form-urlencoded", 200, first);
    world_expect(w, FALSE, "AK1", "web identity (" ROLE ")");
    fake_assert_asked(&w->fake,
                      "\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1"
                      "%3Arole%2Fr&RoleSessionName=opstower-backup&WebIdentityToken=hunter2%2Fa%2Bb%3D%3D\n");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 1);
    world_write(w->token, "hunter2-new"); /* kubelet replaces it */
    world_expect(w, TRUE, "AK1", "web identity (" ROLE ")");
    fake_assert_asked(&w->fake, "&WebIdentityToken=hunter2-new\n");
}

static void test_session_name(struct world *w, gconstpointer data)
{
    (void)data;
    set_up_web_identity(w);
    w->settings.session_name = "me@here";
    g_autofree char *first = fake_xml("AK1", 3600);
    fake_set(&w->fake, "POST /", NULL, 200, first);
    world_expect(w, FALSE, "AK1", "web identity (" ROLE ")");
    fake_assert_asked(&w->fake, "&RoleSessionName=me%40here&");
}

/* Answers of STS, and what the message must hold. */
static const struct {
    const char *name;
    int status;
    const char *body, *text;
    guint n_requests;
} refusals[] = {
    {"denied", 403, "<E><Error><Code>AccessDenied</Code><Message>Not you</Message></Error></E>",
     " gave no credentials for " ROLE ": HTTP 403, AccessDenied: Not you", 1},
    {"html", 400, "<html>hunter2", ": HTTP 400", 1},
    {"broken", 200, "<A><Credentials>hunter2", ": the answer holds no credentials", 1},
    {"no_key", 200, "<A><Credentials><AccessKeyId>x</AccessKeyId></Credentials></A>", ": there is no secret key", 1},
    {"nothing", 400, "", ": HTTP 400", 1},
    {"busy", 503, "", ": HTTP 503", 3},
    {"throttled", 429, "", ": HTTP 429", 3},
    {"idp", 400, "<E><Error><Code>IDPCommunicationError</Code></Error></E>", ": HTTP 400, IDPCommunicationError", 3},
    {"elsewhere", 307, "", ": HTTP 307", 1},
};

static void test_refusal(struct world *w, gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    set_up_web_identity(w);
    fake_set(&w->fake, "POST /", NULL, refusals[i].status, refusals[i].body);
    world_expect_failure(w, FALSE, refusals[i].text);
    g_assert_cmpuint(fake_take_count(&w->fake), ==, refusals[i].n_requests);
}

static void test_large_answer(struct world *w, gconstpointer data)
{
    (void)data;
    set_up_web_identity(w);
    g_autofree char *keys = fake_xml("AK1", 3600), *padding = g_strnfill(AWS_MAX_BYTES, ' ');
    g_autofree char *large = g_strconcat(keys, padding, NULL);
    fake_set(&w->fake, "POST /", NULL, 200, large);
    world_expect_failure(w, FALSE, "web identity: ");
}

static void test_busy_once(struct world *w, gconstpointer data)
{
    (void)data;
    set_up_web_identity(w);
    g_autofree char *keys = fake_xml("AK1", 3600);
    fake_set(&w->fake, "POST /", NULL, 200, keys);
    w->fake.busy = 2;
    world_expect(w, FALSE, "AK1", "web identity (" ROLE ")");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 3);
}

/* Settings that must be found wrong before anything is sent. */
static void test_wrong_settings(struct world *w, gconstpointer data)
{
    (void)data;
    set_up_web_identity(w);
    w->settings.role_arn = "";
    world_expect_failure(w, FALSE, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    g_clear_pointer(&w->chain, credential_chain_free);
    set_up_web_identity(w);
    w->settings.sts_endpoint = "http://sts.example.com";
    world_expect_failure(w, FALSE, "AWS_ENDPOINT_URL_STS leads to sts.example.com by plain http: use https");
    g_clear_pointer(&w->chain, credential_chain_free);
    w->settings.sts_endpoint = "sts.example.com";
    world_expect_failure(w, FALSE, "look at AWS_ENDPOINT_URL_STS");
    g_clear_pointer(&w->chain, credential_chain_free);
    w->settings.sts_endpoint = NULL;
    w->settings.region = "x.example.com/?";
    world_expect_failure(w, FALSE, "look at the region");
    g_clear_pointer(&w->chain, credential_chain_free);
    set_up_web_identity(w);
    g_unlink(w->token);
    world_expect_failure(w, FALSE, "web identity: cannot read ");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 0);
}

/* --- container --- */

static void set_up_container(struct world *w, char **ret_uri)
{
    *ret_uri = g_strconcat(w->fake.address, "/creds?id=hunter2", NULL);
    w->settings.container_full_uri = *ret_uri;
    w->settings.container_token = "Basic hunter2";
    g_autofree char *keys = fake_json("AK1", 3600);
    fake_set(&w->fake, "GET /creds?id=hunter2", "Authorization: Basic hunter2", 200, keys);
}

static void test_container(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *uri = NULL;
    set_up_container(w, &uri);
    g_autoptr(GError) error = NULL;
    g_autoptr(credentials) c = world_get(w, FALSE, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(c->access_key, ==, "AK1");
    g_assert_cmpstr(c->secret_key, ==, "hunter2-secret");
    g_assert_cmpstr(c->session_token, ==, "hunter2-token");
    g_assert_cmpint(c->expires_at, ==, fake_time + 3600);
    g_assert_cmpstr(c->source, ==, "container");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 1);
}

static void test_container_wrong_token(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *uri = NULL;
    set_up_container(w, &uri);
    w->settings.container_token = "hunter2-wrong";
    world_expect_failure(w, FALSE, "container: the answer is HTTP 401");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 1);
}

/* The agent replaces what is in the file; it counts before the variable. */
static void test_container_token_file(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *uri = NULL;
    set_up_container(w, &uri);
    w->settings.container_token = "hunter2-wrong";
    w->settings.container_token_file = w->token;
    world_expect_failure(w, FALSE, "container: cannot read ");
    world_write(w->token, "Basic hunter2\n");
    world_expect(w, FALSE, "AK1", "container");
    world_write(w->token, "hunter2-other");
    world_expect_failure(w, TRUE, "container: the answer is HTTP 401");
    world_write(w->token, "hunter2\nX-Evil: 1");
    world_expect_failure(w, TRUE, "container: the authorization token is not one line of ASCII");
}

static void test_container_without_token(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *uri = NULL, *keys = fake_json("AK1", 3600);
    set_up_container(w, &uri);
    w->settings.container_token = "";
    fake_set(&w->fake, "GET /creds?id=hunter2", NULL, 200, keys);
    world_expect(w, FALSE, "AK1", "container");
    g_mutex_lock(&w->fake.mutex);
    g_assert_null(strstr(w->fake.log->str, "Authorization"));
    g_mutex_unlock(&w->fake.mutex);
}

static void test_container_busy(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *uri = NULL;
    set_up_container(w, &uri);
    w->fake.busy = 1;
    world_expect(w, FALSE, "AK1", "container");
    w->fake.busy = 2;
    world_expect_failure(w, TRUE, "container: the answer is HTTP 503");
}

/* EXPECTED: the URL, or, if it begins with "!", what the message must hold. */
static const struct {
    const char *name, *relative, *full, *expected;
} urls[] = {
    {"none", NULL, "", "!are not set"},
    {"relative", "/v2/credentials/x", NULL, "http://169.254.170.2/v2/credentials/x"},
    {"relative_wins", "/a?b=c", "https://example.com/", "http://169.254.170.2/a?b=c"},
    {"relative_to_others", "@example.com/", NULL, "!does not begin with /"},
    {"relative_port", ":80/", NULL, "!does not begin with /"},
    {"relative_blank", "/a b", NULL, "!does not begin with /, or has blanks"},
    {"https", NULL, "https://example.com/x?y=z", "https://example.com/x?y=z"},
    {"localhost", NULL, "http://localhost:1234/x", "http://localhost:1234/x"},
    {"loopback", NULL, "http://127.0.0.1/x", "http://127.0.0.1/x"},
    {"loopback_v6", NULL, "http://[::1]:80/x", "http://[::1]:80/x"},
    {"ecs", NULL, "http://169.254.170.2/x", "http://169.254.170.2/x"},
    {"eks", NULL, "http://169.254.170.23/v1/credentials", "http://169.254.170.23/v1/credentials"},
    {"eks_v6", NULL, "http://[fd00:ec2::23]/v1/credentials", "http://[fd00:ec2::23]/v1/credentials"},
    {"http", NULL, "http://example.com/hunter2", "!leads to example.com by plain http"},
    {"other_link_local", NULL, "http://169.254.170.3/x", "!leads to 169.254.170.3 by plain http"},
    {"looks_like", NULL, "http://169.254.170.2.example.com/x", "!leads to 169.254.170.2.example.com by"},
    {"user", NULL, "http://127.0.0.1@example.com/x", "!is not an http or https address"},
    {"query_before_host", NULL, "http://127.0.0.1?@example.com/x", "http://127.0.0.1?@example.com/x"},
    {"backslash", NULL, "http://127.0.0.1\\@example.com/x", "!is not an http or https address"},
    {"fragment", NULL, "http://127.0.0.1#@example.com/x", "!is not an http or https address"},
    {"line_break", NULL, "http://127.0.0.1/\nx", "!is not an http or https address"},
    {"file", NULL, "file:///etc/hunter2", "!is not an http or https address"},
};

static void test_url(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    struct credentials_config config = {.container_relative_uri = urls[i].relative, .container_full_uri = urls[i].full};
    g_autoptr(GError) error = NULL;
    g_autofree char *url = aws_container_url(&config, &error);
    if (*urls[i].expected != '!') {
        g_assert_no_error(error);
        g_assert_cmpstr(url, ==, urls[i].expected);
        return;
    }
    g_assert_null(url);
    g_assert_nonnull(strstr(error->message, urls[i].expected + 1));
    g_assert_null(strstr(error->message, SECRET));
}

/* --- instance --- */

static void set_up_instance(struct world *w, const char *keys)
{
    w->settings.metadata_disabled = FALSE;
    w->settings.metadata_endpoint = w->fake.address;
    fake_set(&w->fake, TOKEN_LINE, "X-aws-ec2-metadata-token-ttl-seconds: 300", 200, "hunter2-session");
    fake_set(&w->fake, ROLES_LINE, TOKEN_HEADER, 200, "my+role\n");
    fake_set(&w->fake, ROLES_LINE "my%2Brole", TOKEN_HEADER, 200, keys);
}

static void test_instance(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_json("AK1", 3600), *address = g_strconcat(w->fake.address, "/", NULL);
    set_up_instance(w, keys);
    w->settings.metadata_endpoint = address; /* with a slash at its end */
    world_expect(w, FALSE, "AK1", "instance role my+role");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 3);
}

/* What one request is answered with, and what the message must hold. */
static const struct {
    const char *name, *line;
    int status;
    const char *body, *text;
    guint n_requests;
} faults[] = {
    {"switched_off", TOKEN_LINE, 403, "", "hop limit must be 2 or more): the answer is HTTP 403", 1},
    {"not_ec2", TOKEN_LINE, 404, "", "no metadata service answers as EC2's does", 1},
    {"busy", TOKEN_LINE, 500, "", "the answer is HTTP 500", 2},
    {"token_of_two_lines", TOKEN_LINE, 200, "hunter2\r\nX: y", "/latest/api/token: the answer is not a token", 1},
    {"empty_token", TOKEN_LINE, 200, "", "/latest/api/token: the answer is not a token", 1},
    {"other_token", TOKEN_LINE, 200, "hunter2-other", "the instance's role: the answer is HTTP 401", 2},
    {"no_role", ROLES_LINE, 404, "", "no role is attached to this instance", 2},
    {"empty_role", ROLES_LINE, 200, "\n", "no role is attached to this instance", 2},
    {"role_fails", ROLES_LINE, 500, "", "the instance's role: the answer is HTTP 500", 3},
    {"keys_missing", ROLES_LINE "my%2Brole", 404, "", "instance role my+role: the answer is HTTP 404", 3},
    {"not_json", ROLES_LINE "my%2Brole", 200, "<html>hunter2", "my+role: the answer is not a JSON object", 3},
    {"code", ROLES_LINE "my%2Brole", 200, "{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"Message\": \"EC2 cannot\"}",
     "my+role: AssumeRoleUnauthorizedAccess: EC2 cannot", 3},
};

static void test_fault(struct world *w, gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autofree char *keys = fake_json("AK1", 3600);
    set_up_instance(w, keys);
    fake_set(&w->fake, faults[i].line, NULL, faults[i].status, faults[i].body);
    world_expect_failure(w, FALSE, faults[i].text);
    g_assert_cmpuint(fake_take_count(&w->fake), ==, faults[i].n_requests);
}

static void test_instance_address(struct world *w, gconstpointer data)
{
    (void)data;
    w->settings.metadata_disabled = FALSE;
    w->settings.metadata_endpoint = "ftp://example.com";
    world_expect_failure(w, FALSE, "AWS_EC2_METADATA_SERVICE_ENDPOINT is not an http or https address");
}

/* Nobody listens there: known at once. */
static void test_instance_refused(struct world *w, gconstpointer data)
{
    (void)data;
    w->settings.metadata_disabled = FALSE;
    w->settings.metadata_endpoint = "http://127.0.0.1:1";
    gint64 begin = g_get_monotonic_time();
    world_expect_failure(w, FALSE, "instance role: no metadata service answers as EC2's does");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 3 * G_USEC_PER_SEC); /* which one silent try would take */
}

/* It takes the connection and says nothing, as when the hop limit is too low: two tries of three seconds. */
static void test_instance_silent(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_json("AK1", 3600);
    set_up_instance(w, keys);
    w->fake.silent = 2;
    gint64 begin = g_get_monotonic_time();
    world_expect_failure(w, FALSE, "instance role: no metadata service answers as EC2's does");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 15 * G_USEC_PER_SEC);
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 2);
}

/* While AWS cannot renew, it gives the old ones: they are used, and asked for again in a minute. */
static void test_instance_expired(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *old = fake_json("AK1", -10), *fresh = fake_json("AK2", 3600);
    set_up_instance(w, old);
    world_expect(w, FALSE, "AK1", "instance role my+role");
    fake_take_count(&w->fake);
    set_up_instance(w, fresh);
    world_expect(w, FALSE, "AK1", "instance role my+role");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 0);
    fake_time += 60;
    world_expect(w, FALSE, "AK2", "instance role my+role");
}

/* A proxy of the environment is for others. */
static void test_no_proxy(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_json("AK1", 3600);
    set_up_instance(w, keys);
    w->settings.metadata_endpoint = "http://192.0.2.1"; /* of documentation: it leads nowhere */
    g_setenv("http_proxy", w->fake.address, TRUE);
    world_expect_failure(w, FALSE, "instance role: no metadata service answers as EC2's does");
    g_unsetenv("http_proxy");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    world_add("/aws_remote/web_identity", test_web_identity, 0);
    world_add("/aws_remote/session_name", test_session_name, 0);
    world_add("/aws_remote/large_answer", test_large_answer, 0);
    world_add("/aws_remote/busy_once", test_busy_once, 0);
    world_add("/aws_remote/wrong_settings", test_wrong_settings, 0);
    world_add("/aws_remote/container", test_container, 0);
    world_add("/aws_remote/container_wrong_token", test_container_wrong_token, 0);
    world_add("/aws_remote/container_token_file", test_container_token_file, 0);
    world_add("/aws_remote/container_without_token", test_container_without_token, 0);
    world_add("/aws_remote/container_busy", test_container_busy, 0);
    world_add("/aws_remote/instance", test_instance, 0);
    world_add("/aws_remote/instance_address", test_instance_address, 0);
    world_add("/aws_remote/instance_refused", test_instance_refused, 0);
    world_add("/aws_remote/instance_silent", test_instance_silent, 0);
    world_add("/aws_remote/instance_expired", test_instance_expired, 0);
    world_add("/aws_remote/no_proxy", test_no_proxy, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *path = g_strconcat("/aws_remote/refusal/", refusals[i].name, NULL);
        world_add(path, test_refusal, i);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(urls); i++) {
        g_autofree char *path = g_strconcat("/aws_remote/url/", urls[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_url);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autofree char *path = g_strconcat("/aws_remote/fault/", faults[i].name, NULL);
        world_add(path, test_fault, i);
    }
    return g_test_run();
}
