/* Side databases. */
#include "engine/side.h"

#include "pg/properties.h"

void side_clear(struct side *s)
{
    door_clear(&s->door);
    g_clear_pointer(&s->refused, g_ptr_array_unref);
}

/* In a transaction, which is kept or taken back. */
static gboolean run_settings(struct side *s, const char *also, gboolean keep, GError **error)
{
    g_ptr_array_set_size(s->refused, 0);
    if (!session_exec(s->admin, "BEGIN", error))
        return FALSE;
    gboolean ok =
        properties_apply_settings(s->admin, s->facts, s->door.name, s->live, s->refused, error) &&
        (!also || session_exec(s->admin, also, error));
    return session_exec(s->admin, ok && keep ? "COMMIT" : "ROLLBACK", ok ? error : NULL) && ok;
}

gboolean side_make(struct side *s, const char *name, const char *mark, struct report *report, GError **error)
{
    s->refused = g_ptr_array_new_with_free_func(g_free);
    if (!door_create(s->admin, s->facts, name, mark, s->tablespaces, &s->door, error))
        return FALSE;
    /* pg_hba.conf may let us into none but the live one; and the first session writes a file of the server's. */
    g_autoptr(session) first = session_open(s->target, name, error);
    if (!first)
        return FALSE;
    g_autofree char *open = door_open_sql(&s->door, s->admin, s->facts, error);
    if (!open || !run_settings(s, open, FALSE, error))
        return FALSE;
    for (guint i = 0; i < s->refused->len; i++)
        report_warn(report, "A setting will not be restored, the server refuses it: %s", (char *)s->refused->pdata[i]);
    return TRUE;
}

gboolean side_renamed(struct side *s, const char *name, GError **error)
{
    g_free(s->door.name);
    s->door.name = g_strdup(name);
    return door_stamp(&s->door, s->admin, error);
}

gboolean side_has_schema(struct side *s, GError **error)
{
    return door_stamp(&s->door, s->admin, error);
}

gboolean side_hand_over(struct side *s, struct session *in, GError **error)
{
    return door_hand_over(&s->door, s->admin, in, s->facts, error);
}

gboolean side_apply_settings(struct side *s, GError **error)
{
    return door_check(&s->door, s->admin, error) && run_settings(s, NULL, TRUE, error) &&
           door_stamp(&s->door, s->admin, error);
}

char *side_open_sql(struct side *s, GError **error)
{
    return door_check(&s->door, s->admin, error) ? door_open_sql(&s->door, s->admin, s->facts, error) : NULL;
}
