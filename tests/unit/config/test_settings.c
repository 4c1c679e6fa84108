/*
 * Tests of settings_load: sources and their order, words, lists, errors, warnings.
 * Each test runs in an empty folder of its own, since ./.env is one of the sources.
 */
#include "base/error.h"
#include "config/option_row.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One call of settings_load. ARGS and ENV are joined by |, FILE is the text of ./.env; NULL = nothing. */
struct call {
    unsigned command;
    const char *args, *env, *file;
};

struct result {
    gboolean ok;
    struct settings s;
    char **positional;
    GPtrArray *warnings;
    GError *error;
};

static void result_clear(struct result *r)
{
    settings_clear(&r->s);
    g_strfreev(r->positional);
    g_ptr_array_unref(r->warnings);
    g_clear_error(&r->error);
}

#define RESULT __attribute__((cleanup(result_clear))) struct result

static char **split(const char *joined)
{
    return g_strsplit(joined ? joined : "", "|", -1);
}

/* The file is always there, so that no test depends on the machine's /etc. */
static struct result load(const struct call *call)
{
    struct result r = {.warnings = g_ptr_array_new_with_free_func(g_free)};
    g_auto(GStrv) args = split(call->args);
    g_auto(GStrv) env = split(call->env);
    g_assert_true(g_file_set_contents(".env", call->file ? call->file : "", -1, NULL));
    g_assert_cmpint(g_chmod(".env", 0600), ==, 0);
    r.ok = settings_load(&r.s, call->command, (int)g_strv_length(args), args, env, &r.positional, r.warnings, &r.error);
    g_assert_true(r.ok == (r.error == NULL));
    g_assert_true(r.ok == (r.positional != NULL));
    return r;
}

static char *test_folder;

static void enter_folder(void)
{
    test_folder = g_dir_make_tmp("options-XXXXXX", NULL);
    g_assert_cmpint(g_chdir(test_folder), ==, 0);
}

static void leave_folder(void)
{
    g_remove(".env");
    g_remove("other.env");
    g_assert_cmpint(g_chdir("/"), ==, 0);
    g_assert_cmpint(g_rmdir(test_folder), ==, 0);
    g_free(test_folder);
}

/* ---- every row can be set from every source it has, or is refused ---- */

static void test_defaults(void)
{
    RESULT r = load(&(struct call){.command = CMD_BACKUP});
    g_assert_no_error(r.error);
    g_assert_cmpstr(r.s.backup_dir, ==, "/var/backups/opstower");
    g_assert_cmpint(r.s.retention_days, ==, 30);
    g_assert_cmpint(r.s.keep_min, ==, 3);
    g_assert_cmpint(r.s.jobs, ==, 0);
    g_assert_cmpint(r.s.compress_level, ==, 0);
    g_assert_cmpint(r.s.lock_timeout_s, ==, 5);
    g_assert_cmpint(r.s.lock_attempts, ==, 10);
    g_assert_cmpint(r.s.database_port, ==, 0);
    g_assert_cmpstr(r.s.type, ==, "hourly");
    g_assert_cmpstr(r.s.env_file, ==, ".env");
    g_assert_true(r.s.globals && r.s.pre_backup && r.s.tablespaces);
    g_assert_false(r.s.local_only || r.s.json || r.s.quiet || r.s.force || r.s.all || r.s.full_test);
    g_assert_null(r.s.database_url);
    g_assert_null(r.s.s3_bucket);
    g_assert_null(r.s.tables);
    g_assert_null(r.s.critical_tables);
    g_assert_cmpuint(g_strv_length(r.positional), ==, 0);
    g_assert_cmpuint(r.warnings->len, ==, 0);
}

static const char *sample_value(const struct option_row *row)
{
    switch (row->type) {
    case OPTION_NUMBER:
        return row->min > 7 ? "100" : "7";
    case OPTION_CHOICE:
        return row->choices[1];
    case OPTION_URL:
    case OPTION_CONNECTION:
        return "postgresql://u:pw@h/d";
    default:
        return "sample";
    }
}

