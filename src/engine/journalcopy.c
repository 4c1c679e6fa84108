/* What is new of the journal goes to S3. */
#include "engine/journalcopy.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "catalog/journal_line.h"
#include "engine/journalparts.h"

/* How far the copy goes; 0: there is none yet. */
static gboolean look_at_copy(const struct journalcopy *j, const struct journalparts *t, json_t **ret_head,
                             GError **error)
{
    GError *problem = NULL;
    g_autofree char *key = journalparts_key(t, j->prefix, JOURNALPARTS_HEAD);
    *ret_head = journalparts_get_head(j->client, key, &problem);
    if (problem)
        g_propagate_error(error, problem);
    return problem == NULL;
}

static gboolean put_segments(const struct journalcopy *j, const struct journalparts *t, gint64 from_seq,
                             gboolean *ret_refused, GError **error)
{
    struct s3_props props = j->props;
    props.content_type = "application/x-ndjson";
    for (guint i = 0; i < t->segments->len; i++) {
        const struct journalpart *s = &g_array_index(t->segments, struct journalpart, i);
        if (s->number < (from_seq - 1) / JOURNALCOPY_LINES)
            continue;
        g_autofree char *key = journalparts_segment_key(t, j->prefix, s->number);
        if (!s3_put_if_allowed(j->client, key, s->start, (gsize)(s->end - s->start), &props, ret_refused, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean put_head(const struct journalcopy *j, const struct journalparts *t, gboolean *ret_refused,
                         GError **error)
{
    struct s3_props props = j->props;
    props.content_type = "application/json";
    g_autofree char *digest = journal_line_digest(t->last, t->last_length);
    g_autofree char *now = text_iso_time(g_get_real_time() / G_USEC_PER_SEC);
    g_autofree char *dir = g_utf8_make_valid(j->dir, -1);
    g_autofree char *key = journalparts_key(t, j->prefix, JOURNALPARTS_HEAD);
    json_t *head = json_pack("{ss sI ss ss ss ss}", "id", t->id, "seq", (json_int_t)t->last_seq, "head", digest, "host",
                             g_get_host_name(), "dir", dir, "time", now);
    char *text = json_dumps(head, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(head);
    gboolean ok = text ? s3_put_if_allowed(j->client, key, text, strlen(text), &props, ret_refused, error)
                       : ot_fail(error, OT_FAILED, "the journal's head cannot be written as JSON");
    free(text);
    return ok;
}

static gboolean send_new(const struct journalcopy *j, struct journalparts *t, const json_t *head, gboolean *ret_refused,
                         GError **error)
{
    t->sought_seq = json_integer_value(json_object_get(head, "seq"));
    journalparts_cut(t);
    if (t->last_seq == 0)
        return TRUE;
    const char *digest = json_string_value(json_object_get(head, "head"));
    if (head && g_strcmp0(digest, t->sought_digest) != 0)
        return ot_fail(error, OT_TAMPERED,
                       "the journal here does not go on from its copy in S3 (record %" G_GINT64_FORMAT
                       "), which is left as it is",
                       t->sought_seq);
    return t->sought_seq == t->last_seq ||
           (put_segments(j, t, t->sought_seq + 1, ret_refused, error) && put_head(j, t, ret_refused, error));
}

gboolean journalcopy_send(const struct journalcopy *j, gboolean *ret_refused, GError **error)
{
    *ret_refused = FALSE;
    struct journalparts t = {0};
    GError *problem = NULL;
    json_t *head = NULL;
    gboolean there = journalparts_read(j->dir, &t, &problem);
    if (there && look_at_copy(j, &t, &head, &problem))
        send_new(j, &t, head, ret_refused, &problem);
    json_decref(head);
    journalparts_clear(&t);
    if (problem)
        g_propagate_error(error, problem);
    return problem == NULL;
}
