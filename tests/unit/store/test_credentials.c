/*
 * Tests of the chain: which source wins, what is said where none has any, what profiles lead to, and renewal.
 */
#include "fake_aws.h"

#define KEYS "aws_access_key_id = AK\naws_secret_access_key = hunter2\n"

/* --- order --- */

static void test_environment_first(struct world *w, gconstpointer data)
{
    (void)data;
    world_write(w->keys, "[p]\n" KEYS);
    w->settings.access_key = "AKENV";
    w->settings.secret_key = "hunter2";
    w->settings.profile = "p";
    w->settings.web_identity_file = "/nonexistent";
    world_expect(w, FALSE, "AKENV", "environment");
    w->settings.session_token = "hunter2-token"; /* the settings were copied: this comes too late */
    g_autoptr(credentials) c = world_get(w, TRUE, NULL);
    g_assert_null(c->session_token);
    g_assert_cmpint(c->expires_at, ==, 0);
}

static void test_half_environment(struct world *w, gconstpointer data)
{
    (void)data;
    world_write(w->keys, "[default]\n" KEYS);
    w->settings.access_key = "AKENV";
    w->settings.secret_key = "";
    world_expect_failure(w, FALSE, "environment: AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
    g_clear_pointer(&w->chain, credential_chain_free);
    w->settings.access_key = NULL;
    w->settings.secret_key = "hunter2";
    world_expect_failure(w, FALSE, "environment: AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not");
    g_clear_pointer(&w->chain, credential_chain_free);
    w->settings.access_key = "AK";
    w->settings.secret_key = "hunter2\nX: y";
    world_expect_failure(w, FALSE, "environment: the secret key is not one word of ASCII");
}

static void test_web_identity_before_files(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_xml("AKWEB", 3600);
    fake_set(&w->fake, "POST /", NULL, 200, keys);
    world_write(w->keys, "[default]\n" KEYS);
    world_write(w->token, "hunter2");
    w->settings.web_identity_file = w->token;
    w->settings.role_arn = "R";
    w->settings.sts_endpoint = w->fake.address;
    world_expect(w, FALSE, "AKWEB", "web identity (R)");
}

static void test_files_before_container(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *origin = g_strdup_printf("profile default in %s", w->keys);
    world_write(w->keys, "[default]\n" KEYS);
    w->settings.container_full_uri = w->fake.address;
    w->settings.role_arn = "R"; /* alone it says nothing */
    world_expect(w, FALSE, "AK", origin);
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 0);
}

/* A profile that has nothing to do with credentials, and no profile at all, leave the next sources their turn. */
static void test_container_after_files(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_json("AKCON", 3600);
    fake_set(&w->fake, "GET /", NULL, 200, keys);
    w->settings.container_full_uri = w->fake.address;
    w->settings.metadata_disabled = FALSE;
    w->settings.metadata_endpoint = w->fake.address;
    world_expect(w, FALSE, "AKCON", "container");
    g_clear_pointer(&w->chain, credential_chain_free);
    world_write(w->config, "[profile p]\nregion = eu-west-1\n");
    w->settings.profile = "p";
    world_expect(w, FALSE, "AKCON", "container");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 2);
}

static void test_none(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *expected = g_strdup_printf(
        "no AWS credentials: environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; web identity: "
        "AWS_WEB_IDENTITY_TOKEN_FILE is not set; shared files: no profile \"default\" in %s (not there) and %s (not "
        "there); container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set; instance role: switched "
        "off by AWS_EC2_METADATA_DISABLED",
        w->keys, w->config);
    g_autoptr(GError) error = NULL;
    g_assert_null(world_get(w, FALSE, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
    g_assert_cmpstr(error->message, ==, expected);
}

/* Who names a profile does not want the instance's role in its place. */
static void test_named_profile_missing(struct world *w, gconstpointer data)
{
    (void)data;
    world_write(w->keys, "[default]\n" KEYS);
    w->settings.profile = "prod";
    w->settings.container_full_uri = w->fake.address;
    world_expect_failure(w, FALSE, "shared files: no profile \"prod\" in ");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 0);
}

static void test_failure_ends_the_chain(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_json("AKCON", 3600);
    fake_set(&w->fake, "GET /", NULL, 200, keys);
    w->settings.container_full_uri = w->fake.address;
    world_write(w->keys, "[default]\nhunter2\n");
    world_expect_failure(w, FALSE, "credentials:2: NAME = VALUE is wanted here");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 0);
}

