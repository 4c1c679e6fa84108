/* COPY by libpq. */
#include "pg/copy.h"

#include <string.h>

#include "base/interrupt.h"

#define PUT_STEP (1u << 20)
#define CHECK_STEP (1u << 20)

static PGresult *next_result(struct session *s)
{
    session_wait_begins(s);
    PGresult *result = PQgetResult(session_pg(s));
    session_wait_ends(s);
    return result;
}

/* PQgetCopyData that says when it begins to wait; while rows are there, nothing more is done for each. */
static int next_row(struct session *s, char **ret_row)
{
    int length = PQgetCopyData(session_pg(s), ret_row, 1);
    if (length != 0)
        return length;
    session_wait_begins(s);
    length = PQgetCopyData(session_pg(s), ret_row, 0);
    session_wait_ends(s);
    return length;
}

/* Consumes results to the end of the statement; the first one that is not a success fails it. */
static gboolean end_statement(struct session *s, const char *sql, guint64 rows, GError **error)
{
    gboolean ok = TRUE, counted = FALSE;
    for (PGresult *result; (result = next_result(s));) {
        if (ok && PQresultStatus(result) != PGRES_COMMAND_OK) {
            ok = session_fail(s, result, OT_DUMP, sql, error);
        } else if (ok) {
            counted = TRUE;
            guint64 said = g_ascii_strtoull(PQcmdTuples(result), NULL, 10);
            if (said != rows)
                ok = ot_fail(error, OT_DUMP, "%s: the server counts %" G_GUINT64_FORMAT " rows, we %" G_GUINT64_FORMAT,
                             sql, said, rows);
        }
        PQclear(result);
        if (PQstatus(session_pg(s)) == CONNECTION_BAD)
            break;
    }
    return ok && (counted || session_fail(s, NULL, OT_DUMP, sql, error));
}

gboolean copy_out(struct session *s, const char *sql, copy_row take, void *data, GError **error)
{
    g_autoptr(PGresult) begun = session_run(s, sql);
    if (PQresultStatus(begun) != PGRES_COPY_OUT)
        return session_fail(s, begun, OT_DUMP, sql, error);
    guint64 rows = 0;
    gsize unchecked = 0; /* bytes since the last look for an interrupt: a cancel may have come before the COPY did */
    for (;;) {
        char *row = NULL;
        int length = next_row(s, &row);
        if (length == -1)
            return end_statement(s, sql, rows, error);
        if (length < 0)
            return session_fail(s, NULL, OT_DUMP, sql, error);
        gboolean ok = take(row, (gsize)length, data, error);
        PQfreemem(row);
        unchecked += (gsize)length;
        if (ok && unchecked >= CHECK_STEP) {
            unchecked = 0;
            ok = interrupt_check(error);
        }
        if (!ok)
            return FALSE; /* the session is of no further use: its owner closes it */
        rows++;
    }
}

gboolean copy_in_begin(struct session *s, const char *sql, GError **error)
{
    g_autoptr(PGresult) begun = session_run(s, sql);
    return PQresultStatus(begun) == PGRES_COPY_IN || session_fail(s, begun, OT_RESTORE, sql, error);
}

gboolean copy_in_put(struct session *s, const char *text, gsize length, GError **error)
{
    for (gsize at = 0; at < length;) {
        int n = (int)MIN(PUT_STEP, length - at);
        if (!interrupt_check(error))
            return FALSE;
        session_wait_begins(s);
        int sent = PQputCopyData(session_pg(s), text + at, n);
        session_wait_ends(s);
        if (sent != 1)
            return session_fail(s, NULL, OT_RESTORE, "cannot send rows", error);
        at += (gsize)n;
    }
    return TRUE;
}

gboolean copy_in_end(struct session *s, guint64 expected_rows, GError **error)
{
    if (PQputCopyEnd(session_pg(s), NULL) != 1)
        return session_fail(s, NULL, OT_RESTORE, "cannot end the rows", error);
    return end_statement(s, "COPY FROM stdin", expected_rows, error);
}

void copy_in_abort(struct session *s)
{
    if (PQputCopyEnd(session_pg(s), "given up") == 1)
        for (PGresult *result; (result = next_result(s));)
            PQclear(result);
}
