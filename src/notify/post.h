/* What the channels over HTTP share: a POST and what its answer means; text of at most so many characters. */
#pragma once

#include "notify/notify.h"

struct notify_post {
    const char *what;  /* the receiver as in errors: "Slack" */
    const char *url;   /* https, or http to this machine */
    const char *type;  /* Content-Type */
    const char *extra; /* one more header line; NULL: none */
    const char *body;
    gsize length;
};

/* Sends it. TRUE if the answer is a 2xx; its body, at most 200 bytes in one line, becomes *ret_said (NULL: not wanted).
 */
gboolean notify_post(struct notifier *n, const struct notify_post *post, char **ret_said,
                     struct notify_failure *failure, GError **error);

/* The same with a JSON document; takes the reference. extra as above. */
gboolean notify_post_json(struct notifier *n, const char *what, const char *url, const char *extra, json_t *document,
                          struct notify_failure *failure, GError **error);

/* The first characters of a text, with ... where some were cut. In one line: control characters become blanks. */
char *notify_line(const char *text, gsize max_characters);
/* The same with its lines kept. */
char *notify_text(const char *text, gsize max_characters);

/* "CRITICAL: title", "Resolved: title" ... on one line. */
char *notify_headline(const struct notify_event *e, gsize max_characters);
