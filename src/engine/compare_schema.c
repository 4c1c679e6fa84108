/* Entries of two tables of contents, and of a third where their texts differ. */
#include "engine/compare_schema.h"

#include <string.h>

#include "engine/schemacopy.h"
#include "pg/pgdump.h"

/* ---- bags: how often a text is there ---- */

static GHashTable *bag_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

/* Takes the text over. */
static void bag_add(GHashTable *bag, char *text)
{
    int count = GPOINTER_TO_INT(g_hash_table_lookup(bag, text));
    g_hash_table_replace(bag, text, GINT_TO_POINTER(count + 1));
}

/* FALSE if it is not there (any more). */
static gboolean bag_take(GHashTable *bag, const char *text)
{
    int count = GPOINTER_TO_INT(g_hash_table_lookup(bag, text));
    if (count > 0)
        g_hash_table_replace(bag, g_strdup(text), GINT_TO_POINTER(count - 1));
    return count > 0;
}

/* ---- entries ---- */

/* The database itself has another name here; what rows are is compared by others. */
static gboolean is_compared(const struct toc_entry *e)
{
    static const char *const left_out[] = {"TABLE DATA", "BLOBS", "STATISTICS DATA"};
    for (gsize i = 0; i < G_N_ELEMENTS(left_out); i++)
        if (g_str_equal(e->desc, left_out[i]))
            return FALSE;
    return !g_str_has_prefix(e->desc, "DATABASE") && !g_str_has_prefix(e->tag, "DATABASE ");
}

static const char *known(const char *text)
{
    return text ? text : "";
}

/* Which object it is, whose, and where it lies: everything but its SQL. */
static char *identity(const struct toc_entry *e, gboolean tablespaces)
{
    return g_strdup_printf("%s\n%s\n%s\n%s\n%s\n%s", e->desc, known(e->schema), e->tag, known(e->owner),
                           tablespaces ? known(e->tablespace) : "", known(e->access_method));
}

static char *whole_text(const struct toc_entry *e, gboolean tablespaces)
{
    g_autofree char *which = identity(e, tablespaces);
    return g_strdup_printf("%s\n%s", which, known(e->definition));
}

typedef char *(*text_of)(const struct toc_entry *e, gboolean tablespaces);

static GHashTable *bag_of(const GPtrArray *entries, text_of text, gboolean tablespaces)
{
    GHashTable *bag = bag_new();
    for (guint i = 0; i < entries->len; i++)
        if (is_compared(entries->pdata[i]))
            bag_add(bag, text(entries->pdata[i], tablespaces));
    return bag;
}

/* Those whose text is not in the other list, or less often. */
static GPtrArray *only_in(const GPtrArray *entries, const GPtrArray *others, text_of text, gboolean tablespaces)
{
    g_autoptr(GHashTable) bag = bag_of(others, text, tablespaces);
    GPtrArray *rest = g_ptr_array_new();
    for (guint i = 0; i < entries->len; i++) {
        struct toc_entry *e = entries->pdata[i];
        if (!is_compared(e))
            continue;
        g_autofree char *key = text(e, tablespaces);
        if (!bag_take(bag, key))
            g_ptr_array_add(rest, e);
    }
    return rest;
}

/* ---- the verdict ---- */

static void differ(const struct compare_schema *c, const struct toc_entry *e, const char *how)
{
    g_autofree char *label = toc_entry_label(e);
    g_autofree char *valid = g_utf8_make_valid(label, -1);
    g_autofree char *text = g_strdup_printf("%s %s", valid, how);
    c->differ(text, c->differ_data);
}

static struct toc *load_again(const struct compare_schema *c, GError **error)
{
    g_autoptr(session) s = c->open_empty(c->open_data, error);
    if (!s || !(c->load_schema ? c->load_schema(s, c->open_data, error)
                               : schemacopy_load(s, c->reader, c->tablespaces, error)))
        return NULL;
    return pgdump_toc(s, c->bindir, NULL, 0, NULL, error);
}

