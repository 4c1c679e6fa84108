/* Where heads of the journal are kept; times; CSV. */
#include "engine/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/remote.h"
#include "engine/journalcopy.h"

/* ---- what was kept elsewhere ---- */

static void add_anchor(GPtrArray *list, const char *kept_by, const json_t *head, const char *only_id)
{
    struct journal_anchor *a = journal_anchor_new(kept_by, head);
    if (a && (!only_id || g_str_equal(a->id, only_id)))
        g_ptr_array_add(list, a);
    else
        journal_anchor_free(a);
}

/* A backup in this folder was recorded by this folder's journal. One that lies in S3 only may be of another host: it
 * counts if it knows this journal. */
static void add_backups(GPtrArray *anchors, const GPtrArray *backups, const char *own_id)
{
    for (guint i = 0; i < backups->len; i++) {
        const struct catalog_entry *e = backups->pdata[i];
        g_autofree char *kept_by = g_strdup_printf("backup %s%s", e->id, e->path ? "" : " in S3");
        if (e->meta && e->meta->journal)
            add_anchor(anchors, kept_by, e->meta->journal, e->path ? NULL : own_id);
    }
}

static gboolean add_s3(GPtrArray *anchors, GPtrArray *backups, const struct audit_places *p, GError **error)
{
    return remote_join(backups, p->client, p->prefix, NULL, error) &&
           journalcopy_anchors(p->client, p->prefix, p->dir, anchors, error);
}

/* Takes the anchors that were found elsewhere. max_bytes: of the newest lines; 0: all are read. */
static struct journal_state *check(const char *dir, const GPtrArray *backups, GPtrArray *anchors, gsize max_bytes,
                                   GError **error)
{
    struct journal_head head;
    if (!journal_head(dir, &head, error))
        return NULL;
    add_backups(anchors, backups, head.id);
    return max_bytes ? journal_check_newest(dir, anchors, max_bytes, error) : journal_check(dir, anchors, error);
}

struct journal_state *audit_check_newest(const char *dir, const GPtrArray *backups, gsize max_bytes, GError **error)
{
    g_autoptr(GPtrArray) anchors = g_ptr_array_new_with_free_func(journal_anchor_free);
    return check(dir, backups, anchors, max_bytes, error);
}

struct journal_state *audit_check(const struct audit_places *places, GError **error)
{
    g_autoptr(GPtrArray) anchors = g_ptr_array_new_with_free_func(journal_anchor_free);
    g_autoptr(GPtrArray) backups = catalog_list(places->dir, NULL, error);
    if (!backups || (places->client && !add_s3(anchors, backups, places, error)))
        return NULL;
    g_autoptr(journal_state) state = check(places->dir, backups, anchors, 0, error);
    if (state && places->client && !journalcopy_compare(places->client, places->prefix, places->dir, state, error))
        return NULL;
    return g_steal_pointer(&state);
}

/* ---- times ---- */

static GDateTime *day_of(const char *text)
{
    int year, month, day, length = 0;
    if (strlen(text) != 10 || sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &length) != 3 || length != 10)
        return NULL;
    return g_date_time_new_local(year, month, day, 0, 0, 0);
}

gboolean audit_parse_time(const char *text, gboolean to_end, gint64 *ret_time, GError **error)
{
    g_autoptr(GTimeZone) local = g_time_zone_new_local();
    g_autoptr(GDateTime) day = day_of(text);
    g_autoptr(GDateTime) next = day ? g_date_time_add_days(day, 1) : NULL;
    g_autofree char *with_seconds = strlen(text) == 16 ? g_strconcat(text, ":00", NULL) : g_strdup(text);
    g_autoptr(GDateTime) moment = day ? NULL : g_date_time_new_from_iso8601(with_seconds, local);
    GDateTime *found = !day ? moment : to_end ? next : day;
    if (!found)
        return ot_fail(error, OT_USAGE, "\"%s\" is no time: give a day as 2026-01-31, or 2026-01-31T12:00", text);
    *ret_time = g_date_time_to_unix(found);
    return TRUE;
}

static gboolean is_between(const json_t *record, gint64 since, gint64 until)
{
    const char *text = json_string_value(json_object_get(record, "time"));
    g_autoptr(GDateTime) moment = text ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    gint64 at = moment ? g_date_time_to_unix(moment) : 0;
    return !moment || (at >= since && at < until);
}

GPtrArray *audit_select(const char *dir, gint64 since, gint64 until, GError **error)
{
    GPtrArray *records = journal_load(dir, error);
    for (guint i = 0; records && i < records->len;)
        if (is_between(records->pdata[i], since, until))
            i++;
        else
            g_ptr_array_remove_index(records, i);
    return records;
}

/* ---- CSV ---- */

static const char *const columns[] = {
    "seq",      "time",        "act",  "result", "code",      "error", "duration_seconds",
    "database", "id",          "who",  "login",  "sudo_user", "host",  "pid",
    "version",  "torn_before", "prev", "sum",    NULL};

static void add_field(GString *line, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        g_string_append(line, text);
        return;
    }
    g_string_append_c(line, '"');
    for (const char *c = text; *c; c++) {
        if (*c == '"')
            g_string_append_c(line, '"');
        g_string_append_c(line, *c);
    }
    g_string_append_c(line, '"');
}

static void add_json(GString *line, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);
    add_field(line, json_is_string(value) ? json_string_value(value) : text ? text : "");
    free(text);
}

char *audit_csv_header(void)
{
    g_autofree char *names = g_strjoinv(",", (char **)columns);
    return g_strconcat(names, ",facts\r\n", NULL);
}

/* What has no column of its own. */
static json_t *facts_of(const json_t *record)
{
    json_t *facts = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)record, key, value) if (!g_strv_contains(columns, key))
        json_object_set(facts, key, value);
    return facts;
}

char *audit_csv_line(const json_t *record)
{
    GString *line = g_string_new(NULL);
    for (const char *const *name = columns; *name; name++) {
        const json_t *value = json_object_get(record, *name);
        if (value && !json_is_null(value))
            add_json(line, value);
        g_string_append_c(line, ',');
    }
    json_t *facts = facts_of(record);
    add_json(line, facts);
    json_decref(facts);
    g_string_append(line, "\r\n");
    return g_string_free(line, FALSE);
}
