/* The options of holds. */
#include "config/rows.h"

const struct option_row rows_hold[] = {
    {.flag = "reason",
     .commands = CMD_HOLD,
     TEXT(hold_reason),
     .arg = "TEXT",
     .help = "hold add: why it must be kept; stands in lists, metadata and journal. Must be given."},
    {.flag = "until",
     .commands = CMD_HOLD | CMD_AUDIT,
     TEXT(until),
     .arg = "DATE",
     .help =
         "hold add: the last day (2027-12-31) or moment (2027-12-31T18:00:00+08:00) of the hold; without it, it has "
         "no end. audit export: acts up to then, the day included."},
    {0},
};
