/* The preview of a restore. */
#include "engine/preview.h"

#include <string.h>

#include "base/files.h"
#include "base/pool.h"
#include "base/text.h"
#include "engine/preview_rows.h"
#include "pg/facts.h"
#include "pg/swap.h"

/* Text bytes that one worker loads, indexes and compares in a second: measured on two cores of a plain server. */
#define BYTES_PER_SECOND_AND_JOB (20ull << 20)

void preview_clear(struct restore_preview *p)
{
    char *texts[] = {p->host, p->port, p->user, p->version, p->database, p->backup_database, p->snapshot_time};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    GPtrArray *lists[] = {p->missing, p->rows, p->notes};
    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
        if (lists[i])
            g_ptr_array_unref(lists[i]);
    memset(p, 0, sizeof *p);
}

static gboolean look_at_live(struct session *admin, struct restore_preview *p, GError **error)
{
    const char *params[] = {p->database};
    gint64 bytes = 0;
    if (!swap_exists(admin, p->database, &p->exists, error))
        return FALSE;
    if (!p->exists)
        return TRUE;
    if (!session_get_number(admin, error, "SELECT pg_catalog.pg_database_size($1::name)", 1, params, &bytes) ||
        !session_get_number(admin, error, "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = $1", 1,
                            params, &p->connections))
        return FALSE;
    p->live_bytes = (guint64)bytes;
    return TRUE;
}

/* Only where the server's folder is on this machine and its name may be seen. */
static guint64 server_free_bytes(struct session *admin)
{
    g_autofree char *folder = NULL;
    guint64 bytes = G_MAXUINT64;
    const char *host = PQhost(session_pg(admin));
    gboolean local = !host || host[0] == '/' || g_str_equal(host, "localhost") || g_str_equal(host, "127.0.0.1");
    if (!local ||
        !session_get_text(admin, NULL, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory'", 0,
                          NULL, &folder))
        return bytes;
    if (!folder || !files_free_space(folder, &bytes, NULL))
        return G_MAXUINT64;
    return bytes;
}

static void look_at_server(struct session *admin, struct restore_preview *p)
{
    PGconn *pg = session_pg(admin);
    const char *version = PQparameterStatus(pg, "server_version");
    p->host = g_strdup(PQhost(pg) && *PQhost(pg) ? PQhost(pg) : "this machine");
    p->port = g_strdup(PQport(pg));
    p->user = g_strdup(PQuser(pg));
    p->version = g_strdup(version ? version : "unknown");
}

static gint64 age_of(const char *iso_time)
{
    g_autoptr(GDateTime) then = iso_time ? g_date_time_new_from_iso8601(iso_time, NULL) : NULL;
    return then ? g_get_real_time() / G_USEC_PER_SEC - g_date_time_to_unix(then) : -1;
}

gboolean preview_gather(const struct restore_request *request, struct session *admin, const char *database,
                        const json_t *facts, struct restore_preview *ret_preview, GError **error)
{
    struct restore_preview p = {.database = g_strdup(database), .age_s = -1, .estimated_s = -1};
    p.in_place = request->in_place;
    p.notes = g_ptr_array_new_with_free_func(g_free);
    look_at_server(admin, &p);
    gboolean ok = look_at_live(admin, &p, error);
    if (ok && facts) {
        p.backup_database = g_strdup(facts_text(facts, "database"));
        p.snapshot_time = g_strdup(facts_text(facts, "snapshot_time"));
        p.backup_bytes = (guint64)json_integer_value(json_object_get(facts, "size"));
        p.missing = facts_missing(admin, facts, error);
        ok = p.missing != NULL;
    }
    p.age_s = age_of(p.snapshot_time);
    p.free_bytes = server_free_bytes(admin);
    if (ok)
        *ret_preview = p;
    else
        preview_clear(&p);
    return ok;
}

void preview_add_backup(struct restore_preview *p, const struct restore_request *request, guint64 plain_bytes,
                        const struct archive_contents *contents)
{
    if (plain_bytes > 0)
        p->estimated_s = (gint64)(plain_bytes / (BYTES_PER_SECOND_AND_JOB * pool_default_jobs(request->jobs))) + 1;
    if (contents && p->exists && !request->target_db)
        p->rows = preview_rows(request->target, p->database, contents);
}

static void report_backup(const struct restore_preview *p, struct report *r)
{
    if (p->snapshot_time && p->age_s >= 0) {
        g_autofree char *age = text_duration(p->age_s);
        report_info(r, "  The backup shows the database as of %s (%s ago)", p->snapshot_time, age);
        if (p->exists)
            report_info(r, "  What was written in the last %s will not be in the result", age);
    } else {
        report_info(r, "  The file does not say when it was taken");
    }
    if (p->backup_database && !g_str_equal(p->backup_database, p->database))
        report_warn(r, "  The backup is of database %s, not of %s", p->backup_database, p->database);
}

void preview_report(const struct restore_preview *p, struct report *r)
{
    g_autofree char *live = text_size_pretty(p->live_bytes);
    g_autofree char *size = text_size_pretty(p->backup_bytes);
    report_info(r, "Restore preview:");
    report_info(r, "  Server: %s, port %s (PostgreSQL %s), as user %s", p->host, p->port, p->version, p->user);
    if (!p->exists)
        report_info(r, "  Database %s does not exist and will be created", p->database);
    else
        report_info(r, "  Database %s (%s, %" G_GINT64_FORMAT " connections now, which will be ended) will be replaced",
                    p->database, live, p->connections);
    if (p->backup_bytes)
        report_info(r, "  Size when it was backed up: %s", size);
    report_backup(p, r);
    for (guint i = 0; p->rows && i < p->rows->len; i++)
        report_info(r, "  %s", (char *)p->rows->pdata[i]);
    if (p->free_bytes == G_MAXUINT64) {
        report_info(r, "  Free space on the server: cannot be seen from here; it needs about the backup's size");
    } else {
        g_autofree char *space = text_size_pretty(p->free_bytes);
        report_info(r, "  Free space on the server: %s", space);
    }
    if (p->estimated_s >= 0) {
        g_autofree char *time = text_duration(p->estimated_s);
        report_info(r, "  Estimated time: about %s", time);
    }
    for (guint i = 0; p->missing && i < p->missing->len; i++)
        report_warn(r, "  Missing on the server: %s", (char *)p->missing->pdata[i]);
    for (guint i = 0; i < p->notes->len; i++)
        report_warn(r, "  %s", (char *)p->notes->pdata[i]);
    if (p->in_place && p->exists)
        report_warn(r,
                    "  IN PLACE: %s is out of use from the moment it is compared with the pre-restore backup, and "
                    "dropped before the new one is loaded. If the load fails, it is gone until that backup is restored",
                    p->database);
}
