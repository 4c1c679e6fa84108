/* The metadata file: a table of fields, read by one loop to write and one to read. */
#include "catalog/meta.h"

#include <stddef.h>
#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "catalog/names.h"

enum field_type { TEXT, INT, UINT, INT64, UINT64, UINT64_TEXT, STATE, JSON };

static const struct field {
    const char *key;
    enum field_type type;
    size_t offset;
    gboolean optional;
} fields[] = {
    /* the guide's */
    {"timestamp", TEXT, offsetof(struct meta, timestamp), FALSE},
    {"date", TEXT, offsetof(struct meta, date), FALSE},
    {"database", TEXT, offsetof(struct meta, database), FALSE},
    {"host", TEXT, offsetof(struct meta, host), FALSE},
    {"port", INT, offsetof(struct meta, port), FALSE},
    {"backup_file", TEXT, offsetof(struct meta, backup_file), FALSE},
    {"backup_size", UINT64_TEXT, offsetof(struct meta, size_bytes), FALSE},
    {"database_size", TEXT, offsetof(struct meta, database_size), FALSE},
    {"table_count", UINT, offsetof(struct meta, table_count), FALSE},
    /* "compression": "gzip" comes here */
    {"postgresql_version", TEXT, offsetof(struct meta, postgresql_version), FALSE},
    {"backup_script_version", TEXT, offsetof(struct meta, tool_version), FALSE},
    {"retention_days", INT, offsetof(struct meta, retention_days), FALSE},
    /* ours: they may be missing in the metadata of others */
    {"id", TEXT, offsetof(struct meta, id), TRUE},
    {"type", TEXT, offsetof(struct meta, type), TRUE},
    {"tag", TEXT, offsetof(struct meta, tag), TRUE},
    {"format_version", INT, offsetof(struct meta, format), TRUE},
    {"sha256", TEXT, offsetof(struct meta, sha256), TRUE},
    {"duration_seconds", INT64, offsetof(struct meta, duration_s), TRUE},
    {"snapshot_time", TEXT, offsetof(struct meta, snapshot_time), TRUE},
    {"system_identifier", TEXT, offsetof(struct meta, system_identifier), TRUE},
    {"database_oid", INT64, offsetof(struct meta, database_oid), TRUE},
    {"adopted_by", JSON, offsetof(struct meta, adopted_by), TRUE},
    {"compress_level", TEXT, offsetof(struct meta, level), TRUE},
    {"uncompressed_size", UINT64, offsetof(struct meta, plain_bytes), TRUE},
    {"rows", UINT64, offsetof(struct meta, rows), TRUE},
    {"recovered_size", UINT64, offsetof(struct meta, recovered_bytes), TRUE},
    {"log", TEXT, offsetof(struct meta, log), TRUE},
    {"state", STATE, offsetof(struct meta, state), TRUE},
    {"verified_at", TEXT, offsetof(struct meta, verified_at), TRUE},
    {"tested_at", TEXT, offsetof(struct meta, tested_at), TRUE},
    {"proven_at", TEXT, offsetof(struct meta, proven_at), TRUE},
    {"s3", JSON, offsetof(struct meta, s3), TRUE},
    {"journal", JSON, offsetof(struct meta, journal), TRUE},
    {"hold", JSON, offsetof(struct meta, hold), TRUE},
    {"omitted", JSON, offsetof(struct meta, omitted), TRUE},
    {"facts", JSON, offsetof(struct meta, facts), TRUE},
    {"tables", JSON, offsetof(struct meta, tables), TRUE},
};

#define TESTED_ON "tested on " /* the major version follows */

static const char *const state_names[] = {"failed", "unverified", "verified", NULL /* TESTED_ON */, "proven"};

char *meta_state_text(const struct meta *m)
{
    return m->state == META_TESTED ? g_strdup_printf(TESTED_ON "%d", m->tested_on) : g_strdup(state_names[m->state]);
}

void meta_free(struct meta *m)
{
    if (!m)
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        void *at = (char *)m + fields[i].offset;
        if (fields[i].type == TEXT)
            g_free(*(char **)at);
        else if (fields[i].type == JSON)
            json_decref(*(json_t **)at);
    }
    g_free(m->tables_text);
    g_free(m);
}

json_t *meta_tables(const struct archive_contents *c)
{
    json_t *tables = json_array();
    const char *encoding = json_string_value(json_object_get(c->facts, "encoding"));
    for (guint i = 0; i < c->tables->len; i++) {
        const struct archive_table *t = c->tables->pdata[i];
        g_autofree char *sum = fingerprint_text(&t->proof);
        g_autofree char *schema = text_to_utf8(t->def->schema, encoding);
        g_autofree char *name = text_to_utf8(t->def->name, encoding);
        json_array_append_new(tables, json_pack("{ss ss sI ss}", "schema", schema, "name", name, "rows",
                                                (json_int_t)t->proof.rows, "fingerprint", sum));
    }
    return tables;
}

