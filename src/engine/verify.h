/* The act of verifying a backup: the guide's checks, one result each. */
#pragma once

#include "catalog/copy.h"
#include "engine/fulltest.h"
#include "engine/offsite.h"

enum check_state { CHECK_PASS, CHECK_FAIL, CHECK_WARN, CHECK_NOT_DONE };

struct verify_check {
    const char *name;
    enum check_state state;
    char *detail;
};

struct verify_request {
    const struct copy *copy;
    const char *dir;               /* where the log goes; NULL: no log */
    const struct offsite *offsite; /* the bucket where it, or its second copy, should be; NULL: there is none */
    gboolean full_test;
    struct fulltest_request test;
    gboolean remember; /* write the outcome into the backup's metadata */
};

struct verify_result {
    GArray *checks; /* struct verify_check */
    gboolean ours;  /* a backup of ours, with its proof; FALSE: a plain dump of others */
    guint64 rows, tables;
    json_t *left_out; /* array of text: what a restore will leave out; NULL: there was no full test */
};
void verify_result_clear(struct verify_result *r);

/* TRUE only if every check that was to be done passed. OT_INCOMPLETE: the backup is good, but a restore leaves out what
 * left_out names. ret_result is filled in either case. */
gboolean verify_run(const struct verify_request *request, struct report *report, struct verify_result *ret_result,
                    GError **error);

/* "PASS", "FAIL", "WARN", "NOT DONE". */
const char *check_state_name(enum check_state state);
