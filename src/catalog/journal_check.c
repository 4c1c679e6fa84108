/* The chain, line by line; then the anchors. */
#include "catalog/journal_check.h"

#include <string.h>

#include "catalog/journal_line.h"

#define MAX_FINDINGS 1000

/* ---- what is found ---- */

static void finding_free(gpointer data)
{
    struct journal_finding *f = data;
    g_free(f->text);
    g_free(f);
}

static struct journal_finding *finding_new(guint64 line, gint64 seq, char *text)
{
    struct journal_finding *f = g_new0(struct journal_finding, 1);
    *f = (struct journal_finding){line, seq, text};
    return f;
}

void journal_state_find(struct journal_state *s, guint64 line, gint64 seq, char *text)
{
    if (s->findings->len < MAX_FINDINGS) {
        g_ptr_array_add(s->findings, finding_new(line, seq, text));
        return;
    }
    g_free(text);
    s->findings_more++;
}

void journal_state_free(struct journal_state *s)
{
    if (!s)
        return;
    g_free(s->first);
    g_free(s->last);
    g_ptr_array_unref(s->findings);
    g_ptr_array_unref(s->notes);
    g_free(s);
}

/* ---- anchors ---- */

struct journal_anchor *journal_anchor_new(const char *kept_by, const json_t *object)
{
    const char *id = json_string_value(json_object_get(object, "id"));
    const char *digest = json_string_value(json_object_get(object, "head"));
    json_int_t seq = json_integer_value(json_object_get(object, "seq"));
    if (!id || !digest || seq <= 0)
        return NULL;
    struct journal_anchor *a = g_new0(struct journal_anchor, 1);
    *a = (struct journal_anchor){g_strdup(kept_by), g_strdup(id), g_strdup(digest), seq};
    return a;
}

void journal_anchor_free(gpointer anchor)
{
    struct journal_anchor *a = anchor;
    if (!a)
        return;
    g_free(a->kept_by);
    g_free(a->id);
    g_free(a->digest);
    g_free(a);
}

/* ---- the chain ---- */

struct line {
    const char *text;
    gsize length;
    json_t *record; /* NULL: it is none */
    gint64 seq;
};

struct walk {
    struct journal_state *state;
    const char *from;   /* where the last record begins: what follows it up to the next one is torn */
    gsize from_length;  /* of its line; 0: there was none yet */
    char *id;           /* digest of the first line */
    char *before;       /* digest that the next line must have as prev; of the first: zeros */
    gint64 seq_before;  /* of the last record */
    guint64 open_line;  /* number of the first line since that is no record; 0: none */
    gboolean doubted;   /* what comes before the next line has a finding of its own */
    GHashTable *places; /* seq (gint64 *) -> struct place */
    gboolean adopt;     /* the next record is the first that was read: what came before it is not known */
    gint64 from_seq;    /* of that one; 0: all were read */
};

struct place {
    guint64 line;
    char *digest;
    gboolean doubted;
};

static void place_free(gpointer data)
{
    struct place *p = data;
    g_free(p->digest);
    g_free(p);
}

static const char *text_in(const struct line *l, const char *key)
{
    return json_string_value(json_object_get(l->record, key));
}

/* Lines that are no records lie between the last record and this one, which says whether that was so when it was
 * written. Whoever cut them off later could not know what it would say. */
static void judge_open_lines(struct walk *w, const struct line *l, guint64 number)
{
    gsize whole = (gsize)(l->text - w->from) - 1;
    gsize torn = whole - w->from_length - (w->from_length > 0);
    g_autofree char *digest = journal_line_digest(w->from, whole);
    if (json_integer_value(json_object_get(l->record, "torn_before")) == (json_int_t)torn &&
        g_strcmp0(text_in(l, "prev"), digest) == 0) {
        g_ptr_array_add(w->state->notes,
                        finding_new(w->open_line, 0,
                                    g_strdup("torn: a crash cut it off while it was written; the next line says so")));
        g_free(w->before);
        w->before = g_steal_pointer(&digest);
        return;
    }
    journal_state_find(w->state, w->open_line, w->seq_before + 1, g_strdup("edited: it is no record any more"));
    if (l->seq > w->seq_before + 1) /* else it never was one */
        w->seq_before += (gint64)(number - w->open_line);
    w->doubted = TRUE;
}

