/* A table's definition, as far as rows need it. */
#include "base/table.h"

static void column_free(gpointer data)
{
    struct table_column *c = data;
    g_free(c->name);
    g_free(c->type);
    g_free(c);
}

struct table_def *table_def_new(void)
{
    struct table_def *t = g_new0(struct table_def, 1);
    t->columns = g_ptr_array_new_with_free_func(column_free);
    t->key = g_ptr_array_new_with_free_func(g_free);
    return t;
}

void table_def_free(struct table_def *t)
{
    if (!t)
        return;
    g_free(t->schema);
    g_free(t->name);
    g_free(t->copy_sql);
    g_free(t->filter);
    g_ptr_array_unref(t->columns);
    g_ptr_array_unref(t->key);
    g_free(t);
}

void table_def_add_column(struct table_def *t, const char *name, const char *type)
{
    struct table_column *c = g_new0(struct table_column, 1);
    c->name = g_strdup(name);
    c->type = g_strdup(type);
    g_ptr_array_add(t->columns, c);
}
