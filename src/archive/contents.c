/* The contents as SQL comments: one line a table, one line a member. */
#include "archive/contents.h"

#include <string.h>

#define TOC_LINE_BYTES 3072 /* 4096 characters in base64 */

static const char *const kind_names[MEMBER_KINDS] = {"head", "data", "sequences", "large-objects", "tail"};

static void table_free(gpointer data)
{
    struct archive_table *t = data;
    table_def_free(t->def);
    g_free(t);
}

struct archive_contents *archive_contents_new(void)
{
    struct archive_contents *c = g_new0(struct archive_contents, 1);
    c->facts = json_object();
    c->tables = g_ptr_array_new_with_free_func(table_free);
    c->members = g_array_new(FALSE, TRUE, sizeof(struct archive_member));
    return c;
}

void archive_contents_free(struct archive_contents *c)
{
    if (!c)
        return;
    json_decref(c->facts);
    g_ptr_array_unref(c->tables);
    g_array_unref(c->members);
    if (c->toc)
        g_bytes_unref(c->toc);
    g_free(c);
}

struct archive_table *archive_contents_add_table(struct archive_contents *c, struct table_def *def)
{
    struct archive_table *t = g_new0(struct archive_table, 1);
    t->def = def;
    g_ptr_array_add(c->tables, t);
    return t;
}

struct archive_table *archive_contents_find(const struct archive_contents *c, const char *schema, const char *name)
{
    for (guint i = 0; i < c->tables->len; i++) {
        struct archive_table *t = c->tables->pdata[i];
        if (g_str_equal(t->def->schema, schema) && g_str_equal(t->def->name, name))
            return t;
    }
    return NULL;
}

guint64 archive_contents_rows(const struct archive_contents *c)
{
    guint64 rows = 0;
    for (guint i = 0; i < c->tables->len; i++)
        rows += ((struct archive_table *)c->tables->pdata[i])->proof.rows;
    return rows;
}

/* ---- writing ---- */

static void print_json(GString *out, const char *key, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
    g_string_append_printf(out, "-- %s %s\n", key, text);
    free(text);
    json_decref(value);
}

/* Names in other encodings than UTF-8 are kept byte by byte: see archive_text in docs/FORMAT.md. */
static json_t *text_to_json(const char *text)
{
    if (g_utf8_validate(text, -1, NULL))
        return json_string(text);
    json_t *bytes = json_array();
    for (const guint8 *b = (const guint8 *)text; *b; b++)
        json_array_append_new(bytes, json_integer(*b));
    return bytes;
}

static json_t *table_to_json(const struct archive_table *t)
{
    g_autofree char *sum = fingerprint_text(&t->proof);
    json_t *columns = json_array(), *key = json_array();
    for (guint i = 0; i < t->def->columns->len; i++) {
        const struct table_column *c = t->def->columns->pdata[i];
        json_array_append_new(columns, json_pack("[oo]", text_to_json(c->name), text_to_json(c->type)));
    }
    for (guint i = 0; i < t->def->key->len; i++)
        json_array_append_new(key, text_to_json(t->def->key->pdata[i]));
    json_t *object =
        json_pack("{so so so sI ss sI so so}", "schema", text_to_json(t->def->schema), "name",
                  text_to_json(t->def->name), "copy", text_to_json(t->def->copy_sql), "rows", (json_int_t)t->proof.rows,
                  "fingerprint", sum, "bytes", (json_int_t)t->plain_bytes, "columns", columns, "key", key);
    if (t->def->filter)
        json_object_set_new(object, "filter", text_to_json(t->def->filter));
    return object;
}

static void print_toc(GString *out, GBytes *toc)
{
    gsize length;
    const guint8 *data = g_bytes_get_data(toc, &length);
    for (gsize at = 0; at < length; at += TOC_LINE_BYTES) {
        g_autofree char *line = g_base64_encode(data + at, MIN(TOC_LINE_BYTES, length - at));
        g_string_append_printf(out, "-- toc %s\n", line);
    }
}

