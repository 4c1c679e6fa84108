/* Whether the journal is what was written: every line in its place, and what was kept of it elsewhere. */
#pragma once

#include "catalog/journal.h"

/* Where a journal ended at some time, as it was kept elsewhere. */
struct journal_anchor {
    char *kept_by; /* "backup app_20260207_120000", for messages */
    char *id, *digest;
    gint64 seq;
};
typedef struct journal_anchor journal_anchor;

/* From {"id", "seq", "head"} (borrowed); NULL if it is not that. */
struct journal_anchor *journal_anchor_new(const char *kept_by, const json_t *object);
void journal_anchor_free(gpointer anchor);

struct journal_finding {
    guint64 line; /* number in the file, from 1; 0: none in particular */
    gint64 seq;   /* of the record it is about; 0: not known */
    char *text;   /* what is wrong */
};

struct journal_state {
    gboolean there;
    gboolean partial;     /* only the newest lines were read */
    guint64 lines;      /* in the file, torn ones too */
    gint64 last_seq;    /* 0: none */
    gint64 vouched_seq; /* up to this record an anchor agrees; 0: none does */
    guint anchors;      /* that were held against it */
    char *first, *last; /* times of the first and last record; NULL: none */
    guint parts;        /* of a copy of the journal, that were read and held against it; their bytes: */
    guint64 part_bytes;
    gint64 copied_seq;     /* up to this record every line of the copy is the journal's; 0: none is */
    GPtrArray *findings;   /* struct journal_finding *: what is broken */
    guint64 findings_more; /* beyond those */
    GPtrArray *notes;      /* struct journal_finding *: lines that a crash cut off, vouched for by the next one */
};
typedef struct journal_state journal_state;
void journal_state_free(struct journal_state *s);

/* Adds a finding; takes TEXT. */
void journal_state_find(struct journal_state *s, guint64 line, gint64 seq, char *text);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(journal_state, journal_state_free)

/* The newest lines only, at most max_bytes of them: how they follow one another, and the anchors that are among them.
 * What is wrong is told without line numbers. */
struct journal_state *journal_check_newest(const char *folder, const GPtrArray *anchors, gsize max_bytes, GError **error);

/* Reads the whole journal, and holds it against what was kept elsewhere: ANCHORS, of struct journal_anchor *. An anchor
 * with another id is of another journal: that is a finding too. NULL: it cannot be read. */
struct journal_state *journal_check(const char *folder, const GPtrArray *anchors, GError **error);
