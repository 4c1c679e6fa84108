/* The options of retention: how long backups of each type stay. The table's own figures are in catalog/tiers.c. */
#include "config/rows.h"

static const char *const yes_no[] = {"true", "false", NULL};

#define CMD_KEEPS (CMD_BACKUP | CMD_PRUNE | CMD_RETENTION)
#define DAYS(field) .commands = CMD_KEEPS, NUMBER(field, 1, 36500), .arg = "DAYS"

const struct option_row rows_retention[] = {
    {.flag = "apply",
     .commands = CMD_PRUNE,
     ON(apply),
     .help = "Delete what is to be deleted; without it, only say so."},
    {.env = "BACKUP_RETENTION_DAYS_PRE_DEPLOYMENT",
     DAYS(pre_deployment_days),
     .help = "How long pre-deployment backups stay on this machine; if not given, as hourly ones."},
    {.env = "BACKUP_S3_RETENTION_DAYS_PRE_DEPLOYMENT",
     DAYS(pre_deployment_s3_days),
     .help = "How long they stay in S3; if not given, 180."},
    {.env = "BACKUP_RETENTION_DAYS_PRE_MAINTENANCE",
     DAYS(pre_maintenance_days),
     .help = "How long pre-maintenance backups stay on this machine; if not given, 90."},
    {.env = "BACKUP_S3_RETENTION_DAYS_PRE_MAINTENANCE",
     DAYS(pre_maintenance_s3_days),
     .help = "How long they stay in S3; if not given, 90."},
    {.env = "BACKUP_RETENTION_DAYS_MANUAL",
     DAYS(manual_days),
     .help = "How long manual backups stay on this machine; if not given, as hourly ones."},
    {.env = "BACKUP_S3_RETENTION_DAYS_MANUAL",
     DAYS(manual_s3_days),
     .help = "How long they stay in S3; if not given, as hourly ones."},
    {.env = "BACKUP_RETENTION_DAYS_PRE_RESTORE",
     DAYS(pre_restore_days),
     .help = "How long pre-restore backups stay on this machine; if not given, as hourly ones."},
    {.env = "BACKUP_S3_RETENTION_DAYS_PRE_RESTORE",
     DAYS(pre_restore_s3_days),
     .help = "How long they stay in S3; if not given, as hourly ones."},
    {.env = "BACKUP_S3_RETENTION_DAYS_MONTHLY",
     DAYS(monthly_s3_days),
     .help = "How long the monthly archive stays in S3; if not given, 365."},
    {.env = "BACKUP_MONTHLY_ARCHIVE",
     .commands = CMD_BACKUP | CMD_SYNC,
     CHOICE(monthly_archive, yes_no),
     .standard = "true",
     .arg = "YES",
     .help = "Keep the first good backup of every month in S3 as monthly, by a copy within S3:"},
    {.env = "BACKUP_S3_PRUNE",
     .commands = CMD_BACKUP,
     CHOICE(s3_prune, yes_no),
     .standard = "true",
     .arg = "YES",
     .help =
         "After a backup, also delete in S3 what retention no longer keeps; with false, `opstower prune --apply` does, "
         "from wherever it may:"},
    {0},
};
