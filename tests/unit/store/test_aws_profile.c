/*
 * Tests of the reader of AWS's shared files: a table of texts and what they must become, a table of bad ones, and the
 * two files as one.
 */
#include "base/error.h"
#include "store/aws_profile.h"

#include <glib/gstdio.h>
#include <string.h>

#define CONFIG AWS_CONFIG_FILE
#define CREDENTIALS AWS_CREDENTIALS_FILE

/* EXPECTED: "PROFILE.SETTING=[VALUE]" per setting, sorted, each followed by a newline; a profile without any setting is
 * "PROFILE" alone. */
static const struct {
    const char *name;
    enum aws_file_kind kind;
    const char *text, *expected;
} good[] = {
    {"empty", CREDENTIALS, "", ""},
    {"plain", CREDENTIALS, "[default]\na = b\nc=d\n", "default.a=[b]\ndefault.c=[d]\n"},
    {"no_last_newline", CREDENTIALS, "[x]\na=b", "x.a=[b]\n"},
    {"no_settings", CREDENTIALS, "[x]\n", "x\n"},
    {"names_have_case_settings_not", CREDENTIALS, "[X]\nAWS_Key=V\n[x]\nkey=v", "X.aws_key=[V]\nx.key=[v]\n"},
    {"any_section_in_credentials", CREDENTIALS, "[a b]\nx=1\n[profile c]\nx=2", "a b.x=[1]\nprofile c.x=[2]\n"},
    {"config_sections", CONFIG, "[default]\nx=1\n[profile a]\nx=2\n[b]\nx=3\n[sso-session a]\nx=4\n[services a]\nx=5\n",
     "a.x=[2]\ndefault.x=[1]\n"},
    {"profile_default", CONFIG, "[profile default]\nx=1\n", "default.x=[1]\n"},
    {"profile_default_and_default", CONFIG, "[profile default]\nx=1\n[default]\ny=2\n",
     "default.x=[1]\ndefault.y=[2]\n"},
    {"quoted_profile", CONFIG, "[profile \"a b\"]\nx=1\n[profile 'c']\nx=2\n[profile d e]\nx=3\n",
     "a b.x=[1]\nc.x=[2]\n"},
    {"blanks_in_section", CONFIG, "[ profile\t a ] # note\nx=1\n[ default ];note\nx=2", "a.x=[1]\ndefault.x=[2]\n"},
    {"profiles_alike", CONFIG, "[profilea]\nx=1\n[profile]\nx=2\n[profile ]\nx=3", ""},
    {"blanks", CREDENTIALS, "[a]\n \t\n\nx \t=\t v w \t\n", "a.x=[v w]\n"},
    {"empty_value", CREDENTIALS, "[a]\nx=\ny = \n", "a.x=[]\na.y=[]\n"},
    {"equals_in_value", CREDENTIALS, "[a]\nx=b=c/+==\n", "a.x=[b=c/+==]\n"},
    {"colon", CREDENTIALS, "[a]\nx: b\nrole_arn = arn:aws:iam::1:role/r\n",
     "a.role_arn=[arn:aws:iam::1:role/r]\na.x=[b]\n"},
    {"brackets_in_value", CREDENTIALS, "[a]\nx=[b]\ny=2\n", "a.x=[[b]]\na.y=[2]\n"},
    {"comments", CREDENTIALS, "# a\n; b\n[a]\n# x=1\n;y=2\n  # z=3\nw=4\n", "a.w=[4]\n"},
    {"comments_behind", CREDENTIALS, "[a]\nx=1 # note\ny=2\t; note\nz=3#4;5\nw= # none\n",
     "a.w=[]\na.x=[1]\na.y=[2]\na.z=[3#4;5]\n"},
    {"no_comments_in_quotes", CREDENTIALS, "[a]\nx=p \"a ; b\" 'c # d' # e\n", "a.x=[p \"a ; b\" 'c # d']\n"},
    {"sub_settings", CONFIG, "[default]\ns3 =\n  region = no\n  max = 10\nregion = yes\n",
     "default.region=[yes]\ndefault.s3=[]\n"},
    {"sub_settings_after_comment", CONFIG, "[default]\ns3 = # of s3\n  region = no\n\n  # more\n  max=1\n",
     "default.s3=[]\n"},
    {"sub_settings_of_no_profile", CONFIG, "[services x]\ns3 =\n  a = b\n[default]\nc=d", "default.c=[d]\n"},
    {"sub_settings_with_tabs_at_end", CONFIG, "[default]\ns3=\n\tx=1", "default.s3=[]\n"},
    {"continued", CREDENTIALS, "[a]\nx = b\n   c\n d # e\ny=1\n", "a.x=[b\nc\nd]\na.y=[1]\n"},
    {"all_indented", CREDENTIALS, "  [a]\n  x=1\n  y=2\n  [b]\n  x=3\n", "a.x=[1]\na.y=[2]\nb.x=[3]\n"},
    {"indented_first", CREDENTIALS, "[a]\n  x=1\n[b]\n  x=2\n", "a.x=[1]\nb.x=[2]\n"},
    {"later_wins", CREDENTIALS, "[a]\nx=1\nx=2\n[b]\n[a]\nx=3\ny=4\n", "a.x=[3]\na.y=[4]\nb\n"},
    {"crlf", CREDENTIALS, "[a]\r\nx=1\r\n\r\n# c\r\ny =\r\n  z=1\r\nw=2\r\n", "a.w=[2]\na.x=[1]\na.y=[]\n"},
    {"bom", CREDENTIALS, "\xef\xbb\xbf[a]\nx=1\n", "a.x=[1]\n"},
    {"bytes_over_127", CREDENTIALS, "[\xc3\xa4]\nx=\xff\n", "\xc3\xa4.x=[\xff]\n"},
};

