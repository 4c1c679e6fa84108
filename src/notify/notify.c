/* The channels together, and the notifier they share. */
#include "notify/notify.h"

#include <string.h>

#include "notify/notifier.h"
#include "notify/post.h"

const struct notify_channel *const notify_channels[] = {&notify_slack, &notify_pagerduty, &notify_email,
                                                        &notify_webhook, NULL};

static const char *const severity_names[] = {"info", "warning", "critical"};
static const char *const state_names[] = {"trigger", "resolve", "info"};

struct notifier *notifier_new(const struct notify_config *config)
{
    struct notifier *n = g_new0(struct notifier, 1);
    n->config = *config;
    struct http_options options = {
        .ca_file = config->ca_file,
        .connect_timeout_ms = config->timeout_ms,
        .total_timeout_ms = config->timeout_ms,
    };
    n->http = http_client_new(&options);
    return n;
}

void notifier_free(struct notifier *n)
{
    if (!n)
        return;
    http_client_free(n->http);
    g_free(n);
}

void notify_failure_clear(struct notify_failure *f)
{
    g_clear_pointer(&f->refusals, g_ptr_array_unref);
}

const struct notify_config *notifier_config(const struct notifier *n)
{
    return &n->config;
}

const struct notify_channel *notify_find(const char *name)
{
    for (const struct notify_channel *const *c = notify_channels; *c; c++)
        if (g_str_equal((*c)->name, name))
            return *c;
    return NULL;
}

const char *notify_severity_name(enum notify_severity s)
{
    return severity_names[s];
}

const char *notify_state_name(enum notify_state s)
{
    return state_names[s];
}

static char *cut(const char *text, gsize max_characters, gboolean one_line)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    for (char *p = valid; *p; p++)
        if (g_ascii_iscntrl(*p) && (one_line || *p != '\n'))
            *p = ' ';
    if ((gsize)g_utf8_strlen(valid, -1) <= max_characters)
        return g_steal_pointer(&valid);
    g_autofree char *head = g_utf8_substring(valid, 0, (glong)max_characters - 3);
    return g_strconcat(head, "...", NULL);
}

char *notify_line(const char *text, gsize max_characters)
{
    return cut(text, max_characters, TRUE);
}

char *notify_text(const char *text, gsize max_characters)
{
    return cut(text, max_characters, FALSE);
}

char *notify_headline(const struct notify_event *e, gsize max_characters)
{
    static const char *const words[] = {"Info", "WARNING", "CRITICAL"};
    const char *word = e->state == NOTIFY_RESOLVE ? "Resolved" : words[e->severity];
    g_autofree char *line = g_strdup_printf("%s: %s", word, e->title);
    return notify_line(line, max_characters);
}
