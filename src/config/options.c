/*
 * The option table, and finding a row by its name or by nearly its name.
 * How a value is read is in option_value.c, where values come from in settings.c.
 */
#include "config/option_row.h"

#include <string.h>

/* offsetof that does not compile if the field is of another type than the row's kind of value needs. */
#define AT(kind, field)                                                                                                \
    (offsetof(struct settings, field) + 0 * sizeof(&((struct settings *)NULL)->field == (kind *)NULL))
#define TEXT(field) .type = OPTION_TEXT, .offset = AT(char *, field)
#define URL(field) .type = OPTION_URL, .offset = AT(char *, field), .secret = TRUE
#define NUMBER(field, low, high) .type = OPTION_NUMBER, .offset = AT(int, field), .min = low, .max = high
#define CHOICE(field, list) .type = OPTION_CHOICE, .offset = AT(char *, field), .choices = list
#define LIST(field) .type = OPTION_LIST, .offset = AT(char **, field)
#define ON(field) .type = OPTION_ON, .offset = AT(gboolean, field)
#define OFF(field) .type = OPTION_OFF, .offset = AT(gboolean, field)

static const char *const types[] = {"hourly", "pre-deployment", "pre-maintenance", "monthly", "pre-restore", "manual",
                                    NULL};
static const char *const fast[] = {"fast", NULL};
static const char *const yes_no[] = {"true", "false", NULL};
static const char *const encryptions[] = {"AES256", "aws:kms", "none", NULL};
static const char *const addressings[] = {"auto", "path", "virtual", NULL};
static const char *const tls_versions[] = {"1.3", "1.2", NULL};
static const char *const lock_modes[] = {"none", "governance", "compliance", NULL};

/* AWS's variables that few need are explained where the bucket is set up. */
#define CMD_WRITES (CMD_BACKUP | CMD_SYNC | CMD_BUCKET)

