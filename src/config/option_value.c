/*
 * One row's value: from text into struct settings, and out of memory again.
 * It does not know where the text came from, beyond the name that a message needs.
 */
#include "base/error.h"
#include "base/secrets.h"
#include "config/option_row.h"
#include "config/url_check.h"

#include <string.h>

static gpointer field_of(const struct option_row *row, struct settings *s)
{
    return (char *)s + row->offset;
}

static void set_text(const struct option_row *row, struct settings *s, const char *text)
{
    char **field = field_of(row, s);
    char *copy = g_strdup(text);
    if (row->secret)
        secrets_wipe(*field);
    else
        g_free(*field);
    *field = copy;
}

static void set_number(const struct option_row *row, struct settings *s, int number)
{
    *(int *)field_of(row, s) = number;
}

static void take_list(const struct option_row *row, struct settings *s, char **list)
{
    char ***field = field_of(row, s);
    g_strfreev(*field);
    *field = list;
}

/* What would have been right, as the end of a sentence. */
static char *allowed_text(const struct option_row *row)
{
    g_autofree char *choices = row->choices ? option_choices_text(row) : NULL;
    if (row->type == OPTION_CHOICE)
        return g_steal_pointer(&choices);
    return g_strdup_printf("%s%sa whole number from %d to %d", choices ? choices : "", choices ? " or " : "", row->min,
                           row->max);
}

static gboolean fail_value(const struct option_row *row, const char *text, const char *where, GError **error)
{
    g_autofree char *allowed = allowed_text(row);
    if (row->secret)
        return ot_fail(error, OT_USAGE, "%s has a wrong value; allowed: %s", where, allowed);
    g_autofree char *shown = g_strescape(text, NULL);
    return ot_fail(error, OT_USAGE, "%s is \"%s\"; allowed: %s", where, shown, allowed);
}

static gboolean is_choice(const struct option_row *row, const char *text)
{
    return row->choices && g_strv_contains(row->choices, text);
}

static gboolean parse_number(const struct option_row *row, const char *text, int *ret_number)
{
    gint64 number;
    /* strtoll would take "+3", which no one writes on purpose. */
    if (*text == '+' || !g_ascii_string_to_signed(text, 10, row->min, row->max, &number, NULL))
        return FALSE;
    *ret_number = (int)number;
    return TRUE;
}

static void add_trimmed(GPtrArray *list, const char *start, const char *end)
{
    g_autofree char *entry = g_strstrip(g_strndup(start, (gsize)(end - start)));
    if (*entry)
        g_ptr_array_add(list, g_steal_pointer(&entry));
}

/* Splits at commas outside double quotes, since "a,b" is a good table name. NULL if there is no entry. */
static char **split_list(const char *text)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    gboolean quoted = FALSE;
    const char *start = text;
    for (const char *p = text;; p++) {
        if (*p == '"')
            quoted = !quoted;
        if (*p && (*p != ',' || quoted))
            continue;
        add_trimmed(list, start, p);
        if (!*p)
            break;
        start = p + 1;
    }
    if (list->len == 0)
        return NULL;
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&list), FALSE);
}

/* Nothing of the value is shown: any part of it may be a part of the password. */
static gboolean check_url(const struct option_row *row, const char *text, const char *where, GError **error)
{
    enum url_problem problem = URL_FINE;
    if (row->type == OPTION_CONNECTION)
        problem = url_check_connection(text);
    else if (row->type == OPTION_URL || row->web_address)
        problem = url_check_web(text);
    if (problem == URL_FINE)
        return TRUE;
    gboolean parts = g_strcmp0(row->env, "DATABASE_URL") == 0;
    return ot_fail(error, OT_USAGE, "%s %s%s", where, url_problem_text(problem),
                   parts ? ", or use DATABASE_PASSWORD" : "");
}

static const char the_default[] = "the default";

static void note_source(const struct option_row *row, struct settings *s, const char *where)
{
    if (where == the_default)
        return;
    if (!s->sources)
        s->sources = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_hash_table_insert(s->sources, (gpointer)row, g_strdup(where));
}

gboolean option_set(const struct option_row *row, struct settings *s, const char *text, const char *where,
                    GError **error)
{
    int number = 0;
    switch (row->type) {
    case OPTION_NUMBER:
        if (!is_choice(row, text) && !parse_number(row, text, &number))
            return fail_value(row, text, where, error);
        set_number(row, s, number);
        break;
    case OPTION_CHOICE:
        if (!is_choice(row, text))
            return fail_value(row, text, where, error);
        set_text(row, s, text);
        break;
    case OPTION_TEXT:
    case OPTION_URL:
    case OPTION_CONNECTION:
        if (!check_url(row, text, where, error))
            return FALSE;
        set_text(row, s, text);
        break;
    case OPTION_LIST:
        take_list(row, s, split_list(text));
        break;
    case OPTION_ON:
        set_number(row, s, TRUE);
        break;
    case OPTION_OFF:
        set_number(row, s, FALSE);
        break;
    }
    note_source(row, s, where);
    return TRUE;
}

void option_append(const struct option_row *row, struct settings *s, const char *entry)
{
    char ***field = field_of(row, s);
    gsize length = *field ? g_strv_length(*field) : 0;
    *field = g_renew(char *, *field, length + 2);
    (*field)[length] = g_strdup(entry);
    (*field)[length + 1] = NULL;
}

void option_defaults(struct settings *s)
{
    OPTION_ROWS_EACH (row) {
        g_autoptr(GError) error = NULL;
        if (row->type == OPTION_OFF)
            set_number(row, s, TRUE);
        else if (row->standard && !option_set(row, s, row->standard, the_default, &error))
            g_error("option table: %s", error->message); /* a mistake in our table, not the user's */
    }
}

void settings_clear(struct settings *settings)
{
    OPTION_ROWS_EACH (row) {
        if (row->type == OPTION_TEXT || row->type == OPTION_URL || row->type == OPTION_CONNECTION ||
            row->type == OPTION_CHOICE)
            set_text(row, settings, NULL);
        if (row->type == OPTION_LIST)
            take_list(row, settings, NULL);
    }
    g_clear_pointer(&settings->sources, g_hash_table_unref);
    g_strfreev(settings->foreign);
    g_strfreev(settings->secret_files);
    memset(settings, 0, sizeof *settings);
}