static void assert_holds(const struct option_row *row, const struct settings *s)
{
    const void *field = (const char *)s + row->offset;
    const char *const *list;
    switch (row->type) {
    case OPTION_ON:
        g_assert_true(*(const gboolean *)field);
        break;
    case OPTION_OFF:
        g_assert_false(*(const gboolean *)field);
        break;
    case OPTION_NUMBER:
        g_assert_cmpint(*(const int *)field, ==, row->min > 7 ? 100 : 7);
        break;
    case OPTION_LIST:
        list = *(const char *const *const *)field;
        g_assert_cmpstr(list[0], ==, "sample");
        g_assert_null(list[1]);
        break;
    default:
        g_assert_cmpstr(*(const char *const *)field, ==, sample_value(row));
    }
}

static void check_call(const struct option_row *row, const struct call *call)
{
    RESULT r = load(call);
    g_assert_no_error(r.error);
    assert_holds(row, &r.s);
}

static void test_every_row(void)
{
    OPTION_ROWS_EACH (row) {
        unsigned command = row->commands & ~(row->commands - 1);
        const char *value = sample_value(row);
        if (row == option_by_flag("env-file"))
            continue; /* names a file that must exist: has tests of its own */
        if (row->flag) {
            g_autofree char *one = g_strdup_printf("--%s%s%s", row->flag, row->arg ? "=" : "", row->arg ? value : "");
            g_autofree char *two = g_strdup_printf("--%s%s%s", row->flag, row->arg ? "|" : "", row->arg ? value : "");
            check_call(row, &(struct call){.command = command, .args = one});
            check_call(row, &(struct call){.command = command, .args = two});
        }
        if (row->env) {
            g_autofree char *pair = g_strdup_printf("%s=%s", row->env, value);
            check_call(row, &(struct call){.command = command, .env = pair});
            check_call(row, &(struct call){.command = command, .file = pair});
        }
    }
}

/* Each flag is refused, with the right command named, wherever its mask says so. */
static void test_every_mask(void)
{
    static const unsigned commands[] = {CMD_BACKUP, CMD_VERIFY, CMD_RESTORE, CMD_LIST};
    OPTION_ROWS_EACH (row)
        for (gsize i = 0; row->flag && i < G_N_ELEMENTS(commands); i++) {
            if (row->commands & commands[i])
                continue;
            g_autofree char *args = g_strconcat("--", row->flag, NULL);
            g_autofree char *theirs = option_commands_text(row->commands);
            RESULT r = load(&(struct call){.command = commands[i], .args = args});
            g_assert_error(r.error, OT_ERROR, OT_USAGE);
            g_assert_nonnull(strstr(r.error->message, theirs));
        }
}

/* ---- order of sources ---- */

static const struct {
    const char *name, *args, *env, *file;
    int jobs;
} sources[] = {
    {"default", NULL, NULL, NULL, 0},
    {"file", NULL, NULL, "BACKUP_JOBS=2", 2},
    {"file_last_wins", NULL, NULL, "BACKUP_JOBS=3\nBACKUP_JOBS=2", 2},
    {"environment", NULL, "BACKUP_JOBS=4", "BACKUP_JOBS=2", 4},
    {"flag", "--jobs=6", "BACKUP_JOBS=4", "BACKUP_JOBS=2", 6},
    {"flag_last_wins", "--jobs=6|--jobs|5", NULL, NULL, 5},
    {"flag_over_file", "--jobs=6", NULL, "BACKUP_JOBS=2", 6},
    {"empty_environment_is_unset", NULL, "BACKUP_JOBS=", "BACKUP_JOBS=2", 2},
    {"empty_file_is_unset", NULL, NULL, "BACKUP_JOBS=", 0},
    {"last_of_file_is_empty", NULL, NULL, "BACKUP_JOBS=2\nBACKUP_JOBS=", 0},
};

static void test_source(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    RESULT r = load(&(struct call){CMD_BACKUP, sources[i].args, sources[i].env, sources[i].file});
    g_assert_no_error(r.error);
    g_assert_cmpint(r.s.jobs, ==, sources[i].jobs);
}