/* --- profiles --- */

/* The config file's text. EXPECTED: the access key and, behind a blank, what the source must begin with; or, if it
 * begins with "!", what the message must hold. */
static const struct {
    const char *name, *config, *expected;
} profiles[] = {
    {"process",
     "credential_process = printf '{\"Version\": 1, \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"%s\"}' 'AK;id' "
     "\"hunter2$HOME\"\n",
     "AK;id profile p in "},
    {"process_without_version",
     "credential_process = echo '{\"AccessKeyId\": \"AK\", \"SecretAccessKey\": \"hunter2\"}'\n", "AK profile p in "},
    {"process_with_keys", KEYS "credential_process = false\n", "AK profile p in "},
    {"process_fails", "credential_process = sh -c 'echo hunter2; echo sorry >&2; exit 3'\n",
     "!credential_process: sh failed with exit code 3: sorry"},
    {"process_says_nothing", "credential_process = true\n", "!credential_process: the answer is not a JSON object"},
    {"process_says_text", "credential_process = echo hunter2\n",
     "!credential_process: the answer is not a JSON object"},
    {"process_of_version_2", "credential_process = echo '{\"Version\": 2}'\n", "!the answer's Version is not 1"},
    {"process_says_much", "credential_process = head -c 65537 /dev/zero\n",
     "!credential_process: its output is larger than 65536 bytes"},
    {"process_says_endless", "credential_process = cat /dev/zero\n", "!its output is larger than 65536 bytes"},
    {"process_missing", "credential_process = /nonexistent/x\n", "!credential_process: cannot start /nonexistent/x"},
    {"process_quotes", "credential_process = x 'hunter2\n", "!credential_process: its quotes do not match"},
    {"sso", "sso_session = s\nsso_account_id = 1\n",
     "!\"p\" signs in by AWS SSO, which is not supported here: choose a profile that has `credential_process = aws "
     "configure export-credentials --profile p`"},
    {"old_sso", "sso_start_url = https://example.com\n", "!\"p\" signs in by AWS SSO"},
    {"sso_with_keys", "sso_session = s\n" KEYS, "AK profile p in "},
    {"role_alone", "role_arn = R\n", "!\"p\" has a role_arn, but no source_profile, credential_source or"},
    {"mfa", "role_arn = R\nsource_profile = q\nmfa_serial = m\n[profile q]\n" KEYS, "!\"p\" has an mfa_serial"},
    {"no_source_profile", "role_arn = R\nsource_profile = q\n",
     "!profile \"p\" relies on profile \"q\": there is none of that name in "},
    {"empty_source_profile", "role_arn = R\nsource_profile = q\n[profile q]\nregion = x\n",
     "!profile \"p\" relies on profile \"q\": profile \"q\" has no credentials"},
    {"half_source_profile", "role_arn = R\nsource_profile = q\n[profile q]\naws_access_key_id = AK\n",
     "!config has no aws_secret_access_key"},
    {"itself_without_keys", "role_arn = R\nsource_profile = p\n", "!source_profile leads in a circle"},
    {"circle", "role_arn = R\nsource_profile = q\n[profile q]\nrole_arn = S\nsource_profile = p\n",
     "!source_profile leads in a circle"},
    {"unknown_source", "role_arn = R\ncredential_source = hunter3\n",
     "!profile \"p\" relies on credential_source hunter3: nobody knows this credential_source"},
    {"source_without_keys", "role_arn = R\ncredential_source = Environment\n",
     "!relies on credential_source Environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"},
    {"source_without_container", "role_arn = R\ncredential_source = EcsContainer\n", "!_FULL_URI are not set"},
    {"source_without_instance", "role_arn = R\ncredential_source = Ec2InstanceMetadata\n", "!switched off by"},
    {"role", "role_arn = R\nsource_profile = q\n[profile q]\n" KEYS, "AKSTS profile p in "},
    {"role_with_own_keys", "role_arn = R\nsource_profile = p\n" KEYS, "AKSTS profile p in "},
    {"role_of_process",
     "role_arn = R\nsource_profile = q\n[profile q]\ncredential_process = echo '{\"AccessKeyId\": \"AK\", "
     "\"SecretAccessKey\": \"hunter2\"}'\n",
     "AKSTS profile p in "},
};

