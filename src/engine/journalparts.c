/* Segments of the journal, their keys, and the head that is kept beside them. */
#include "engine/journalparts.h"

#include <string.h>

#include "catalog/journal_line.h"
#include "engine/journalcopy.h"

#define MAX_HEAD_BYTES 4096
#define MAX_HOST_LENGTH 64

/* ---- the journal here ---- */

void journalparts_clear(struct journalparts *t)
{
    g_free(t->all);
    g_clear_pointer(&t->segments, g_array_unref);
    g_free(t->id);
    g_free(t->host);
    g_free(t->sought_digest);
    *t = (struct journalparts){0};
}

static void take_record(struct journalparts *t, const char *start, const char *line, gsize length, gint64 seq)
{
    gint64 number = (seq - 1) / JOURNALCOPY_LINES;
    struct journalpart *last =
        t->segments->len > 0 ? &g_array_index(t->segments, struct journalpart, t->segments->len - 1) : NULL;
    if (last && last->number == number) {
        last->end = line + length + 1;
    } else {
        struct journalpart fresh = {number, start, line + length + 1};
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
void journalparts_cut(struct journalparts *t)
{
    const char *start = t->all, *newline;
    for (const char *line = t->all; (newline = memchr(line, '\n', t->length - (gsize)(line - t->all)));
         line = newline + 1) {
        gint64 seq = journal_line_seq(line, (gsize)(newline - line));
        if (seq <= 0)
            continue;
        take_record(t, start, line, (gsize)(newline - line), seq);
        start = newline + 1;
    }
}

char *journalparts_host(const json_t *record)
{
    const char *host = json_string_value(json_object_get(record, "host"));
    GString *safe = g_string_new(NULL);
    for (const char *c = host ? host : "unknown"; *c && safe->len < MAX_HOST_LENGTH; c++)
        g_string_append_c(safe, g_ascii_isalnum(*c) || strchr("-.", *c) ? *c : '_');
    return g_string_free(safe, FALSE);
}

gboolean journalparts_read(const char *dir, struct journalparts *t, GError **error)
{
    t->segments = g_array_new(FALSE, FALSE, sizeof(struct journalpart));
    t->all = journal_text(dir, &t->length, error);
    if (!t->all)
        return FALSE;
    gsize first = strcspn(t->all, "\n");
    json_t *record = journal_line_parse(t->all, first);
    t->id = journal_line_digest(t->all, first);
    t->host = journalparts_host(record);
    json_decref(record);
    return TRUE;
}

/* ---- where they lie ---- */

char *journalparts_folder(const char *prefix)
{
    return g_strdup_printf("%s%sjournal/", prefix, !*prefix || g_str_has_suffix(prefix, "/") ? "" : "/");
}

char *journalparts_key(const struct journalparts *t, const char *prefix, const char *name)
{
    g_autofree char *folder = journalparts_folder(prefix);
    return g_strdup_printf("%s%s-%.*s/%s", folder, t->host, JOURNALPARTS_ID_LENGTH, t->id, name);
}

char *journalparts_segment_key(const struct journalparts *t, const char *prefix, gint64 number)
{
    g_autofree char *name = g_strdup_printf("%09" G_GINT64_FORMAT ".jsonl", number * JOURNALCOPY_LINES + 1);
    return journalparts_key(t, prefix, name);
}

json_t *journalparts_get_head(struct s3 *client, const char *key, GError **error)
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
