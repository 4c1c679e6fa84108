/* Names changed before the load, and back. */
#include "engine/ownname.h"

#include <string.h>

#include "engine/gate.h"
#include "pg/swap.h"

#define ASIDE "_restoring_back"

/* "" stands for: there was none. */
static char *mark_prefix(const char *live)
{
    return g_strdup_printf("opstower is restoring database %s under its own name; the former one is: ", live);
}

static char *comment_sql(struct session *admin, const char *dbname, const char *text)
{
    g_autofree char *quoted = session_quote_name(admin, dbname);
    g_autofree char *literal = session_quote_literal(admin, text);
    return g_strdup_printf("COMMENT ON DATABASE %s IS %s", quoted, literal);
}

gboolean ownname_is_bound(struct session *admin, const char *live)
{
    const char *params[] = {live};
    gint64 found = 0;
    return session_get_number(admin, NULL,
                              "SELECT count(*) FROM pg_catalog.pg_settings WHERE setting = $1"
                              " AND context IN ('postmaster', 'sighup')", 1,
                              params, &found) &&
           found > 0;
}

gboolean ownname_begin(const struct pg_target *t, struct session *admin, const char *live, const char *side,
                       const char *old, GError **error)
{
    g_autofree char *prefix = mark_prefix(live);
    g_autofree char *mark = g_strconcat(prefix, old ? old : "", NULL);
    g_autofree char *comment = comment_sql(admin, side, mark);
    return swap_names(t, admin, live, side, old, comment, error);
}

gboolean ownname_take_back(const struct pg_target *t, struct session *admin, const char *live, const char *old,
                           GError **error)
{
    if (!old)
        return swap_discard(t, admin, live, error);
    g_autofree char *aside = swap_name(live, ASIDE);
    g_autofree char *mark = gate_side_mark(live, aside);
    g_autofree char *comment = comment_sql(admin, live, mark);
    return swap_names(t, admin, live, old, aside, comment, error) && swap_discard(t, admin, aside, error);
}

gboolean ownname_recover(const struct pg_target *t, struct session *admin, const char *live, struct report *report,
                         GError **error)
{
    const char *params[] = {live};
    g_autofree char *prefix = mark_prefix(live);
    g_autofree char *comment = NULL;
    if (!session_get_text(admin, error,
                          "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database"
                          " WHERE datname = $1",
                          1, params, &comment))
        return FALSE;
    if (!comment || !g_str_has_prefix(comment, prefix))
        return TRUE;
    const char *old = comment + strlen(prefix);
    report_info(report, "An interrupted restore was loading %s under its own name: %s%s", live,
                *old ? "putting back the former one, " : "removing it", old);
    return ownname_take_back(t, admin, live, *old ? old : NULL, error);
}