static void test_profile(struct world *w, gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autofree char *text = g_strconcat("[profile p]\n", profiles[i].config, NULL), *keys = fake_xml("AKSTS", 3600);
    fake_set(&w->fake, "POST /", NULL, 200, keys);
    world_write(w->config, text);
    w->settings.profile = "p";
    w->settings.sts_endpoint = w->fake.address;
    if (*profiles[i].expected == '!') {
        world_expect_failure(w, FALSE, profiles[i].expected + 1);
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(credentials) c = world_get(w, FALSE, &error);
    g_assert_no_error(error);
    g_autofree char *got = g_strdup_printf("%s %s", c->access_key, c->source);
    g_assert_true(g_str_has_prefix(got, profiles[i].expected));
    g_assert_nonnull(strstr(got, w->config));
}

/* There is no shell: $HOME stays as it is. */
static void test_process_has_no_shell(struct world *w, gconstpointer data)
{
    (void)data;
    world_write(w->config,
                "[default]\ncredential_process = printf '{\"AccessKeyId\": \"AK\", \"SecretAccessKey\": \"%s\", "
                "\"SessionToken\": \"t\", \"Expiration\": \"2027-01-15T08:10:00Z\"}' \"hunter2$HOME\"\n");
    g_autoptr(GError) error = NULL;
    g_autoptr(credentials) c = world_get(w, FALSE, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(c->secret_key, ==, "hunter2$HOME");
    g_assert_cmpstr(c->session_token, ==, "t");
    g_assert_cmpint(c->expires_at, ==, fake_time + 600);
}

static void test_assume_role(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_xml("AKSTS", 3600), *origin = g_strdup_printf("profile p in %s (arn:x)", w->config);
    fake_set(&w->fake, "POST /sts/", "Content-Type: application/x-www-form-urlencoded", 200, keys);
    world_write(w->config,
                "[profile p]\nrole_arn = arn:x\nsource_profile = q\nexternal_id = e&f\nduration_seconds=900\n"
                "role_session_name = me\nregion = eu-west-3\n[profile q]\n" KEYS);
    g_autofree char *endpoint = g_strconcat(w->fake.address, "/sts/", NULL);
    w->settings.profile = "p";
    w->settings.sts_endpoint = endpoint;
    world_expect(w, FALSE, "AKSTS", origin);
    fake_assert_asked(&w->fake, "\r\n\r\nAction=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ax&RoleSessionName=me&"
                                "ExternalId=e%26f&DurationSeconds=900\n");
    fake_assert_asked(&w->fake, "uthorization: AWS4-HMAC-SHA256 Credential=AK/20270115/eu-west-3/sts/aws4_request");
    fake_assert_asked(&w->fake, "SignedHeaders=content-type;host;x-amz-date");
}

/* A role over a role: the second is signed with what the first gave. */
static void test_role_over_role(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_xml("AKSTS", 3600), *origin = g_strdup_printf("profile p in %s (R1)", w->config);
    fake_set(&w->fake, "POST /", NULL, 200, keys);
    world_write(w->config,
                "[profile p]\nrole_arn = R1\nsource_profile = q\n[profile q]\nrole_arn = R2\nsource_profile=r\n"
                "[profile r]\n" KEYS);
    w->settings.profile = "p";
    w->settings.sts_endpoint = w->fake.address;
    world_expect(w, FALSE, "AKSTS", origin);
    fake_assert_asked(&w->fake, "Credential=AK/");
    fake_assert_asked(&w->fake, "&RoleArn=R2&");
    fake_assert_asked(&w->fake, "Credential=AKSTS/20270115/us-east-1/");
    fake_assert_asked(&w->fake, "ecurity-token: hunter2-token\r\n");
    fake_assert_asked(&w->fake, "&RoleArn=R1&");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 2);
}

static void test_role_refused(struct world *w, gconstpointer data)
{
    (void)data;
    fake_set(&w->fake, "POST /", NULL, 403, "<E><Error><Code>AccessDenied</Code></Error></E>");
    world_write(w->config, "[default]\nrole_arn = R\nsource_profile = default\n" KEYS);
    w->settings.sts_endpoint = w->fake.address;
    world_expect_failure(w, FALSE, " gave no credentials for R: HTTP 403, AccessDenied");
}

static void test_role_of_container(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_xml("AKSTS", 3600), *inner = fake_json("AKCON", 3600);
    g_autofree char *origin = g_strdup_printf("profile default in %s (R)", w->config);
    fake_set(&w->fake, "POST /", NULL, 200, keys);
    fake_set(&w->fake, "GET /", NULL, 200, inner);
    world_write(w->config, "[default]\nrole_arn = R\ncredential_source = EcsContainer\n");
    w->settings.sts_endpoint = w->settings.container_full_uri = w->fake.address;
    world_expect(w, FALSE, "AKSTS", origin);
    fake_assert_asked(&w->fake, "Credential=AKCON/");
}

static void test_web_identity_of_profile(struct world *w, gconstpointer data)
{
    (void)data;
    g_autofree char *keys = fake_xml("AKSTS", 3600), *origin = g_strdup_printf("profile default in %s (R)", w->config);
    g_autofree char *text = g_strdup_printf("[default]\nrole_arn = R\nweb_identity_token_file = %s\n" KEYS, w->token);
    fake_set(&w->fake, "POST /", NULL, 200, keys);
    world_write(w->config, text);
    world_write(w->token, "hunter2-token");
    w->settings.sts_endpoint = w->fake.address;
    world_expect(w, FALSE, "AKSTS", origin);
    fake_assert_asked(&w->fake, "Action=AssumeRoleWithWebIdentity");
}

/* --- renewal --- */

static void give(struct world *w, const char *access_key, gint64 seconds)
{
    g_autofree char *keys = fake_json(access_key, seconds);
    fake_set(&w->fake, "GET /", NULL, 200, keys);
    w->settings.container_full_uri = w->fake.address;
}

static void refuse(struct world *w)
{
    fake_set(&w->fake, "GET /", NULL, 403, "");
}

static void test_renewal(struct world *w, gconstpointer data)
{
    (void)data;
    give(w, "AK1", 3600);
    world_expect(w, FALSE, "AK1", "container");
    give(w, "AK2", 7200);
    fake_time += 3600 - 301;
    world_expect(w, FALSE, "AK1", "container");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 1);
    fake_time += 1;
    world_expect(w, FALSE, "AK2", "container");
    world_expect(w, FALSE, "AK2", "container");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 1);
}

