/*
 * From the queue to the channels. Alerts are claimed under the lock, sent without it, and the results written under it
 * again: a slow server keeps no other process waiting, and no two processes send the same alert. A claim of a process
 * that died runs out.
 */
#include "engine/alert_queue.h"

#include <string.h>

#include "catalog/journal.h"

#define MAX_WHOLE 200 /* beyond that without their texts */
#define MAX_QUEUE 2000
#define MAX_TITLE 300
#define MAX_TEXT 4000
#define CLAIM_S 600
#define HOUR_S 3600
#define FIRST_PAUSE_S 60 /* doubled with each try */
#define LONGEST_PAUSE_S 1800
#define REFUSED_PAUSE_S HOUR_S /* a setting is wrong: people must act first */
#define FARTHEST_S 86400       /* a time beyond that is a clock's mistake */
#define MAX_SENDING_S 90       /* of one run */

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static gint64 number(const json_t *item, const char *key)
{
    return json_integer_value(json_object_get(item, key));
}

static const char *string(const json_t *item, const char *key)
{
    const char *text = json_string_value(json_object_get(item, key));
    return text ? text : "";
}

static json_t *cut(const char *text, gsize max_bytes)
{
    g_autofree char *head = g_strndup(text, max_bytes), *valid = g_utf8_make_valid(head, -1);
    return json_string(valid);
}

/* ---- in ---- */

/* The end of a trouble goes last: without it nobody would know that it is over. */
static int worth(const json_t *item)
{
    return (int)number(item, "severity") + (number(item, "state") == NOTIFY_RESOLVE ? NOTIFY_CRITICAL + 1 : 0);
}

/* The channel has not heard of it. */
static void take_back(struct alert_store *s, const json_t *item)
{
    json_t *trouble = json_object_get(alert_store_open_alerts(s), string(item, "trouble"));
    json_t *told = json_object_get(trouble, "told");
    if (number(item, "state") != NOTIFY_TRIGGER || !told)
        return;
    if (number(item, "before") < 0)
        json_object_del(told, string(item, "channel"));
    else
        json_object_set_new(json_object_get(told, string(item, "channel")), "severity",
                            json_integer(number(item, "before")));
}

static void drop_one(struct alert_store *s, gint64 now)
{
    json_t *queue = alert_store_queue(s);
    gsize least = 0;
    for (gsize i = 1; i < json_array_size(queue); i++)
        if (worth(json_array_get(queue, i)) < worth(json_array_get(queue, least)))
            least = i;
    take_back(s, json_array_get(queue, least));
    json_array_remove(queue, least);
    json_object_set_new(s->root, "dropped", json_integer(number(s->root, "dropped") + 1));
    json_object_set_new(s->root, "dropped_at", json_integer(now));
}

static json_t *item_of(const struct alert_news *news, gboolean whole, gint64 now)
{
    g_autofree char *id = g_uuid_string_random();
    return json_pack("{ss ss ss si si so so sO* sI ss ss* ss* si si sI sI}", "id", id, "channel", news->channel, "key",
                     news->key, "state", (int)news->state, "severity", (int)news->severity, "title",
                     cut(news->title, MAX_TITLE), "text", cut(whole ? news->text : "", MAX_TEXT), "facts",
                     whole ? news->facts : NULL, "when", (json_int_t)now, "host", g_get_host_name(), "database",
                     news->database, "trouble", news->trouble, "before", news->before, "tries", 0, "next_try",
                     (json_int_t)now, "claimed_until", (json_int_t)0);
}

/* What the channel has yet to hear of the same trouble, and nobody is sending just now; NULL: nothing. */
static json_t *unheard(struct alert_store *s, const struct alert_news *news)
{
    json_t *queue = alert_store_queue(s);
    for (gsize i = json_array_size(queue); i > 0; i--) {
        json_t *item = json_array_get(queue, i - 1);
        if (strcmp(string(item, "channel"), news->channel) != 0 || strcmp(string(item, "key"), news->key) != 0)
            continue;
        return number(item, "state") == NOTIFY_TRIGGER && number(item, "claimed_until") == 0 &&
                       !json_object_get(item, "to")
                   ? item
                   : NULL;
    }
    return NULL;
}