static json_t *field_to_json(const struct field *f, const struct meta *m)
{
    const void *at = (const char *)m + f->offset;
    switch (f->type) {
    case TEXT:
        return *(char *const *)at ? json_string(*(char *const *)at) : json_null();
    case INT:
        return json_integer(*(const int *)at);
    case UINT:
        return json_integer(*(const guint *)at);
    case INT64:
        return json_integer(*(const gint64 *)at);
    case UINT64:
        return json_integer((json_int_t) * (const guint64 *)at);
    case UINT64_TEXT: {
        g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, *(const guint64 *)at);
        return json_string(text);
    }
    case STATE: {
        g_autofree char *text = meta_state_text(m);
        return json_string(text);
    }
    case JSON:
        return *(json_t *const *)at ? json_incref(*(json_t *const *)at) : json_null();
    }
    return json_null();
}

const char *meta_s3_text(const struct meta *m, const char *what)
{
    return json_string_value(json_object_get(m->s3, what));
}

void meta_set_s3_text(struct meta *m, const char *what, const char *value)
{
    if (!m->s3)
        m->s3 = json_object();
    json_object_set_new(m->s3, what, value ? json_string(value) : json_null());
}

char *meta_print(const struct meta *m, GError **error)
{
    if (m->lean) {
        ot_fail(error, OT_FAILED, "the metadata of %s was read without its tables and cannot be written so", m->id);
        return NULL;
    }
    json_t *object = json_object();
    gboolean complete = TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        complete = json_object_set_new(object, fields[i].key, field_to_json(&fields[i], m)) == 0 && complete;
        if (g_str_equal(fields[i].key, "table_count"))
            json_object_set_new(object, "compression", json_string("gzip"));
    }
    char *text = complete ? json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
    json_decref(object);
    if (!text) {
        ot_fail(error, OT_FAILED, "cannot write the metadata of %s as JSON", m->id);
        return NULL;
    }
    char *line = g_strconcat(text, "\n", NULL);
    free(text);
    return line;
}

gboolean meta_save(const struct meta *m, const char *folder, gboolean replace, GError **error)
{
    g_autofree char *name = g_strconcat(m->id, NAMES_META, NULL);
    g_autofree char *text = meta_print(m, error);
    return text && files_write(folder, name, text, strlen(text), replace, error);
}

static gboolean state_from_json(const json_t *value, struct meta *m)
{
    const char *text = json_string_value(value);
    guint64 major = 0;
    if (text && g_str_has_prefix(text, TESTED_ON) &&
        g_ascii_string_to_unsigned(text + strlen(TESTED_ON), 10, 1, 999, &major, NULL)) {
        m->state = META_TESTED;
        m->tested_on = (int)major;
        return TRUE;
    }
    for (guint i = 0; text && i < G_N_ELEMENTS(state_names); i++)
        if (g_strcmp0(text, state_names[i]) == 0) {
            m->state = (enum meta_state)i;
            return TRUE;
        }
    return FALSE;
}

static gboolean field_from_json(const struct field *f, const json_t *value, struct meta *m)
{
    void *at = (char *)m + f->offset;
    gboolean number = json_is_integer(value) && json_integer_value(value) >= 0;
    switch (f->type) {
    case TEXT:
        *(char **)at = g_strdup(json_string_value(value));
        return json_is_string(value);
    case INT:
    case UINT:
        *(int *)at = number && json_integer_value(value) <= G_MAXINT ? (int)json_integer_value(value) : 0;
        return number && json_integer_value(value) <= G_MAXINT;
    case INT64:
    case UINT64:
        *(gint64 *)at = number ? json_integer_value(value) : 0;
        return number;
    case UINT64_TEXT:
        return json_is_string(value) &&
               g_ascii_string_to_unsigned(json_string_value(value), 10, 0, G_MAXINT64, (guint64 *)at, NULL);
    case STATE:
        return state_from_json(value, m);
    case JSON:
        *(json_t **)at = json_incref((json_t *)value);
        return TRUE;
    }
    return FALSE;
}

static gboolean fill(struct meta *m, const json_t *object, const char *path, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        const json_t *value = json_object_get(object, fields[i].key);
        if (fields[i].optional && (!value || json_is_null(value)))
            continue;
        if (!value || !field_from_json(&fields[i], value, m))
            return ot_fail(error, OT_CORRUPT, "%s lacks a valid \"%s\"", path, fields[i].key);
    }
    return TRUE;
}

