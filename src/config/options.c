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

const struct option_row option_rows[] = {
    /* backup */
    {.flag = "local-only",
     .commands = CMD_BACKUP,
     ON(local_only),
     .help = "Keep the backup on this machine only. Needed where BACKUP_S3_BUCKET is set, for this version "
             "cannot upload yet."},
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

    /* list */
    {.flag = "all",
     .commands = CMD_LIST,
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
    {.env = "BACKUP_S3_BUCKET",
     .commands = CMD_ALL,
     TEXT(s3_bucket),
     .arg = "BUCKET",
     .help = "S3 bucket for a second copy. This version cannot upload yet: a backup then needs --local-only."},
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
    {CMD_BACKUP, "opstower backup"},
    {CMD_VERIFY, "opstower verify"},
    {CMD_RESTORE, "opstower restore"},
    {CMD_LIST, "opstower list"},
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
