/*
 * What the limit of an hour holds back, in one message, so that nobody has to wait to know of it. It is claimed as single
 * alerts are.
 */
#include "engine/alert_queue.h"

#include <string.h>

#define CLAIM_S 600
#define SHOWN 20 /* titles */

static const char *text_of(const json_t *item, const char *key)
{
    const char *text = json_string_value(json_object_get(item, key));
    return text ? text : "";
}

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* New references to what is held back of one channel; each is claimed. */
static json_t *claim_held(const struct sending *sending, struct alert_store *s, const char *channel)
{
    json_t *held = json_array();
    gint64 now = now_s();
    json_t *queue = alert_store_queue(s);
    for (gsize i = 0; i < json_array_size(queue); i++) {
        json_t *item = json_array_get(queue, i);
        if (strcmp(text_of(item, "channel"), channel) == 0 && alert_queue_is_held(sending, s, i, now))
            json_array_append(held, item);
    }
    if (json_array_size(held) < 2) /* one may as well wait */
        json_array_clear(held);
    gsize i;
    json_t *item;
    json_array_foreach(held, i, item) json_object_set_new(item, "claimed_until", json_integer(now + CLAIM_S));
    return held;
}

static char *titles(const json_t *held)
{
    g_autoptr(GString) text = g_string_new(NULL);
    gsize i;
    const json_t *item;
    json_array_foreach(held, i, item)
        if (i < SHOWN)
            g_string_append_printf(text, "%s- %s", i ? "\n" : "", text_of(item, "title"));
    if (json_array_size(held) > SHOWN)
        g_string_append_printf(text, "\n- and %d more", (int)(json_array_size(held) - SHOWN));
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The digest as an item of its own: what is sent, and what stands in the journal. */
static json_t *digest_of(const char *channel, const json_t *held)
{
    g_autofree char *id = g_uuid_string_random(), *key = g_strconcat("opstower/digest/", id, NULL);
    g_autofree char *title = g_strdup_printf("%d more alerts than ALERT_MAX_PER_HOUR allows, in one message",
                                             (int)json_array_size(held));
    g_autofree char *text = titles(held);
    return json_pack("{ss ss ss si si ss ss sI ss}", "id", id, "channel", channel, "key", key, "state",
                     (int)NOTIFY_NEWS, "severity", (int)NOTIFY_WARNING, "title", title, "text", text, "when",
                     (json_int_t)now_s(), "host", g_get_host_name());
}

static void release(struct alert_store *s, const json_t *held, gboolean sent)
{
    json_t *queue = alert_store_queue(s);
    for (gsize i = json_array_size(queue); i > 0; i--) {
        json_t *item = json_array_get(queue, i - 1);
        gsize k;
        const json_t *each;
        gboolean is_held = FALSE;
        json_array_foreach(held, k, each) is_held = is_held || strcmp(text_of(each, "id"), text_of(item, "id")) == 0;
        if (is_held && sent)
            json_array_remove(queue, i - 1);
        else if (is_held)
            json_object_set_new(item, "claimed_until", json_integer(0));
    }
}

static gboolean send_digest(const struct sending *sending, const struct notify_channel *channel, const json_t *item)
{
    struct notify_failure failure = {0};
    g_autoptr(GError) problem = NULL;
    struct notify_event e = {.severity = NOTIFY_WARNING,
                             .state = NOTIFY_NEWS,
                             .id = text_of(item, "id"),
                             .key = text_of(item, "key"),
                             .title = text_of(item, "title"),
                             .text = text_of(item, "text"),
                             .when = json_integer_value(json_object_get(item, "when")),
                             .host = text_of(item, "host")};
    gboolean sent = channel->send(sending->notifier, &e, &failure, &problem);
    notify_failure_clear(&failure);
    if (sent)
        alert_queue_write_journal(sending, item, NULL, NULL);
    return sent;
}

static void send_to(const struct sending *sending, struct alert_store *s, const struct notify_channel *channel)
{
    g_autofree char *name = g_strconcat(channel->name, " digest", NULL);
    if (alert_queue_sent_lately(s, name, now_s()) > 0)
        return;
    json_t *claimed = claim_held(sending, s, channel->name), *held = json_deep_copy(claimed);
    json_decref(claimed);
    if (json_array_size(held) > 0) {
        json_t *item = digest_of(channel->name, held);
        alert_store_close(s, TRUE, sending->report);
        gboolean sent = send_digest(sending, channel, item);
        alert_store_open(s, sending->report);
        release(s, held, sent);
        if (sent)
            alert_queue_note_sent(s, name, now_s());
        alert_store_close(s, TRUE, sending->report);
        alert_store_open(s, sending->report);
        json_decref(item);
    }
    json_decref(held);
}

void alert_digest_send(const struct sending *sending, struct alert_store *s)
{
    const struct notify_channel *const people[] = {&notify_slack, &notify_email};
    for (gsize i = 0; i < G_N_ELEMENTS(people); i++)
        if (people[i]->is_configured(&sending->config->notify))
            send_to(sending, s, people[i]);
}
