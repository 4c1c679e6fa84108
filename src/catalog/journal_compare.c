/* The first line that differs, and whose chain it breaks. */
#include "catalog/journal_compare.h"

#include <string.h>

#include "catalog/journal_line.h"

struct stretch {
    const char *text, *end;
    char *before; /* digest of the record before it; NULL: not known, or none */
};

/* ---- lines ---- */

/* Without its newline. */
static const char *line_end(const struct stretch *s, const char *line)
{
    const char *newline = memchr(line, '\n', (gsize)(s->end - line));
    return newline ? newline : s->end;
}

static gint64 seq_at(const struct stretch *s, const char *line)
{
    return line < s->end ? journal_line_seq(line, (gsize)(line_end(s, line) - line)) : 0;
}

/* The record that begins before LINE; NULL: none in this stretch. */
static const char *record_before(const struct stretch *s, const char *line)
{
    while (line > s->text) {
        const char *newline = memrchr(s->text, '\n', (gsize)(line - 1 - s->text));
        line = newline ? newline + 1 : s->text;
        if (seq_at(s, line) > 0)
            return line;
    }
    return NULL;
}

static const char *record_after(const struct stretch *s, const char *line)
{
    for (line = line_end(s, line) + 1; line < s->end; line = line_end(s, line) + 1)
        if (seq_at(s, line) > 0)
            return line;
    return NULL;
}

/* ---- whether a line is as it was written ---- */

static gboolean has_prev(const struct stretch *s, const char *record, const char *digest)
{
    json_t *parsed = journal_line_parse(record, (gsize)(line_end(s, record) - record));
    gboolean ok = g_strcmp0(json_string_value(json_object_get(parsed, "prev")), digest) == 0;
    json_decref(parsed);
    return ok;
}

/* A record's prev is the digest of all from the last record's first byte up to it. */
static gboolean follows(const struct stretch *s, const char *from, const char *record)
{
    g_autofree char *digest = journal_line_digest(from, (gsize)(record - from) - 1);
    return has_prev(s, record, digest);
}

/* By its own sum, and by the lines beside it. */
static gboolean fits(const struct stretch *s, const char *line)
{
    gboolean is_record = seq_at(s, line) > 0;
    const char *before = record_before(s, line), *after = record_after(s, line);
    const char *from = is_record ? line : before;
    if (is_record && !journal_line_sum_is_right(line, (gsize)(line_end(s, line) - line)))
        return FALSE;
    if (is_record && before && !follows(s, before, line))
        return FALSE;
    if (is_record && line == s->text && s->before && !has_prev(s, line, s->before))
        return FALSE;
    /* What is no record is vouched for by the one after it only. */
    return after && from ? follows(s, from, after) : is_record;
}

static const char *judgement(gboolean here_fits, gboolean copy_fits)
{
    if (here_fits && copy_fits)
        return "one of the two was written anew, and the chain does not tell which";
    if (here_fits)
        return "the copy was changed";
    return copy_fits ? "it was changed here, and the copy is as it was written"
                     : "neither is as it was written, or what is beside it is not";
}

/* ---- the first difference ---- */

static guint64 line_number(const struct stretch *s, const char *line)
{
    guint64 number = 1;
    for (const char *at = s->text; (at = memchr(at, '\n', (gsize)(line - at))); at++)
        number++;
    return number;
}

static void tell_difference(struct journal_state *s, const struct stretch *here, const char *line,
                            const struct stretch *there, const char *copied, const struct journal_copied *copy)
{
    gint64 copied_seq = seq_at(there, copied), here_seq = line < here->end ? seq_at(here, line) : 0;
    gint64 seq = copied_seq > 0 ? copied_seq : here_seq;
    if (line >= here->end) {
        journal_state_find(s, 0, seq, g_strdup_printf("missing here: %s has it", copy->name));
        return;
    }
    journal_state_find(
        s, line_number(here, line), seq,
        g_strdup_printf("not as in %s: %s", copy->name, judgement(fits(here, line), fits(there, copied))));
}

/* Moves both on while their lines are the same; FALSE: they differ there. */
static gboolean walk_together(const struct stretch *here, const char **line, const struct stretch *there,
                              const char **copied, gint64 *ret_seq)
{
    while (*copied < there->end) {
        const char *copied_end = line_end(there, *copied);
        const char *end = *line < here->end ? line_end(here, *line) : *line;
        gsize length = (gsize)(copied_end - *copied);
        if (*line >= here->end || (gsize)(end - *line) != length || memcmp(*line, *copied, length) != 0)
            return FALSE;
        *ret_seq = MAX(*ret_seq, seq_at(there, *copied));
        *copied = copied_end + 1;
        *line = end + 1;
    }
    return TRUE;
}

void journal_compare(struct journal_state *s, const char *journal, gsize length, const char *start,
                     const struct journal_copied *copy, gint64 *ret_seq)
{
    struct stretch here = {journal, journal + length, NULL}, there = {copy->text, copy->text + copy->length, NULL};
    const char *line = start, *copied = copy->text;
    *ret_seq = 0;
    if (!walk_together(&here, &line, &there, &copied, ret_seq)) {
        const char *record = record_before(&here, start);
        there.before = record ? journal_line_digest(record, (gsize)(start - record) - 1) : NULL;
        tell_difference(s, &here, line, &there, copied, copy);
        g_free(there.before);
        return;
    }
    gint64 from = *ret_seq > 0 ? *ret_seq + 1 : copy->first_seq, to = MIN(copy->needed_seq, s->last_seq);
    if (from <= to)
        journal_state_find(s, 0, from,
                           g_strdup_printf("cut: seq %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                                           " are missing at the end of %s",
                                           from, to, copy->name));
}
