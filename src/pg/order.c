/* Stages from the dependencies in the table of contents. */
#include "pg/order.h"

#include <string.h>

#include "base/table.h"
#include "pg/plan.h"

#define MAX_DEPTH 1000 /* no schema has such chains; a crafted file may */

enum answer { UNKNOWN, ASKED, NO, YES };

struct order {
    GHashTable *by_id;   /* dump id -> struct toc_entry * */
    GHashTable *tables;  /* "schema\nname" -> the TABLE entry */
    GHashTable *answers; /* struct toc_entry * -> enum answer: whether it calls functions of the database's own */
    GHashTable *filled;  /* dump id of TABLE DATA -> stage + 1 */
    GHashTable *names;   /* as a word in SQL text -> GPtrArray of struct toc_entry * */
    GHashTable *levels;  /* struct toc_entry * -> the level of whoever asks for it */
    guint depth;         /* of the question now asked */
};

static char *name_key(const char *schema, const char *name)
{
    return g_strdup_printf("%s\n%s", schema ? schema : "", name);
}

static void index_entries(struct order *o, const struct toc *t)
{
    for (guint i = 0; i < t->entries->len; i++) {
        struct toc_entry *e = t->entries->pdata[i];
        g_hash_table_insert(o->by_id, GINT_TO_POINTER(e->dump_id), e);
        if (g_str_equal(e->desc, "TABLE"))
            g_hash_table_insert(o->tables, name_key(e->schema, e->tag), e);
    }
}

static gboolean defines(const struct toc_entry *e, const char *text)
{
    return e->definition && strstr(e->definition, text);
}

/* ---- what calls functions ---- */

static gboolean is_table(const struct toc_entry *e)
{
    return g_str_equal(e->desc, "TABLE");
}

static gboolean is_function(const struct toc_entry *e)
{
    static const char *const kinds[] = {"FUNCTION", "PROCEDURE", "AGGREGATE", NULL};
    return g_strv_contains(kinds, e->desc);
}

/* What a column's type or an expression leads to. A base type's own functions are in C, and read no table. */
static gboolean leads_on(const struct toc_entry *e)
{
    static const char *const kinds[] = {"DOMAIN", "TYPE", "OPERATOR", "CAST", NULL};
    return g_strv_contains(kinds, e->desc) && !defines(e, "INPUT = ");
}

static gboolean calls_functions(struct order *o, const struct toc_entry *e);

static gboolean table_leads_to(struct order *o, gboolean expressions, gboolean inherits, const struct toc_entry *to)
{
    if (is_table(to))
        return inherits && calls_functions(o, to);
    if (g_str_equal(to->desc, "DOMAIN") || g_str_equal(to->desc, "TYPE"))
        return calls_functions(o, to);
    return expressions && calls_functions(o, to);
}

/* Defaults are not asked when rows are copied in, so that a function in one does not count. */
static gboolean ask_table(struct order *o, const struct toc_entry *e)
{
    gboolean expressions = defines(e, "CHECK (") || defines(e, "GENERATED ALWAYS AS (");
    gboolean inherits = defines(e, "INHERITS (");
    for (guint i = 0; i < e->depends->len; i++) {
        const struct toc_entry *to = g_hash_table_lookup(o->by_id, GINT_TO_POINTER(g_array_index(e->depends, int, i)));
        if (to && table_leads_to(o, expressions, inherits, to))
            return TRUE;
    }
    return FALSE;
}

static gboolean ask_others(struct order *o, const struct toc_entry *e)
{
    for (guint i = 0; i < e->depends->len; i++) {
        const struct toc_entry *to = g_hash_table_lookup(o->by_id, GINT_TO_POINTER(g_array_index(e->depends, int, i)));
        if (to && !is_table(to) && calls_functions(o, to))
            return TRUE;
    }
    return FALSE;
}

/* Each entry is asked once; one that is being asked leads nowhere new. */
static gboolean calls_functions(struct order *o, const struct toc_entry *e)
{
    enum answer known = GPOINTER_TO_INT(g_hash_table_lookup(o->answers, e));
    if (known != UNKNOWN)
        return known == YES;
    if (is_function(e) || o->depth >= MAX_DEPTH)
        return TRUE;
    g_hash_table_insert(o->answers, (gpointer)e, GINT_TO_POINTER(ASKED));
    o->depth++;
    gboolean yes = is_table(e) ? ask_table(o, e) : leads_on(e) && ask_others(o, e);
    o->depth--;
    g_hash_table_insert(o->answers, (gpointer)e, GINT_TO_POINTER(yes ? YES : NO));
    return yes;
}

/* ---- what they may ask for: names in the text of what is called ---- */

static gboolean in_word(char c)
{
    return g_ascii_isalnum(c) || c == '_' || (c & 0x80);
}

/* A function's tag has its arguments behind the name. */
static char *name_in_text(const struct toc_entry *e)
{
    return is_function(e) ? g_ascii_strdown(e->tag, (gssize)strcspn(e->tag, "(")) : g_ascii_strdown(e->tag, -1);
}

