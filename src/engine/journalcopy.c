/* Segments of the journal, and where it ended. */
#include "engine/journalcopy.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "catalog/journal_line.h"

#define HEAD_NAME "head.json"
#define MAX_HEAD_BYTES 4096
#define MAX_HOST_LENGTH 64
#define ID_LENGTH 12

/* ---- the journal here ---- */

struct segment {
    gint64 number; /* from 0 */
    const char *start, *end;
};

struct text {
    char *all;
    GArray *segments; /* struct segment */
    char *id, *host;
    const char *last; /* line, with its length */
    gsize last_length;
    gint64 last_seq;
    gint64 sought_seq;   /* a record that is looked for: */
    char *sought_digest; /* NULL: there is none */
};

static void text_clear(struct text *t)
{
    g_free(t->all);
    g_array_unref(t->segments);
    g_free(t->id);
    g_free(t->host);
    g_free(t->sought_digest);
}

static void take_record(struct text *t, const char *start, const char *line, gsize length, gint64 seq)
{
    gint64 number = (seq - 1) / JOURNALCOPY_LINES;
    struct segment *last =
        t->segments->len > 0 ? &g_array_index(t->segments, struct segment, t->segments->len - 1) : NULL;
    if (last && last->number == number) {
        last->end = line + length + 1;
    } else {
        struct segment fresh = {number, start, line + length + 1};
        g_array_append_val(t->segments, fresh);
    }
    if (seq == t->sought_seq) {
        g_free(t->sought_digest);
        t->sought_digest = journal_line_digest(line, length);
    }
    t->last = line;
    t->last_length = length;
    t->last_seq = seq;
}

/* A torn line goes with the record after it. One without a newline is not finished: it waits. */
static void cut_segments(struct text *t, gsize length)
{
    const char *start = t->all, *newline;
    for (const char *line = t->all; (newline = memchr(line, '\n', length - (gsize)(line - t->all)));
         line = newline + 1) {
        gint64 seq = journal_line_seq(line, (gsize)(newline - line));
        if (seq <= 0)
            continue;
        take_record(t, start, line, (gsize)(newline - line), seq);
        start = newline + 1;
    }
}

static char *host_of(const json_t *record)
{
    const char *host = json_string_value(json_object_get(record, "host"));
    GString *safe = g_string_new(NULL);
    for (const char *c = host ? host : "unknown"; *c && safe->len < MAX_HOST_LENGTH; c++)
        g_string_append_c(safe, g_ascii_isalnum(*c) || strchr("-.", *c) ? *c : '_');
    return g_string_free(safe, FALSE);
}

static gboolean read_journal(const char *dir, struct text *t, GError **error)
{
    gsize length = 0;
    t->segments = g_array_new(FALSE, FALSE, sizeof(struct segment));
    t->all = journal_text(dir, &length, error);
    if (!t->all)
        return FALSE;
    gsize first = strcspn(t->all, "\n");
    json_t *record = journal_line_parse(t->all, first);
    t->id = journal_line_digest(t->all, first);
    t->host = host_of(record);
    json_decref(record);
    return TRUE;
}

/* ---- the copy ---- */

static char *folder_of(const char *prefix)
{
    return g_strdup_printf("%s%sjournal/", prefix, !*prefix || g_str_has_suffix(prefix, "/") ? "" : "/");
}

static char *key_of(const struct journalcopy *j, const struct text *t, const char *name)
{
    g_autofree char *folder = folder_of(j->prefix);
    return g_strdup_printf("%s%s-%.*s/%s", folder, t->host, ID_LENGTH, t->id, name);
}

/* NULL without error: there is none. */
static json_t *get_head(struct s3 *client, const char *key, GError **error)
{
    GError *problem = NULL;
    gsize length = 0;
    g_autofree char *text = s3_get(client, key, MAX_HEAD_BYTES, &length, &problem);
    if (g_error_matches(problem, OT_ERROR, OT_NOT_FOUND)) {
        g_error_free(problem);
        return NULL;
    }
    if (problem) {
        g_propagate_error(error, problem);
        return NULL;
    }
    json_t *head = json_loadb(text, length, 0, NULL);
    if (json_is_object(head))
        return head;
    json_decref(head);
    ot_fail(error, OT_TAMPERED, "s3://%s/%s is not what this program wrote", s3_bucket(client), key);
    return NULL;
}

/* How far the copy goes; 0: there is none yet. */
static gboolean look_at_copy(const struct journalcopy *j, const struct text *t, json_t **ret_head, GError **error)
{
    GError *problem = NULL;
    g_autofree char *key = key_of(j, t, HEAD_NAME);
    *ret_head = get_head(j->client, key, &problem);
    if (problem)
        g_propagate_error(error, problem);
    return problem == NULL;
}

