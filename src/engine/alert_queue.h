/* The queue of alerts and the way out of it. Only engine/alert*.c include it. */
#pragma once

#include "engine/alert.h"
#include "engine/alert_store.h"

/* What is to be told on one channel; the strings are copied. */
struct alert_news {
    const char *channel, *key, *title, *text, *database;
    enum notify_state state;
    enum notify_severity severity;
    json_t *facts;       /* borrowed */
    const char *trouble; /* its key in "open" */
    int before;          /* the severity that the channel was told before; -1: none */
};

/* Adds it. News of a trouble of which the channel has not yet heard take the place of the older ones. Where many wait,
 * texts are left out; where too many do, one of the least severe goes, which is counted, and the trouble counts as not
 * told to that channel, so that the next look tells it. */
void alert_queue_add(struct alert_store *s, const struct alert_news *news, gint64 now);

/* Sends what is due, with the store closed meanwhile; writes results and journal. The store is closed before and
 * after. */
void alert_queue_send(const struct alert_config *c, struct alert_store *s, struct report *r);

/* One run's sending. */
struct sending {
    const struct alert_config *config;
    struct report *report;
    struct notifier *notifier;
    GHashTable *broken; /* const char *: a channel that failed once is not tried again for the others */
    gint64 started_us;
};

/* For alert_digest.c: what may go but for the limit of an hour, and what sending needs. The store is open. */
gboolean alert_queue_is_held(const struct sending *sending, struct alert_store *s, gsize index, gint64 now);
guint alert_queue_sent_lately(struct alert_store *s, const char *name, gint64 now);
void alert_queue_note_sent(struct alert_store *s, const char *name, gint64 now);
void alert_queue_write_journal(const struct sending *sending, const json_t *item, const char *refused,
                               const GError *problem);

/* ---- alert_digest.c ---- */

/* One message a channel and an hour about all that the limit holds back there, which is told with it. For channels that
 * people read: what programs read needs each alert. The store is open before and after, and closed meanwhile. */
void alert_digest_send(const struct sending *sending, struct alert_store *s);

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