/* What pg_dump writes as an object of its own or into another's statement, whichever way it breaks circles. */
static gboolean may_be_part_of_another(const struct toc_entry *e)
{
    static const char *const kinds[] = {"DEFAULT", "CHECK CONSTRAINT", "RULE", "SHELL TYPE"};
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (g_str_equal(e->desc, kinds[i]))
            return TRUE;
    return FALSE;
}

/* Every object of the backup is there: the same kind, name and owner, however it is worded. */
static void name_missing(const struct compare_schema *c, const GPtrArray *backup, const GPtrArray *restored,
                         const struct toc *again)
{
    g_autoptr(GPtrArray) missing = only_in(backup, restored, identity, c->tablespaces);
    g_autoptr(GHashTable) there = bag_of(again->entries, identity, c->tablespaces);
    for (guint i = 0; i < missing->len; i++) {
        const struct toc_entry *e = missing->pdata[i];
        g_autofree char *which = identity(e, c->tablespaces);
        if (!may_be_part_of_another(e) || bag_take(there, which))
            differ(c, e, "is not in the restored database as it is in the backup");
    }
}

/* backup, restored: the entries that are not word for word in the other. */
static gboolean judge(const struct compare_schema *c, const GPtrArray *backup, const GPtrArray *restored,
                      guint *ret_reworded, GError **error)
{
    g_autoptr(toc) again = load_again(c, error);
    if (!again)
        return FALSE;
    g_autoptr(GPtrArray) wrong = only_in(restored, again->entries, whole_text, c->tablespaces);
    for (guint i = 0; i < wrong->len; i++)
        differ(c, wrong->pdata[i], "is not as in the backup");
    name_missing(c, backup, restored, again);
    *ret_reworded = restored->len - wrong->len;
    return TRUE;
}

/* ---- what is known to differ ---- */

static char *name_of(const struct toc_entry *e)
{
    return g_strdup_printf("%s\n%s", known(e->schema), e->tag);
}

static GHashTable *left_out_names(const struct compare_schema *c, const struct toc *t)
{
    GHashTable *names = bag_new();
    for (guint i = 0; c->left_out && i < t->entries->len; i++) {
        const struct toc_entry *e = t->entries->pdata[i];
        if (g_hash_table_contains(c->left_out, GINT_TO_POINTER(e->dump_id)))
            g_hash_table_add(names, name_of(e));
    }
    return names;
}

/* A constraint that is NOT VALID is an entry of its own, "table constraint". */
static gboolean is_left_out(GHashTable *names, const struct toc_entry *e)
{
    g_autofree char *name = name_of(e);
    char *space = strchr(name, ' ');
    if (g_hash_table_contains(names, name))
        return TRUE;
    if (!space || !g_str_equal(e->desc, "CHECK CONSTRAINT"))
        return FALSE;
    *space = '\0';
    return g_hash_table_contains(names, name);
}

static void remove_left_out(GHashTable *names, GPtrArray *entries)
{
    for (guint i = entries->len; i-- > 0;)
        if (is_left_out(names, entries->pdata[i]))
            g_ptr_array_remove_index(entries, i);
}

gboolean compare_schema(const struct compare_schema *c, const struct toc *t, guint *ret_reworded, GError **error)
{
    *ret_reworded = 0;
    g_autoptr(toc) found = pgdump_toc(c->restored, c->bindir, NULL, 0, NULL, error);
    if (!found)
        return FALSE;
    g_autoptr(GPtrArray) backup = only_in(t->entries, found->entries, whole_text, c->tablespaces);
    g_autoptr(GPtrArray) restored = only_in(found->entries, t->entries, whole_text, c->tablespaces);
    g_autoptr(GHashTable) left_out = left_out_names(c, t);
    remove_left_out(left_out, backup);
    remove_left_out(left_out, restored);
    return (backup->len == 0 && restored->len == 0) || judge(c, backup, restored, ret_reworded, error);
}