static void judge_order(struct walk *w, const struct line *l, guint64 number)
{
    gint64 due = w->seq_before + 1;
    gboolean linked = g_strcmp0(text_in(l, "prev"), w->before) == 0;
    if (l->seq > due)
        journal_state_find(w->state, number, l->seq,
                           g_strdup_printf("removed: seq %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                                           " are missing before it",
                                           due, l->seq - 1));
    else if (l->seq < due)
        journal_state_find(w->state, number, l->seq,
                           g_strdup_printf("out of order: it comes after seq %" G_GINT64_FORMAT
                                           "; lines were inserted, doubled or moved",
                                           w->seq_before));
    else if (!linked && !w->doubted)
        journal_state_find(w->state, number, l->seq,
                           g_strdup("replaced: it was written after another line than the one before it"));
}

static void note_times(struct journal_state *s, const struct line *l)
{
    if (!s->first)
        s->first = g_strdup(text_in(l, "time"));
    g_free(s->last);
    s->last = g_strdup(text_in(l, "time"));
}

/* Every line is written with one. */
static const char *broken_sum(const struct line *l)
{
    return text_in(l, "sum") ? "edited: its text is not what its sum says" : "edited: it has no sum";
}

/* Where reading begins in the middle. */
static void adopt(struct walk *w, const struct line *l)
{
    w->adopt = FALSE;
    w->from_seq = l->seq;
    w->seq_before = l->seq - 1;
    w->open_line = 0;
    g_free(w->before);
    w->before = g_strdup(text_in(l, "prev"));
}

static void take_record(struct walk *w, struct line *l, guint64 number, char *digest)
{
    struct journal_state *s = w->state;
    if (w->adopt)
        adopt(w, l);
    guint before = s->findings->len;
    gboolean sound = journal_line_sum_is_right(l->text, l->length);
    if (w->open_line > 0)
        judge_open_lines(w, l, number);
    if (sound)
        judge_order(w, l, number);
    else
        journal_state_find(s, number, l->seq = w->seq_before + 1, g_strdup(broken_sum(l)));
    struct place *p = g_new0(struct place, 1);
    *p = (struct place){number, g_strdup(digest), s->findings->len > before};
    g_hash_table_replace(w->places, g_memdup2(&l->seq, sizeof l->seq), p);
    note_times(s, l);
    s->last_seq = MAX(s->last_seq, l->seq);
    w->seq_before = l->seq;
    w->doubted = !sound;
    w->open_line = 0;
    w->from = l->text;
    w->from_length = l->length;
    g_free(w->before);
    w->before = digest;
}

static void take_line(struct walk *w, struct line *l)
{
    guint64 number = ++w->state->lines;
    char *digest = journal_line_digest(l->text, l->length);
    if (!w->id)
        w->id = g_strdup(digest);
    l->record = journal_line_parse(l->text, l->length);
    l->seq = json_integer_value(json_object_get(l->record, "seq"));
    if (l->record) {
        take_record(w, l, number, digest);
    } else {
        w->open_line = w->open_line ? w->open_line : number;
        g_free(digest);
    }
    json_decref(l->record);
}

static void walk_lines(struct walk *w, const char *text, gsize length)
{
    const char *end = text + length;
    w->from = text;
    while (text < end) {
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        struct line l = {.text = text, .length = (gsize)((newline ? newline : end) - text)};
        take_line(w, &l);
        text += l.length + 1;
    }
    if (w->open_line > 0)
        journal_state_find(
            w->state, w->open_line, w->seq_before + 1,
            g_strdup("cut off: by a crash while it was written, or by somebody afterwards; that cannot be told apart. "
                     "The next act marks it"));
}

/* ---- the anchors ---- */