static int compare_lines(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *dump(GHashTable *profiles)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter outer, inner;
    gpointer profile, settings, key, value;
    g_hash_table_iter_init(&outer, profiles);
    while (g_hash_table_iter_next(&outer, &profile, &settings)) {
        if (g_hash_table_size(settings) == 0)
            g_ptr_array_add(lines, g_strdup_printf("%s\n", (char *)profile));
        g_hash_table_iter_init(&inner, settings);
        while (g_hash_table_iter_next(&inner, &key, &value))
            g_ptr_array_add(lines, g_strdup_printf("%s.%s=[%s]\n", (char *)profile, (char *)key, (char *)value));
    }
    g_ptr_array_sort(lines, compare_lines);
    g_ptr_array_add(lines, NULL);
    return g_strjoinv("", (char **)lines->pdata);
}

static void test_good(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autoptr(GError) error = NULL;
    g_autoptr(GHashTable) profiles = aws_profile_parse(good[i].text, strlen(good[i].text), "f", good[i].kind, &error);
    g_assert_no_error(error);
    g_autofree char *got = dump(profiles);
    g_assert_cmpstr(got, ==, good[i].expected);
}

static const struct {
    const char *name, *text, *message;
} bad[] = {
    {"no_section", "hunter2=1\n", "f:1: a [section] is wanted before this"},
    {"open_section", "\n[hunter2\nx=1", "f:2: the [section] is not closed"},
    {"no_equals", "[a]\nx=1\n\n# c\nhunter2\n", "f:5: NAME = VALUE is wanted here"},
    {"no_name", "[a]\n= hunter2\n", "f:2: NAME = VALUE is wanted here"},
    {"crlf_counts_once", "[a]\r\n\r\nhunter2\r\n", "f:3: NAME = VALUE is wanted here"},
    {"in_a_section_of_others", "[plugins]\nhunter2\n", "f:2: NAME = VALUE is wanted here"},
};