const struct option_row option_rows[] = {
    /* backup */
    {.flag = "local-only",
     .commands = CMD_BACKUP | CMD_LIST,
     ON(local_only),
     .help = "Do without S3: keep the backup on this machine only; list what is on this machine."},
    {.flag = "s3-only",
     .commands = CMD_BACKUP,
     ON(s3_only),
     .help = "Keep the backup in S3 only: it is streamed there, and needs no space on this machine."},
    {.flag = "type",
     .commands = CMD_BACKUP,
     CHOICE(type, types),
     .standard = "hourly",
     .arg = "TYPE",
     .help = "Why it is taken; noted in its metadata:"},
    {.flag = "tag",
     .commands = CMD_BACKUP,
     TEXT(tag),
     .arg = "NAME",
     .help = "A label of your own, for instance a release."},
    {.flag = "no-globals",
     .commands = CMD_BACKUP,
     OFF(globals),
     .help = "Do not save roles and tablespaces beside the backup."},

    /* verify, restore */
    {.flag = "from-s3",
     .commands = CMD_VERIFY | CMD_RESTORE,
     ON(from_s3),
     .help = "Read the copy in S3: the backup is named by its key (database/YYYYMMDD/...), its id, or latest."},

    /* verify */
    {.flag = "full-test",
     .commands = CMD_VERIFY,
     ON(full_test),
     .help = "Restore the backup into a scratch database and compare all that is in it with its proof."},
    {.flag = "test-url",
     .env = "BACKUP_TEST_URL",
     .commands = CMD_VERIFY,
     URL(test_url),
     .arg = "URL",
     .help = "Server for the full test instead of a scratch one. With a password in it, use the variable."},

    /* restore */
    {.flag = "force", .commands = CMD_RESTORE, ON(force), .help = "Do not ask for confirmation."},
    {.flag = "no-pre-backup",
     .commands = CMD_RESTORE,
     OFF(pre_backup),
     .help = "Do not back up the database that is about to be replaced."},
    {.flag = "drop-replaced",
     .commands = CMD_RESTORE,
     ON(drop_replaced),
     .help = "Drop the replaced database instead of keeping it under another name."},
    {.flag = "in-place",
     .commands = CMD_RESTORE,
     ON(in_place),
     .help = "Drop the live database before the new one is loaded: for want of space for both. Takes a pre-restore "
             "backup, and goes on only if a full test proves that."},
    {.flag = "target-db",
     .commands = CMD_RESTORE,
     TEXT(target_db),
     .arg = "NAME",
     .help = "Restore as a new database of this name; the live one is not touched. With --table: the existing "
             "database to recover into."},
    {.flag = "table",
     .commands = CMD_RESTORE,
     LIST(tables),
     .arg = "TABLE",
     .help = "Recover only this table (SCHEMA.TABLE, as in SQL) into a schema of its own beside the live one; may be "
             "given several times."},
    {.flag = "put-back",
     .commands = CMD_RESTORE,
     ON(put_back),
     .help = "With --table: also insert the rows that are missing in the live tables. A table that was dropped is made "
             "again."},
    {.flag = "no-tablespaces",
     .commands = CMD_RESTORE,
     OFF(tablespaces),
     .help = "Put everything into the default tablespace."},
    {.flag = "create-roles",
     .commands = CMD_RESTORE,
     ON(create_roles),
     .help = "Create the roles that the backup needs and the server lacks, without login or password."},

    /* list, sync */
    {.flag = "all",
     .commands = CMD_LIST | CMD_SYNC,
     ON(all),
     .help = "Backups of all databases, not only of the one that the settings name."},

    /* how the work is done */
    {.flag = "jobs",
     .env = "BACKUP_JOBS",
     .commands = CMD_BACKUP | CMD_VERIFY | CMD_RESTORE,
     NUMBER(jobs, 1, 8),
     .arg = "N",
     .help = "Parallel workers; if not given, one per core, at most 8."},
    {.flag = "compress-level",
     .env = "BACKUP_COMPRESS_LEVEL",
     .commands = CMD_BACKUP | CMD_RESTORE,
     NUMBER(compress_level, 1, 12),
     .choices = fast,
     .standard = "fast",
     .arg = "LEVEL",
     .help = "fast, or 1 to 12: smaller backups that take longer. In a restore: of the pre-restore backup."},
    {.flag = "lock-timeout",
     .env = "BACKUP_LOCK_TIMEOUT",
     .commands = CMD_BACKUP | CMD_RESTORE,
     NUMBER(lock_timeout_s, 1, 3600),
     .standard = "5",
     .arg = "SECONDS",
     .help = "How long to wait for a table lock, and how long to let others wait for ours, before giving way."},
    {.flag = "lock-attempts",
     .env = "BACKUP_LOCK_ATTEMPTS",
     .commands = CMD_BACKUP | CMD_RESTORE,
     NUMBER(lock_attempts, 1, 1000),
     .standard = "10",
     .arg = "N",
     .help = "How often to try for the table locks before the backup fails."},
    {.flag = "pg-bindir",
     .env = "PG_BINDIR",
     .commands = CMD_BACKUP | CMD_VERIFY | CMD_RESTORE,
     TEXT(pg_bindir),
     .arg = "FOLDER",
     .help = "Where pg_dump, pg_restore and initdb are; searched for if not given."},
    {.flag = "tmp-dir",
     .env = "BACKUP_TMPDIR",
     .commands = CMD_VERIFY | CMD_RESTORE,
     TEXT(tmp_dir),
     .arg = "FOLDER",
     .help = "Where scratch databases are made; if not given, $TMPDIR or /tmp."},

    /* all commands */
    {.flag = "env-file",
     .env = "OPSTOWER_ENV_FILE",
     .commands = CMD_ALL,
     TEXT(env_file),
     .arg = "FILE",
     .help = "Read variables from this file; if not given, from ./.env or /etc/opstower/backup.env."},
    {.flag = "json", .commands = CMD_ALL, ON(json), .help = "Print the result as JSON."},
    {.flag = "quiet", .commands = CMD_ALL, ON(quiet), .help = "Print warnings and errors only."},

    /* variables without a flag; secrets must be, since every user can see a command line */
    {.env = "DATABASE_URL",
     .commands = CMD_ALL,
     URL(database_url),
     .arg = "URL",
     .help = "The database as postgresql://USER:PASSWORD@HOST:PORT/NAME. What it lacks, the next five fill."},
    {.env = "DATABASE_HOST",
     .commands = CMD_ALL,
     TEXT(database_host),
     .arg = "HOST",
     .help = "Its server, or the folder of its socket."},
    {.env = "DATABASE_PORT",
     .commands = CMD_ALL,
     NUMBER(database_port, 1, 65535),
     .arg = "PORT",
     .help = "The server's port."},
    {.env = "DATABASE_NAME", .commands = CMD_ALL, TEXT(database_name), .arg = "NAME", .help = "The database's name."},
    {.env = "DATABASE_USER", .commands = CMD_ALL, TEXT(database_user), .arg = "USER", .help = "The role to log in as."},
    {.env = "DATABASE_PASSWORD",
     .commands = CMD_ALL,
     TEXT(database_password),
     .secret = TRUE,
     .arg = "PASSWORD",
     .help = "The role's password."},
    {.env = "BACKUP_DIR",
     .commands = CMD_ALL,
     TEXT(backup_dir),
     .standard = "/var/backups/opstower",
     .arg = "FOLDER",
     .help = "Where backups and logs lie."},
    {.env = "BACKUP_RETENTION_DAYS",
     .commands = CMD_BACKUP,
     NUMBER(retention_days, 1, 36500),
     .standard = "30",
     .arg = "DAYS",
     .help = "How long backups of any type are kept."},
    {.env = "BACKUP_KEEP_MIN",
     .commands = CMD_BACKUP,
     NUMBER(keep_min, 1, 1000),
     .standard = "3",
     .arg = "N",
     .help = "At least so many of the newest verified or proven backups stay, however old they are."},

    /* S3 */
    {.env = "BACKUP_S3_BUCKET",
     .commands = CMD_ALL,
     TEXT(s3_bucket),
     .arg = "BUCKET",
     .help = "S3 bucket for a second copy of every backup."},
    {.env = "BACKUP_S3_PREFIX",
     .commands = CMD_ALL,
     TEXT(s3_prefix),
     .standard = "database",
     .arg = "PREFIX",
     .help = "What the keys in the bucket begin with."},
    {.env = "BACKUP_S3_STORAGE_CLASS",
     .commands = CMD_WRITES,
     TEXT(s3_storage_class),
     .standard = "STANDARD_IA",
     .arg = "CLASS",
     .help = "Storage class of backups."},
    {.env = "BACKUP_S3_SSE",
     .commands = CMD_WRITES,
     CHOICE(s3_sse, encryptions),
     .standard = "AES256",
     .arg = "HOW",
     .help = "Encryption at rest; with none, the bucket's own default:"},
    {.env = "BACKUP_S3_KMS_KEY_ID",
     .commands = CMD_WRITES,
     TEXT(s3_kms_key_id),
     .arg = "ID",
     .help = "Key for aws:kms; if not given, the account's."},
    {.env = "BACKUP_S3_OBJECT_LOCK",
     .commands = CMD_WRITES,
     CHOICE(s3_object_lock, lock_modes),
     .standard = "none",
     .arg = "MODE",
     .help = "Lock every backup against deletion for BACKUP_S3_RETENTION_DAYS; the bucket must have Object Lock:"},
    {.env = "BACKUP_S3_RETENTION_DAYS",
     .commands = CMD_WRITES,
     NUMBER(s3_retention_days, 1, 36500),
     .standard = "90",
     .arg = "DAYS",
     .help = "How long backups stay locked in S3. Nothing is deleted there yet."},
    {.env = "BACKUP_S3_NONCURRENT_DAYS",
     .commands = CMD_BUCKET,
     NUMBER(s3_noncurrent_days, 1, 36500),
     .standard = "30",
     .arg = "DAYS",
     .help = "bucket setup: how long replaced or deleted versions of an object can be brought back."},
    {.env = "BACKUP_S3_LONGSTOP_DAYS",
     .commands = CMD_BUCKET,
     NUMBER(s3_longstop_days, 1, 36500),
     .arg = "DAYS",
     .help = "bucket setup: let S3 itself delete hourly backups so long after they were stored, at least twice "
             "BACKUP_S3_RETENTION_DAYS. Not given, it never does: it would delete the last good one too."},
    {.env = "BACKUP_S3_PARALLEL",
     .commands = CMD_WRITES,
     NUMBER(s3_parallel, 1, 32),
     .standard = "4",
     .arg = "N",
     .help = "Parts that are uploaded at once."},
    {.env = "BACKUP_S3_PART_SIZE",
     .commands = CMD_WRITES,
     NUMBER(s3_part_mib, 5, 1024),
     .standard = "8",
     .arg = "MIB",
     .help = "Size of the first parts; it grows when a backup is large. Memory: one part more than are sent at once."},
    {.env = "BACKUP_S3_MAX_PARTS",
     .commands = CMD_WRITES,
     NUMBER(s3_max_parts, 100, 10000),
     .standard = "10000",
     .arg = "N",
     .help = "Parts that the server allows in one upload; some allow only 1000."},
    {.env = "BACKUP_S3_TIMEOUT",
     .commands = CMD_ALL,
     NUMBER(s3_timeout_s, 1, 3600),
     .standard = "30",
     .arg = "SECONDS",
     .help = "Give a request up, and try it again, when nothing moved for so long."},
    {.env = "BACKUP_S3_RETRY_TIME",
     .commands = CMD_ALL,
     NUMBER(s3_retry_s, 1, 86400),
     .standard = "300",
     .arg = "SECONDS",
     .help = "How long one request is tried again and again before it has failed."},
    {.env = "BACKUP_S3_ADDRESSING",
     .commands = CMD_BUCKET,
     CHOICE(s3_addressing, addressings),
     .standard = "auto",
     .arg = "STYLE",
     .help = "Bucket in the path or in the host's name; auto is virtual at AWS, path elsewhere:"},
    {.env = "BACKUP_S3_TLS_MIN",
     .commands = CMD_BUCKET,
     CHOICE(s3_tls_min, tls_versions),
     .standard = "1.3",
     .arg = "VERSION",
     .help = "Oldest TLS version that is accepted:"},
    {.env = "BACKUP_S3_ALLOW_HTTP",
     .commands = CMD_BUCKET,
     CHOICE(s3_allow_http, yes_no),
     .standard = "false",
     .arg = "YES",
     .help = "Allow plain http to other machines than this one, where everyone on the way can read:"},
    {.env = "AWS_REGION",
     .commands = CMD_ALL,
     TEXT(aws_region),
     .arg = "REGION",
     .help = "The bucket's region; if not given, AWS_DEFAULT_REGION, the profile's, us-east-1."},
    {.env = "AWS_DEFAULT_REGION",
     .commands = CMD_BUCKET,
     TEXT(aws_default_region),
     .arg = "REGION",
     .help = "The region, where AWS_REGION is not set."},
    {.env = "AWS_ENDPOINT_URL_S3",
     .commands = CMD_ALL,
     TEXT(aws_endpoint_s3),
     .arg = "URL",
     .help = "An S3 server that is not AWS's."},
    {.env = "AWS_ENDPOINT_URL",
     .commands = CMD_BUCKET,
     TEXT(aws_endpoint),
     .arg = "URL",
     .help = "The same for all of AWS's services; the one before wins."},
    {.env = "AWS_ENDPOINT_URL_STS",
     .commands = CMD_BUCKET,
     TEXT(aws_endpoint_sts),
     .arg = "URL",
     .help = "The same for the service that gives out temporary credentials."},
    {.env = "AWS_CA_BUNDLE",
     .commands = CMD_BUCKET,
     TEXT(aws_ca_bundle),
     .arg = "FILE",
     .help = "Certificates (PEM) that are trusted instead of the system's."},
    {.env = "AWS_ACCESS_KEY_ID",
     .commands = CMD_ALL,
     TEXT(aws_access_key),
     .arg = "ID",
     .help = "Credentials. Without them AWS's usual places are searched: profile files, web identity, container, "
             "instance."},
    {.env = "AWS_SECRET_ACCESS_KEY",
     .commands = CMD_ALL,
     TEXT(aws_secret_key),
     .secret = TRUE,
     .arg = "KEY",
     .help = "The secret that goes with it."},
    {.env = "AWS_SESSION_TOKEN",
     .commands = CMD_ALL,
     TEXT(aws_session_token),
     .secret = TRUE,
     .arg = "TOKEN",
     .help = "The token that goes with temporary ones."},
    {.env = "AWS_PROFILE",
     .commands = CMD_BUCKET,
     TEXT(aws_profile),
     .arg = "NAME",
     .help = "Which profile of the files to use; if not given, default."},
    {.env = "AWS_CONFIG_FILE",
     .commands = CMD_BUCKET,
     TEXT(aws_config_file),
     .arg = "FILE",
     .help = "Instead of ~/.aws/config."},
    {.env = "AWS_SHARED_CREDENTIALS_FILE",
     .commands = CMD_BUCKET,
     TEXT(aws_credentials_file),
     .arg = "FILE",
     .help = "Instead of ~/.aws/credentials."},
    {.env = "AWS_ROLE_ARN",
     .commands = CMD_BUCKET,
     TEXT(aws_role_arn),
     .arg = "ARN",
     .help = "The role of a web identity (as on EKS)."},
    {.env = "AWS_WEB_IDENTITY_TOKEN_FILE",
     .commands = CMD_BUCKET,
     TEXT(aws_web_identity_file),
     .arg = "FILE",
     .help = "Its token."},
    {.env = "AWS_ROLE_SESSION_NAME",
     .commands = CMD_BUCKET,
     TEXT(aws_session_name),
     .arg = "NAME",
     .help = "What its sessions are called."},
    {.env = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
     .commands = CMD_BUCKET,
     TEXT(aws_container_relative_uri),
     .arg = "PATH",
     .help = "Credentials of a container (ECS)."},
    {.env = "AWS_CONTAINER_CREDENTIALS_FULL_URI",
     .commands = CMD_BUCKET,
     TEXT(aws_container_full_uri),
     .arg = "URL",
     .help = "The same elsewhere."},
    {.env = "AWS_CONTAINER_AUTHORIZATION_TOKEN",
     .commands = CMD_BUCKET,
     TEXT(aws_container_token),
     .secret = TRUE,
     .arg = "TOKEN",
     .help = "What is shown to get them."},
    {.env = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
     .commands = CMD_BUCKET,
     TEXT(aws_container_token_file),
     .arg = "FILE",
     .help = "The file that holds it."},
    {.env = "AWS_EC2_METADATA_SERVICE_ENDPOINT",
     .commands = CMD_BUCKET,
     TEXT(aws_metadata_endpoint),
     .arg = "URL",
     .help = "Where an instance's metadata are."},
    {.env = "AWS_EC2_METADATA_DISABLED",
     .commands = CMD_BUCKET,
     CHOICE(aws_metadata_disabled, yes_no),
     .standard = "false",
     .arg = "YES",
     .help = "Do not ask the instance for credentials:"},
    {.env = "CRITICAL_TABLES",
     .commands = CMD_RESTORE,
     LIST(critical_tables),
     .arg = "TABLES",
     .help = "Comma-separated tables whose rows are counted after a restore; if not given, the three biggest."},
    {0},
};