static void test_never_expires(struct world *w, gconstpointer data)
{
    (void)data;
    w->settings.container_full_uri = w->fake.address;
    fake_set(&w->fake, "GET /", NULL, 200, "{\"AccessKeyId\": \"AK\", \"SecretAccessKey\": \"hunter2\"}");
    world_expect(w, FALSE, "AK", "container");
    fake_time += 1000000000;
    world_expect(w, FALSE, "AK", "container");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 1);
}

/* A source that has nothing better than what expires soon is not asked at every call. */
static void test_expires_soon(struct world *w, gconstpointer data)
{
    (void)data;
    give(w, "AK1", 200);
    world_expect(w, FALSE, "AK1", "container");
    give(w, "AK2", 3600);
    fake_time += 59;
    world_expect(w, FALSE, "AK1", "container");
    fake_time += 1;
    world_expect(w, FALSE, "AK2", "container");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 2);
}

static void test_failing_renewal(struct world *w, gconstpointer data)
{
    (void)data;
    give(w, "AK1", 3600);
    world_expect(w, FALSE, "AK1", "container");
    refuse(w);
    fake_time += 3400;
    world_expect(w, FALSE, "AK1", "container");
    fake_time += 59;
    world_expect(w, FALSE, "AK1", "container");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 2);
    fake_time += 1;
    world_expect(w, FALSE, "AK1", "container");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 1);
    fake_time += 140; /* now they have expired */
    world_expect_failure(w, FALSE, "container: the answer is HTTP 403");
    give(w, "AK2", 3600);
    world_expect(w, FALSE, "AK2", "container");
}

