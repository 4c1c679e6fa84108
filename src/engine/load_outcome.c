/* Notes of a load. */
#include "engine/load_outcome.h"

#include <string.h>

#include "base/text.h"

#define MAX_SAID 100
#define MAX_IN_TEXT 3

struct load_outcome *load_outcome_new(void)
{
    struct load_outcome *o = g_new0(struct load_outcome, 1);
    o->helped = g_ptr_array_new_with_free_func(g_free);
    o->left_out = g_ptr_array_new_with_free_func(g_free);
    o->left_entries = g_hash_table_new(NULL, NULL);
    return o;
}

void load_outcome_free(struct load_outcome *o)
{
    if (!o)
        return;
    g_ptr_array_unref(o->helped);
    g_ptr_array_unref(o->left_out);
    g_hash_table_unref(o->left_entries);
    g_free(o);
}

static void note(GPtrArray *notes, struct report *report, const char *word, const char *format, va_list args)
{
    g_autofree char *raw = g_strdup_vprintf(format, args);
    char *text = g_utf8_make_valid(raw, -1);
    if (notes->len < MAX_SAID)
        report_warn(report, "%s: %s", word, text);
    g_ptr_array_add(notes, text);
}

void load_outcome_help(struct load_outcome *o, struct report *report, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(o->helped, report, "Stock tools alone would fail here", format, args);
    va_end(args);
}

void load_outcome_leave(struct load_outcome *o, struct report *report, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(o->left_out, report, "Left out", format, args);
    va_end(args);
}

void load_outcome_leave_entry(struct load_outcome *o, struct report *report, const struct toc_entry *e,
                              const char *encoding, const char *what_became, const char *reason)
{
    g_autofree char *raw = toc_entry_label(e);
    g_autofree char *label = text_to_utf8(raw, encoding);
    g_autofree char *line = load_first_line(reason);
    load_outcome_leave(o, report, "%s%s (%s)", label, what_became, line);
    g_hash_table_add(o->left_entries, GINT_TO_POINTER(e->dump_id));
}

void load_outcome_touch(struct load_outcome *o, const struct toc *t, const struct table_def *table)
{
    for (guint i = 0; i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_str_equal(e->desc, "TABLE") && g_str_equal(e->tag, table->name) &&
            g_strcmp0(e->schema, table->schema) == 0)
            g_hash_table_add(o->left_entries, GINT_TO_POINTER(e->dump_id));
    }
}

char *load_outcome_text(const GPtrArray *of)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < of->len && i < MAX_IN_TEXT; i++)
        g_string_append_printf(text, "%s%s", i ? "; " : "", (const char *)of->pdata[i]);
    if (of->len > MAX_IN_TEXT)
        g_string_append_printf(text, "; and %u more", of->len - MAX_IN_TEXT);
    return g_string_free(text, FALSE);
}

json_t *load_outcome_json(const struct load_outcome *o)
{
    json_t *array = json_array();
    for (guint i = 0; i < o->left_out->len; i++)
        json_array_append_new(array, json_string(o->left_out->pdata[i]));
    return array;
}

char *load_first_line(const char *message)
{
    const char *server = strstr(message, "ERROR:");
    const char *from = server ? server + strlen("ERROR:") : message;
    from += strspn(from, " ");
    return g_strndup(from, strcspn(from, "\n"));
}
