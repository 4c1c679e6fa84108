/*
 * The option tables together, and finding a row by its name or by nearly its name.
 * The rows are in rows_*.c, how a value is read in option_value.c, where values come from in settings.c.
 */
#include "config/option_row.h"

#include <string.h>

extern const struct option_row rows_main[], rows_s3[], rows_health[], rows_alert[], rows_hold[], rows_hooks[],
    rows_schedule[], rows_audit[], rows_serve[], rows_retention[];

const struct option_row *const option_tables[] = {
    rows_main,     rows_s3,    rows_health, rows_alert,     rows_hold, rows_hooks,
    rows_schedule, rows_audit, rows_serve,  rows_retention, NULL,
};

static const struct {
    unsigned command;
    const char *word;
} commands[] = {
    {CMD_BACKUP, "opstower backup"},     {CMD_VERIFY, "opstower verify"},       {CMD_RESTORE, "opstower restore"},
    {CMD_LIST, "opstower list"},         {CMD_SYNC, "opstower sync"},           {CMD_BUCKET, "opstower bucket"},
    {CMD_PRUNE, "opstower prune"},       {CMD_RETENTION, "opstower retention"}, {CMD_HOLD, "opstower hold"},
    {CMD_SCHEDULE, "opstower schedule"}, {CMD_STATUS, "opstower status"},       {CMD_ALERT, "opstower alert"},
    {CMD_AUDIT, "opstower audit"},       {CMD_SERVE, "opstower serve"},
    {CMD_ADOPT, "opstower adopt"},       {CMD_CONFIG, "opstower config"},
};

const struct option_row *option_by_flag(const char *flag)
{
    OPTION_ROWS_EACH (row)
        if (g_strcmp0(row->flag, flag) == 0)
            return row;
    return NULL;
}

const struct option_row *option_by_env(const char *env)
{
    OPTION_ROWS_EACH (row)
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
    OPTION_ROWS_EACH (row) {
        guint d = row->flag && row->commands & mask ? nearness(flag, row->flag) : G_MAXUINT;
        if (d < best_distance) {
            best = row;
            best_distance = d;
        }
    }
    return best;
}

/* How many bytes NAME's first word has, with its underscore. */
static gsize prefix_length(const char *name)
{
    const char *end = strchr(name, '_');
    return end ? (gsize)(end - name) + 1 : 0;
}

static gboolean same_prefix(const char *a, const char *b)
{
    gsize length = prefix_length(a);
    return length == prefix_length(b) && memcmp(a, b, length) == 0;
}

/* The prefix that so many names share says nothing about which one was meant, and may be the mistake itself. */
static guint rest_nearness(const char *wrong, const char *right)
{
    const char *rest = wrong + prefix_length(wrong);
    return nearness(rest, same_prefix(wrong, right) ? right + prefix_length(right) : right);
}

/* AWS has more variables than we read, some a letter apart. The others' mistakes show at once: nothing is found. */
static gboolean shows_by_itself(const char *env)
{
    return g_str_has_prefix(env, "AWS_") || g_str_has_prefix(env, "DATABASE_") || g_str_has_prefix(env, "PG_");
}

#define SLIP 2           /* letters of the rest; what differs in more was not meant to be the same */
#define TELLING_BYTES 10 /* a shorter name may well be one letter away from one of others */

static guint slip(const char *wrong, const char *right)
{
    if (shows_by_itself(right))
        return G_MAXUINT;
    if (!same_prefix(wrong, right))
        return strlen(wrong) >= TELLING_BYTES && distance(wrong, right) == 1 ? SLIP : G_MAXUINT;
    guint d = rest_nearness(wrong, right);
    return d <= SLIP ? d : G_MAXUINT;
}

static const struct option_row *nearest_env(const char *env, guint (*measure)(const char *wrong, const char *right))
{
    const struct option_row *best = NULL;
    guint best_distance = G_MAXUINT;
    OPTION_ROWS_EACH (row) {
        guint d = row->env ? measure(env, row->env) : G_MAXUINT;
        if (d < best_distance) {
            best = row;
            best_distance = d;
        }
    }
    return best;
}

const struct option_row *option_nearest_env(const char *env)
{
    return nearest_env(env, rest_nearness);
}

const struct option_row *option_misspelt_env(const char *env)
{
    return nearest_env(env, slip);
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