static void test_env_file(void)
{
    g_assert_true(g_file_set_contents("other.env", "BACKUP_JOBS=3\n", -1, NULL));
    static const char *const file = "BACKUP_JOBS=2";
    static const struct call calls[] = {
        {CMD_LIST, "--env-file=other.env", NULL, file},
        {CMD_LIST, "--env-file|other.env", "OPSTOWER_ENV_FILE=none.env", file},
        {CMD_LIST, NULL, "OPSTOWER_ENV_FILE=other.env", file},
        {CMD_LIST, "--env-file=none.env|--env-file=other.env", NULL, file},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(calls); i++) {
        RESULT r = load(&calls[i]);
        g_assert_no_error(r.error);
        g_assert_cmpint(r.s.jobs, ==, 3);
        g_assert_cmpstr(r.s.env_file, ==, "other.env");
    }
    RESULT r = load(&(struct call){CMD_LIST, NULL, "OPSTOWER_ENV_FILE=", file});
    g_assert_no_error(r.error);
    g_assert_cmpstr(r.s.env_file, ==, ".env");
}

static void test_env_file_in_itself(void)
{
    RESULT r = load(&(struct call){.command = CMD_LIST, .file = "\nOPSTOWER_ENV_FILE=other.env"});
    g_assert_no_error(r.error);
    g_assert_cmpstr(r.s.env_file, ==, ".env");
    g_assert_cmpuint(r.warnings->len, ==, 1);
    g_assert_nonnull(strstr(r.warnings->pdata[0], "OPSTOWER_ENV_FILE in .env:2 has no effect"));
}

/* A folder called .env (Python people have them) is not a configuration; one that was asked for is an error. */
static void test_env_folder(void)
{
    g_assert_cmpint(g_mkdir(".env", 0700), ==, 0);
    struct settings s;
    g_auto(GStrv) positional = NULL;
    g_autoptr(GError) error = NULL;
    char *args[] = {(char *)"--env-file=.env", NULL};
    g_assert_false(settings_load(&s, CMD_LIST, 1, args, NULL, &positional, NULL, &error));
    g_assert_error(error, OT_ERROR, OT_USAGE);
    g_clear_error(&error);
    if (!g_file_test("/etc/opstower/backup.env", G_FILE_TEST_EXISTS)) {
        g_assert_true(settings_load(&s, CMD_LIST, 0, args, NULL, &positional, NULL, &error));
        g_assert_no_error(error);
        g_assert_null(s.env_file);
        settings_clear(&s);
    }
    g_assert_cmpint(g_rmdir(".env"), ==, 0);
}

/* ---- words that are not options ---- */

static const struct {
    const char *name, *args, *positional;
} words[] = {
    {"one", "file.sql.gz", "file.sql.gz"},
    {"mixed", "--force|a|--jobs|2|b|--json", "a|b"},
    {"dashes_end_options", "a|--|--force|-x|--", "a|--force|-x|--"},
    {"one_dash", "-", "-"},
    {"empty_word", "a||b", "a||b"},
};

static void test_words(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    RESULT r = load(&(struct call){.command = CMD_RESTORE, .args = words[i].args});
    g_assert_no_error(r.error);
    g_autofree char *joined = g_strjoinv("|", r.positional);
    g_assert_cmpstr(joined, ==, words[i].positional);
}

/* ---- lists ---- */

static const struct {
    const char *name, *value, *expected; /* NULL = no list */
} lists[] = {
    {"one", "bookings", "bookings"},
    {"three", "bookings, public.payments ,users", "bookings|public.payments|users"},
    {"empty_entries", ",a,, b ,", "a|b"},
    {"quoted_comma", "public.\"a,b\",c", "public.\"a,b\"|c"},
    {"open_quote", "\"a,b", "\"a,b"},
    {"only_commas", " , ", NULL},
};

static void test_list(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_autofree char *env = g_strconcat("CRITICAL_TABLES=", lists[i].value, NULL);
    RESULT r = load(&(struct call){.command = CMD_VERIFY, .env = env, .file = "CRITICAL_TABLES=x,y"});
    g_assert_no_error(r.error);
    g_autofree char *joined = r.s.critical_tables ? g_strjoinv("|", r.s.critical_tables) : NULL;
    g_assert_cmpstr(joined, ==, lists[i].expected);
}

static void test_repeated_table(void)
{
    RESULT r = load(&(struct call){.command = CMD_RESTORE, .args = "--table=a,b|--table| c |--table=public.d"});
    g_assert_no_error(r.error);
    g_autofree char *joined = g_strjoinv("|", r.s.tables);
    g_assert_cmpstr(joined, ==, "a,b| c |public.d");
}

