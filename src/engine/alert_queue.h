/* The queue of alerts and the way out of it. Only engine/alert*.c include it. */
#pragma once

#include "engine/alert.h"
#include "engine/alert_store.h"

/* What is to be told on one channel; the strings are copied. */
struct alert_news {
    const char *channel, *key, *title, *text, *database;
    enum notify_state state;
    enum notify_severity severity;
    json_t *facts; /* borrowed */
};

/* Adds it. Where the queue is full, the oldest of the least severe goes, and is counted. */
void alert_queue_add(struct alert_store *s, const struct alert_news *news, gint64 now);

/* Sends what is due, with the store closed meanwhile; writes results and journal. The store is closed before and
 * after. */
void alert_queue_send(const struct alert_config *c, struct alert_store *s, struct report *r);

/* ---- alert_receivers.c: mail that some receivers have and others do not ---- */

/* Whom alone it is for, NULL at the end, the strings borrowed from the item; NULL: all. To be freed with g_free. */
const char **alert_receivers_of(const json_t *item);

/* Whether it need not wait for an earlier one of the same trouble, which is for some receivers only. */
gboolean alert_receivers_may_pass(const json_t *item, const json_t *earlier);

/* It was sent to these (NULL at the end), but for the refusals (NULL: none). TRUE: some are to get it later. */
gboolean alert_receivers_note(struct alert_store *s, json_t *item, const char *const *to, const GPtrArray *refusals);

/* What is remembered of addresses that are not set any more. set may be NULL. */
void alert_receivers_forget(struct alert_store *s, const char *const *set);

/* "a@example.com (550 no such user), ..." To be freed. */
char *alert_receivers_text(const GPtrArray *refusals);
