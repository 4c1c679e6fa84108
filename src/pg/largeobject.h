/*
 * Large objects travel as the SQL statements that pg_dump writes for them. This filter takes pg_dump's data section,
 * keeps just those statements, and takes each object's fingerprint over them.
 */
#pragma once

#include "base/error.h"
#include "base/fingerprint.h"

struct lo_filter;
typedef struct lo_filter lo_filter;

/* take gets whole lines to keep (NULL: nothing is wanted but the fingerprint). */
struct lo_filter *lo_filter_new(gboolean (*take)(const char *line, gsize length, void *data, GError **error),
                                void *data);

/* Text in pieces of any size. A statement that is none of a large object's is OT_DUMP. */
gboolean lo_filter_feed(struct lo_filter *f, const char *text, gsize length, GError **error);

/* One row for each large object. Fails if the text ended within one. */
gboolean lo_filter_finish(struct lo_filter *f, struct fingerprint *ret_proof, GError **error);
void lo_filter_free(struct lo_filter *f);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(lo_filter, lo_filter_free)