static void test_compress_level(void)
{
    RESULT fast = load(&(struct call){CMD_BACKUP, "--compress-level=fast", "BACKUP_COMPRESS_LEVEL=6", NULL});
    g_assert_no_error(fast.error);
    g_assert_cmpint(fast.s.compress_level, ==, 0);
    RESULT twelve = load(&(struct call){CMD_BACKUP, NULL, "BACKUP_COMPRESS_LEVEL=12", NULL});
    g_assert_no_error(twelve.error);
    g_assert_cmpint(twelve.s.compress_level, ==, 12);
}

/* ---- errors; "hunter2" stands for a secret and must be in none of them ---- */

static const struct {
    const char *name;
    struct call call;
    const char *message;
} errors[] = {
    {"near", {CMD_VERIFY, "--ful-test", NULL, NULL}, "unknown option --ful-test; did you mean --full-test?"},
    {"swapped", {CMD_BACKUP, "--tpye=hourly", NULL, NULL}, "unknown option --tpye; did you mean --type?"},
    {"swapped_in_short", {CMD_BACKUP, "--tga=x", NULL, NULL}, "unknown option --tga; did you mean --tag?"},
    {"begun", {CMD_BACKUP, "--compress=6", NULL, NULL}, "unknown option --compress; did you mean --compress-level?"},
    {"near_of_other",
     {CMD_BACKUP, "--ful-test", NULL, NULL},
     "unknown option --ful-test; did you mean --full-test of opstower verify?"},
    {"far", {CMD_BACKUP, "--frobnicate=hunter2", NULL, NULL}, "unknown option --frobnicate"},
    {"no_yes", {CMD_RESTORE, "--yes", NULL, NULL}, "unknown option --yes"},
    {"empty_name", {CMD_BACKUP, "--=hunter2", NULL, NULL}, "unknown option --"},
    {"other_command",
     {CMD_BACKUP, "--full-test", NULL, NULL},
     "--full-test is an option of opstower verify, not of opstower backup"},
    {"other_commands",
     {CMD_LIST, "--lock-timeout=3", NULL, NULL},
     "--lock-timeout is an option of opstower backup or opstower restore, not of opstower list"},
    {"no_url_flag",
     {CMD_BACKUP, "--database-url=postgres://u:hunter2@h/d", NULL, NULL},
     "unknown option --database-url; set DATABASE_URL in the environment or in .env instead"},
    {"no_password_flag",
     {CMD_BACKUP, "--database-password|hunter2", NULL, NULL},
     "unknown option --database-password; set DATABASE_PASSWORD in the environment or in .env instead"},
    {"one_dash", {CMD_VERIFY, "-full-test", NULL, NULL}, "options begin with two dashes; did you mean --full-test?"},
    {"short", {CMD_BACKUP, "-phunter2", NULL, NULL}, "unknown option -p; options are written out, as in --quiet"},
    {"takes_no_value", {CMD_BACKUP, "--json=hunter2", NULL, NULL}, "--json takes no value"},
    {"value_missing", {CMD_BACKUP, "--tag", NULL, NULL}, "--tag needs a value: --tag=NAME"},
    {"value_is_option",
     {CMD_RESTORE, "--target-db|--force", NULL, NULL},
     "--target-db needs a value; one that begins with -- is written --target-db=NAME"},
    {"value_empty", {CMD_RESTORE, "--target-db=", NULL, NULL}, "--target-db needs a value, but it is empty"},
    {"word_empty", {CMD_RESTORE, "--table|", NULL, NULL}, "--table needs a value, but it is empty"},
    {"choice",
     {CMD_BACKUP, "--type=daily", NULL, NULL},
     "--type is \"daily\"; allowed: hourly, pre-deployment, pre-maintenance, monthly, pre-restore, manual"},
    {"junk", {CMD_BACKUP, "--jobs=4x", NULL, NULL}, "--jobs is \"4x\"; allowed: a whole number from 1 to 8"},
    {"zero", {CMD_BACKUP, "--jobs=0", NULL, NULL}, "--jobs is \"0\"; allowed: a whole number from 1 to 8"},
    {"nine", {CMD_BACKUP, "--jobs|9", NULL, NULL}, "--jobs is \"9\"; allowed: a whole number from 1 to 8"},
    {"minus", {CMD_BACKUP, "--jobs|-1", NULL, NULL}, "--jobs is \"-1\"; allowed: a whole number from 1 to 8"},
    {"plus", {CMD_BACKUP, "--jobs=+1", NULL, NULL}, "--jobs is \"+1\"; allowed: a whole number from 1 to 8"},
    {"blank", {CMD_BACKUP, "--jobs= 1", NULL, NULL}, "--jobs is \" 1\"; allowed: a whole number from 1 to 8"},
    {"hex", {CMD_BACKUP, "--jobs=0x1", NULL, NULL}, "--jobs is \"0x1\"; allowed: a whole number from 1 to 8"},
    {"huge",
     {CMD_BACKUP, "--jobs=99999999999999999999", NULL, NULL},
     "--jobs is \"99999999999999999999\"; allowed: a whole number from 1 to 8"},
    {"wraps_to_int",
     {CMD_BACKUP, "--jobs=4294967297", NULL, NULL},
     "--jobs is \"4294967297\"; allowed: a whole number from 1 to 8"},
    {"control_bytes", {CMD_BACKUP, "--jobs=\n", NULL, NULL}, "--jobs is \"\\n\"; allowed: a whole number from 1 to 8"},
    {"level",
     {CMD_BACKUP, "--compress-level=13", NULL, NULL},
     "--compress-level is \"13\"; allowed: fast or a whole number from 1 to 12"},
    {"level_zero",
     {CMD_BACKUP, "--compress-level=0", NULL, NULL},
     "--compress-level is \"0\"; allowed: fast or a whole number from 1 to 12"},
    {"environment",
     {CMD_LIST, NULL, "DATABASE_PORT=65536", NULL},
     "DATABASE_PORT in the environment is \"65536\"; allowed: a whole number from 1 to 65535"},
    {"file",
     {CMD_LIST, NULL, NULL, "# c\n\nBACKUP_RETENTION_DAYS=30 days\n"},
     "BACKUP_RETENTION_DAYS in .env:3 is \"30 days\"; allowed: a whole number from 1 to 36500"},
    {"hidden_by_flag",
     {CMD_BACKUP, "--jobs=1", NULL, "BACKUP_JOBS=many"},
     "BACKUP_JOBS in .env:1 is \"many\"; allowed: a whole number from 1 to 8"},
    {"unknown_in_environment",
     {CMD_LIST, NULL, "PATH=x|BACKUP_RETENTION_DAY=hunter2", NULL},
     "unknown variable BACKUP_RETENTION_DAY in the environment; did you mean BACKUP_RETENTION_DAYS?"},
    {"unknown_in_file",
     {CMD_LIST, NULL, NULL, "A=1\nB='\n'\nBACKUP_S3_BUKCET=hunter2"},
     "unknown variable BACKUP_S3_BUKCET in .env:4; did you mean BACKUP_S3_BUCKET?"},
    {"unknown_and_empty",
     {CMD_LIST, NULL, "BACKUP_DIRR=", NULL},
     "unknown variable BACKUP_DIRR in the environment; did you mean BACKUP_DIR?"},
    {"alert_in_environment",
     {CMD_LIST, NULL, "ALERT_EMIAL=hunter2", NULL},
     "unknown variable ALERT_EMIAL in the environment; did you mean ALERT_EMAIL?"},
    {"alert_in_file",
     {CMD_LIST, NULL, NULL, "\nALERT_EMIAL=hunter2"},
     "unknown variable ALERT_EMIAL in .env:2; did you mean ALERT_EMAIL?"},
    {"alert_beside_the_right_one",
     {CMD_LIST, NULL, NULL, "ALERT_EMAIL=a@b\nALERT_EMIAL=hunter2"},
     "unknown variable ALERT_EMIAL in .env:2; did you mean ALERT_EMAIL?"},
    {"hook",
     {CMD_LIST, NULL, "HOOK_PREBACKUP=hunter2", NULL},
     "unknown variable HOOK_PREBACKUP in the environment; did you mean HOOK_PRE_BACKUP?"},
    {"hook_unlike_all",
     {CMD_LIST, NULL, NULL, "HOOK_FROBNICATE=hunter2"},
     "unknown variable HOOK_FROBNICATE in .env:1; known are HOOK_PRE_BACKUP, HOOK_POST_BACKUP, HOOK_PRE_RESTORE, "
     "HOOK_POST_RESTORE, HOOK_ON_FAILURE, HOOK_SHELL, HOOK_TIMEOUT, HOOK_FAILURE, HOOK_PRE_BACKUP_FAILURE, "
     "HOOK_POST_BACKUP_FAILURE, HOOK_PRE_RESTORE_FAILURE, HOOK_POST_RESTORE_FAILURE"},
    {"prefix_too_many",
     {CMD_LIST, NULL, "BACKUP_HEARTBEAT_URL=hunter2", NULL},
     "unknown variable BACKUP_HEARTBEAT_URL in the environment; did you mean HEARTBEAT_URL?"},
    {"prefix_of_others",
     {CMD_LIST, NULL, NULL, "ALERT_SMTP_URL=hunter2"},
     "unknown variable ALERT_SMTP_URL in .env:1; did you mean SMTP_URL?"},
    {"shared_prefix_in_file",
     {CMD_LIST, NULL, NULL, "SLACK_WEBHOOK_ULR=hunter2"},
     "unknown variable SLACK_WEBHOOK_ULR in .env:1; did you mean SLACK_WEBHOOK_URL?"},
    {"half_a_name_in_file",
     {CMD_LIST, NULL, NULL, "SLACK_WEBHOOK=hunter2"},
     "unknown variable SLACK_WEBHOOK in .env:1; did you mean SLACK_WEBHOOK_URL?"},
    {"prefix_misspelt",
     {CMD_LIST, NULL, NULL, "ALRET_EMAIL=hunter2"},
     "unknown variable ALRET_EMAIL in .env:1; did you mean ALERT_EMAIL?"},
    {"critical_tables",
     {CMD_LIST, NULL, NULL, "CRITICAL_TABLE=hunter2"},
     "unknown variable CRITICAL_TABLE in .env:1; did you mean CRITICAL_TABLES?"},
    {"bad_line", {CMD_LIST, NULL, NULL, "A=1\nhunter2"}, ".env:2: KEY=VALUE is wanted here"},
    {"file_missing", {CMD_LIST, "--env-file=none.env", NULL, NULL}, "cannot open none.env: No such file or directory"},
    {"named_file_missing",
     {CMD_LIST, NULL, "OPSTOWER_ENV_FILE=none.env", NULL},
     "cannot open none.env: No such file or directory"},
};

