/* Holds a restored database against the backup's own proof: rows, large objects, sequences, schema. */
#pragma once

#include "archive/contents.h"
#include "engine/report.h"
#include "pg/session.h"
#include "pg/toc.h"

struct compare_request {
    const struct pg_target *target;
    const char *dbname;
    const char *bindir;
    guint jobs;
    gboolean schema;      /* compare every object's SQL as well; needs a server of the backup's major version */
    gboolean tablespaces; /* FALSE: where things lie is not compared */
    GHashTable *left_out; /* dump ids (GINT_TO_POINTER) of objects that are known to differ; NULL: none are */
};

/* TRUE if nothing differs. OT_MISMATCH names the first difference; every one is said to the report. */
gboolean compare_with_proof(const struct compare_request *request, const struct archive_contents *contents,
                            const struct toc *t, struct report *report, GError **error);