static void test_forced_renewal(struct world *w, gconstpointer data)
{
    (void)data;
    give(w, "AK1", 3600);
    world_expect(w, TRUE, "AK1", "container");
    give(w, "AK2", 3600);
    world_expect(w, FALSE, "AK1", "container");
    world_expect(w, TRUE, "AK2", "container");
    refuse(w);
    world_expect_failure(w, TRUE, "container: the answer is HTTP 403");
    world_expect(w, FALSE, "AK2", "container");
    g_assert_cmpuint(fake_take_count(&w->fake), ==, 3);
}

static void test_clock_set_back(struct world *w, gconstpointer data)
{
    (void)data;
    give(w, "AK1", 200);
    world_expect(w, FALSE, "AK1", "container");
    fake_time -= 86400;
    give(w, "AK2", 86400 + 200); /* by the clock as it is now, these two expire in a day */
    world_expect(w, FALSE, "AK1", "container");
    fake_time += 86400 - 61; /* a second before the last try, and in the last five minutes */
    world_expect(w, FALSE, "AK2", "container");
}

static void *get_in_thread(void *data)
{
    g_autoptr(GError) error = NULL;
    struct credentials *c = credential_chain_get(data, FALSE, &error);
    g_assert_no_error(error);
    return c;
}

static void test_threads(struct world *w, gconstpointer data)
{
    (void)data;
    GThread *threads[8];
    give(w, "AK1", 3600);
    w->chain = credential_chain_new(&w->settings);
    credential_chain_set_clock(w->chain, fake_clock);
    for (int round = 0; round < 2; round++) {
        for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
            threads[i] = g_thread_new("get", get_in_thread, w->chain);
        for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) {
            g_autoptr(credentials) c = g_thread_join(threads[i]);
            g_assert_cmpstr(c->access_key, ==, round ? "AK2" : "AK1");
        }
        g_assert_cmpuint(fake_take_count(&w->fake), ==, 1);
        fake_time += 3500;
        give(w, "AK2", 3600);
    }
}

/* Each caller has a copy of its own. */
static void test_copies(struct world *w, gconstpointer data)
{
    (void)data;
    give(w, "AK1", 3600);
    g_autoptr(credentials) first = world_get(w, FALSE, NULL);
    give(w, "AK2", 3600);
    g_autoptr(credentials) second = world_get(w, TRUE, NULL);
    g_clear_pointer(&w->chain, credential_chain_free);
    g_assert_cmpstr(first->access_key, ==, "AK1");
    g_assert_cmpstr(second->access_key, ==, "AK2");
    g_assert_cmpstr(second->session_token, ==, "hunter2-token");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    world_add("/credentials/environment_first", test_environment_first, 0);
    world_add("/credentials/half_environment", test_half_environment, 0);
    world_add("/credentials/web_identity_before_files", test_web_identity_before_files, 0);
    world_add("/credentials/files_before_container", test_files_before_container, 0);
    world_add("/credentials/container_after_files", test_container_after_files, 0);
    world_add("/credentials/none", test_none, 0);
    world_add("/credentials/named_profile_missing", test_named_profile_missing, 0);
    world_add("/credentials/failure_ends_the_chain", test_failure_ends_the_chain, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(profiles); i++) {
        g_autofree char *path = g_strconcat("/credentials/profile/", profiles[i].name, NULL);
        world_add(path, test_profile, i);
    }
    world_add("/credentials/process_has_no_shell", test_process_has_no_shell, 0);
    world_add("/credentials/assume_role", test_assume_role, 0);
    world_add("/credentials/role_over_role", test_role_over_role, 0);
    world_add("/credentials/role_refused", test_role_refused, 0);
    world_add("/credentials/role_of_container", test_role_of_container, 0);
    world_add("/credentials/web_identity_of_profile", test_web_identity_of_profile, 0);
    world_add("/credentials/renewal", test_renewal, 0);
    world_add("/credentials/never_expires", test_never_expires, 0);
    world_add("/credentials/expires_soon", test_expires_soon, 0);
    world_add("/credentials/failing_renewal", test_failing_renewal, 0);
    world_add("/credentials/forced_renewal", test_forced_renewal, 0);
    world_add("/credentials/clock_set_back", test_clock_set_back, 0);
    world_add("/credentials/threads", test_threads, 0);
    world_add("/credentials/copies", test_copies, 0);
    return g_test_run();
}
