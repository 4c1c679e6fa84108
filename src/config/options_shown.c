/* Every setting as text, and where it came from. Of a secret it says only that it is there. */
#include "config/option_row.h"

#include <string.h>

#define HIDDEN "(a secret)"

static void shown_free(gpointer data)
{
    struct option_shown *shown = data;
    g_free(shown->value);
    g_free(shown->source);
    g_free(shown->name);
    g_free(shown);
}

static char *value_text(const struct option_row *row, const struct settings *s)
{
    const void *field = (const char *)s + row->offset;
    if (row->type == OPTION_NUMBER) {
        int number = *(const int *)field;
        gboolean word = number < row->min; /* one of the choices, or none */
        return word ? g_strdup(row->choices ? row->choices[0] : NULL) : g_strdup_printf("%d", number);
    }
    if (row->type == OPTION_LIST) {
        char **list = *(char **const *)field;
        return list ? g_strjoinv(",", list) : NULL;
    }
    const char *text = *(const char *const *)field;
    gboolean hidden = text && row->secret && g_strcmp0(text, row->standard) != 0;
    return hidden ? g_strdup(HIDDEN) : g_strdup(text);
}

static void add(GPtrArray *all, const char *name, char *value, const char *source)
{
    struct option_shown *shown = g_new0(struct option_shown, 1);
    shown->name = g_strdup(name);
    shown->value = value;
    shown->source = g_strdup(source);
    g_ptr_array_add(all, shown);
}

/* "NAME in PLACE" is told as PLACE, unless another name said it: NAME_FILE, or a flag. */
static const char *place_of(const struct option_row *row, const char *source)
{
    gsize length = strlen(row->env);
    gboolean own = source && g_str_has_prefix(source, row->env) && g_str_has_prefix(source + length, " in ");
    return own ? source + length + strlen(" in ") : source;
}

static void add_row(GPtrArray *all, const struct option_row *row, const struct settings *s)
{
    const char *source = s->sources ? g_hash_table_lookup(s->sources, row) : NULL;
    add(all, row->env, value_text(row, s), source ? place_of(row, source) : row->standard ? "default" : NULL);
}

GPtrArray *options_shown(const struct settings *s)
{
    GPtrArray *all = g_ptr_array_new_with_free_func(shown_free);
    OPTION_ROWS_EACH (row)
        if (row->env && row != option_by_flag("env-file"))
            add_row(all, row, s);
    for (char **each = s->foreign; each && *each; each++) {
        g_autofree char *name = g_strndup(*each, strcspn(*each, "="));
        const char *value = *each + strlen(name) + 1;
        add(all, name, g_strdup(foreign_is_secret(name, value) ? HIDDEN : value), s->env_file);
    }
    return all;
}