static void test_error(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    RESULT r = load(&errors[i].call);
    g_assert_error(r.error, OT_ERROR, OT_USAGE);
    g_assert_cmpstr(r.error->message, ==, errors[i].message);
    g_assert_null(strstr(r.error->message, "hunter2"));
    static const struct settings empty;
    g_assert_cmpint(memcmp(&r.s, &empty, sizeof empty), ==, 0);
}

/* With no name near it, all that there are: none of the tables is left out. */
static void test_unknown_and_far(void)
{
    RESULT r = load(&(struct call){.command = CMD_LIST, .env = "BACKUP_FROBNICATE=hunter2"});
    g_assert_error(r.error, OT_ERROR, OT_USAGE);
    g_assert_true(g_str_has_prefix(r.error->message, "unknown variable BACKUP_FROBNICATE in the environment; known are "
                                                     "BACKUP_TEST_URL, BACKUP_JOBS, BACKUP_COMPRESS_LEVEL, "));
    g_assert_null(strstr(r.error->message, "hunter2"));
    OPTION_ROWS_EACH (row)
        if (row->env && g_str_has_prefix(row->env, "BACKUP_"))
            g_assert_nonnull(strstr(r.error->message, row->env));
}

static void test_long_names(void)
{
    g_autofree char *name = g_strnfill(5000, 'x');
    g_autofree char *args = g_strconcat("--", name, NULL);
    g_autofree char *env = g_strconcat("BACKUP_", name, "=1", NULL);
    RESULT flag = load(&(struct call){.command = CMD_LIST, .args = args});
    g_assert_error(flag.error, OT_ERROR, OT_USAGE);
    RESULT variable = load(&(struct call){.command = CMD_LIST, .env = env});
    g_assert_error(variable.error, OT_ERROR, OT_USAGE);
}