static void index_names(struct order *o, const struct toc *t)
{
    static const char *const kinds[] = {"TABLE", "VIEW", "MATERIALIZED VIEW", "DOMAIN", "TYPE", NULL};
    for (guint i = 0; i < t->entries->len; i++) {
        struct toc_entry *e = t->entries->pdata[i];
        if (!is_function(e) && !g_strv_contains(kinds, e->desc))
            continue;
        char *name = name_in_text(e);
        GPtrArray *same = g_hash_table_lookup(o->names, name);
        if (!same)
            g_hash_table_insert(o->names, name, same = g_ptr_array_new());
        else
            g_free(name);
        g_ptr_array_add(same, e);
    }
}

static guint level_behind(struct order *o, const struct toc_entry *e);

static guint level_behind_named(struct order *o, const char *word, gsize length)
{
    g_autofree char *name = g_ascii_strdown(word, (gssize)length);
    const GPtrArray *same = g_hash_table_lookup(o->names, name);
    guint level = 0;
    for (guint i = 0; same && i < same->len; i++)
        level = MAX(level, level_behind(o, same->pdata[i]));
    return level;
}

static guint level_behind_words(struct order *o, const char *text)
{
    guint level = 0;
    while (*text) {
        const char *end = text;
        while (in_word(*end))
            end++;
        if (end > text)
            level = MAX(level, level_behind_named(o, text, (gsize)(end - text)));
        text = end > text ? end : text + 1;
    }
    return level;
}

/* The lowest level of whatever must come behind the tables that e's text leads to, e among them. A table that calls no
 * functions leads nowhere: it comes before all of these anyway. In a circle nobody can be last: it is cut. */
static guint level_behind(struct order *o, const struct toc_entry *e)
{
    gpointer known;
    if (g_hash_table_lookup_extended(o->levels, e, NULL, &known))
        return GPOINTER_TO_UINT(known);
    if (o->depth >= MAX_DEPTH || (is_table(e) && !calls_functions(o, e)))
        return 0;
    g_hash_table_insert(o->levels, (gpointer)e, GUINT_TO_POINTER(0));
    o->depth++;
    guint level = level_behind_words(o, e->definition ? e->definition : "") + (is_table(e) ? 1u : 0u);
    o->depth--;
    g_hash_table_insert(o->levels, (gpointer)e, GUINT_TO_POINTER(level));
    return level;
}

/* ---- stages ---- */

static guint after_dependencies(const struct order *o, const struct toc_entry *data, guint stage)
{
    for (guint i = 0; data && i < data->depends->len; i++) {
        gpointer behind = g_hash_table_lookup(o->filled, GINT_TO_POINTER(g_array_index(data->depends, int, i)));
        stage = MAX(stage, GPOINTER_TO_UINT(behind));
    }
    return stage;
}

static GHashTable *data_entries(const struct toc *t)
{
    GHashTable *entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < t->entries->len; i++) {
        struct toc_entry *e = t->entries->pdata[i];
        if (plan_has_rows(e))
            g_hash_table_insert(entries, name_key(e->schema, e->tag), e);
    }
    return entries;
}

static const struct toc_entry *table_entry(const struct order *o, const struct table_def *def)
{
    g_autofree char *key = name_key(def->schema, def->name);
    return g_hash_table_lookup(o->tables, key);
}

/* All but those that call functions. Returns the first stage behind them. */
static guint set_stages(struct order *o, const struct toc *t, const GPtrArray *defs, guint *stages)
{
    g_autoptr(GHashTable) data = data_entries(t);
    guint next = 0, next_configuration = 0;
    for (guint i = 0; i < defs->len; i++) {
        const struct table_def *def = defs->pdata[i];
        g_autofree char *key = name_key(def->schema, def->name);
        const struct toc_entry *table = g_hash_table_lookup(o->tables, key);
        const struct toc_entry *entry = g_hash_table_lookup(data, key);
        if (table && calls_functions(o, table))
            continue;
        stages[i] = after_dependencies(o, entry, 0);
        if (!table) /* made by its extension */
            next_configuration = (stages[i] = MAX(stages[i], next_configuration)) + 1;
        next = MAX(next, stages[i] + 1);
        if (entry)
            g_hash_table_insert(o->filled, GINT_TO_POINTER(entry->dump_id), GUINT_TO_POINTER(stages[i] + 1));
    }
    return next;
}

static void set_callers_stages(struct order *o, const struct toc *t, const GPtrArray *defs, guint first, guint *stages)
{
    index_names(o, t);
    for (guint i = 0; i < defs->len; i++) {
        const struct toc_entry *table = table_entry(o, defs->pdata[i]);
        if (table && calls_functions(o, table))
            stages[i] = first + MAX(level_behind(o, table), 1) - 1;
    }
}

guint *order_stages(const struct toc *t, const GPtrArray *defs)
{
    struct order o = {
        .by_id = g_hash_table_new(NULL, NULL),
        .tables = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .answers = g_hash_table_new(NULL, NULL),
        .filled = g_hash_table_new(NULL, NULL),
        .names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref),
        .levels = g_hash_table_new(NULL, NULL),
    };
    guint *stages = g_new0(guint, defs->len + 1);
    index_entries(&o, t);
    guint first = set_stages(&o, t, defs, stages);
    set_callers_stages(&o, t, defs, first, stages);
    g_hash_table_unref(o.by_id);
    g_hash_table_unref(o.tables);
    g_hash_table_unref(o.answers);
    g_hash_table_unref(o.filled);
    g_hash_table_unref(o.names);
    g_hash_table_unref(o.levels);
    return stages;
}
