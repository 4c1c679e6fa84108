/*
 * Every value a run needs, after flags, environment, .env file and defaults were merged.
 * Plain data: it does not read, check or print anything. `options.h` fills it.
 */
#pragma once

#include <glib.h>

/* All strings and lists are owned by the struct; NULL = not set. An all-zero struct is a valid empty one. */
struct settings {
    /* The database. Passed on as they are; which of URL and parts wins is the business of pg/. */
    char *database_url;
    char *database_host;
    int database_port; /* 0 = not set */
    char *database_name;
    char *database_user;
    char *database_password;
    char *require_ssl; /* "true" or "false" */

    /* Where backups lie, and how long. */
    char *backup_dir;
    int retention_days;
    int keep_min;
    /* 0 = as the tier table has it */
    int pre_deployment_days, pre_maintenance_days, manual_days, pre_restore_days;
    int pre_deployment_s3_days, pre_maintenance_s3_days, monthly_s3_days, manual_s3_days, pre_restore_s3_days;
    char *monthly_archive; /* "true" or "false" */
    char *s3_prune;        /* "true" or "false" */
    gboolean apply;

    /* The copy in S3. */
    char *s3_bucket;        /* NULL: there is none */
    char *s3_prefix;        /* never NULL */
    char *s3_storage_class; /* never NULL */
    char *s3_sse;           /* AES256, aws:kms or none */
    char *s3_kms_key_id;
    char *s3_addressing;  /* auto, path or virtual */
    char *s3_tls_min;     /* 1.2 or 1.3 */
    char *s3_allow_http;  /* "true" or "false" */
    char *s3_object_lock; /* none, governance or compliance */
    int s3_retention_days;
    int s3_noncurrent_days;
    int s3_longstop_days; /* 0: never */
    int s3_parallel, s3_part_mib, s3_max_parts;
    int s3_timeout_s; /* one try without progress */
    int s3_retry_s;   /* one request with all its tries */
    gboolean s3_only; /* no copy on this machine */
    gboolean from_s3; /* read the copy in S3 */

    /* AWS's own variables. */
    char *aws_region, *aws_default_region;
    char *aws_endpoint_s3, *aws_endpoint, *aws_endpoint_sts;
    char *aws_ca_bundle;
    char *aws_access_key, *aws_secret_key, *aws_session_token;
    char *aws_profile, *aws_config_file, *aws_credentials_file;
    char *aws_role_arn, *aws_web_identity_file, *aws_session_name;
    char *aws_container_relative_uri, *aws_container_full_uri, *aws_container_token, *aws_container_token_file;
    char *aws_metadata_endpoint, *aws_metadata_disabled;

    /* How the work is done. */
    int jobs;           /* 1 to 8; 0 = as many as there are cores, at most 8 */
    int compress_level; /* 1 to 12; 0 = fast */
    int lock_timeout_s; /* how long we wait for a table lock, and how long others may wait for ours */
    int lock_attempts;
    int wait_minutes; /* for another run on the same database; 0: do not wait */
    int server_timeout_s; /* how long the server may be silent before it is asked whether it is still at work */
    char *pg_bindir;        /* folder of pg_dump, initdb...; NULL = search */
    char *tmp_dir;          /* for scratch clusters; NULL = $TMPDIR, else /tmp */
    char **critical_tables; /* as written, double quotes kept; NULL = none */
    char *env_file;         /* the .env file that was read; NULL = there was none */

    /* Backup. */
    gboolean local_only;
    char *type; /* never NULL: hourly, pre-deployment, pre-maintenance, monthly, pre-restore or manual */
    char *tag;
    gboolean globals; /* TRUE unless --no-globals */

    /* Verify. */
    gboolean full_test;
    char *test_url;

    char *at; /* verify, restore: the moment, as written; NULL: not given */

    /* Restore. */
    gboolean force;
    gboolean pre_backup; /* TRUE unless --no-pre-backup */
    gboolean drop_replaced;
    gboolean in_place;
    gboolean accept_incomplete;
    char *target_db;
    char **tables; /* one per --table, as written; NULL = all */
    gboolean put_back;
    gboolean tablespaces; /* TRUE unless --no-tablespaces */
    gboolean create_roles;
    gboolean other_database; /* --allow-other-database */

    /* Audit; until also of holds. */
    char *since;
    char *export_format; /* json or csv */

    /* Adopt. */
    gboolean undo;

    /* List. */
    gboolean all;

    /* Several databases. */
    char *database;         /* in place of the one that the settings name */
    char *config_dir;       /* one run for each *.env file in it */
    gboolean all_databases; /* one run for each database of the server */

    /* Schedule. */
    gboolean schedule_cron, schedule_systemd, with_serve;
    char *schedule_user, *unit_dir;
    /* Hold. */
    char *hold_reason, *until; /* as written; NULL: not given */
    /* Alerts: where they go, from which severity on (info, warning or critical), how often. */
    gboolean alert; /* status --alert */
    char *slack_webhook_url;
    char *pagerduty_key, *pagerduty_url; /* the URL is never NULL */
    char **alert_email;                  /* NULL: to nobody */
    char *alert_email_from;              /* NULL: opstower@HOST */
    char *smtp_url;                      /* never NULL */
    char *smtp_starttls;                 /* auto, always or never */
    char *alert_webhook_url, *alert_webhook_secret;
    char *heartbeat_url;
    char *alert_slack_level, *alert_pagerduty_level, *alert_email_level, *alert_webhook_level;
    int alert_reminder_hours; /* 0: no reminders */
    int alert_max_per_hour;   /* per channel */
    int alert_timeout_s;
    char *alert_ca_bundle;
    char *alert_allow_http; /* "true" or "false" */
    /* The watch. */
    int rpo_minutes, rto_minutes;
    int age_warning_minutes, age_critical_minutes; /* 0 = follow rpo_minutes */
    char **row_loss_ignore;                        /* NULL = none */
    gboolean nagios, prometheus;
    char *output; /* NULL = stdout */

    /* Hooks: command lines; NULL: none. */
    char *hook_pre_backup, *hook_post_backup, *hook_pre_restore, *hook_post_restore, *hook_on_failure;
    char *hook_shell; /* "true" or "false" */
    int hook_timeout_s;
    char *hook_failure; /* abort, warn or ignore; the next four also same: as hook_failure says */
    char *hook_pre_backup_failure, *hook_post_backup_failure, *hook_pre_restore_failure, *hook_post_restore_failure;
    char *healthcheck_url; /* NULL: none */
    int healthcheck_timeout_s;
    /* The dashboard. */
    char *listen; /* never NULL: ADDRESS:PORT */
    char *tls_cert, *tls_key;
    char *dashboard_token, *dashboard_user, *dashboard_password;
    char **dashboard_hosts;

    /* "NAME=VALUE" of libpq and of proxies, from the .env file; NULL = none. For options_settle_environment. */
    char **foreign;
    GHashTable *sources; /* from a row of the option tables to the name and place (char *) that set it; may be NULL */
    char **secret_files; /* those that were read for NAME_FILE; NULL = none */

    /* What is said. */
    gboolean json;
    gboolean quiet;
};

/* Frees what SETTINGS owns and makes it all zero. May be called twice. */
void settings_clear(struct settings *settings);