char *archive_contents_print(const struct archive_contents *c)
{
    GString *out = g_string_new("-- OpsTower contents\n");
    print_json(out, "facts", json_incref(c->facts));
    for (guint i = 0; i < c->tables->len; i++)
        print_json(out, "table", table_to_json(c->tables->pdata[i]));
    g_autofree char *sum = fingerprint_text(&c->large_objects);
    print_json(out, "large-objects",
               json_pack("{sI ss}", "count", (json_int_t)c->large_objects.rows, "fingerprint", sum));
    for (guint i = 0; i < c->members->len; i++) {
        const struct archive_member *m = &g_array_index(c->members, struct archive_member, i);
        g_string_append_printf(out,
                               "-- member %s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                               " %08x %u %" G_GUINT64_FORMAT "\n",
                               kind_names[m->kind], m->offset, m->size, m->plain_size, m->crc, m->table, m->rows);
    }
    if (c->toc)
        print_toc(out, c->toc);
    g_string_append(out, "-- end of OpsTower contents\n");
    return g_string_free(out, FALSE);
}

/* ---- reading ---- */

static char *text_from_json(json_t *value)
{
    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (!json_is_array(value))
        return NULL;
    GString *bytes = g_string_new(NULL);
    size_t i;
    json_t *byte;
    json_array_foreach(value, i, byte) g_string_append_c(bytes, (char)json_integer_value(byte));
    return g_string_free(bytes, FALSE);
}

static gboolean columns_from_json(struct table_def *def, json_t *columns, json_t *key)
{
    size_t i;
    json_t *entry;
    json_array_foreach(columns, i, entry)
    {
        g_autofree char *name = text_from_json(json_array_get(entry, 0));
        g_autofree char *type = text_from_json(json_array_get(entry, 1));
        if (!name || !type)
            return FALSE;
        table_def_add_column(def, name, type);
    }
    json_array_foreach(key, i, entry)
    {
        char *name = text_from_json(entry);
        if (!name)
            return FALSE;
        g_ptr_array_add(def->key, name);
    }
    return TRUE;
}

static gboolean parse_table(struct archive_contents *c, json_t *object)
{
    struct table_def *def = table_def_new();
    struct archive_table *t = archive_contents_add_table(c, def);
    def->schema = text_from_json(json_object_get(object, "schema"));
    def->name = text_from_json(json_object_get(object, "name"));
    def->copy_sql = text_from_json(json_object_get(object, "copy"));
    def->filter = text_from_json(json_object_get(object, "filter"));
    const char *sum = json_string_value(json_object_get(object, "fingerprint"));
    json_int_t rows = json_integer_value(json_object_get(object, "rows"));
    json_int_t bytes = json_integer_value(json_object_get(object, "bytes"));
    t->proof.rows = (guint64)rows;
    t->plain_bytes = (guint64)bytes;
    return def->schema && def->name && def->copy_sql && sum && rows >= 0 && bytes >= 0 &&
           fingerprint_parse(&t->proof, sum) &&
           columns_from_json(def, json_object_get(object, "columns"), json_object_get(object, "key"));
}

static gboolean parse_large_objects(struct archive_contents *c, json_t *object)
{
    const char *sum = json_string_value(json_object_get(object, "fingerprint"));
    json_int_t count = json_integer_value(json_object_get(object, "count"));
    c->large_objects.rows = (guint64)count;
    return count >= 0 && sum && fingerprint_parse(&c->large_objects, sum);
}

static gboolean parse_facts(struct archive_contents *c, json_t *object)
{
    json_decref(c->facts);
    c->facts = json_incref(object);
    return TRUE;
}

static gboolean parse_json_line(struct archive_contents *c, const char *text,
                                gboolean (*take)(struct archive_contents *, json_t *))
{
    json_t *object = json_loads(text, 0, NULL);
    gboolean ok = json_is_object(object) && take(c, object);
    json_decref(object);
    return ok;
}

