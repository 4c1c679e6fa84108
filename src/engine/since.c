/* A database held against its own backup: first every object, then every row. */
#include "engine/since.h"

#include <string.h>

#include "archive/reader.h"
#include "engine/compare.h"
#include "pg/pgdump.h"

/* What makes an object, but not the database's own entries: it may have another name now. NULL: not to be compared. */
static char *entry_key(const struct toc_entry *e)
{
    if (g_str_has_prefix(e->desc, "DATABASE") || g_str_has_prefix(e->tag, "DATABASE ") ||
        g_str_equal(e->desc, "TABLE DATA") || g_str_equal(e->desc, "BLOBS"))
        return NULL;
    return g_strdup_printf("%s\n%s\n%s\n%s\n%s", e->desc, e->schema ? e->schema : "", e->tag,
                           e->owner ? e->owner : "", e->definition ? e->definition : "");
}

/* key -> struct toc_entry * */
static GHashTable *entries_of(const struct toc *t)
{
    GHashTable *found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < t->entries->len; i++) {
        char *key = entry_key(t->entries->pdata[i]);
        if (key)
            g_hash_table_replace(found, key, t->entries->pdata[i]);
    }
    return found;
}

/* The first entry of a that is not in b, in words. */
static char *first_missing(GHashTable *a, GHashTable *b, const char *how)
{
    GHashTableIter iter;
    gpointer key, entry;
    g_hash_table_iter_init(&iter, a);
    while (g_hash_table_iter_next(&iter, &key, &entry)) {
        if (g_hash_table_contains(b, key))
            continue;
        g_autofree char *label = toc_entry_label(entry);
        if (g_str_has_prefix(label, "SEQUENCE SET "))
            return g_strdup_printf("sequence %s has moved on", label + strlen("SEQUENCE SET "));
        return g_strdup_printf("%s %s", label, how);
    }
    return NULL;
}

static gboolean compare_objects(const struct since_request *q, const struct toc *then, char **ret_change,
                                GError **error)
{
    g_autoptr(session) s = session_open(q->target, q->dbname, error);
    g_autoptr(toc) now = s ? pgdump_toc(s, q->bindir, NULL, 0, NULL, error) : NULL;
    if (!now)
        return FALSE;
    g_autoptr(GHashTable) before = entries_of(then);
    g_autoptr(GHashTable) after = entries_of(now);
    *ret_change = first_missing(after, before, "is new or was changed");
    if (!*ret_change)
        *ret_change = first_missing(before, after, "is gone");
    return TRUE;
}

static gboolean compare_rows(const struct since_request *q, struct archive_reader *reader, const struct toc *t,
                             struct report *report, char **ret_change, GError **error)
{
    struct compare_request compare = {
        .target = q->target,
        .dbname = q->dbname,
        .bindir = q->bindir,
        .jobs = q->jobs,
        .tablespaces = TRUE,
    };
    GError *problem = NULL;
    if (compare_with_proof(&compare, reader, t, report, &problem))
        return TRUE;
    if (!g_error_matches(problem, OT_ERROR, OT_MISMATCH)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    *ret_change = g_strdup("rows were written");
    g_error_free(problem);
    return TRUE;
}

gboolean since_backup(const struct since_request *q, struct report *report, char **ret_change, GError **error)
{
    g_autoptr(source) file = copy_open(q->copy, error);
    g_autoptr(archive_reader) reader = file ? archive_reader_open(file, error) : NULL;
    if (!reader)
        return FALSE;
    file = NULL; /* the reader's now */
    g_autoptr(toc) then = toc_parse(reader->contents->toc, error);
    return then && compare_objects(q, then, ret_change, error) &&
           (*ret_change || compare_rows(q, reader, then, report, ret_change, error));
}
