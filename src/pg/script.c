/* One statement of a script. */
#include "pg/script.h"

#include "pg/copy.h"

gboolean script_run(struct session *s, const char *sql, gboolean is_copy, GError **error)
{
    session_wait_begins(s);
    g_autoptr(PGresult) result = PQexecParams(session_pg(s), sql, 0, NULL, NULL, NULL, NULL, 0);
    session_wait_ends(s);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COPY_IN && is_copy)
        return TRUE;
    if (status == PGRES_COPY_IN) {
        copy_in_abort(s);
        return ot_fail(error, OT_REFUSED, "the server waits for rows behind a statement that asks for none");
    }
    gboolean done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
    if (!done)
        return session_fail(s, result, OT_RESTORE, "the server refuses it", error);
    return !is_copy || ot_fail(error, OT_RESTORE, "the server does not wait for the rows of COPY");
}
