/* Holds a restored database against the backup's own proof: rows, large objects, sequences, schema. */
#pragma once

#include "archive/reader.h"
#include "engine/report.h"
#include "pg/session.h"
#include "pg/toc.h"

struct compare_request {
    const struct pg_target *target;
    const char *dbname;
    const char *bindir;
    guint jobs;
    gboolean tablespaces; /* FALSE: where things lie is not compared */
    GHashTable *left_out; /* dump ids (GINT_TO_POINTER) of objects that are known to differ; NULL: none are */
    /* Not NULL: every object's SQL is compared as well, which needs a server of the backup's major version. Opens a
     * session in an empty database that is made as the restored one was (see compare_schema.h). */
    struct session *(*open_empty)(void *data, GError **error);
    void *open_data;
    /* With open_data: how the schema is loaded where psql alone cannot; NULL: it can. */
    gboolean (*load_schema)(struct session *s, void *data, GError **error);
};

/* TRUE if nothing differs. OT_MISMATCH names the first difference; every one is said to the report. */
gboolean compare_with_proof(const struct compare_request *request, struct archive_reader *reader, const struct toc *t,
                            struct report *report, GError **error);
