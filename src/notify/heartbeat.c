/*
 * A dead-man's switch: a service elsewhere that sounds the alarm when it hears nothing. It is called as healthchecks.io
 * wants it (https://healthchecks.io/docs/http_api/): URL/start, URL, URL/fail, and URL/log, which changes nothing. Many
 * others follow that.
 */
#include <string.h>

#include "base/interrupt.h"
#include "notify/post.h"

#define TRIES 2 /* but one before a backup, which is not to wait */
#define MAX_TEXT 2000

static const char *const endings[] = {"/start", "", "/fail", "/log"};

/* What stands behind a ? stays behind it. */
static char *address(const char *url, enum notify_beat beat)
{
    gsize length = strcspn(url, "?");
    const char *query = url + length;
    while (length > 0 && url[length - 1] == '/')
        length--;
    return g_strdup_printf("%.*s%s%s", (int)length, url, endings[beat], query);
}

static gboolean is_interrupted(GError **error)
{
    return g_error_matches(*error, OT_ERROR, OT_INTERRUPTED);
}

gboolean notify_heartbeat(struct notifier *n, enum notify_beat beat, const char *text, GError **error)
{
    g_autofree char *url = address(notifier_config(n)->heartbeat_url, beat);
    g_autofree char *body = notify_text(text, MAX_TEXT), *said = NULL;
    struct notify_post post = {.what = "the heartbeat's service",
                               .url = url,
                               .type = "text/plain; charset=utf-8",
                               .body = body,
                               .length = strlen(body)};
    struct notify_failure failure = {0};
    gboolean ok = FALSE;
    int tries = beat == NOTIFY_BEAT_START || interrupt_signal() ? 1 : TRIES;
    for (int i = 0; i < tries && !ok && !failure.refused && !is_interrupted(error); i++) {
        g_clear_error(error);
        ok = notify_post(n, &post, &said, &failure, error);
    }
    /* healthchecks.io says 200 to addresses that it does not know, too. */
    if (ok && g_str_has_prefix(said, "OK ("))
        return ot_fail(error, OT_FAILED, "the heartbeat's service answered: %s", said);
    return ok;
}
