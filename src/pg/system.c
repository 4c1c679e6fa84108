/* The server's identity. */
#include "pg/system.h"

#include <string.h>

#include "pg/swap.h"

#define SOCKET_FOLDER "localhost" /* libpq was given no host, and says none */
#define STANDARD_PORT 5432

void pg_system_clear(struct pg_system *s)
{
    g_free(s->identifier);
    g_free(s->host);
    memset(s, 0, sizeof *s);
}

/* Asked first, for a statement that may not call the function fails, and with it a transaction. */
static gboolean read_identifier(struct session *s, char **ret_identifier, GError **error)
{
    g_autofree char *may = NULL;
    *ret_identifier = NULL;
    if (!session_get_text(s, error,
                          "SELECT pg_catalog.has_function_privilege("
                          "pg_catalog.to_regprocedure('pg_catalog.pg_control_system()')::pg_catalog.oid, 'EXECUTE')",
                          0, NULL, &may))
        return FALSE;
    return g_strcmp0(may, "t") != 0 ||
           session_get_text(s, error,
                            "SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()", 0, NULL,
                            ret_identifier);
}

gboolean pg_system_read(struct session *s, struct pg_system *ret, GError **error)
{
    struct pg_system found = {0};
    const char *host = PQhost(session_pg(s)), *port = PQport(session_pg(s));
    found.host = g_strdup(host && *host ? host : SOCKET_FOLDER);
    found.port = port && *port ? (int)g_ascii_strtoll(port, NULL, 10) : STANDARD_PORT;
    if (read_identifier(s, &found.identifier, error) &&
        session_get_number(s, error,
                           "SELECT oid::pg_catalog.int8 FROM pg_catalog.pg_database WHERE datname = "
                           "pg_catalog.current_database()",
                           0, NULL, &found.database_oid)) {
        *ret = found;
        return TRUE;
    }
    pg_system_clear(&found);
    return FALSE;
}

gboolean pg_system_ask(const struct pg_target *t, int timeout_s, struct pg_system *ret, GError **error)
{
    struct pg_target hurried = pg_target_copy(t);
    hurried.timeout_s = timeout_s;
    g_autofree char *database = pg_target_database(t, NULL);
    g_autoptr(session) own = session_open(&hurried, NULL, NULL);
    g_autoptr(session) other = own || !database ? NULL : swap_admin(&hurried, database, error);
    pg_target_clear(&hurried);
    if (!(own || other) || !pg_system_read(own ? own : other, ret, error))
        return FALSE;
    if (other)
        ret->database_oid = 0;
    return TRUE;
}
