/* The journal's copy in S3 as a witness: where it ends, and each of its lines. */
#include <string.h>

#include "catalog/journal_compare.h"
#include "engine/journalcopy.h"
#include "engine/journalparts.h"

/* ---- where copies end ---- */

/* Whether a copy under this key (without the folder) can concern the journal here: by its id, or by this host. */
static gboolean may_concern(const char *key, const char *id, const char *host)
{
    const char *slash = strchr(key, '/');
    if (!slash || !g_str_equal(slash + 1, JOURNALPARTS_HEAD) || slash - key < JOURNALPARTS_ID_LENGTH + 2)
        return FALSE;
    gsize host_length = (gsize)(slash - key) - JOURNALPARTS_ID_LENGTH - 1;
    return (*id && strncmp(slash - JOURNALPARTS_ID_LENGTH, id, JOURNALPARTS_ID_LENGTH) == 0) ||
           (strlen(host) == host_length && strncmp(key, host, host_length) == 0);
}

static gboolean add_copy(struct s3 *client, const char *key, const char *dir, const char *id, GPtrArray *anchors,
                         GError **error)
{
    GError *problem = NULL;
    json_t *head = journalparts_get_head(client, key, &problem);
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
    g_autofree char *folder = journalparts_folder(prefix);
    if (!journal_head(dir, &head, error))
        return FALSE;
    json_t *here = json_pack("{ss}", "host", g_get_host_name());
    g_autofree char *host = journalparts_host(here);
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

/* ---- each line of it ---- */

/* 200 of the longest lines are 13 MiB; what crashes cut off lies between them. */
#define MAX_SEGMENT_BYTES (64u << 20)

struct comparing {
    struct s3 *client;
    const char *prefix;
    struct journal_state *state;
    struct journalparts here;
    GArray *numbers; /* gint64: the segments that are there, in their order */
    gint64 last;     /* number that the last of all must have, as far as the journal goes; -1: there is none */
    gint64 head_seq; /* 0: head.json is not there */
    char *last_text; /* of the last that is there, which may still grow: read before the journal is */
    gsize last_length;
};

static gint64 number_of(const struct comparing *c, const char *key)
{
    const char *name = strrchr(key, '/') + 1;
    gint64 first = g_ascii_strtoll(name, NULL, 10), number = (first - 1) / JOURNALCOPY_LINES;
    g_autofree char *exact = first > 0 ? journalparts_segment_key(&c->here, c->prefix, number) : NULL;
    return g_strcmp0(exact, key) == 0 ? number : -1;
}

static gboolean list_segments(struct comparing *c, GError **error)
{
    g_autofree char *folder = journalparts_key(&c->here, c->prefix, "");
    g_autoptr(GPtrArray) objects = s3_list(c->client, folder, error);
    for (guint i = 0; objects && i < objects->len; i++) {
        gint64 number = number_of(c, ((const struct s3_object *)objects->pdata[i])->key);
        if (number >= 0)
            g_array_append_val(c->numbers, number);
    }
    if (c->numbers->len > 0)
        c->last = MAX(c->last, g_array_index(c->numbers, gint64, c->numbers->len - 1));
    return objects != NULL;
}

static gboolean read_head(struct comparing *c, GError **error)
{
    GError *problem = NULL;
    g_autofree char *key = journalparts_key(&c->here, c->prefix, JOURNALPARTS_HEAD);
    json_t *head = journalparts_get_head(c->client, key, &problem);
    c->head_seq = json_integer_value(json_object_get(head, "seq"));
    json_decref(head);
    if (c->head_seq > 0)
        c->last = MAX(c->last, (MIN(c->head_seq, c->state->last_seq) - 1) / JOURNALCOPY_LINES);
    if (problem)
        g_propagate_error(error, problem);
    return problem == NULL;
}

static gboolean is_there(const struct comparing *c, gint64 number)
{
    for (guint i = 0; i < c->numbers->len; i++)
        if (g_array_index(c->numbers, gint64, i) == number)
            return TRUE;
    return FALSE;
}

static char *name_of(const struct comparing *c, gint64 number)
{
    g_autofree char *key = journalparts_segment_key(&c->here, c->prefix, number);
    return g_strdup_printf("s3://%s/%s", s3_bucket(c->client), key);
}

/* NULL without error: it is gone, or too large to be ours, which is a finding. */
static char *get_segment(struct comparing *c, gint64 number, gsize *ret_length, GError **error)
{
    GError *problem = NULL;
    g_autofree char *key = journalparts_segment_key(&c->here, c->prefix, number);
    char *text = s3_get(c->client, key, MAX_SEGMENT_BYTES, ret_length, &problem);
    if (text) {
        c->state->parts++;
        c->state->part_bytes += *ret_length;
    }
    if (g_error_matches(problem, OT_ERROR, OT_CORRUPT))
        journal_state_find(c->state, 0, number * JOURNALCOPY_LINES + 1, g_strdup(problem->message));
    if (g_error_matches(problem, OT_ERROR, OT_NOT_FOUND) || g_error_matches(problem, OT_ERROR, OT_CORRUPT))
        g_clear_error(&problem);
    if (problem)
        g_propagate_error(error, problem);
    return text;
}

static const char *start_of(const struct comparing *c, gint64 number)
{
    for (guint i = 0; i < c->here.segments->len; i++) {
        const struct journalpart *p = &g_array_index(c->here.segments, struct journalpart, i);
        if (p->number == number)
            return p->start;
    }
    return NULL;
}

static void find_missing(struct comparing *c, gint64 number, gint64 first, gint64 last)
{
    g_autofree char *name = name_of(c, number);
    journal_state_find(
        c->state, 0, first,
        g_strdup_printf("missing in S3: %s, with seq %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, name, first, last));
}

static gboolean compare_segment(struct comparing *c, gint64 number, GError **error)
{
    GError *problem = NULL;
    gint64 first = number * JOURNALCOPY_LINES + 1, full = first + JOURNALCOPY_LINES - 1, same = 0;
    gint64 needed = number < c->last ? full : c->head_seq;
    const char *start = start_of(c, number);
    gboolean kept = c->last_text && number == c->last;
    gsize length = c->last_length;
    g_autofree char *fetched = kept || !is_there(c, number) ? NULL : get_segment(c, number, &length, &problem);
    const char *text = kept ? c->last_text : fetched;
    g_autofree char *name = name_of(c, number);
    struct journal_copied copy = {name, text, length, first, needed};
    if (problem)
        g_propagate_error(error, problem);
    else if (!text)
        find_missing(c, number, first, needed);
    else if (start)
        journal_compare(c->state, c->here.all, c->here.length, start, &copy, &same);
    else
        journal_state_find(c->state, 0, first, g_strdup_printf("missing here: %s has it", name));
    /* Only as far as nothing lies between that differs. */
    if (c->state->copied_seq == first - 1)
        c->state->copied_seq = same;
    return problem == NULL;
}

/* Copies of what the journal here does not have at all any more. */
static void find_beyond(struct comparing *c)
{
    for (guint i = 0; i < c->numbers->len; i++) {
        gint64 number = g_array_index(c->numbers, gint64, i);
        if (number * JOURNALCOPY_LINES < c->here.last_seq)
            continue;
        g_autofree char *name = name_of(c, number);
        journal_state_find(c->state, 0, number * JOURNALCOPY_LINES + 1,
                           g_strdup_printf("missing here: %s has it, and what follows", name));
        return;
    }
}

/* The last segment before the journal is read again: what other runs add meanwhile is here first, and then there. */
static gboolean compare(struct comparing *c, const char *dir, GError **error)
{
    GError *problem = NULL;
    gboolean ok = journalparts_read(dir, &c->here, &problem) && read_head(c, &problem) && list_segments(c, &problem);
    if (ok && is_there(c, c->last))
        c->last_text = get_segment(c, c->last, &c->last_length, &problem);
    journalparts_clear(&c->here);
    if (problem || !ok || !journalparts_read(dir, &c->here, &problem)) {
        if (problem)
            g_propagate_error(error, problem);
        return problem == NULL; /* else there is no journal */
    }
    journalparts_cut(&c->here);
    for (gint64 number = 0; number <= c->last && number * JOURNALCOPY_LINES < c->here.last_seq; number++)
        if (!compare_segment(c, number, error))
            return FALSE;
    find_beyond(c);
    return TRUE;
}

gboolean journalcopy_compare(struct s3 *client, const char *prefix, const char *dir, struct journal_state *state,
                             GError **error)
{
    struct comparing c = {.client = client, .prefix = prefix, .state = state, .last = -1};
    c.numbers = g_array_new(FALSE, FALSE, sizeof(gint64));
    gboolean ok = compare(&c, dir, error);
    journalparts_clear(&c.here);
    g_array_unref(c.numbers);
    g_free(c.last_text);
    return ok;
}
