/* Objections by their SQLSTATE. */
#include "pg/objection.h"

#include "base/interrupt.h"

/* Classes of SQLSTATE, or whole states, that say nothing about the statement: resources, operators, input and output,
 * damaged data, deadlocks and serialization. */
static const char *const troubles[] = {"53", "57", "58030", "XX001", "XX002", "40", "55P03"};

gboolean objection_is(struct session *s)
{
    const char *state = session_sqlstate(s);
    if (interrupt_signal() || PQstatus(session_pg(s)) != CONNECTION_OK || !*state)
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(troubles); i++)
        if (g_str_has_prefix(state, troubles[i]))
            return FALSE;
    return TRUE;
}
