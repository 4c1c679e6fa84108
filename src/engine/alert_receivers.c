/*
 * Receivers of mail, one by one. Who was put off gets it later, alone; who is refused for good is remembered, for a
 * check to show, until the server takes the address or nobody sets it any more.
 */
#include "engine/alert_queue.h"

#include <string.h>

static gboolean is_for_some(const json_t *item)
{
    return json_is_array(json_object_get(item, "to"));
}

const char **alert_receivers_of(const json_t *item)
{
    json_t *list = json_object_get(item, "to"), *each;
    if (!is_for_some(item))
        return NULL;
    const char **to = g_new0(const char *, json_array_size(list) + 1);
    gsize i, n = 0;
    json_array_foreach(list, i, each)
        if (json_is_string(each))
            to[n++] = json_string_value(each);
    return to;
}

gboolean alert_receivers_may_pass(const json_t *item, const json_t *earlier)
{
    return is_for_some(earlier) && !is_for_some(item);
}

static gboolean is_among(const GPtrArray *refusals, const char *address)
{
    for (guint i = 0; refusals && i < refusals->len; i++)
        if (strcmp(((const struct smtp_refusal *)refusals->pdata[i])->to, address) == 0)
            return TRUE;
    return FALSE;
}

/* Those whom it was sent to and who took it are refused no more. */
static void forget_accepted(json_t *refused, const char *const *to, const GPtrArray *refusals)
{
    for (; to && *to; to++)
        if (!is_among(refusals, *to))
            json_object_del(refused, *to);
}

/* Earlier news of the same for some: they have the later one now. */
static void drop_earlier(json_t *queue, const json_t *item)
{
    const char *key = json_string_value(json_object_get(item, "key"));
    const char *id = json_string_value(json_object_get(item, "id"));
    if (is_for_some(item))
        return;
    for (gsize i = json_array_size(queue); i > 0; i--) {
        const json_t *other = json_array_get(queue, i - 1);
        if (is_for_some(other) && g_strcmp0(json_string_value(json_object_get(other, "key")), key) == 0 &&
            g_strcmp0(json_string_value(json_object_get(other, "id")), id) != 0)
            json_array_remove(queue, i - 1);
    }
}

gboolean alert_receivers_note(struct alert_store *s, json_t *item, const char *const *to, const GPtrArray *refusals)
{
    json_t *waiting = json_array(), *refused = alert_store_refused(s);
    forget_accepted(refused, to, refusals);
    drop_earlier(alert_store_queue(s), item);
    for (guint i = 0; refusals && i < refusals->len; i++) {
        const struct smtp_refusal *r = refusals->pdata[i];
        if (r->final)
            json_object_set_new(refused, r->to, json_string(r->said));
        else
            json_array_append_new(waiting, json_string(r->to));
    }
    gboolean some = json_array_size(waiting) > 0;
    if (some)
        json_object_set(item, "to", waiting);
    json_decref(waiting);
    return some;
}

void alert_receivers_forget(struct alert_store *s, const char *const *set)
{
    const char *address;
    json_t *said;
    void *next;
    json_object_foreach_safe(alert_store_refused(s), next, address, said)
    {
        if (!set || !g_strv_contains(set, address))
            json_object_del(alert_store_refused(s), address);
    }
}

char *alert_receivers_text(const GPtrArray *refusals)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < refusals->len; i++) {
        const struct smtp_refusal *r = refusals->pdata[i];
        g_string_append_printf(text, "%s%s (%s)", i ? ", " : "", r->to, r->said);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}
