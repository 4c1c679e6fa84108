/* The options of the watch: how status is told, and where its thresholds lie. */
#include "config/rows.h"

#define CMD_WATCH (CMD_STATUS | CMD_ALERT | CMD_SERVE)
#define MONTH_MINUTES (31 * 24 * 60)

const struct option_row rows_health[] = {
    {.flag = "nagios",
     .commands = CMD_STATUS,
     ON(nagios),
     .help = "One line with performance data, as Nagios, Icinga and others want it of a plugin."},
    {.flag = "prometheus", .commands = CMD_STATUS, ON(prometheus), .help = "Metrics in Prometheus's text format."},
    {.flag = "output",
     .commands = CMD_STATUS,
     TEXT(output),
     .arg = "FILE",
     .help =
         "Write to this file, in one step, instead of stdout: for node_exporter's textfile folder. It is readable by "
         "all."},
    {.env = "BACKUP_RPO_TARGET",
     .commands = CMD_WATCH,
     NUMBER(rpo_minutes, 5, MONTH_MINUTES),
     .standard = "60",
     .arg = "MINUTES",
     .help = "How often a backup is due, and so the most that may be lost."},
    {.env = "BACKUP_RTO_TARGET",
     .commands = CMD_WATCH,
     NUMBER(rto_minutes, 1, MONTH_MINUTES),
     .standard = "240",
     .arg = "MINUTES",
     .help = "How long a restore may take, with what people do before and after."},
    {.env = "BACKUP_AGE_WARNING",
     .commands = CMD_WATCH,
     NUMBER(age_warning_minutes, 5, MONTH_MINUTES),
     .arg = "MINUTES",
     .help = "Age of the newest good backup over which it is a warning; if not given, twice BACKUP_RPO_TARGET."},
    {.env = "BACKUP_AGE_CRITICAL",
     .commands = CMD_WATCH,
     NUMBER(age_critical_minutes, 5, MONTH_MINUTES),
     .arg = "MINUTES",
     .help = "Age over which it is critical; if not given, four times BACKUP_RPO_TARGET."},
    {.env = "BACKUP_ROW_LOSS_IGNORE",
     .commands = CMD_WATCH,
     LIST(row_loss_ignore),
     .arg = "TABLES",
     .help = "Comma-separated tables that may lose their rows, as queues do."},
    {0},
};
