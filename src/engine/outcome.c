/* Lines for who must act on them. */
#include "engine/outcome.h"

#include "pg/facts.h"
#include "pg/swap.h"

/* ---- after success ---- */

static void tell_swap_back(const struct replaced *old)
{
    struct session *s = old->admin;
    g_autofree char *undone_name = g_strdup_printf("_undone_%s", old->timestamp);
    g_autofree char *undone = swap_name(old->live, undone_name);
    g_autofree char *a = session_quote_name(s, old->live);
    g_autofree char *b = session_quote_name(s, undone);
    g_autofree char *c = session_quote_name(s, old->name);
    g_autofree char *literal = session_quote_literal(s, old->live);
    report_info(old->report,
                "To undo this restore, in psql on database %s: BEGIN; SELECT pg_terminate_backend(pid) FROM"
                " pg_stat_activity WHERE datname = %s; ALTER DATABASE %s RENAME TO %s; ALTER DATABASE %s RENAME TO %s;"
                " COMMIT;",
                session_database(s), literal, a, b, c, a);
}

void outcome_tell_undo(const struct replaced *old, gboolean existed)
{
    g_autofree char *name = session_quote_name(old->admin, old->live);
    if (old->name)
        tell_swap_back(old);
    else if (old->pre->id)
        report_info(old->report, "To undo this restore: opstower restore %s", old->pre->id);
    else if (!existed)
        report_info(old->report, "To undo this restore, in psql on database %s: DROP DATABASE %s;",
                    session_database(old->admin), name);
    else
        report_info(old->report, "This restore cannot be undone: the old database is gone, and no pre-restore backup was"
                                 " wanted");
}

static void tell_subscription(const struct replaced *old, const char *name)
{
    g_autofree char *quoted = session_quote_name(old->admin, name);
    report_warn(old->report,
                "Subscription %s is restored but receives nothing. To have it go on, in %s: ALTER SUBSCRIPTION %s ENABLE;"
                " ALTER SUBSCRIPTION %s REFRESH PUBLICATION WITH (copy_data = false); (what its publisher sent since the"
                " backup is not in it: to copy the tables anew, TRUNCATE them, DROP SUBSCRIPTION and create it again)",
                name, old->live, quoted, quoted);
}

/* Backups of older programs do not say which were enabled: pg_dump leaves it out. */
void outcome_tell_subscriptions(const struct replaced *old, const json_t *facts, const struct toc *t)
{
    const json_t *known = json_object_get(facts, "subscriptions");
    size_t i;
    json_t *entry;
    json_array_foreach(known, i, entry)
    {
        const char *name = facts_text(entry, "name");
        if (name && json_is_true(json_object_get(entry, "enabled")))
            tell_subscription(old, name);
    }
    for (guint j = 0; !known && t && j < t->entries->len; j++) {
        const struct toc_entry *e = t->entries->pdata[j];
        if (g_str_equal(e->desc, "SUBSCRIPTION"))
            tell_subscription(old, e->tag);
    }
}

/* ---- after a failure ---- */

enum there { NOT_THERE, THERE, UNKNOWN };

static enum there look(struct session *s, const char *name)
{
    gboolean exists = FALSE;
    if (!s || !name || !swap_exists(s, name, &exists, NULL))
        return UNKNOWN;
    return exists ? THERE : NOT_THERE;
}

static char *state_of_live(const struct replaced *old, enum there live)
{
    if (live == UNKNOWN)
        return g_strdup_printf("whether database %s is there cannot be seen, for the server does not answer; nothing of "
                               "it was changed unless the lines above say so",
                               old->live);
    if (live == THERE)
        return g_strdup_printf("database %s is there%s", old->live, old->dropped ? "" : ", as it was");
    if (old->dropped)
        return g_strdup_printf("database %s is gone; opstower restore %s brings it back", old->live, old->pre->id);
    if (old->name)
        return g_strdup_printf("database %s is out of use, under the name %s", old->live, old->name);
    return g_strdup_printf("there is no database %s, as before", old->live);
}

void outcome_tell_state(const struct replaced *old, const char *side)
{
    g_autoptr(session) s = swap_admin(old->request->target, old->live, NULL);
    g_autofree char *live = state_of_live(old, look(s, old->live));
    enum there left = side ? look(s, side) : NOT_THERE;
    g_autofree char *rest = left == NOT_THERE ? g_strdup("no side database is left")
                            : left == THERE   ? g_strdup_printf("side database %s is left, which the next restore drops", side)
                                              : g_strdup_printf("side database %s may be left, which the next restore drops", side);
    const char *pre = old->pre->id && !old->dropped ? old->pre->id : NULL;
    report_info(old->report, "State: %s; %s%s%s", live, rest, pre ? "; the pre-restore backup is kept: " : "",
                pre ? pre : "");
}
