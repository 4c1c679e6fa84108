/* Which of a list of backups a word means: "latest", "latest-good", or the state at a moment. */
#pragma once

#include "catalog/catalog.h"

enum select_kind {
    SELECT_LATEST, /* the newest */
    SELECT_GOOD,   /* the newest that was read back or restored without a fault */
};

struct select_wish {
    enum select_kind kind;
    gint64 until;      /* not one that shows a later moment; 0: any */
    gboolean skip_bad; /* not one that is known to be damaged */
    gboolean known;    /* only one whose metadata is there, and its own */
    gint64 now;        /* what is dated later is never meant; seconds since 1970 */
};

/* What was passed over: what is dated in the future, and what is damaged and newer than the choice. */
struct select_passed {
    const struct catalog_entry *future, *bad; /* the newest of them; NULL: none */
    guint futures, bads, unknowns; /* unknowns: only if known is wished */
};

/* The backup that is meant, of those of this server (catalog/lineage.h); NULL: there is none. A pre-restore one only if
 * nothing else is left, and one without metadata only after that. Entries in any order. */
const struct catalog_entry *select_backup(const GPtrArray *entries, const struct select_wish *wish,
                                          struct select_passed *ret_passed);

/* Whether there is metadata, of this backup. A file without it was perhaps put there by somebody else. */
gboolean select_is_known(const struct catalog_entry *e);

/* The word's kind; FALSE if it is none of them. */
gboolean select_parse_word(const char *word, enum select_kind *ret_kind);

/* Whether a copy is known to be damaged: in its state, in S3's, or by its size. */
gboolean select_is_bad(const struct catalog_entry *e);
