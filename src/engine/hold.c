/* A hold's way into the metadata here, the metadata there, the object's tag and S3's legal hold. */
#include "engine/hold.h"

#include <string.h>

#include "catalog/hold.h"
#include "catalog/inuse.h"
#include "catalog/names.h"

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

void hold_result_clear(struct hold_result *r)
{
    g_free(r->database);
    json_decref(r->before);
    memset(r, 0, sizeof *r);
}

/* ---- the metadata here ---- */

struct change {
    json_t *hold;      /* NULL: none */
    const char *in_s3; /* what "hold" of the record of the copy in S3 becomes; NULL: null */
    gboolean done;
};

static void put_hold(struct meta *m, json_t *hold)
{
    json_decref(m->hold);
    m->hold = json_incref(hold);
}

static void change_hold(struct meta *m, void *data)
{
    struct change *c = data;
    put_hold(m, c->hold);
    if (g_strcmp0(meta_s3_text(m, "state"), "uploaded") == 0)
        meta_set_s3_text(m, "hold", c->in_s3);
    c->done = TRUE;
}

/* Unless somebody wanted something else meanwhile: then it is behind again. */
static void note_done(struct meta *m, void *data)
{
    const struct change *c = data;
    if (m->s3 && (m->hold == c->hold || json_equal(m->hold, c->hold)))
        meta_set_s3_text(m, "hold", c->in_s3);
}

static gboolean note_in_s3(const char *path, json_t *hold, gboolean active, GError **error)
{
    g_autoptr(copy) here = copy_local(path);
    struct change done = {.hold = hold, .in_s3 = active ? "yes" : NULL};
    return copy_update_meta(here, note_done, &done, error);
}

/* ---- S3 ---- */

/* Its metadata there, or where there is none, m's. */
static gboolean write_meta(const struct offsite *o, const char *key, const struct meta *m, gboolean active,
                           GError **error)
{
    struct offsite_labels labels = {m->type, m->tag, m->database, active};
    g_auto(GStrv) tags = offsite_tags(&labels);
    struct s3_props props = offsite_sidecar_props(o, m->type);
    props.tags = tags;
    props.content_type = "application/json";
    g_autoptr(copy) there = copy_s3(o->client, &props, key);
    g_autofree char *meta_key = copy_beside(there, NAMES_META);
    GError *problem = NULL;
    g_autoptr(meta) theirs = copy_meta(there, &problem);
    if (problem) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (theirs) {
        put_hold(theirs, m->hold);
        meta_set_s3_text(theirs, "hold", active ? "yes" : NULL);
    }
    g_autofree char *text = meta_print(theirs ? theirs : m, error);
    return text && there->place->write(there->place, meta_key, text, strlen(text), error);
}

/* The metadata last: where it says that the backup is held, it is. */
static gboolean set_in_s3(const struct offsite *o, const char *key, const struct meta *m, gboolean active,
                          gboolean *ret_binding, GError **error)
{
    return offsite_hold(o, key, active, ret_binding, error) && write_meta(o, key, m, active, error);
}

/* FALSE with *error unset: it is not there. */
static gboolean is_there(const struct hold_request *q, GError **error)
{
    if (!q->offsite || !q->key)
        return FALSE;
    GError *problem = NULL;
    g_autoptr(s3_object) o = s3_head(q->offsite->client, q->key, &problem);
    if (g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))
        g_clear_error(&problem);
    if (problem)
        g_propagate_error(error, problem);
    return o != NULL;
}

/* ---- one backup ---- */

static gboolean fail_in_s3(const struct hold_request *q, GError *problem, GError **error)
{
    if (!g_error_matches(problem, OT_ERROR, OT_INTERRUPTED)) {
        problem->code = q->path ? OT_UPLOAD : OT_S3;
        g_prefix_error(&problem,
                       q->path ? "the hold on %s is %s on this machine, but not yet in S3 (the next `opstower sync` or "
                                 "backup, or this command again, completes it): "
                               : "the hold on %s could not be %s in S3 (run it again): ",
                       q->id, q->hold ? "noted" : "removed");
    }
    g_propagate_error(error, problem);
    return FALSE;
}

/* The backup's metadata, here or else there. */
static struct meta *load(const struct hold_request *q, GError **error)
{
    struct s3_props unused = {0};
    GError *problem = NULL;
    g_autoptr(copy) here = q->path ? copy_local(q->path) : NULL;
    struct meta *m = here ? copy_meta(here, &problem) : NULL;
    if (!m && !problem && q->offsite && q->key) {
        g_autoptr(copy) there = copy_s3(q->offsite->client, &unused, q->key);
        m = copy_meta(there, &problem);
    }
    if (!m && !problem && !q->path && !is_there(q, &problem) && !problem)
        ot_fail(error, OT_NOT_FOUND, "there is no backup %s on this machine or in S3", q->id);
    else if (!m && !problem)
        ot_fail(error, OT_REFUSED,
                "%s has no metadata in which a hold could stand. Retention never deletes such a backup; to keep others "
                "from it, use the file system's or S3's own means (chattr +i; aws s3api put-object-legal-hold)",
                q->id);
    if (problem)
        g_propagate_error(error, problem);
    return m;
}