static void test_foreign_variables(void)
{
    RESULT r = load(&(struct call){.command = CMD_LIST,
                                   .env = "PATH=/bin|BACKUPS=1|backup_dir=/x|DATABASE_FOO=1|junk|=x|MY_BACKUP_DIR=1",
                                   .file = "AWS_REGION=x\nSLACK_WEBHOOK_URL=y\nNODE_ENV=production"});
    g_assert_no_error(r.error);
    g_assert_cmpstr(r.s.backup_dir, ==, "/var/backups/opstower");
}

/* What a program that we share the .env file or the environment with may well have set. */
static void test_names_of_others(void)
{
    static const char names[] =
        "SMTP_HOST=1|SMTP_PORT=1|SMTP_USER=1|SMTP_PASSWORD=1|SMTP_FROM=1|SMTP_SSL=1|SFTP_URL=1|"
        "HTTP_URL=1|SLACK_BOT_TOKEN=1|SLACK_CHANNEL=1|SLACK_WEBHOOK_ID=1|PAGERDUTY_TOKEN=1|"
        "HEALTHCHECK_PATH=1|HEALTHCHECK_INTERVAL=1|DASHBOARD_PORT=1|DATABASE_URLS=1|PG_BIN=1|"
        "AWS_ENDPOINT_URL_SQS=1|AWS_ENDPOINT_URL_S=1|ALERTMANAGER_URL=1|HOOKS=1|SMTP=1|_=1|_X=1|"
        "OPSTOWER_FILE=1|OPSTOWER_EVENT=1|OPSTOWER_RESULT=1";
    g_autofree char *file = g_strdelimit(g_strdup(names), "|", '\n');
    RESULT r = load(&(struct call){.command = CMD_LIST, .env = names, .file = file});
    g_assert_no_error(r.error);
    g_assert_cmpuint(r.warnings->len, ==, 0);
}

