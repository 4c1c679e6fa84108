/*
 * A look at the backups as metrics, in Prometheus's text format (version 0.0.4): base units, each family once with its
 * HELP and TYPE, a sample per database.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
#include "engine/health.h"

#include <math.h>
#include <string.h>

#include "base/version.h"

/* ---- writing ---- */

static void append_label(GString *text, const char *name, const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);
    g_string_append_printf(text, "%s%s=\"", text->str[text->len - 1] == '{' ? "" : ",", name);
    for (const char *c = valid; *c; c++)
        if (*c == '\n')
            g_string_append(text, "\\n");
        else if (*c == '"' || *c == '\\')
            g_string_append_printf(text, "\\%c", *c);
        else
            g_string_append_c(text, *c);
    g_string_append_c(text, '"');
}

static void append_family(GString *text, const char *name, const char *help)
{
    g_string_append_printf(text, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void append_value(GString *text, double value)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_formatd(number, sizeof number, "%.15g", value);
    if (g_ascii_strtod(number, NULL) != value)
        g_ascii_dtostr(number, sizeof number, value);
    g_string_append_printf(text, " %s\n", number);
}

/* check: NULL where the family is not one of checks. */
static void append_sample(GString *text, const char *name, const struct health *h, const char *check, double value)
{
    g_string_append_printf(text, "%s{", name);
    append_label(text, "database", h->database);
    if (check)
        append_label(text, "check", check);
    g_string_append_c(text, '}');
    append_value(text, value);
}

/* ---- families ---- */

static const struct {
    const char *name, *help;
    size_t offset;
} gauges[] = {
#define GAUGE(field) offsetof(struct health_numbers, field)
    {"opstower_backup_last_timestamp_seconds", "Snapshot of the newest good backup.", GAUGE(newest_at)},
    {"opstower_backup_size_bytes", "Size of the newest good backup.", GAUGE(size_bytes)},
    {"opstower_backup_uncompressed_bytes", "The same, uncompressed.", GAUGE(plain_bytes)},
    {"opstower_backup_rows", "Rows in the newest good backup.", GAUGE(rows)},
    {"opstower_backup_tables", "Tables in the newest good backup.", GAUGE(tables)},
    {"opstower_backup_duration_seconds", "How long the newest good backup took.", GAUGE(duration_s)},
    {"opstower_local_backups", "Backups on this machine.", GAUGE(local_backups)},
    {"opstower_local_bytes", "Their size.", GAUGE(local_bytes)},
    {"opstower_s3_backups", "Backups in S3.", GAUGE(s3_backups)},
    {"opstower_s3_bytes", "Their size.", GAUGE(s3_bytes)},
    {"opstower_s3_pending_copies", "Copies that are still to be uploaded.", GAUGE(pending_copies)},
    {"opstower_s3_missing_copies", "Copies that were uploaded and are gone or damaged.", GAUGE(missing_copies)},
    {"opstower_disk_free_bytes", "Free space where backups lie.", GAUGE(free_bytes)},
    {"opstower_runs_ok", "Backup runs of the last 7 days that went well.", GAUGE(runs_ok)},
    {"opstower_runs_failed", "Backup runs of the last 7 days that failed or did not happen.", GAUGE(runs_failed)},
    {"opstower_verify_last_timestamp_seconds", "The last verification that went well.", GAUGE(verified_at)},
    {"opstower_full_test_last_timestamp_seconds", "The last full test that went well.", GAUGE(tested_at)},
    {"opstower_drill_last_timestamp_seconds", "The last drill that went well.", GAUGE(drilled_at)},
};

/* Numbers of checks under names of their own; a percentage becomes a ratio. */
static const struct {
    const char *name, *help, *check;
} measures[] = {
    {"opstower_backup_age_seconds", "Age of the newest good backup.", "backup_age"},
    {"opstower_backup_success_ratio", "Part of the backup runs of the last 7 days that went well.", "success_rate"},
    {"opstower_rpo_seconds", "Longest time without a good backup in the last 7 days.", "rpo"},
    {"opstower_rto_seconds", "Time of the last restore or full test, and people's half hour.", "rto"},
    {"opstower_rto_predicted_seconds", "The same for the present size.", "rto_predicted"},
    {"opstower_backup_size_change_ratio", "Size of the newest good backup against the median before, less 1.",
     "size_change"},
    {"opstower_row_loss_ratio", "Part of the rows that the table with the worst loss has lost in 24 hours.",
     "row_loss"},
    {"opstower_s3_upload_ratio", "Part of the backups of the last 7 days that are in S3 as they should.", "s3_upload"},
    {"opstower_disk_forecast_seconds", "Time until the disk is full; no sample if it does not fill.", "disk_space"},
};

static void append_gauge(GString *text, const GPtrArray *list, gsize i)
{
    append_family(text, gauges[i].name, gauges[i].help);
    for (guint k = 0; k < list->len; k++) {
        const struct health *h = list->pdata[k];
        gint64 value = *(const gint64 *)(const void *)((const char *)&h->numbers + gauges[i].offset);
        if (value >= 0)
            append_sample(text, gauges[i].name, h, NULL, (double)value);
    }
}

static void append_measure(GString *text, const GPtrArray *list, gsize i)
{
    append_family(text, measures[i].name, measures[i].help);
    for (guint k = 0; k < list->len; k++) {
        const struct health *h = list->pdata[k];
        const struct health_check *c = health_find(h, measures[i].check);
        if (c && isfinite(c->number))
            append_sample(text, measures[i].name, h, NULL, c->number / (g_str_equal(c->unit, "%") ? 100 : 1));
    }
}

static void append_checks(GString *text, const GPtrArray *list)
{
    static const char verdict[] = "opstower_check_verdict";
    append_family(text, verdict, "Verdict of a check: 0 OK, 1 warning, 2 critical, 3 unknown.");
    for (guint k = 0; k < list->len; k++) {
        const struct health *h = list->pdata[k];
        for (guint i = 0; i < h->checks->len; i++) {
            const struct health_check *c = &g_array_index(h->checks, struct health_check, i);
            append_sample(text, verdict, h, c->name, c->verdict);
        }
    }
}

static void append_looks(GString *text, const GPtrArray *list)
{
    append_family(text, "opstower_verdict", "Verdict of all checks: 0 OK, 1 warning, 2 critical, 3 unknown.");
    for (guint k = 0; k < list->len; k++)
        append_sample(text, "opstower_verdict", list->pdata[k], NULL, ((const struct health *)list->pdata[k])->verdict);
    append_family(text, "opstower_status_timestamp_seconds", "When these figures were taken.");
    for (guint k = 0; k < list->len; k++)
        append_sample(text, "opstower_status_timestamp_seconds", list->pdata[k], NULL,
                      (double)((const struct health *)list->pdata[k])->now);
}

void health_prometheus(const GPtrArray *list, GString *text)
{
    append_family(text, "opstower_info", "Version of opstower.");
    g_string_append(text, "opstower_info{version=\"" TOOL_VERSION "\"} 1\n");
    append_looks(text, list);
    append_checks(text, list);
    for (gsize i = 0; i < G_N_ELEMENTS(measures); i++)
        append_measure(text, list, i);
    for (gsize i = 0; i < G_N_ELEMENTS(gauges); i++)
        append_gauge(text, list, i);
}
