/* opstower hold */
#include "engine/hold.h"

#include <stdio.h>
#include <string.h>

#include "base/secrets.h"
#include "catalog/hold.h"
#include "catalog/names.h"
#include "catalog/remote.h"
#include "cmd/command.h"
#include "cmd/requests.h"

/* ---- which backup ---- */

struct target {
    char *id, *path, *key; /* path: NULL if it is not on this machine; key: NULL without S3 */
    const struct offsite *offsite;
};

static void target_clear(struct target *t)
{
    g_free(t->id);
    g_free(t->path);
    g_free(t->key);
}

static gboolean name_target(struct target *t, const char *place, GError **error)
{
    g_autofree char *file = g_path_get_basename(place);
    t->id = names_id_of_file(file, NAMES_DUMP);
    return t->id || ot_fail(error, OT_REFUSED,
                            "%s is not named as a backup (NAME_YYYYMMDD_HHMMSS" NAMES_DUMP "), so "
                            "it has no metadata in which a hold could stand",
                            place);
}

/* The object of a backup that is here, where its metadata says that it is, or else where it would be. */
static char *key_of(struct console *c, const struct target *t)
{
    g_autoptr(copy) here = copy_local(t->path);
    g_autoptr(meta) m = copy_meta(here, NULL);
    const char *bucket = m ? meta_s3_text(m, "bucket") : NULL, *key = m ? meta_s3_text(m, "key") : NULL;
    return key && g_strcmp0(bucket, s3_bucket(c->s3)) == 0 ? g_strdup(key) : names_key(c->settings.s3_prefix, t->id);
}

static gboolean find_there(struct console *c, const char *database, const char *what, struct target *t, GError **error)
{
    t->key = request_find(c, what, t->offsite, CHOOSE_TO_MARK, error);
    if (!t->key || !name_target(t, t->key, error))
        return FALSE;
    /* Whoever names it by its key means the backup all the same, not one of its copies; but for the monthly archive's,
     * which is kept for itself. */
    t->path = catalog_resolve(c->settings.backup_dir, database, t->id, NULL);
    g_autofree char *usual = t->path ? key_of(c, t) : NULL;
    if (usual && !g_str_equal(usual, t->key))
        g_clear_pointer(&t->path, g_free);
    return TRUE;
}

/* First on this machine, then in S3; with --from-s3 there only. */
static gboolean find(struct console *c, const char *what, struct target *t, GError **error)
{
    const struct settings *s = &c->settings;
    g_autofree char *database = pg_target_database(&c->target, error);
    if (!database || (s->from_s3 && !request_s3(c, error)) || !request_offsite(c, &t->offsite, error))
        return FALSE;
    GError *problem = NULL;
    t->path = s->from_s3 ? NULL : request_find(c, what, NULL, CHOOSE_TO_MARK, &problem);
    if (t->path) {
        if (!name_target(t, t->path, error))
            return FALSE;
        t->key = t->offsite ? key_of(c, t) : NULL;
        return TRUE;
    }
    if (t->offsite && (s->from_s3 || g_error_matches(problem, OT_ERROR, OT_NOT_FOUND))) {
        g_clear_error(&problem);
        return find_there(c, database, what, t, error);
    }
    g_propagate_error(error, problem);
    return FALSE;
}

/* ---- add and remove ---- */

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static void note_facts(struct console *c, const struct target *t, const struct hold_result *r, const json_t *hold)
{
    const json_t *told = hold ? hold : r->before;
    report_fact(&c->report, "id", json_string(t->id));
    if (r->database)
        report_fact(&c->report, "database", json_string(r->database));
    report_fact(&c->report, "reason", text_or_null(json_string_value(json_object_get(told, "reason"))));
    report_fact(&c->report, "until", text_or_null(json_string_value(json_object_get(told, "until"))));
    if (hold && r->before)
        report_fact(&c->report, "replaced", json_incref(r->before));
    if (t->path)
        report_fact(&c->report, "here", json_boolean(r->here));
    if (t->key)
        report_fact(&c->report, "s3", json_boolean(r->in_s3));
}

static char *hold_words(const json_t *hold)
{
    const char *reason = json_string_value(json_object_get(hold, "reason"));
    const char *until = json_string_value(json_object_get(hold, "until"));
    return g_strdup_printf("%s%s (%s)", until ? "until " : "without an end", until ? until : "",
                           reason ? reason : "no reason noted");
}

static void say(struct console *c, const struct target *t, const struct hold_result *r, const json_t *hold)
{
    g_autofree char *before = hold_words(r->before), *now = hold_words(hold);
    if (r->before)
        report_info(&c->report, hold ? "Replaces the hold %s" : "Removed the hold %s", before);
    if (hold)
        report_info(&c->report, "Backup %s is held %s", t->id, now);
    else
        report_info(&c->report, "Backup %s is not held", t->id);
}

static gboolean apply(struct console *c, const char *what, json_t *hold, GError **error)
{
    struct target t = {0};
    struct hold_result r = {0};
    if (!find(c, what, &t, error)) {
        target_clear(&t);
        return FALSE;
    }
    struct hold_request request = {
        .id = t.id,
        .dir = c->settings.backup_dir,
        .path = t.path,
        .offsite = t.offsite,
        .key = t.key,
        .hold = hold,
    };
    gboolean ok = hold_set(&request, &c->report, &r, error);
    note_facts(c, &t, &r, hold);
    if (ok && c->settings.json)
        ok = console_print_json(json_pack("{ss sO? sb sb sb}", "id", t.id, "hold", hold, "here", r.here, "s3", r.in_s3,
                                          "legal_hold", hold && r.binding),
                                error);
    else if (ok)
        say(c, &t, &r, hold);
    hold_result_clear(&r);
    target_clear(&t);
    return ok;
}

