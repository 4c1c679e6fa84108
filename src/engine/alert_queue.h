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
