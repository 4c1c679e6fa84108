/* Line filter over pg_dump's large object statements. */
#include "pg/largeobject.h"

#include <string.h>

#define MAX_LINE (1u << 20) /* pg_dump writes 16 KiB of an object in a line, as hexadecimal digits */

struct lo_filter {
    gboolean (*take)(const char *line, gsize length, void *data, GError **error);
    void *data;
    GString *line;
    GString *object; /* the statements of the object being read; its digest so far */
    gboolean in_object;
    struct fingerprint proof;
};

struct lo_filter *lo_filter_new(gboolean (*take)(const char *line, gsize length, void *data, GError **error),
                                void *data)
{
    struct lo_filter *f = g_new0(struct lo_filter, 1);
    f->take = take;
    f->data = data;
    f->line = g_string_new(NULL);
    f->object = g_string_new(NULL);
    return f;
}

void lo_filter_free(struct lo_filter *f)
{
    if (!f)
        return;
    g_string_free(f->line, TRUE);
    g_string_free(f->object, TRUE);
    g_free(f);
}

static gboolean any_prefix(const char *line, const char *const *prefixes)
{
    for (; *prefixes; prefixes++)
        if (g_str_has_prefix(line, *prefixes))
            return TRUE;
    return FALSE;
}

/* An object may be of any size, so its statements are not gathered: each line's fingerprint, chained to the one
 * before it, is. */
static void add_to_object(struct lo_filter *f, const char *line, gsize length)
{
    struct fingerprint step = {0};
    fingerprint_add_row(&step, line, length);
    g_autofree char *digest = fingerprint_text(&step);
    g_string_append(f->object, digest);
    memset(&step, 0, sizeof step);
    fingerprint_add_row(&step, f->object->str, f->object->len);
    g_autofree char *chained = fingerprint_text(&step);
    g_string_assign(f->object, chained);
}

static gboolean keep(struct lo_filter *f, GError **error)
{
    static const char *const inside[] = {"SELECT pg_catalog.lo_open(", "SELECT pg_catalog.lowrite(",
                                         "SELECT pg_catalog.lo_close(", NULL};
    const char *line = f->line->str;
    if (any_prefix(line, inside)) {
        add_to_object(f, line, f->line->len);
        f->in_object = !g_str_has_prefix(line, inside[2]);
    }
    if (!f->in_object && f->object->len > 0) {
        fingerprint_add_row(&f->proof, f->object->str, f->object->len);
        g_string_truncate(f->object, 0);
    }
    return !f->take || f->take(line, f->line->len, f->data, error);
}

static gboolean take_line(struct lo_filter *f, GError **error)
{
    static const char *const wanted[] = {"SELECT pg_catalog.lo", "BEGIN;", "COMMIT;", NULL};
    static const char *const noise[] = {"--", "SET ", "SELECT pg_catalog.set_config(", "\\restrict ", "\\unrestrict ",
                                        "\n", NULL};
    /* pg_dump 17 and later creates them here. They are created before: that is in the pre-data section. */
    if (g_str_has_prefix(f->line->str, "SELECT pg_catalog.lo_create(") && !f->in_object)
        return TRUE;
    if (any_prefix(f->line->str, wanted))
        return keep(f, error);
    if (any_prefix(f->line->str, noise) && !f->in_object)
        return TRUE;
    if (f->line->str[0] == '\n')
        return TRUE;
    return ot_fail(error, OT_DUMP, "pg_dump wrote an unexpected line among the large objects: %.60s", f->line->str);
}

gboolean lo_filter_feed(struct lo_filter *f, const char *text, gsize length, GError **error)
{
    const char *end = text + length;
    while (text < end) {
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        const char *next = newline ? newline + 1 : end;
        g_string_append_len(f->line, text, next - text);
        if (f->line->len > MAX_LINE)
            return ot_fail(error, OT_DUMP, "pg_dump wrote a line of a large object that is too long");
        if (newline && !take_line(f, error))
            return FALSE;
        if (newline)
            g_string_truncate(f->line, 0);
        text = next;
    }
    return TRUE;
}

gboolean lo_filter_finish(struct lo_filter *f, struct fingerprint *ret_proof, GError **error)
{
    if (f->in_object || f->line->len > 0)
        return ot_fail(error, OT_DUMP, "pg_dump's large objects are cut");
    *ret_proof = f->proof;
    return TRUE;
}
