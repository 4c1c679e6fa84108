/* The options of the audit. Its --until stands with those of holds. */
#include "config/rows.h"

static const char *const formats[] = {"json", "csv", NULL};

const struct option_row rows_audit[] = {
    {.flag = "since",
     .commands = CMD_AUDIT,
     TEXT(since),
     .arg = "DATE",
     .help = "audit export: acts from this day (2026-01-01) or moment (2026-01-01T18:00:00+08:00) on."},
    {.flag = "format",
     .commands = CMD_AUDIT,
     CHOICE(export_format, formats),
     .standard = "json",
     .arg = "FORMAT",
     .help = "audit export: how it is written:"},
    {0},
};