/* A service of that name in Kubernetes: no reason for no backup. */
static void test_services_of_others(void)
{
    RESULT r = load(&(struct call){
        .command = CMD_LIST, .env = "ALERT_SERVICE_HOST=10.0.0.1|ALERT_PORT=tcp://10.0.0.1:80|HOOK_PORT_80_TCP=x"});
    g_assert_no_error(r.error);
    g_assert_cmpuint(r.warnings->len, ==, 0);
}

static void test_alike_beside_the_right_one(void)
{
    RESULT in_file = load(&(struct call){.command = CMD_LIST, .file = "SMTP_URI=x\nSMTP_URL=smtp://h"});
    g_assert_no_error(in_file.error);
    RESULT elsewhere = load(&(struct call){.command = CMD_LIST, .env = "SMTP_URL=smtp://h", .file = "SMTP_URI=x"});
    g_assert_no_error(elsewhere.error);
    RESULT in_environment = load(&(struct call){.command = CMD_LIST, .env = "SMTP_URI=x", .file = "SMTP_URL=smtp://h"});
    g_assert_no_error(in_environment.error);
    g_assert_cmpuint(in_environment.warnings->len, ==, 0);
}

/* ---- warnings ---- */

static void test_alike_in_environment(void)
{
    RESULT r = load(&(struct call){.command = CMD_LIST, .env = "PATH=/bin|SMTP_ULR=hunter2|HAERTBEAT_URL=hunter2"});
    g_assert_no_error(r.error);
    g_assert_cmpuint(r.warnings->len, ==, 2);
    g_assert_cmpstr(r.warnings->pdata[0], ==, "SMTP_ULR in the environment is not read; did you mean SMTP_URL?");
    g_assert_cmpstr(r.warnings->pdata[1], ==,
                    "HAERTBEAT_URL in the environment is not read; did you mean HEARTBEAT_URL?");
}

static const struct {
    const char *name, *text;
    mode_t mode;
    gboolean warned;
} permissions[] = {
    {"private", "DATABASE_PASSWORD=hunter2", 0600, FALSE},
    {"group", "DATABASE_PASSWORD=hunter2", 0640, TRUE},
    {"others", "DATABASE_PASSWORD=hunter2", 0604, TRUE},
    {"url", "DATABASE_URL=postgres://u:hunter2@h/d", 0644, TRUE},
    {"test_url", "BACKUP_TEST_URL='host=h password=hunter2'", 0644, TRUE},
    {"url_without_password", "DATABASE_URL=postgres://u@h/d", 0644, FALSE},
    {"empty_password", "DATABASE_PASSWORD=", 0644, FALSE},
    {"no_secret", "BACKUP_DIR=/hunter2", 0644, FALSE},
};