/* In its place, with its tries and pauses, and under an id of its own. */
static void replace(json_t *old, json_t *item)
{
    static const char *const kept[] = {"tries", "next_try", "error", "before"};
    for (gsize i = 0; i < G_N_ELEMENTS(kept); i++)
        if (json_object_get(old, kept[i]))
            json_object_set(item, kept[i], json_object_get(old, kept[i]));
    json_object_clear(old);
    json_object_update(old, item);
    json_decref(item);
}

void alert_queue_add(struct alert_store *s, const struct alert_news *news, gint64 now)
{
    json_t *queue = alert_store_queue(s);
    json_t *item = item_of(news, json_array_size(queue) < MAX_WHOLE, now);
    json_t *old = news->state == NOTIFY_TRIGGER ? unheard(s, news) : NULL;
    if (item && old)
        replace(old, item);
    else if (item)
        json_array_append_new(queue, item);
    while (json_array_size(queue) > MAX_QUEUE)
        drop_one(s, now);
}

/* ---- out: which ---- */

/* A time that lies too far ahead was noted by a clock that went wrong. */
static gboolean is_ahead(gint64 then, gint64 now, gint64 farthest_s)
{
    return then > now && then - now <= farthest_s;
}

/* The sends of the last hour; older ones are forgotten here. */
guint alert_queue_sent_lately(struct alert_store *s, const char *channel, gint64 now)
{
    json_t *times = json_object_get(alert_store_sent(s), channel);
    for (gsize i = json_array_size(times); i > 0; i--) {
        gint64 then = json_integer_value(json_array_get(times, i - 1));
        if (then <= now - HOUR_S || then > now)
            json_array_remove(times, i - 1);
    }
    return (guint)json_array_size(times);
}

void alert_queue_note_sent(struct alert_store *s, const char *channel, gint64 now)
{
    json_t *times = json_object_get(alert_store_sent(s), channel);
    if (!json_is_array(times)) {
        times = json_array();
        json_object_set_new(alert_store_sent(s), channel, times);
    }
    json_array_append_new(times, json_integer(now));
}

/* What was told first must arrive first, also where it had to wait. */
static gboolean is_behind_another(json_t *queue, gsize index)
{
    const json_t *item = json_array_get(queue, index);
    for (gsize i = 0; i < index; i++) {
        const json_t *other = json_array_get(queue, i);
        if (strcmp(string(other, "channel"), string(item, "channel")) == 0 &&
            strcmp(string(other, "key"), string(item, "key")) == 0 && !alert_receivers_may_pass(item, other))
            return TRUE;
    }
    return FALSE;
}

static gboolean is_due(const struct sending *sending, struct alert_store *s, gsize index, gint64 now)
{
    json_t *queue = alert_store_queue(s);
    const json_t *item = json_array_get(queue, index);
    return !is_ahead(number(item, "next_try"), now, FARTHEST_S) &&
           !is_ahead(number(item, "claimed_until"), now, CLAIM_S) &&
           !g_hash_table_contains(sending->broken, string(item, "channel")) && !is_behind_another(queue, index);
}

/* What is critical, and the end of what was told, is sent whatever else was. */
static gboolean is_limited(const json_t *item)
{
    return number(item, "severity") < NOTIFY_CRITICAL && number(item, "state") != NOTIFY_RESOLVE;
}

static gboolean is_over_limit(const struct sending *sending, struct alert_store *s, const json_t *item, gint64 now)
{
    return is_limited(item) && alert_queue_sent_lately(s, string(item, "channel"), now) >=
                                   (guint)sending->config->max_per_hour;
}

static void note_budget(struct alert_store *s, const json_t *item, gint64 now)
{
    if (is_limited(item))
        alert_queue_note_sent(s, string(item, "channel"), now);
}

static gboolean may_go(const struct sending *sending, struct alert_store *s, gsize index, gint64 now)
{
    return is_due(sending, s, index, now) &&
           !is_over_limit(sending, s, json_array_get(alert_store_queue(s), index), now);
}

