/* States in words, copies, and the JSON object of a backup. */
#include "catalog/describe.h"

#include "catalog/hold.h"
#include "catalog/lineage.h"

char *describe_state(const struct catalog_entry *e)
{
    return e->meta ? meta_state_text(e->meta) : g_strdup(e->meta_error ? "metadata unreadable" : "no metadata");
}

static gboolean is_held(const struct meta *m)
{
    return hold_is_active(m, g_get_real_time() / G_USEC_PER_SEC);
}

char *describe_state_and_hold(const struct catalog_entry *e)
{
    const char *whose = e->lineage == LINEAGE_OTHER ? ", other server" : "";
    const char *hold = !e->meta || !e->meta->hold ? "" : is_held(e->meta) ? ", held" : ", hold ended";
    g_autofree char *state = describe_state(e);
    return g_strconcat(state, hold, whose, NULL);
}

gint64 describe_age_seconds(const struct catalog_entry *e)
{
    return g_get_real_time() / G_USEC_PER_SEC - e->taken_at;
}

/* ---- copies ---- */

const char *describe_s3(const struct catalog_entry *e, gboolean looked)
{
    const char *noted = e->meta ? meta_s3_text(e->meta, "state") : NULL;
    if (!e->object)
        return looked && g_strcmp0(noted, "uploaded") == 0 ? "missing" : noted;
    if (e->meta && e->meta->size_bytes != e->object->size_bytes)
        return "wrong size";
    if (g_strcmp0(noted, "failed") == 0)
        return "failed";
    return e->object->has_meta ? "present" : "no metadata";
}

char *describe_copies(const struct catalog_entry *e, gboolean looked)
{
    const char *state = describe_s3(e, looked);
    gboolean good = state && (g_str_equal(state, "present") || g_str_equal(state, "uploaded"));
    if (good && e->path && meta_s3_text(e->meta, "proven_at")) {
        state = "proven";
        good = FALSE;
    }
    g_autofree char *there = !state ? NULL : good ? g_strdup("s3") : g_strdup_printf("s3 (%s)", state);
    const char *also = e->monthly ? ", monthly" : "";
    if (!e->path)
        return there ? g_strconcat(there, also, NULL) : g_strdup("-");
    return there ? g_strconcat("local, ", there, also, NULL) : g_strdup("local");
}

static json_t *copies_json(const struct catalog_entry *e, gboolean looked)
{
    json_t *copies = json_array();
    const char *state = describe_s3(e, looked);
    const struct meta *m = e->meta;
    if (e->path)
        json_array_append_new(copies, json_pack("{ss ss sI ss ss*}", "place", "local", "location", e->path, "size",
                                                (json_int_t)e->size_bytes, "state", "present", "verified_at",
                                                m ? m->verified_at : NULL));
    if (!state)
        return copies;
    const struct catalog_object *o = e->object;
    const char *key = o ? o->key : m ? meta_s3_text(m, "key") : NULL;
    json_t *there = json_pack("{ss ss* ss}", "place", "s3", "key", key, "state", state);
    if (o)
        json_object_update_new(
            there, json_pack("{sI ss*}", "size", (json_int_t)o->size_bytes, "storage_class", o->storage_class));
    if (m)
        json_object_update_new(there, json_pack("{ss* ss* ss* ss* ss*}", "uploaded_at", meta_s3_text(m, "uploaded_at"),
                                                "verified_at", meta_s3_text(m, "verified_at"), "lock_mode",
                                                meta_s3_text(m, "lock_mode"), "lock_until",
                                                meta_s3_text(m, "lock_until"), "error", meta_s3_text(m, "error")));
    if (m && meta_s3_text(m, "proven_at"))
        json_object_set_new(there, "proven_at", json_string(meta_s3_text(m, "proven_at")));
    json_array_append_new(copies, there);
    if (e->monthly)
        json_array_append_new(copies, json_pack("{ss ss sI ss ss*}", "place", "monthly", "key", e->monthly->key, "size",
                                                (json_int_t)e->monthly->size_bytes, "state", "present", "storage_class",
                                                e->monthly->storage_class));
    return copies;
}

/* ---- entries ---- */

static json_t *hold_json(const struct meta *m)
{
    if (!m->hold)
        return NULL;
    json_t *hold = json_is_object(m->hold) ? json_copy(m->hold) : json_object();
    json_object_set_new(hold, "active", json_boolean(is_held(m)));
    return hold;
}

json_t *describe_json(const struct catalog_entry *e, gboolean looked)
{
    const struct meta *m = e->meta;
    g_autofree char *state = describe_state(e);
    json_t *o = json_pack("{ss ss* ss sI sI ss so}", "id", e->id, "file", e->path, "timestamp", e->timestamp,
                          "age_seconds", (json_int_t)describe_age_seconds(e), "size", (json_int_t)e->size_bytes,
                          "state", state, "copies", copies_json(e, looked));
    if (m)
        json_object_update_new(
            o, json_pack("{so* ss ss* ss* sI sI ss* ss* ss*}", "hold", hold_json(m), "database", m->database, "type",
                         m->type, "tag", m->tag, "tables", (json_int_t)m->table_count, "rows", (json_int_t)m->rows,
                         "snapshot_time", m->snapshot_time, "verified_at", m->verified_at, "proven_at", m->proven_at));
    if (m && m->tested_at)
        json_object_set_new(o, "tested_at", json_string(m->tested_at));
    if (m && m->omitted)
        json_object_set(o, "omitted", m->omitted);
    if (m)
        json_object_update_new(o, json_pack("{ss* si ss* ss}", "host", m->host, "port", m->port, "system_identifier",
                                            m->system_identifier, "lineage", lineage_name(e->lineage)));
    return o;
}
