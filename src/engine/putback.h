/*
 * Puts recovered rows back into their live tables, all or nothing: dropped tables are made again, the rows that the
 * live table lacks are inserted, what the table has since is left as it is; then it is counted whether every row of the
 * backup is there.
 */
#pragma once

#include "archive/contents.h"
#include "engine/report.h"
#include "pg/session.h"
#include "pg/toc.h"

struct putback_table {
    const struct archive_table *table;
    const char *recovered;        /* quoted and qualified; set before putback_run */
    gboolean as_text;             /* its columns are text, since their types do not take the values */
    const struct toc_entry *root; /* the partitioned table by whose name it was asked for; NULL: by its own */
};

struct putback;
typedef struct putback putback;

/* Looks, before anything is read or changed, whether the rows can go into their tables. tables: struct putback_table *,
 * and entries: the TABLE entries asked for, partitioned ones included; both must outlive the result. OT_REFUSED with
 * what to do. The session's encoding is the backup's. */
struct putback *putback_prepare(struct session *s, const struct toc *t, const char *bindir, const GPtrArray *tables,
                                const GPtrArray *entries, struct report *report, GError **error);
void putback_free(struct putback *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(putback, putback_free)

/* One transaction. OT_INCOMPLETE after it if rows are back, but something that went with a dropped table is not. */
gboolean putback_run(struct putback *p, GError **error);

/* Tells the statements that would put the rows back, or why there is none. */
gboolean putback_print(struct session *s, const struct putback_table *t, struct report *report, GError **error);