static const struct {
    unsigned command;
    const char *word;
} commands[] = {
    {CMD_BACKUP, "opstower backup"}, {CMD_VERIFY, "opstower verify"}, {CMD_RESTORE, "opstower restore"},
    {CMD_LIST, "opstower list"},     {CMD_SYNC, "opstower sync"},     {CMD_BUCKET, "opstower bucket"},
};

const struct option_row *option_by_flag(const char *flag)
{
    for (const struct option_row *row = option_rows; row->help; row++)
        if (g_strcmp0(row->flag, flag) == 0)
            return row;
    return NULL;
}

const struct option_row *option_by_env(const char *env)
{
    for (const struct option_row *row = option_rows; row->help; row++)
        if (g_strcmp0(row->env, env) == 0)
            return row;
    return NULL;
}

char *option_commands_text(unsigned mask)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
        if (mask & commands[i].command)
            g_ptr_array_add(words, (gpointer)commands[i].word);
    g_ptr_array_add(words, NULL);
    return g_strjoinv(" or ", (char **)words->pdata);
}

char *option_choices_text(const struct option_row *row)
{
    return g_strjoinv(", ", (char **)row->choices);
}

#define NAME_MAX_BYTES 40 /* longer than any of ours: not worth comparing */

static guint min3(guint a, guint b, guint c)
{
    return MIN(a, MIN(b, c));
}