static gboolean add(struct console *c, const char *what, GError **error)
{
    const struct settings *s = &c->settings;
    gint64 until = 0, now = g_get_real_time() / G_USEC_PER_SEC;
    if (!s->hold_reason)
        return ot_fail(error, OT_USAGE, "a hold needs its reason: --reason \"...\"");
    if (!hold_check_reason(s->hold_reason, error) || (s->until && !hold_parse_until(s->until, now, &until, error)))
        return FALSE;
    /* A reason with a password in it would be spread by metadata, lists and journal. */
    g_autofree char *reason = secrets_clean(s->hold_reason);
    json_t *hold = hold_new(reason, until, now);
    c->act = "hold-add";
    gboolean ok = apply(c, what, hold, error);
    json_decref(hold);
    return ok;
}

static gboolean take_away(struct console *c, const char *what, GError **error)
{
    const struct settings *s = &c->settings;
    if (s->hold_reason || s->until)
        return ot_fail(error, OT_USAGE, "--reason and --until go with hold add");
    c->act = "hold-remove";
    return apply(c, what, NULL, error);
}

/* ---- list ---- */

static const char *standing(const struct meta *m, gint64 now)
{
    gboolean behind = hold_is_behind(m, now);
    if (!m->hold)
        return "removed; in S3 still pending";
    if (!hold_is_active(m, now))
        return behind ? "ended; in S3 still held" : "ended";
    return behind ? "held; in S3 still pending" : "held";
}

static json_t *listed_json(const struct catalog_entry *e, gint64 now)
{
    const struct meta *m = e->meta;
    return json_pack("{ss ss* ss? ss? ss? ss? sb sb ss}", "id", e->id, "database", m->database, "reason",
                     hold_text(m, "reason"), "until", hold_text(m, "until"), "by", hold_text(m, "by"), "since",
                     hold_text(m, "since"), "active", hold_is_active(m, now), "s3_pending", hold_is_behind(m, now),
                     "state", standing(m, now));
}

static gboolean print_held(struct console *c, const GPtrArray *list, GError **error)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    json_t *array = json_array();
    for (guint i = 0; i < list->len; i++) {
        const struct catalog_entry *e = list->pdata[i];
        const struct meta *m = e->meta;
        if (!m || (!m->hold && !hold_is_behind(m, now)))
            continue;
        json_array_append_new(array, listed_json(e, now));
        if (c->settings.json)
            continue;
        if (json_array_size(array) == 1)
            printf("%-40s %-26s %-26s %-20s %s\n", "ID", "STATE", "UNTIL", "BY", "REASON");
        const char *until = hold_text(m, "until"), *by = hold_text(m, "by"), *reason = hold_text(m, "reason");
        g_autofree char *shown = secrets_clean(reason ? reason : "-");
        printf("%-40s %-26s %-26s %-20s %s\n", e->id, standing(m, now), until ? until : "without an end", by ? by : "-",
               shown);
    }
    if (c->settings.json)
        return console_print_json(array, error);
    if (json_array_size(array) == 0)
        printf("No backup is held\n");
    json_decref(array);
    return TRUE;
}

static gboolean list(struct console *c, GError **error)
{
    g_auto(listing) found = {0};
    if (c->settings.hold_reason || c->settings.until)
        return ot_fail(error, OT_USAGE, "--reason and --until go with hold add");
    return request_list(c, &found, error) && print_held(c, found.list, error) && request_list_complete(&found, error);
}

static gboolean run(struct console *c, char **words, GError **error)
{
    static const char *const verbs[] = {"add", "remove", "list", NULL};
    if (!g_strv_contains(verbs, words[0])) {
        const char *near = options_nearest_word(words[0], verbs);
        return ot_fail(error, OT_USAGE, "opstower hold knows add, remove and list, not \"%s\"%s%s", words[0],
                       near ? "; did you mean " : "", near ? near : "");
    }
    gboolean lists = g_str_equal(words[0], "list");
    if (lists != !words[1])
        return ot_fail(error, OT_USAGE,
                       lists ? "opstower hold list takes no backup" : "which backup? opstower hold %s ID|FILE|latest",
                       words[0]);
    return lists                          ? list(c, error)
           : g_str_equal(words[0], "add") ? add(c, words[1], error)
                                          : take_away(c, words[1], error);
}

const struct command cmd_hold = {
    .name = "hold",
    .mask = CMD_HOLD,
    .usage = "add|remove ID|FILE|KEY|latest [--reason TEXT] [--until DATE] [OPTION]... | hold list",
    .summary = "Keep a backup however old it is, for a reason, until a date or without an end.",
    .details =
        "add notes the hold in the backup's metadata, and in S3 as well: there the objects get the tag hold=yes,\n"
        "and in a bucket with Object Lock the legal hold, so that S3 itself refuses to delete them. A backup that\n"
        "is still to be uploaded takes its hold along. Adding again replaces reason and end.\n"
        "remove takes all of it away. list shows what is held, why, by whom, until when; holds that have ended\n"
        "stay listed until they are removed, but keep nothing any more.\n"
        "If this machine has it and S3 does not take it, the exit code is 15; the next backup or sync completes it.",
    .min_words = 1,
    .max_words = 2,
    .run = run,
};
