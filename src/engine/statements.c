/* The statements of a file against those that its table of contents makes. */
#include "engine/statements.h"

#include <string.h>

#include "engine/sections.h"
#include "pg/facts.h"
#include "pg/pgdump.h"
#include "pg/plan.h"

#define MAX_SHOWN_BYTES 100

struct statements {
    struct archive_reader *reader;
    const struct toc *toc;
    const char *bindir;
    int major;  /* of the backup's server */
    char *here; /* the version of the pg_restore that is found for it */
};

/* ---- rows and large objects ---- */

static GPtrArray *tables_named(const struct toc *t)
{
    GPtrArray *named = g_ptr_array_new();
    for (guint i = 0; i < t->entries->len; i++)
        if (plan_has_rows(t->entries->pdata[i]))
            g_ptr_array_add(named, t->entries->pdata[i]);
    return named;
}

/* A table that is left out, rows and proof, would be missed by nothing else: what is compared is what the file names.
 */
static gboolean check_copies(struct statements *s, GError **error)
{
    const GPtrArray *tables = s->reader->contents->tables;
    g_autoptr(GPtrArray) named = tables_named(s->toc);
    if (named->len != tables->len)
        return ot_fail(error, OT_MISMATCH, "the file holds the rows of %u tables, its table of contents names %u",
                       tables->len, named->len);
    for (guint i = 0; i < tables->len; i++) {
        const struct table_def *def = ((struct archive_table *)tables->pdata[i])->def;
        const struct toc_entry *e = named->pdata[i];
        g_autofree char *copy_sql = g_strchomp(g_strdup(e->copy_sql));
        if (!g_str_equal(def->copy_sql, copy_sql))
            return ot_fail(error, OT_MISMATCH, "table %s.%s: its COPY statement is not that of the table of contents",
                           def->schema, def->name);
    }
    return TRUE;
}

static gboolean check_large_objects(struct statements *s, GError **error)
{
    gboolean named = FALSE, held = s->reader->contents->large_objects.rows > 0;
    for (guint i = 0; i < s->toc->entries->len && !named; i++)
        named = g_str_equal(((struct toc_entry *)s->toc->entries->pdata[i])->desc, "BLOBS");
    return named == held || ot_fail(error, OT_MISMATCH, "the file has %s large objects, its table of contents names %s",
                                    held ? "some" : "no", named ? "some" : "none");
}

/* ---- head, sequences, tail ---- */

static GString *text_of(struct statements *s, enum member_kind kind, GError **error)
{
    g_autoptr(member_reader) reader = member_reader_new(s->reader);
    g_autoptr(GString) text = g_string_new(NULL);
    const GArray *members = s->reader->contents->members;
    for (guint i = 0; i < members->len; i++) {
        const char *plain;
        gsize length;
        if (g_array_index(members, struct archive_member, i).kind != kind)
            continue;
        if (!member_reader_get(reader, i, &plain, &length, error))
            return NULL;
        g_string_append_len(text, plain, (gssize)length);
    }
    return g_steal_pointer(&text);
}

static char *shown_line(const char *text)
{
    g_autofree char *line = g_strndup(text, MIN(strcspn(text, "\n"), MAX_SHOWN_BYTES));
    return g_utf8_make_valid(line, -1);
}

/* NULL if both are the same. */
static char *difference(const GString *found, const char *made, const char *where)
{
    gsize length = strlen(made);
    if (found->len == length && memcmp(found->str, made, length) == 0)
        return NULL;
    gsize line = 0;
    guint number = 1;
    for (gsize i = 0; i < found->len && i < length && found->str[i] == made[i]; i++)
        if (made[i] == '\n') {
            line = i + 1;
            number++;
        }
    g_autofree char *ours = shown_line(found->str + line);
    g_autofree char *other = shown_line(made + line);
    return g_strdup_printf("line %u of its %s is \"%s\", not \"%s\"", number, where, ours, other);
}

static gboolean check_sequences(struct statements *s, GError **error)
{
    g_autoptr(GString) found = text_of(s, MEMBER_SEQUENCES, error);
    if (!found)
        return FALSE;
    g_autofree char *made = sections_sequences(s->toc);
    g_autofree char *differs = difference(found, made, "sequences");
    return !differs || ot_fail(error, OT_MISMATCH, "the file is not as its table of contents says: %s", differs);
}

/* ret_differs: how head or tail differ from what the pg_restore here makes; NULL if they do not. */
static gboolean compare_text(struct statements *s, char **ret_differs, GError **error)
{
    g_autoptr(GString) head = text_of(s, MEMBER_HEAD, error);
    g_autoptr(GString) tail = head ? text_of(s, MEMBER_TAIL, error) : NULL;
    g_autoptr(GString) pre = tail ? pgdump_section_sql(s->toc, s->bindir, s->major, "pre-data", NULL, NULL, error) : NULL;
    g_autoptr(GString) post = pre ? pgdump_section_sql(s->toc, s->bindir, s->major, "post-data", NULL, NULL, error) : NULL;
    if (!post)
        return FALSE;
    sections_use_key(pre, head->str);
    g_autofree char *made_head = sections_head(pre->str);
    g_autofree char *made_tail = sections_tail(post->str, pre->str);
    *ret_differs = difference(head, made_head, "head");
    if (!*ret_differs)
        *ret_differs = difference(tail, made_tail, "tail");
    return TRUE;
}

static gboolean check_text(struct statements *s, char **ret_doubt, GError **error)
{
    g_autofree char *differs = NULL;
    if (!compare_text(s, &differs, error))
        return FALSE;
    if (!differs)
        return TRUE;
    const char *wrote = facts_text(s->reader->contents->facts, "pg_restore_version");
    if (g_strcmp0(wrote, s->here) == 0)
        return ot_fail(error, OT_MISMATCH, "the file is not as its table of contents says: %s", differs);
    g_autofree char *wrote_it = wrote ? g_strdup_printf("pg_restore %s wrote them, %s is here", wrote, s->here)
                                      : g_strdup("the file does not say which pg_restore wrote them");
    *ret_doubt = g_strdup_printf("its statements could not be compared: %s, and %s", wrote_it, differs);
    return TRUE;
}

gboolean statements_check(struct archive_reader *reader, const struct toc *t, const char *bindir, char **ret_doubt,
                          GError **error)
{
    struct statements s = {.reader = reader, .toc = t, .bindir = bindir};
    s.major = facts_major(reader->contents->facts);
    s.here = pgdump_restore_version(t, bindir, s.major, error);
    gboolean ok = s.here && check_copies(&s, error) && check_large_objects(&s, error) && check_sequences(&s, error) &&
                  check_text(&s, ret_doubt, error);
    g_free(s.here);
    return ok;
}
