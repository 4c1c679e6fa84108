/*
 * The option sections of --help, made from the table.
 * It does not know what the command does; that text is the command's own.
 */
#include "config/option_row.h"

#include <string.h>

#define LINE_COLUMNS 100

/* "  --jobs=N", or "  DATABASE_HOST" for a row without a flag. */
static char *left_text(const struct option_row *row)
{
    if (!row->flag)
        return g_strconcat("  ", row->env, NULL);
    if (row->bare)
        return g_strconcat("  --", row->flag, "[=", row->arg, "]", NULL);
    return g_strconcat("  --", row->flag, row->arg ? " " : "", row->arg ? row->arg : "", NULL);
}

/* The sentence, and behind it what can be derived: choices, variable, default. */
static char *right_text(const struct option_row *row)
{
    g_autoptr(GString) text = g_string_new(row->help);
    if (row->type == OPTION_CHOICE) {
        g_autofree char *choices = option_choices_text(row);
        g_string_append_printf(text, " %s.", choices);
    }
    if (row->flag && row->env)
        g_string_append_printf(text, " [%s]", row->env);
    if (row->standard)
        g_string_append_printf(text, " (default: %s)", row->standard);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Appends LEFT, and TEXT broken at blanks into a column that begins at INDENT. All our help is ASCII. */
static void append_entry(GString *out, const char *left, const char *text, guint indent)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    g_string_append_printf(out, "%-*s", (int)indent, left);
    gsize column = indent;
    for (char **word = words; *word; word++) {
        if (word != words && column + 1 + strlen(*word) > LINE_COLUMNS) {
            g_string_append_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (word != words) {
            g_string_append_c(out, ' ');
            column++;
        }
        g_string_append(out, *word);
        column += strlen(*word);
    }
    g_string_append_c(out, '\n');
}

static gboolean is_shown(const struct option_row *row, unsigned command, gboolean flags)
{
    return row->commands & command && (row->flag != NULL) == flags;
}

static guint left_columns(unsigned command)
{
    gsize columns = 0;
    OPTION_ROWS_EACH (row) {
        g_autofree char *left = left_text(row);
        if (row->commands & command)
            columns = MAX(columns, strlen(left));
    }
    return (guint)columns + 2;
}

static void append_section(GString *out, const char *title, unsigned command, gboolean flags)
{
    g_string_append_printf(out, "%s\n", title);
    guint indent = left_columns(command);
    OPTION_ROWS_EACH (row) {
        if (!is_shown(row, command, flags))
            continue;
        g_autofree char *left = left_text(row);
        g_autofree char *right = right_text(row);
        append_entry(out, left, right, indent);
    }
}

char *options_help(unsigned command)
{
    g_autoptr(GString) out = g_string_new(NULL);
    append_section(out, "Options:", command, TRUE);
    g_string_append_c(out, '\n');
    append_section(out, "Variables, in the environment or the .env file:", command, FALSE);
    return g_string_free(g_steal_pointer(&out), FALSE);
}
