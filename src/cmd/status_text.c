/* The look at the backups as a table, and as a plugin's line. */
#include "cmd/status.h"

#include <math.h>
#include <string.h>

/* ---- the table ---- */

static void append_padded(GString *text, const char *word, int width)
{
    g_string_append(text, word);
    g_string_append_printf(text, "%*s", (int)MAX(0, width - (int)g_utf8_strlen(word, -1)), "");
}

static int title_width(const struct health *h)
{
    int width = 0;
    for (guint i = 0; i < h->checks->len; i++)
        width = MAX(width, (int)strlen(g_array_index(h->checks, struct health_check, i).title));
    return width + 2;
}

static void append_check(GString *text, const struct health_check *c, int width)
{
    append_padded(text, health_verdict_name(c->verdict), 10);
    append_padded(text, c->title, width);
    g_string_append_printf(text, "%s", c->value);
    if (c->target || c->threshold)
        g_string_append_printf(text, "  [%s%s%s]", c->target ? c->target : "", c->target && c->threshold ? "; " : "",
                               c->threshold ? c->threshold : "");
    g_string_append_c(text, '\n');
    if (c->advice)
        g_string_append_printf(text, "%*s-> %s\n", 10 + width, "", c->advice);
}

void status_table(const struct health *h, GString *text)
{
    int width = title_width(h);
    g_string_append_printf(text, "Backups of %s: %s\n\n", h->database, health_verdict_name(h->verdict));
    for (guint i = 0; i < h->checks->len; i++)
        append_check(text, &g_array_index(h->checks, struct health_check, i), width);
}

/* ---- Nagios ---- */

/* Neither | nor a line end may stand in a plugin's text. */
static void append_plain(GString *text, const char *words)
{
    for (const char *c = words; *c; c++)
        g_string_append_c(text, *c == '|' ? '/' : (guchar)*c < ' ' ? ' ' : *c);
}

static void append_number(GString *text, double number)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    g_string_append(text, g_ascii_formatd(buffer, sizeof buffer, "%.10g", number));
}

/* The range that is good: 10 is 0 to 10, 10: from 10 up, -10:10 both. */
static void append_range(GString *text, double limit, enum health_side side)
{
    if (isnan(limit))
        return;
    if (side == HEALTH_OUTSIDE) {
        append_number(text, -limit);
        g_string_append_c(text, ':');
    }
    append_number(text, limit);
    if (side == HEALTH_BELOW)
        g_string_append_c(text, ':');
}

/* A label in quotes: no = and no other quote inside. */
static void append_perf(GString *text, const char *database, const struct health_check *c)
{
    if (!isfinite(c->number))
        return;
    g_autofree char *label = g_strdup_printf("%s%s%s", database ? database : "", database ? " " : "", c->name);
    g_strdelimit(label, "='|\n\r", '_');
    g_string_append_printf(text, " '%s'=", label);
    append_number(text, c->number);
    g_string_append_printf(text, "%s;", c->unit);
    append_range(text, c->warning, c->side);
    g_string_append_c(text, ';');
    append_range(text, c->critical, c->side);
}

static void append_troubles(GString *text, const struct health *h, enum health_verdict v)
{
    for (guint i = 0; i < h->checks->len; i++) {
        const struct health_check *c = &g_array_index(h->checks, struct health_check, i);
        if (c->verdict != v)
            continue;
        g_autofree char *words = g_strdup_printf("; %s: %s", c->title, c->value);
        append_plain(text, words);
    }
}

static enum health_verdict worst_of(const GPtrArray *list)
{
    enum health_verdict worst = list->len ? HEALTH_OK : HEALTH_CRITICAL;
    for (guint k = 0; k < list->len; k++)
        worst = health_worse(worst, ((const struct health *)list->pdata[k])->verdict);
    return worst;
}

void status_nagios(const GPtrArray *list, GString *text)
{
    static const enum health_verdict order[] = {HEALTH_CRITICAL, HEALTH_WARNING, HEALTH_UNKNOWN};
    g_string_append_printf(text, "OPSTOWER %s - ", health_verdict_name(worst_of(list)));
    for (guint k = 0; k < list->len; k++) {
        const struct health *h = list->pdata[k];
        g_autofree char *head = g_strdup_printf("%sbackups of %s", k ? ", " : "", h->database);
        append_plain(text, head);
        for (gsize i = 0; i < G_N_ELEMENTS(order); i++)
            append_troubles(text, h, order[i]);
    }
    g_string_append(text, list->len ? " |" : "there is no backup");
    for (guint k = 0; k < list->len; k++) {
        const struct health *h = list->pdata[k];
        for (guint i = 0; i < h->checks->len; i++)
            append_perf(text, list->len > 1 ? h->database : NULL, &g_array_index(h->checks, struct health_check, i));
    }
    g_string_append_c(text, '\n');
}