static void test_bad(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autoptr(GError) error = NULL;
    g_assert_null(aws_profile_parse(bad[i].text, strlen(bad[i].text), "f", CONFIG, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
    g_assert_cmpstr(error->message, ==, bad[i].message);
}

static void test_nul(void)
{
    static const char text[] = "[a]\nx=1\0y\n";
    g_autoptr(GError) error = NULL;
    g_assert_null(aws_profile_parse(text, sizeof text - 1, "f", CONFIG, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
    g_assert_cmpstr(error->message, ==, "f holds a NUL byte; it is not a text file");
}

/* Every cut of a text either parses or is an error, and under ASan never reads past the end. */
static void test_every_cut(void)
{
    static const char text[] =
        "\xef\xbb\xbf# c\r\n[profile \"a b\"]\r\ns3 =\r\n  x = 1\r\n[default] ; d\nk = v 'w ; x' # y\n z\n";
    for (gsize length = 0; length < sizeof text; length++) {
        g_autofree char *cut = g_memdup2(text, length ? length : 1);
        g_autoptr(GError) error = NULL;
        g_autoptr(GHashTable) profiles = aws_profile_parse(cut, length, "f", CONFIG, &error);
        g_assert_true((profiles == NULL) == (error != NULL));
    }
}

/* A value over many lines is copied at each: it must end before that takes minutes. */
static void test_long_value(void)
{
    g_autoptr(GString) text = g_string_new("[a]\nx=1\n");
    for (int i = 0; i < 100000; i++)
        g_string_append(text, " 2\n");
    g_autoptr(GError) error = NULL;
    g_assert_null(aws_profile_parse(text->str, text->len, "f", CREDENTIALS, &error));
    g_assert_error(error, OT_ERROR, OT_PREREQUISITE);
    g_assert_nonnull(strstr(error->message, ": the value is too long"));
}

struct folder {
    char *path, *config, *keys;
    struct credentials_config settings;
};

static void folder_begin(struct folder *f, gconstpointer data)
{
    (void)data;
    f->path = g_dir_make_tmp("aws-XXXXXX", NULL);
    f->config = g_build_filename(f->path, "config", NULL);
    f->keys = g_build_filename(f->path, "credentials", NULL);
    f->settings = (struct credentials_config){.config_file = f->config, .credentials_file = f->keys};
}

static void folder_end(struct folder *f, gconstpointer data)
{
    (void)data;
    g_unlink(f->config);
    g_unlink(f->keys);
    g_assert_cmpint(g_rmdir(f->path), ==, 0);
    g_free(f->path);
    g_free(f->config);
    g_free(f->keys);
}

static struct aws_profiles *load(struct folder *f, const char *config, const char *keys)
{
    g_assert_true(!config || g_file_set_contents(f->config, config, -1, NULL));
    g_assert_true(!keys || g_file_set_contents(f->keys, keys, -1, NULL));
    g_autoptr(GError) error = NULL;
    struct aws_profiles *p = aws_profiles_load(&f->settings, &error);
    g_assert_no_error(error);
    return p;
}

static void test_merge(struct folder *f, gconstpointer data)
{
    (void)data;
    g_autoptr(aws_profiles) p =
        load(f, "[default]\na=1\nb=2\nc=3\n[profile only]\n", "[default]\nb=4\nc=\n[mine]\nd=5");
    g_assert_true(aws_profiles_has(p, "default") && aws_profiles_has(p, "only") && aws_profiles_has(p, "mine"));
    g_assert_false(aws_profiles_has(p, "other"));
    g_assert_cmpstr(aws_profiles_get(p, "default", "a"), ==, "1");
    g_assert_cmpstr(aws_profiles_get(p, "default", "b"), ==, "4");
    g_assert_cmpstr(aws_profiles_get(p, "default", "c"), ==, "3");
    g_assert_cmpstr(aws_profiles_get(p, "mine", "d"), ==, "5");
    g_assert_null(aws_profiles_get(p, "mine", "a"));
    g_assert_null(aws_profiles_get(p, "other", "a"));
    g_autofree char *a = aws_profiles_origin(p, "default", "a"), *b = aws_profiles_origin(p, "default", "b");
    g_autofree char *in_config = g_strdup_printf("profile default in %s", f->config);
    g_autofree char *in_keys = g_strdup_printf("profile default in %s", f->keys);
    g_assert_cmpstr(a, ==, in_config);
    g_assert_cmpstr(b, ==, in_keys);
}

static void test_missing_files(struct folder *f, gconstpointer data)
{
    (void)data;
    g_autoptr(aws_profiles) none = load(f, NULL, NULL);
    g_assert_false(aws_profiles_has(none, "default"));
    g_autofree char *places = aws_profiles_places(none);
    g_autofree char *expected = g_strdup_printf("%s (not there) and %s (not there)", f->keys, f->config);
    g_assert_cmpstr(places, ==, expected);
    f->settings.credentials_file = f->path; /* a folder */
    f->settings.config_file = "/dev/null";
    g_autoptr(aws_profiles) odd = load(f, NULL, NULL);
    g_assert_false(aws_profiles_has(odd, "default"));
}

static void test_broken_file(struct folder *f, gconstpointer data)
{
    (void)data;
    g_assert_true(g_file_set_contents(f->keys, "[default]\nhunter2\n", -1, NULL));
    g_autoptr(GError) error = NULL;
    g_assert_null(aws_profiles_load(&f->settings, &error));
    g_autofree char *expected = g_strdup_printf("%s:2: NAME = VALUE is wanted here", f->keys);
    g_assert_cmpstr(error->message, ==, expected);
}

static void test_large_file(struct folder *f, gconstpointer data)
{
    (void)data;
    g_autofree char *text = g_strnfill(1024 * 1024 + 1, '\n');
    g_assert_true(g_file_set_contents(f->config, text, -1, NULL));
    g_autoptr(GError) error = NULL;
    g_assert_null(aws_profiles_load(&f->settings, &error));
    g_assert_error(error, OT_ERROR, OT_IO);
}

/* Files: what config has, what credentials have. EXPECTED: "ACCESS SECRET TOKEN", or a message; %c and %k in it stand
 * for the files. */
static const struct {
    const char *name, *config, *keys, *expected;
    int code; /* 0: no error */
} pairs[] = {
    {"config", "[profile p]\naws_access_key_id=a\naws_secret_access_key=b", "", "a b -", 0},
    {"credentials", "", "[p]\naws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c", "a b c", 0},
    {"both", "[profile p]\naws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c",
     "[p]\naws_access_key_id=d\naws_secret_access_key=e", "d e -", 0},
    {"none", "[profile p]\nregion=x", "[p]\n", "profile \"p\" has no credentials", OT_NOT_FOUND},
    {"token_alone", "[profile p]\naws_session_token=x", "", "profile \"p\" has no credentials", OT_NOT_FOUND},
    {"no_secret", "[profile p]\naws_secret_access_key=b", "[p]\naws_access_key_id=a\n",
     "profile \"p\" in %k has no aws_secret_access_key", OT_PREREQUISITE},
    {"no_id", "[profile p]\naws_secret_access_key=b", "", "profile \"p\" in %c has no aws_access_key_id",
     OT_PREREQUISITE},
    {"two_words", "", "[p]\naws_access_key_id=a\naws_secret_access_key=hunter 2",
     "the secret key is not one word of ASCII", OT_PREREQUISITE},
    {"over_two_lines", "", "[p]\naws_access_key_id=a\n  b\naws_secret_access_key=c",
     "the access key is not one word of ASCII", OT_PREREQUISITE},
};

static void test_pair(struct folder *f, gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autoptr(aws_profiles) p = load(f, pairs[i].config, pairs[i].keys);
    g_autoptr(GError) error = NULL;
    g_autoptr(credentials) c = aws_profiles_keys(p, "p", &error);
    g_autoptr(GString) expected = g_string_new(pairs[i].expected);
    g_string_replace(expected, "%c", f->config, 0);
    g_string_replace(expected, "%k", f->keys, 0);
    if (pairs[i].code) {
        g_assert_null(c);
        g_assert_error(error, OT_ERROR, pairs[i].code);
        g_assert_cmpstr(error->message, ==, expected->str);
        return;
    }
    g_assert_no_error(error);
    g_autofree char *got =
        g_strdup_printf("%s %s %s", c->access_key, c->secret_key, c->session_token ? c->session_token : "-");
    g_assert_cmpstr(got, ==, expected->str);
    g_assert_cmpint(c->expires_at, ==, 0);
    g_assert_true(g_str_has_prefix(c->source, "profile p in "));
    g_assert_true(g_str_has_suffix(c->source, *pairs[i].keys ? f->keys : f->config));
}

static void test_region(struct folder *f, gconstpointer data)
{
    (void)data;
    g_autoptr(aws_profiles) p = load(f, "[default]\nregion = eu-central-1\n[profile x]\nregion=us-west-2\n", NULL);
    g_autofree char *region = credentials_profile_region(&f->settings);
    g_assert_cmpstr(region, ==, "eu-central-1");
    f->settings.profile = "x";
    g_autofree char *other = credentials_profile_region(&f->settings);
    g_assert_cmpstr(other, ==, "us-west-2");
    f->settings.profile = "y";
    g_assert_null(credentials_profile_region(&f->settings));
    f->settings.profile = ""; /* as good as not set */
    g_autofree char *again = credentials_profile_region(&f->settings);
    g_assert_cmpstr(again, ==, "eu-central-1");
}

/* Without AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE the files are in ~/.aws; a tilde in them is the home too. */
static void test_home(struct folder *f, gconstpointer data)
{
    (void)data;
    g_autofree char *at_home = g_build_filename(g_get_home_dir(), ".aws", "credentials", NULL);
    g_autofree char *config_at_home = g_build_filename(g_get_home_dir(), "a/b", NULL);
    f->settings = (struct credentials_config){.credentials_file = "", .config_file = "~/a/b"};
    g_autoptr(aws_profiles) p = load(f, NULL, NULL);
    g_autofree char *places = aws_profiles_places(p);
    g_assert_nonnull(strstr(places, at_home));
    g_assert_nonnull(strstr(places, config_at_home));
}

static void add(const char *name, void (*test)(struct folder *, gconstpointer))
{
    g_autofree char *path = g_strconcat("/aws_profile/", name, NULL);
    g_test_add(path, struct folder, NULL, folder_begin, test, folder_end);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *path = g_strconcat("/aws_profile/good/", good[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_good);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *path = g_strconcat("/aws_profile/bad/", bad[i].name, NULL);
        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_bad);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autofree char *path = g_strconcat("/aws_profile/keys/", pairs[i].name, NULL);
        g_test_add(path, struct folder, GSIZE_TO_POINTER(i), folder_begin, test_pair, folder_end);
    }
    g_test_add_func("/aws_profile/nul", test_nul);
    g_test_add_func("/aws_profile/every_cut", test_every_cut);
    g_test_add_func("/aws_profile/long_value", test_long_value);
    add("merge", test_merge);
    add("missing_files", test_missing_files);
    add("broken_file", test_broken_file);
    add("large_file", test_large_file);
    add("region", test_region);
    add("home", test_home);
    return g_test_run();
}