static gboolean put_segments(const struct journalcopy *j, const struct text *t, gint64 from_seq, GError **error)
{
    struct s3_props props = j->props;
    props.content_type = "application/x-ndjson";
    for (guint i = 0; i < t->segments->len; i++) {
        const struct segment *s = &g_array_index(t->segments, struct segment, i);
        if (s->number < (from_seq - 1) / JOURNALCOPY_LINES)
            continue;
        g_autofree char *name = g_strdup_printf("%09" G_GINT64_FORMAT ".jsonl", s->number * JOURNALCOPY_LINES + 1);
        g_autofree char *key = key_of(j, t, name);
        if (!s3_put(j->client, key, s->start, (gsize)(s->end - s->start), &props, NULL, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean put_head(const struct journalcopy *j, const struct text *t, GError **error)
{
    struct s3_props props = j->props;
    props.content_type = "application/json";
    g_autofree char *digest = journal_line_digest(t->last, t->last_length);
    g_autofree char *now = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
    g_autofree char *dir = g_utf8_make_valid(j->dir, -1);
    g_autofree char *key = key_of(j, t, HEAD_NAME);
    json_t *head = json_pack("{ss sI ss ss ss ss}", "id", t->id, "seq", (json_int_t)t->last_seq, "head", digest, "host",
                             g_get_host_name(), "dir", dir, "time", now);
    char *text = json_dumps(head, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(head);
    gboolean ok = text ? s3_put(j->client, key, text, strlen(text), &props, NULL, error)
                       : ot_fail(error, OT_FAILED, "the journal's head cannot be written as JSON");
    free(text);
    return ok;
}

static gboolean send_new(const struct journalcopy *j, struct text *t, const json_t *head, GError **error)
{
    t->sought_seq = json_integer_value(json_object_get(head, "seq"));
    cut_segments(t, strlen(t->all));
    if (t->last_seq == 0)
        return TRUE;
    const char *digest = json_string_value(json_object_get(head, "head"));
    if (head && g_strcmp0(digest, t->sought_digest) != 0)
        return ot_fail(error, OT_TAMPERED,
                       "the journal here does not go on from its copy in S3 (record %" G_GINT64_FORMAT
                       "), which is left as it is",
                       t->sought_seq);
    return t->sought_seq == t->last_seq || (put_segments(j, t, t->sought_seq + 1, error) && put_head(j, t, error));
}

gboolean journalcopy_send(const struct journalcopy *j, GError **error)
{
    struct text t = {0};
    GError *problem = NULL;
    json_t *head = NULL;
    gboolean there = read_journal(j->dir, &t, &problem);
    if (there && look_at_copy(j, &t, &head, &problem))
        send_new(j, &t, head, &problem);
    json_decref(head);
    text_clear(&t);
    if (problem)
        g_propagate_error(error, problem);
    return problem == NULL;
}

/* ---- for the audit ---- */

/* Whether a copy under this key (without the folder) can concern the journal here: by its id, or by this host. */
static gboolean may_concern(const char *key, const char *id, const char *host)
{
    const char *slash = strchr(key, '/');
    if (!slash || !g_str_equal(slash + 1, HEAD_NAME) || slash - key < ID_LENGTH + 2)
        return FALSE;
    gsize host_length = (gsize)(slash - key) - ID_LENGTH - 1;
    return (*id && strncmp(slash - ID_LENGTH, id, ID_LENGTH) == 0) ||
           (strlen(host) == host_length && strncmp(key, host, host_length) == 0);
}

static gboolean add_copy(struct s3 *client, const char *key, const char *dir, const char *id, GPtrArray *anchors,
                         GError **error)
{
    GError *problem = NULL;
    json_t *head = get_head(client, key, &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    gboolean same = g_strcmp0(json_string_value(json_object_get(head, "id")), id) == 0;
    gboolean here = g_strcmp0(json_string_value(json_object_get(head, "dir")), dir) == 0 &&
                    g_strcmp0(json_string_value(json_object_get(head, "host")), g_get_host_name()) == 0;
    g_autofree char *kept_by = g_strdup_printf("the journal's copy s3://%s/%s", s3_bucket(client), key);
    struct journal_anchor *a = same || here ? journal_anchor_new(kept_by, head) : NULL;
    if (a)
        g_ptr_array_add(anchors, a);
    json_decref(head);
    return TRUE;
}

gboolean journalcopy_anchors(struct s3 *client, const char *prefix, const char *dir, GPtrArray *anchors, GError **error)
{
    struct journal_head head;
    g_autofree char *folder = folder_of(prefix);
    if (!journal_head(dir, &head, error))
        return FALSE;
    json_t *here = json_pack("{ss}", "host", g_get_host_name());
    g_autofree char *host = host_of(here);
    json_decref(here);
    g_autoptr(GPtrArray) objects = s3_list(client, folder, error);
    for (guint i = 0; objects && i < objects->len; i++) {
        const struct s3_object *o = objects->pdata[i];
        if (may_concern(o->key + strlen(folder), head.id, host) &&
            !add_copy(client, o->key, dir, head.id, anchors, error))
            return FALSE;
    }
    return objects != NULL;
}