static gboolean parse_kind(const char *word, enum member_kind *ret_kind)
{
    for (guint i = 0; i < MEMBER_KINDS; i++)
        if (g_str_equal(word, kind_names[i])) {
            *ret_kind = (enum member_kind)i;
            return TRUE;
        }
    return FALSE;
}

static gboolean parse_member(struct archive_contents *c, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    struct archive_member m = {0};
    guint64 crc = 0, table = 0;
    if (g_strv_length(words) != 7 || !parse_kind(words[0], &m.kind) ||
        !g_ascii_string_to_unsigned(words[1], 10, 0, G_MAXINT64, &m.offset, NULL) ||
        !g_ascii_string_to_unsigned(words[2], 10, 0, G_MAXUINT32, &m.size, NULL) ||
        !g_ascii_string_to_unsigned(words[3], 10, 0, G_MAXUINT32, &m.plain_size, NULL) ||
        !g_ascii_string_to_unsigned(words[4], 16, 0, G_MAXUINT32, &crc, NULL) ||
        !g_ascii_string_to_unsigned(words[5], 10, 0, G_MAXUINT32, &table, NULL) ||
        !g_ascii_string_to_unsigned(words[6], 10, 0, G_MAXINT64, &m.rows, NULL))
        return FALSE;
    m.crc = (guint32)crc;
    m.table = (guint32)table;
    /* Deflate packs at most 1032 to 1: a member cannot hold more than that, whatever the contents claim. */
    if ((m.kind == MEMBER_DATA && m.table >= c->tables->len) || m.plain_size > 1040 * m.size)
        return FALSE;
    g_array_append_val(c->members, m);
    return TRUE;
}

struct parse_state {
    GByteArray *toc;
    gboolean ended;
};

static gboolean parse_toc_line(struct parse_state *state, const char *text)
{
    gsize length;
    g_autofree guchar *bytes = g_base64_decode(text, &length);
    g_byte_array_append(state->toc, bytes, (guint)length);
    return length > 0;
}

static gboolean parse_line(struct archive_contents *c, const char *line, struct parse_state *state)
{
    if (state->ended)
        return FALSE;
    if (g_str_has_prefix(line, "-- table "))
        return parse_json_line(c, line + 9, parse_table);
    if (g_str_has_prefix(line, "-- member "))
        return parse_member(c, line + 10);
    if (g_str_has_prefix(line, "-- toc "))
        return parse_toc_line(state, line + 7);
    if (g_str_has_prefix(line, "-- facts "))
        return parse_json_line(c, line + 9, parse_facts);
    if (g_str_has_prefix(line, "-- large-objects "))
        return parse_json_line(c, line + 17, parse_large_objects);
    state->ended = g_str_equal(line, "-- end of OpsTower contents");
    return state->ended || g_str_equal(line, "-- OpsTower contents");
}

struct archive_contents *archive_contents_parse(const char *text, gsize length, GError **error)
{
    g_autoptr(archive_contents) c = archive_contents_new();
    g_autoptr(GByteArray) toc = g_byte_array_new();
    struct parse_state state = {.toc = toc};
    const char *end = text + length;
    for (const char *at = text; at < end;) {
        const char *newline = memchr(at, '\n', (gsize)(end - at));
        if (!newline) {
            ot_fail(error, OT_CORRUPT, "the backup's contents end in the middle of a line");
            return NULL;
        }
        g_autofree char *line = g_strndup(at, (gsize)(newline - at));
        if (!parse_line(c, line, &state)) {
            ot_fail(error, OT_CORRUPT, "the backup's contents have a line that is not understood: %.60s", line);
            return NULL;
        }
        at = newline + 1;
    }
    if (!state.ended) {
        ot_fail(error, OT_CORRUPT, "the backup's contents are cut");
        return NULL;
    }
    c->toc = g_byte_array_free_to_bytes(g_steal_pointer(&toc));
    return g_steal_pointer(&c);
}
