/* The test alert, and what is told of alerts to people and programs. */
#include <string.h>

#include "base/files.h"
#include "catalog/journal.h"
#include "engine/alert_queue.h"

static void write_journal(const struct alert_config *c, const char *channel, const GError *problem, struct report *r)
{
    g_autoptr(GError) error = NULL;
    json_t *line = json_pack("{ss ss si ss ss ss ss*}", "act", "alert", "result", problem ? "failed" : "ok", "code",
                             problem ? problem->code : OT_OK, "channel", channel, "state", "info", "title",
                             "Test alert", "database", c->database);
    if (problem) {
        g_autofree char *clean = r->redact ? r->redact(problem->message, r->data) : g_strdup(problem->message);
        json_object_set_new(line, "error", json_string(clean));
    }
    if (!files_need_folder(c->dir, &error) || !journal_append(c->dir, line, &error))
        report_warn(r, "The alert could not be recorded: %s", error->message);
    json_decref(line);
}

gboolean alert_test(const struct alert_config *c, const struct notify_channel *channel, struct report *r,
                    GError **error)
{
    g_autoptr(notifier) n = notifier_new(&c->notify);
    g_autoptr(GError) problem = NULL;
    g_autofree char *id = g_uuid_string_random(), *key = g_strconcat("opstower/test/", id, NULL);
    json_t *facts = json_pack("{ss}", "channel", channel->name);
    struct notify_event e = {.severity = NOTIFY_INFO,
                             .state = NOTIFY_NEWS,
                             .id = id,
                             .key = key,
                             .title = "Test alert",
                             .text = "This is a test of alerts. Nothing is wrong, and nothing is to be done.",
                             .facts = facts,
                             .when = g_get_real_time() / G_USEC_PER_SEC,
                             .host = g_get_host_name(),
                             .database = c->database};
    struct notify_failure failure = {0};
    gboolean ok = channel->send(n, &e, &failure, &problem);
    json_decref(facts);
    if (ok && failure.refusals) {
        g_autofree char *who = alert_receivers_text(failure.refusals);
        ok = ot_fail(&problem, OT_FAILED, "accepted, but not for %s", who);
    }
    notify_failure_clear(&failure);
    write_journal(c, channel->name, problem, r);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&problem));
    return ok;
}

static json_t *open_list(const struct alert_store *s)
{
    json_t *list = json_array();
    const char *key;
    json_t *trouble;
    json_object_foreach(alert_store_open_alerts(s), key, trouble)
    {
        json_t *each = json_pack("{ss}", "key", key);
        json_object_update(each, trouble);
        gint64 severity = json_integer_value(json_object_get(trouble, "severity"));
        const char *name = notify_severity_name(severity >= NOTIFY_CRITICAL ? NOTIFY_CRITICAL : NOTIFY_WARNING);
        json_object_set_new(each, "severity", json_string(name));
        json_array_append_new(list, each);
    }
    return list;
}

static json_t *queue_list(const struct alert_store *s)
{
    static const char *const kept[] = {"channel", "key", "title", "when", "tries", "next_try", "error", "database"};
    json_t *list = json_array();
    gsize i;
    json_t *item;
    json_array_foreach(alert_store_queue(s), i, item)
    {
        json_t *each = json_object();
        for (gsize k = 0; k < G_N_ELEMENTS(kept); k++)
            if (json_object_get(item, kept[k]))
                json_object_set(each, kept[k], json_object_get(item, kept[k]));
        json_array_append_new(list, each);
    }
    return list;
}

json_t *alert_state(const struct alert_config *c)
{
    struct alert_store s;
    alert_store_init(&s, c->dir, c->spare_dir);
    alert_store_peek(&s);
    json_t *state = json_pack("{so so sI}", "open", open_list(&s), "queue", queue_list(&s), "dropped",
                              json_integer_value(json_object_get(s.root, "dropped")));
    alert_store_clear(&s);
    return state;
}

static void add_channel(GString *names, const char *channel)
{
    if (!channel || strstr(names->str, channel))
        return;
    g_string_append_printf(names, "%s%s", names->len ? ", " : "", channel);
}

/* NULL: no address is refused. */
static char *refused_text(const struct alert_store *s)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *address;
    json_t *said;
    json_object_foreach(alert_store_refused(s), address, said)
    {
        const char *words = json_string_value(said);
        g_string_append_printf(text, "%s%s (%s)", text->len ? ", " : "", address, words ? words : "");
    }
    return text->len ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

gboolean alert_backlog(const char *dir, const char *spare_dir, struct alert_backlog *ret)
{
    struct alert_store s;
    g_autoptr(GString) channels = g_string_new(NULL);
    *ret = (struct alert_backlog){0};
    alert_store_init(&s, dir, spare_dir);
    gboolean found = alert_store_peek(&s);
    gsize i;
    json_t *item;
    json_array_foreach(alert_store_queue(&s), i, item)
    {
        if (json_integer_value(json_object_get(item, "tries")) == 0)
            continue;
        gint64 when = json_integer_value(json_object_get(item, "when"));
        ret->waiting++;
        ret->oldest_at = ret->oldest_at ? MIN(ret->oldest_at, when) : when;
        add_channel(channels, json_string_value(json_object_get(item, "channel")));
        g_free(ret->error);
        ret->error = g_strdup(json_string_value(json_object_get(item, "error")));
    }
    ret->channels = g_string_free(g_steal_pointer(&channels), FALSE);
    ret->dropped = json_integer_value(json_object_get(s.root, "dropped"));
    ret->dropped_at = json_integer_value(json_object_get(s.root, "dropped_at"));
    ret->refused = refused_text(&s);
    alert_store_clear(&s);
    return found;
}

void alert_backlog_clear(struct alert_backlog *b)
{
    g_free(b->channels);
    g_free(b->error);
    g_free(b->refused);
    *b = (struct alert_backlog){0};
}