struct meta *meta_load(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize length = 0;
    return files_read(path, META_MAX_BYTES, &text, &length, error) ? meta_parse(text, length, path, error) : NULL;
}

struct meta *meta_parse(const char *text, gsize length, const char *path, GError **error)
{
    json_error_t problem;
    json_t *object = json_loadb(text, length, 0, &problem);
    if (!json_is_object(object)) {
        ot_fail(error, OT_CORRUPT, "%s is not valid JSON (line %d: %s)", path, problem.line, problem.text);
        json_decref(object);
        return NULL;
    }
    g_autoptr(meta) m = g_new0(struct meta, 1);
    m->state = META_UNVERIFIED;
    gboolean ok = fill(m, object, path, error);
    json_decref(object);
    if (ok && !m->id)
        m->id = names_id_of_file(m->backup_file, NAMES_DUMP);
    if (ok && !m->id)
        ok = ot_fail(error, OT_CORRUPT, "%s names a backup file that is none: %s", path, m->backup_file);
    return ok ? g_steal_pointer(&m) : NULL;
}

/* ---- without the tables ---- */

/* As meta_print begins and ends them. A text in JSON holds no line break, so nothing else looks so. */
#define TABLES_BEGIN "\n  \"tables\": ["
#define TABLES_END "\n  ]\n}\n"

gboolean meta_find_tables(const char *text, gsize length, gsize *ret_at)
{
    const char *at = g_strstr_len(text, (gssize)length, TABLES_BEGIN);
    if (at)
        *ret_at = (gsize)(at - text);
    return at != NULL;
}

gboolean meta_is_end(const char *text, gsize length)
{
    gsize end = strlen(TABLES_END);
    return length >= end && memcmp(text + length - end, TABLES_END, end) == 0;
}

/* Behind the string that begins at at; NULL: it has no end. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        at += *at == '\\';
    return at < end ? at + 1 : NULL;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && g_ascii_isspace(*at))
        at++;
    return at;
}

/* Behind the array or object that begins at at. Whether what is in it is JSON is not looked at. */
static const char *skip_nested(const char *at, const char *end)
{
    int depth = 0;
    while (at && at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        depth += (*at == '[' || *at == '{') - (*at == ']' || *at == '}');
        at++;
        if (depth == 0)
            return at;
    }
    return NULL;
}

/* The array that is the value of "tables" in the object that the text is. FALSE: there is none, or this is no JSON. */
static gboolean find_array(const char *text, gsize length, const char **ret_begin, const char **ret_end)
{
    static const char key[] = "\"tables\"";
    const char *end = text + length, *at = skip_space(text, end);
    at = at < end && *at == '{' ? at + 1 : NULL;
    while (at && (at = skip_space(at, end)) < end) {
        const char *begin = at;
        if (*at == '[' || *at == '{')
            at = skip_nested(at, end);
        else if (*at != '"')
            at++;
        else if ((at = skip_string(at, end)) && (gsize)(at - begin) == strlen(key) &&
                 memcmp(begin, key, strlen(key)) == 0) {
            const char *colon = skip_space(at, end);
            const char *value = colon < end && *colon == ':' ? skip_space(colon + 1, end) : end;
            *ret_begin = value;
            *ret_end = value < end && *value == '[' ? skip_nested(value, end) : NULL;
            return *ret_end != NULL;
        }
    }
    return FALSE;
}

struct meta *meta_parse_head(const char *text, gsize tables_at, const char *place, GError **error)
{
    g_autofree char *object = g_strdup_printf("%.*s\n\"tables\": null}", (int)tables_at, text);
    struct meta *m = meta_parse(object, strlen(object), place, error);
    if (m)
        m->lean = TRUE;
    return m;
}

struct meta *meta_parse_lean(const char *text, gsize length, gboolean keep, const char *place, GError **error)
{
    const char *begin, *end;
    if (!find_array(text, length, &begin, &end))
        return meta_parse(text, length, place, error);
    g_autoptr(GString) rest = g_string_new_len(text, begin - text);
    g_string_append(rest, "null");
    g_string_append_len(rest, end, text + length - end);
    struct meta *m = meta_parse(rest->str, rest->len, place, error);
    if (!m)
        return NULL;
    m->lean = TRUE;
    m->tables_text = keep ? g_strndup(begin, (gsize)(end - begin)) : NULL;
    return m;
}

json_t *meta_read_tables(const struct meta *m)
{
    if (m->tables)
        return json_incref(m->tables);
    json_t *tables = m->tables_text ? json_loads(m->tables_text, 0, NULL) : NULL;
    if (tables && !json_is_array(tables))
        g_clear_pointer(&tables, json_decref);
    return tables;
}