/* A deletion that has begun is waited for, and what it took cannot be held any more; one that comes later finds the
 * hold. */
static gboolean keep_deletion_off(const struct hold_request *q, struct inuse **ret_reading, GError **error)
{
    *ret_reading = NULL;
    if (q->dir && g_file_test(q->dir, G_FILE_TEST_IS_DIR) && !(*ret_reading = inuse_share(q->dir, q->id, error)))
        return FALSE;
    return !q->path || g_file_test(q->path, G_FILE_TEST_EXISTS) ||
           ot_fail(error, OT_NOT_FOUND, "%s was deleted a moment ago", q->id);
}

static gboolean set_here(const struct hold_request *q, struct hold_result *r, GError **error)
{
    g_autoptr(copy) here = copy_local(q->path);
    struct change wanted = {.hold = q->hold, .in_s3 = "pending"};
    if (!copy_update_meta(here, change_hold, &wanted, error))
        return FALSE;
    r->here = wanted.done;
    return TRUE;
}

/* Another machine may have deleted it meanwhile. */
static gboolean is_still_there(const struct hold_request *q, GError **error)
{
    GError *problem = NULL;
    gboolean there = is_there(q, &problem);
    if (!there && !problem)
        return ot_fail(error, OT_NOT_FOUND, "%s was deleted in S3 a moment ago", q->id);
    if (problem)
        g_propagate_error(error, problem);
    return there;
}

static gboolean set_there(const struct hold_request *q, const struct meta *m, struct hold_result *r, GError **error)
{
    GError *problem = NULL;
    gboolean active = hold_is_active(m, now_s());
    r->in_s3 = is_there(q, &problem);
    if (!r->in_s3 && !problem)
        return TRUE;
    if (problem || !set_in_s3(q->offsite, q->key, m, active, &r->binding, &problem) || !is_still_there(q, &problem)) {
        r->in_s3 = FALSE;
        return fail_in_s3(q, problem, error);
    }
    return !q->path || note_in_s3(q->path, m->hold, active, error);
}

static void say_s3(const struct hold_request *q, const struct meta *m, const struct hold_result *r,
                   struct report *report)
{
    const char *state = meta_s3_text(m, "state");
    if (r->in_s3)
        report_info(report, "In S3: %s%s", q->hold ? "tagged hold=yes" : "tagged hold=no",
                    !r->binding ? ""
                    : q->hold   ? ", legal hold on"
                                : ", legal hold off");
    else if (g_strcmp0(state, "pending") == 0)
        report_info(report, "The copy in S3 is still to be uploaded, and will be %s", q->hold ? "held" : "free");
    else if (g_strcmp0(state, "uploaded") == 0 && q->offsite)
        report_warn(report, "The copy in S3 is gone (%s): `opstower sync` brings it back", q->key);
    else if (g_strcmp0(state, "uploaded") == 0)
        report_warn(report, "There is a copy in S3, but BACKUP_S3_BUCKET is not set: the next sync sees to it");
}

gboolean hold_set(const struct hold_request *q, struct report *report, struct hold_result *r, GError **error)
{
    *r = (struct hold_result){0};
    g_autoptr(inuse) reading = NULL;
    if (!keep_deletion_off(q, &reading, error))
        return FALSE;
    g_autoptr(meta) m = load(q, error);
    if (!m)
        return FALSE;
    r->database = g_strdup(m->database);
    r->before = json_incref(m->hold);
    if (q->path && !set_here(q, r, error))
        return FALSE;
    put_hold(m, q->hold);
    if (!set_there(q, m, r, error))
        return FALSE;
    say_s3(q, m, r, report);
    return TRUE;
}

/* ---- what is behind ---- */

gboolean hold_is_behind(const struct meta *m, gint64 now)
{
    const char *there = meta_s3_text(m, "hold");
    if (g_strcmp0(meta_s3_text(m, "state"), "uploaded") != 0)
        return FALSE; /* what is to be uploaded takes its hold along */
    return g_strcmp0(there, "pending") == 0 || hold_is_active(m, now) != (g_strcmp0(there, "yes") == 0);
}

gboolean hold_catch_up(const struct offsite *o, const char *dir, const struct meta *m, struct report *report,
                       GError **error)
{
    const char *key = meta_s3_text(m, "key");
    g_autofree char *path = g_strdup_printf("%s/%s" NAMES_DUMP, dir, m->id);
    struct hold_request q = {.id = m->id, .dir = dir, .path = path, .offsite = o, .key = key, .hold = m->hold};
    GError *problem = NULL;
    gboolean there = is_there(&q, &problem);
    if (problem)
        return fail_in_s3(&q, problem, error);
    if (!there) {
        report_warn(report, "The copy of %s in S3 is gone: `opstower sync` brings it back", m->id);
        return TRUE;
    }
    /* Its end is judged by S3's clock too: one that runs ahead here must not open a hold there. */
    gboolean active = hold_is_active(m, MIN(now_s(), s3_server_time(o->client)));
    if (!set_in_s3(o, key, m, active, NULL, &problem))
        return fail_in_s3(&q, problem, error);
    report_info(report, active ? "Backup %s is now held in S3 too" : "Backup %s is no longer held in S3", m->id);
    return note_in_s3(path, m->hold, active, error);
}