static void test_permission(gconstpointer data)
{
    gsize i = GPOINTER_TO_SIZE(data);
    g_assert_true(g_file_set_contents("other.env", permissions[i].text, -1, NULL));
    g_assert_cmpint(g_chmod("other.env", permissions[i].mode), ==, 0);
    RESULT r = load(&(struct call){.command = CMD_LIST, .args = "--env-file=other.env"});
    g_assert_no_error(r.error);
    g_assert_cmpuint(r.warnings->len, ==, permissions[i].warned ? 1 : 0);
    if (permissions[i].warned) {
        g_assert_nonnull(strstr(r.warnings->pdata[0], "chmod 600 other.env"));
        g_assert_null(strstr(r.warnings->pdata[0], "hunter2"));
    }
}

static void test_secret_in_argv(void)
{
    RESULT r = load(&(struct call){.command = CMD_VERIFY, .args = "--test-url=postgres://u:hunter2@h/d"});
    g_assert_no_error(r.error);
    g_assert_cmpuint(r.warnings->len, ==, 1);
    g_assert_nonnull(strstr(r.warnings->pdata[0], "BACKUP_TEST_URL"));
    g_assert_null(strstr(r.warnings->pdata[0], "hunter2"));
    RESULT quiet = load(&(struct call){.command = CMD_VERIFY, .args = "--test-url=postgres://u@h/d"});
    g_assert_cmpuint(quiet.warnings->len, ==, 0);
}

static void test_clear_twice(void)
{
    RESULT r = load(&(struct call){CMD_RESTORE, "--table=a|--target-db=b", "CRITICAL_TABLES=c,d", NULL});
    g_assert_no_error(r.error);
    settings_clear(&r.s);
    settings_clear(&r.s);
    g_assert_null(r.s.tables);
}

/* ---- the list of tests ---- */

struct test_case {
    void (*plain)(void);
    void (*of_row)(gconstpointer row);
    gsize row;
};

static void run_in_folder(gconstpointer data)
{
    const struct test_case *test = data;
    enter_folder();
    if (test->plain)
        test->plain();
    else
        test->of_row(GSIZE_TO_POINTER(test->row));
    leave_folder();
}

static void add(const char *group, const char *name, struct test_case test)
{
    g_autofree char *path = g_strjoin("/", "/settings", group, name, NULL);
    g_test_add_data_func_full(path, g_memdup2(&test, sizeof test), run_in_folder, g_free);
}

#define ADD_ROWS(table, function)                                                                                      \
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++)                                                                    \
    add(#table, table[i].name, (struct test_case){.of_row = function, .row = i})

static const struct {
    const char *name;
    void (*function)(void);
} plain_tests[] = {
    {"defaults", test_defaults},
    {"every_row", test_every_row},
    {"every_mask", test_every_mask},
    {"env_file", test_env_file},
    {"env_file_in_itself", test_env_file_in_itself},
    {"env_folder", test_env_folder},
    {"repeated_table", test_repeated_table},
    {"compress_level", test_compress_level},
    {"long_names", test_long_names},
    {"unknown_and_far", test_unknown_and_far},
    {"foreign_variables", test_foreign_variables},
    {"names_of_others", test_names_of_others},
    {"services_of_others", test_services_of_others},
    {"alike_beside_the_right_one", test_alike_beside_the_right_one},
    {"alike_in_environment", test_alike_in_environment},
    {"secret_in_argv", test_secret_in_argv},
    {"clear_twice", test_clear_twice},
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(plain_tests); i++)
        add("plain", plain_tests[i].name, (struct test_case){.plain = plain_tests[i].function});
    ADD_ROWS(sources, test_source);
    ADD_ROWS(words, test_words);
    ADD_ROWS(lists, test_list);
    ADD_ROWS(errors, test_error);
    ADD_ROWS(permissions, test_permission);
    return g_test_run();
}