gboolean alert_queue_is_held(const struct sending *sending, struct alert_store *s, gsize index, gint64 now)
{
    return is_due(sending, s, index, now) &&
           is_over_limit(sending, s, json_array_get(alert_store_queue(s), index), now);
}

/* Those whose channel is not set any more, or that are no alerts, will never go. */
static void forget_useless(const struct sending *sending, struct alert_store *s)
{
    json_t *queue = alert_store_queue(s);
    alert_receivers_forget(s, sending->config->notify.email_to);
    for (gsize i = json_array_size(queue); i > 0; i--) {
        const json_t *item = json_array_get(queue, i - 1);
        const struct notify_channel *channel = notify_find(string(item, "channel"));
        gint64 state = number(item, "state"), severity = number(item, "severity");
        if (!channel || !channel->is_configured(&sending->config->notify) || state < 0 || state > NOTIFY_NEWS ||
            severity < 0 || severity > NOTIFY_CRITICAL || !*string(item, "id") || !*string(item, "key"))
            json_array_remove(queue, i - 1);
    }
}

/* The worst one that may go, the oldest among equals; claimed, as a copy. NULL: none. */
static json_t *claim(const struct sending *sending, struct alert_store *s)
{
    gint64 now = now_s();
    json_t *queue = alert_store_queue(s), *best = NULL;
    for (gsize i = 0; i < json_array_size(queue); i++) {
        json_t *item = json_array_get(queue, i);
        if ((!best || number(item, "severity") > number(best, "severity")) && may_go(sending, s, i, now))
            best = item;
    }
    if (!best)
        return NULL;
    json_object_set_new(best, "claimed_until", json_integer(now + CLAIM_S));
    return json_deep_copy(best);
}

/* ---- out: sending, and what became of it ---- */

static struct notify_event event_of(const json_t *item)
{
    const char *database = json_string_value(json_object_get(item, "database"));
    return (struct notify_event){
        .severity = (enum notify_severity)number(item, "severity"),
        .state = (enum notify_state)number(item, "state"),
        .id = string(item, "id"),
        .key = string(item, "key"),
        .title = string(item, "title"),
        .text = string(item, "text"),
        .facts = json_object_get(item, "facts"),
        .when = number(item, "when"),
        .host = string(item, "host"),
        .database = database,
    };
}

void alert_queue_write_journal(const struct sending *sending, const json_t *item, const char *refused,
                          const GError *problem)
{
    g_autoptr(GError) error = NULL;
    const struct notify_event e = event_of(item);
    json_t *line = json_pack("{ss ss si ss ss ss ss ss ss*}", "act", "alert", "result", problem ? "failed" : "ok",
                             "code", problem ? problem->code : OT_OK, "channel", string(item, "channel"), "state",
                             notify_state_name(e.state), "severity", notify_severity_name(e.severity), "key", e.key,
                             "title", e.title, "database", e.database);
    if (problem)
        json_object_set_new(line, "error", cut(problem->message, MAX_TEXT));
    if (refused)
        json_object_set_new(line, "refused", cut(refused, MAX_TEXT));
    if (!journal_append(sending->config->dir, line, &error))
        report_warn(sending->report, "The alert could not be recorded: %s", error->message);
    json_decref(line);
}

static json_t *find(json_t *queue, const char *id, gsize *ret_index)
{
    for (gsize i = 0; i < json_array_size(queue); i++)
        if (strcmp(string(json_array_get(queue, i), "id"), id) == 0)
            return json_array_get(queue, *ret_index = i);
    return NULL;
}

static gint64 pause_s(const struct notify_failure *failure, gint64 tries)
{
    if (failure->refused)
        return REFUSED_PAUSE_S;
    gint64 pause = FIRST_PAUSE_S << MIN(tries, 10);
    return MAX(MIN(pause, LONGEST_PAUSE_S), (gint64)failure->retry_after_s);
}

static void note_failure(json_t *item, const struct notify_failure *failure, const GError *problem)
{
    gint64 tries = number(item, "tries");
    json_object_set_new(item, "tries", json_integer(tries + 1));
    json_object_set_new(item, "next_try", json_integer(now_s() + pause_s(failure, tries)));
    json_object_set_new(item, "claimed_until", json_integer(0));
    json_object_set_new(item, "error", cut(problem->message, MAX_TEXT));
}

