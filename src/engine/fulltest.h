/* The full restoration test: a backup is loaded into a database made for it, compared, and thrown away. */
#pragma once

#include "archive/reader.h"
#include "engine/load.h"

struct fulltest_request {
    const struct pg_target *server; /* NULL: a scratch cluster is made on this host */
    const char *tmp_dir, *bindir;
    guint jobs;
};

/* What a test that was passed says. */
struct fulltest_result {
    char *doubt;         /* as for statements_check; NULL: none */
    int major;           /* of the server that it ran on */
    gboolean same_major; /* as the backup's: only then everything is compared, and a pass is proof */
};
void fulltest_result_clear(struct fulltest_result *r);

/* Ours: every table's rows, the large objects, the sequences and each object's SQL must equal the backup's, and the
 * file's own statements be those of its table of contents; but for what outcome says that the server refused. */
gboolean fulltest_backup(const struct fulltest_request *request, struct archive_reader *reader, struct report *report,
                         struct load_outcome *outcome, struct fulltest_result *ret_result, GError **error);

/* A plain dump: it must load without an error, and each table must then hold as many rows as its COPY data in the file.
 */
gboolean fulltest_plain(const struct fulltest_request *request, struct source *file, enum archive_kind kind,
                        struct report *report, GError **error);