static void judge_anchor(struct walk *w, const struct journal_anchor *a, const struct journal_anchor **furthest,
                         const struct journal_anchor **first_wrong)
{
    const struct place *p = g_hash_table_lookup(w->places, &a->seq);
    if (a->seq < w->from_seq && g_strcmp0(a->id, w->id) == 0)
        return; /* of what was not read */
    w->state->anchors++;
    if (g_strcmp0(a->id, w->id) != 0 || a->seq > w->state->last_seq) {
        if (!*furthest || a->seq > (*furthest)->seq)
            *furthest = a;
    } else if (!p || !g_str_equal(p->digest, a->digest)) {
        if ((!p || !p->doubted) && (!*first_wrong || a->seq < (*first_wrong)->seq))
            *first_wrong = a;
    } else {
        w->state->vouched_seq = MAX(w->state->vouched_seq, a->seq);
    }
}

static void judge_anchors(struct walk *w, const GPtrArray *anchors)
{
    struct journal_state *s = w->state;
    const struct journal_anchor *furthest = NULL, *wrong = NULL;
    for (guint i = 0; anchors && i < anchors->len; i++)
        judge_anchor(w, anchors->pdata[i], &furthest, &wrong);
    if (wrong) {
        const struct place *p = g_hash_table_lookup(w->places, &wrong->seq);
        journal_state_find(s, p ? p->line : 0, wrong->seq,
                           g_strdup_printf("not the record that %s was taken after: replaced", wrong->kept_by));
    }
    if (!furthest)
        return;
    if (s->lines == 0)
        journal_state_find(s, 0, furthest->seq,
                           g_strdup_printf("the journal is gone: %s knows of %" G_GINT64_FORMAT " records",
                                           furthest->kept_by, furthest->seq));
    else if (g_strcmp0(furthest->id, w->id) != 0)
        journal_state_find(s, 1, furthest->seq,
                           g_strdup_printf("another journal was here: %s knows of %" G_GINT64_FORMAT
                                           " records, and of another first line",
                                           furthest->kept_by, furthest->seq));
    else
        journal_state_find(s, 0, furthest->seq,
                           g_strdup_printf("cut: seq %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                                           " are missing at the end, by what %s "
                                           "knows",
                                           s->last_seq + 1, furthest->seq, furthest->kept_by));
}

/* first: the journal's first line, where text does not begin with it. */
static struct journal_state *check(const char *text, gsize length, const char *first, const GPtrArray *anchors)
{
    struct journal_state *s = g_new0(struct journal_state, 1);
    s->there = text != NULL;
    s->partial = first != NULL;
    s->findings = g_ptr_array_new_with_free_func(finding_free);
    s->notes = g_ptr_array_new_with_free_func(finding_free);
    struct walk w = {.state = s, .before = g_strnfill(JOURNAL_DIGEST_LENGTH, '0'), .adopt = s->partial};
    w.id = first ? journal_line_digest(first, strlen(first)) : NULL;
    w.places = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, place_free);
    walk_lines(&w, text, length);
    judge_anchors(&w, anchors);
    for (guint i = 0; s->partial && i < s->findings->len; i++)
        ((struct journal_finding *)s->findings->pdata[i])->line = 0;
    g_hash_table_unref(w.places);
    g_free(w.before);
    g_free(w.id);
    return s;
}

struct journal_state *journal_check_newest(const char *folder, const GPtrArray *anchors, gsize max_bytes, GError **error)
{
    GError *problem = NULL;
    gsize length = 0;
    g_autofree char *first = NULL;
    g_autofree char *text = journal_text_newest(folder, max_bytes, &first, &length, &problem);
    if (!problem)
        return check(text, length, first, anchors);
    g_propagate_error(error, problem);
    return NULL;
}

struct journal_state *journal_check(const char *folder, const GPtrArray *anchors, GError **error)
{
    GError *problem = NULL;
    gsize length = 0;
    g_autofree char *text = journal_text(folder, &length, &problem);
    if (!problem)
        return check(text, length, NULL, anchors);
    g_propagate_error(error, problem);
    return NULL;
}