/* Edit distance in which two letters the wrong way round count as one mistake, as that is how people mistype. */
static guint distance(const char *a, const char *b)
{
    gsize la = strlen(a), lb = strlen(b);
    if (la > NAME_MAX_BYTES || lb > NAME_MAX_BYTES)
        return G_MAXUINT;
    guint d[NAME_MAX_BYTES + 1][NAME_MAX_BYTES + 1];
    for (guint i = 0; i <= la; i++)
        d[i][0] = i;
    for (guint j = 0; j <= lb; j++)
        d[0][j] = j;
    for (guint i = 1; i <= la; i++)
        for (guint j = 1; j <= lb; j++) {
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[la][lb];
}

/* G_MAXUINT if WRONG is too far from RIGHT to have been meant. Half a name typed is as near as one wrong letter. */
static guint nearness(const char *wrong, const char *right)
{
    gsize length = strlen(wrong);
    guint limit = length < 4 ? 1 : MAX(2, (guint)length / 3);
    guint d = distance(wrong, right);
    if (length >= 3 && g_str_has_prefix(right, wrong))
        d = 1;
    return d <= limit ? d : G_MAXUINT;
}

const struct option_row *option_nearest_flag(const char *flag, unsigned mask)
{
    const struct option_row *best = NULL;
    guint best_distance = G_MAXUINT;
    for (const struct option_row *row = option_rows; row->help; row++) {
        guint d = row->flag && row->commands & mask ? nearness(flag, row->flag) : G_MAXUINT;
        if (d < best_distance) {
            best = row;
            best_distance = d;
        }
    }
    return best;
}

/* The prefix that all these names share says nothing about which one was meant. */
static const char *without_prefix(const char *env)
{
    return g_str_has_prefix(env, "BACKUP_") ? env + strlen("BACKUP_") : env;
}

const struct option_row *option_nearest_env(const char *env)
{
    const struct option_row *best = NULL;
    guint best_distance = G_MAXUINT;
    for (const struct option_row *row = option_rows; row->help; row++) {
        guint d = row->env ? nearness(without_prefix(env), without_prefix(row->env)) : G_MAXUINT;
        if (d < best_distance) {
            best = row;
            best_distance = d;
        }
    }
    return best;
}

const char *options_nearest_word(const char *wrong, const char *const *words)
{
    const char *best = NULL;
    guint best_distance = G_MAXUINT;
    for (; *words; words++) {
        guint d = nearness(wrong, *words);
        if (d < best_distance) {
            best = *words;
            best_distance = d;
        }
    }
    return best;
}