static char *redacted(const struct report *r, const char *text)
{
    return r->redact ? r->redact(text, r->data) : g_strdup(text);
}

/* A server may have repeated what it was sent. */
static void clean(const struct sending *sending, GError *problem)
{
    g_autofree char *text = redacted(sending->report, problem->message);
    g_free(problem->message);
    problem->message = g_steal_pointer(&text);
}

/* What is said of those who did not get it; NULL: all did. */
static char *say_refused(const struct sending *sending, const struct notify_failure *failure)
{
    if (!failure->refusals)
        return NULL;
    g_autofree char *text = alert_receivers_text(failure->refusals);
    char *shown = redacted(sending->report, text);
    report_warn(sending->report, "An alert was sent by mail, but not to %s", shown);
    return shown;
}

/* It was sent. To some it may have to be sent again. */
static void note_success(const struct sending *sending, struct alert_store *s, gsize index, const char *const *to,
                         const struct notify_failure *failure, const char *refused)
{
    json_t *item = json_array_get(alert_store_queue(s), index);
    json_incref(item);
    const char *const *all = to ? to : sending->config->notify.email_to;
    gboolean mail = strcmp(string(item, "channel"), notify_email.name) == 0;
    if (mail && alert_receivers_note(s, item, all, failure->refusals)) {
        struct notify_failure later = {.refused = FALSE};
        g_autoptr(GError) problem = g_error_new_literal(OT_ERROR, OT_FAILED, refused);
        note_failure(item, &later, problem);
    } else {
        gsize now_at;
        if (find(alert_store_queue(s), string(item, "id"), &now_at))
            json_array_remove(alert_store_queue(s), now_at);
    }
    json_decref(item);
}

/* Sends one claimed alert. The store is closed, and open afterwards. */
static void send_one(struct sending *sending, struct alert_store *s, const json_t *item)
{
    const struct notify_channel *channel = notify_find(string(item, "channel"));
    g_autofree const char **to = alert_receivers_of(item);
    struct notify_event e = event_of(item);
    struct notify_failure failure = {0};
    g_autoptr(GError) problem = NULL;
    e.to = to;
    gboolean sent = channel->send(sending->notifier, &e, &failure, &problem);
    if (!sent) {
        clean(sending, problem);
        g_hash_table_add(sending->broken, (gpointer)channel->name);
        report_warn(sending->report, "An alert waits, as it could not be sent by %s: %s", channel->name,
                    problem->message);
    }
    g_autofree char *refused = say_refused(sending, &failure);
    if (sent || number(item, "tries") == 0)
        alert_queue_write_journal(sending, item, refused, problem);
    alert_store_open(s, sending->report);
    gsize index;
    json_t *kept = find(alert_store_queue(s), e.id, &index);
    if (sent)
        note_budget(s, item, now_s());
    if (kept && sent)
        note_success(sending, s, index, to, &failure, refused);
    else if (kept)
        note_failure(kept, &failure, problem);
    notify_failure_clear(&failure);
}

static gboolean has_time(const struct sending *sending)
{
    return g_get_monotonic_time() - sending->started_us < (gint64)MAX_SENDING_S * G_USEC_PER_SEC;
}

void alert_queue_send(const struct alert_config *c, struct alert_store *s, struct report *r)
{
    g_autoptr(notifier) n = notifier_new(&c->notify);
    g_autoptr(GHashTable) broken = g_hash_table_new(g_str_hash, g_str_equal);
    struct sending sending = {c, r, n, broken, g_get_monotonic_time()};
    alert_store_open(s, r);
    gsize before = json_array_size(alert_store_queue(s));
    forget_useless(&sending, s);
    gboolean changed = json_array_size(alert_store_queue(s)) != before;
    for (json_t *item; has_time(&sending) && (item = claim(&sending, s)); json_decref(item)) {
        alert_store_close(s, TRUE, r);
        send_one(&sending, s, item);
        changed = TRUE;
    }
    if (has_time(&sending))
        alert_digest_send(&sending, s);
    alert_store_close(s, changed, r);
}
