/* The table of what is looked at before a restore; what each one finds is an obstacle, or a note. */
#include "engine/preflight.h"

#include <string.h>

#include "base/text.h"
#include "engine/preflight_backup.h"
#include "engine/preflight_live.h"

static gboolean check_server(struct preflight *p, GError **error)
{
    g_autofree char *standby = NULL;
    if (!session_get_text(p->q->admin, error, "SELECT pg_catalog.pg_is_in_recovery()", 0, NULL, &standby))
        return FALSE;
    if (g_strcmp0(standby, "t") == 0)
        preflight_refuse(p, OT_PREREQUISITE, "the server is a standby, which nothing can be written to: restore on its "
                                             "primary");
    return TRUE;
}

static gboolean check_target(struct preflight *p, GError **error)
{
    (void)error;
    if (p->q->restore->target_db && p->q->preview->exists)
        preflight_refuse(p, OT_REFUSED, "database %s exists already: --target-db takes the name of a new one", p->live);
    return TRUE;
}

static gboolean is_blocking(const struct restore_request *q, const char *missing)
{
    if (g_str_has_prefix(missing, "role "))
        return !q->create_roles;
    return !g_str_has_prefix(missing, "tablespace ") || q->tablespaces;
}

static gboolean check_missing(struct preflight *p, GError **error)
{
    (void)error;
    const GPtrArray *missing = p->q->preview->missing;
    g_autoptr(GString) list = g_string_new(NULL);
    for (guint i = 0; missing && i < missing->len; i++)
        if (is_blocking(p->q->restore, missing->pdata[i]))
            g_string_append_printf(list, "%s%s", list->len ? ", " : "", (char *)missing->pdata[i]);
    if (list->len)
        preflight_refuse(p, OT_PREREQUISITE,
                         "the server lacks %s. Roles: run the backup's .globals.sql or give --create-roles; tablespaces: "
                         "create them or give --no-tablespaces; extensions: install them on the server",
                         list->str);
    return TRUE;
}

static gboolean check_space(struct preflight *p, GError **error)
{
    (void)error;
    const struct restore_preview *v = p->q->preview;
    guint64 needed = v->needed_bytes;
    if ((v->in_place && v->live_bytes >= needed) || v->free_bytes == G_MAXUINT64 || v->free_bytes >= needed)
        return TRUE;
    g_autofree char *need = text_size(needed, "B");
    g_autofree char *have = text_size(v->free_bytes, "B");
    preflight_refuse(p, OT_SPACE,
                     "Insufficient disk space. Required: %s, Available: %s (on the server; --in-place needs less, and "
                     "says what it risks)",
                     need, have);
    return TRUE;
}

/* The last: whoever is told of other obstacles first needs no terminal. */
static gboolean check_terminal(struct preflight *p, GError **error)
{
    (void)error;
    if (p->q->restore->cannot_ask && p->refusals->len == 0)
        preflight_refuse(p, OT_REFUSED, "there is no terminal to ask on: run it on one, or give --force");
    return TRUE;
}

static const struct {
    gboolean (*look)(struct preflight *p, GError **error);
    gboolean needs_live;   /* of the database that is to be replaced */
    gboolean needs_backup; /* which says what it was like */
} checks[] = {
    {check_server, FALSE, FALSE},
    {check_target, FALSE, FALSE},
    {check_missing, FALSE, FALSE},
    {preflight_live_state, TRUE, FALSE},
    {preflight_live_owner, TRUE, FALSE},
    {preflight_live_sessions, TRUE, FALSE},
    {preflight_live_prepared, TRUE, FALSE},
    {preflight_live_slots, TRUE, FALSE},
    {preflight_live_subscriptions, TRUE, FALSE},
    {preflight_backup_extensions, FALSE, TRUE},
    {preflight_backup_objects, FALSE, TRUE},
    {preflight_backup_roles, FALSE, TRUE}, /* but of what is left out by then */
    {preflight_backup_locale, FALSE, TRUE},
    {check_space, FALSE, FALSE},
    {check_terminal, FALSE, FALSE},
};

/* ---- what they find ---- */

void preflight_refuse(struct preflight *p, enum ot_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_ptr_array_add(p->refusals, g_strdup_vprintf(format, args));
    va_end(args);
    if (!p->code)
        p->code = code;
}

void preflight_note(struct preflight *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_ptr_array_add(p->notes, g_strdup_vprintf(format, args));
    va_end(args);
}

char *preflight_list(const PGresult *rows)
{
    GString *list = g_string_new(NULL);
    for (int i = 0; i < PQntuples(rows); i++)
        g_string_append_printf(list, "%s%s", i ? ", " : "", PQgetvalue(rows, i, 0));
    return g_string_free(list, FALSE);
}

static gboolean fail(const struct preflight *p, GError **error)
{
    if (p->refusals->len == 1)
        return ot_fail(error, p->code, "%s", (char *)p->refusals->pdata[0]);
    g_autoptr(GString) all = g_string_new(NULL);
    for (guint i = 0; i < p->refusals->len; i++)
        g_string_append_printf(all, "%s(%u) %s", i ? "; " : "", i + 1, (char *)p->refusals->pdata[i]);
    return ot_fail(error, p->code, "%u things stand in the way: %s", p->refusals->len, all->str);
}

static gboolean learn_who_we_are(struct preflight *p, GError **error)
{
    g_autofree char *superuser = NULL;
    p->user = PQuser(session_pg(p->q->admin));
    if (!session_get_text(p->q->admin, error,
                          "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user", 0, NULL, &superuser))
        return FALSE;
    p->superuser = g_strcmp0(superuser, "t") == 0;
    return TRUE;
}

gboolean preflight_run(const struct preflight_request *request, GPtrArray *ret_notes, GError **error)
{
    g_autoptr(GPtrArray) refusals = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) lost = g_hash_table_new(NULL, NULL);
    struct preflight p = {
        .q = request,
        .live = request->preview->database,
        .refusals = refusals,
        .notes = ret_notes,
        .lost = lost,
    };
    if (!learn_who_we_are(&p, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(checks); i++) {
        if ((checks[i].needs_live && (!request->preview->exists || request->restore->target_db)) ||
            (checks[i].needs_backup && !request->facts))
            continue;
        if (!checks[i].look(&p, error))
            return FALSE;
    }
    return refusals->len == 0 || fail(&p, error);
}
