/* What has changed, and whom that concerns. */
#include "engine/alert.h"

#include <signal.h>
#include <string.h>

#include "base/text.h"
#include "catalog/journal.h"
#include "engine/alert_queue.h"

#define NOT_TOLD (-1)
#define HOUR_S 3600
#define UNKNOWN_S (24 * HOUR_S)

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

gboolean alert_is_configured(const struct alert_config *c)
{
    for (const struct notify_channel *const *channel = notify_channels; *channel; channel++)
        if ((*channel)->is_configured(&c->notify))
            return TRUE;
    return FALSE;
}

static enum notify_severity level_of(const struct alert_config *c, const struct notify_channel *channel)
{
    const struct {
        const struct notify_channel *channel;
        enum notify_severity level;
    } levels[] = {{&notify_slack, c->slack_level},
                  {&notify_pagerduty, c->pagerduty_level},
                  {&notify_email, c->email_level},
                  {&notify_webhook, c->webhook_level}};
    for (gsize i = 0; i < G_N_ELEMENTS(levels); i++)
        if (levels[i].channel == channel)
            return levels[i].level;
    return NOTIFY_INFO;
}

/* One look at the world: what is open is compared with it. */
struct look {
    const struct alert_config *config;
    struct alert_store *store;
    gint64 now;
    gboolean changed;
};

/* ---- one trouble and one channel ---- */

static int told_severity(const json_t *trouble, const char *channel)
{
    const json_t *told = json_object_get(json_object_get(trouble, "told"), channel);
    return told ? (int)json_integer_value(json_object_get(told, "severity")) : NOT_TOLD;
}

static void note_told(json_t *trouble, const char *channel, int severity, gint64 now)
{
    json_t *told = json_object_get(trouble, "told");
    if (severity == NOT_TOLD)
        json_object_del(told, channel);
    else
        json_object_set_new(told, channel, json_pack("{si sI}", "severity", severity, "at", (json_int_t)now));
}

/* A clock that was set back does not keep reminders away for ever. */
static gboolean is_reminder_due(const struct look *look, const json_t *trouble, const char *channel)
{
    const json_t *told = json_object_get(json_object_get(trouble, "told"), channel);
    gint64 at = json_integer_value(json_object_get(told, "at"));
    gint64 pause = (gint64)look->config->reminder_hours * HOUR_S;
    return pause > 0 && (look->now - at >= pause || at > look->now + HOUR_S);
}

/* Whose alerts these are, for whoever gets those of many installations. Hosts' names change, as those of pods do, and the
 * end of a trouble must have the key of its beginning: so it is the bucket, or what this machine was called when the first
 * alert was noted here, and remembered. Trouble that older versions have told has the host's name in its key. */
static const char *source_of(struct look *look)
{
    const char *known = json_string_value(json_object_get(look->store->root, "source"));
    if (known && *known)
        return known;
    gboolean old = look->store->older && json_object_size(alert_store_open_alerts(look->store)) > 0;
    const char *source = look->config->source && !old ? look->config->source : g_get_host_name();
    json_object_set_new(look->store->root, "source", json_string(source));
    look->changed = TRUE;
    return json_string_value(json_object_get(look->store->root, "source"));
}

/* before: the severity that the channel was told before; NOT_TOLD: none. */
static void tell_after(struct look *look, const char *key, const json_t *trouble, const char *channel,
                       enum notify_state state, int severity, const char *title, const char *text, json_t *facts,
                       int before)
{
    g_autofree char *global_key = g_strdup_printf("opstower/%s/%s", source_of(look), key);
    struct alert_news news = {.channel = channel,
                              .key = global_key,
                              .title = title,
                              .text = text,
                              .database = json_string_value(json_object_get(trouble, "database")),
                              .state = state,
                              .severity = (enum notify_severity)severity,
                              .facts = facts,
                              .trouble = key,
                              .before = before};
    alert_queue_add(look->store, &news, look->now);
    look->changed = TRUE;
}

static void tell(struct look *look, const char *key, const json_t *trouble, const char *channel,
                 enum notify_state state, int severity, const char *title, const char *text, json_t *facts)
{
    tell_after(look, key, trouble, channel, state, severity, title, text, facts, NOT_TOLD);
}

static char *lasted(const struct look *look, const json_t *trouble)
{
    gint64 since = json_integer_value(json_object_get(trouble, "since"));
    return text_duration(MAX(look->now - since, 0));
}

static void tell_trouble(struct look *look, const char *key, json_t *trouble, const struct alert_finding *f,
                         gboolean grown, const struct notify_channel *channel)
{
    int severity = (int)json_integer_value(json_object_get(trouble, "severity"));
    int told = told_severity(trouble, channel->name);
    g_autofree char *time = lasted(look, trouble);
    if (severity < (int)level_of(look->config, channel)) {
        if (told == NOT_TOLD)
            return;
        g_autofree char *better = g_strdup_printf("%s (%s now, after %s)", f->title,
                                                  notify_severity_name((enum notify_severity)severity), time);
        tell(look, key, trouble, channel->name, NOTIFY_RESOLVE, told, better, f->text, f->facts);
        note_told(trouble, channel->name, NOT_TOLD, look->now);
        return;
    }
    gboolean again = told == severity;
    if (again && !grown && !is_reminder_due(look, trouble, channel->name))
        return;
    g_autofree char *title =
        again && !grown ? g_strdup_printf("still, after %s: %s", time, f->title) : g_strdup(f->title);
    note_told(trouble, channel->name, severity, look->now); /* first: it is taken back where there is no place */
    tell_after(look, key, trouble, channel->name, NOTIFY_TRIGGER, severity, title, f->text, f->facts, told);
}

/* ---- one trouble ---- */

static void end_trouble(struct look *look, const char *key, json_t *trouble, const char *title, const char *text,
                        json_t *facts)
{
    g_autofree char *time = lasted(look, trouble);
    g_autofree char *whole = g_strdup_printf("%s (after %s)", title, time);
    for (const struct notify_channel *const *c = notify_channels; *c; c++) {
        int told = told_severity(trouble, (*c)->name);
        if (told != NOT_TOLD && (*c)->is_configured(&look->config->notify))
            tell(look, key, trouble, (*c)->name, NOTIFY_RESOLVE, told, whole, text, facts);
    }
    json_object_del(alert_store_open_alerts(look->store), key);
    look->changed = TRUE;
}

static json_t *new_trouble(struct look *look, const char *key, const char *source, const char *name)
{
    json_t *trouble = json_pack("{ss ss ss* sI s{}}", "source", source, "name", name, "database",
                                look->config->database, "since", (json_int_t)look->now, "told");
    json_object_set_new(alert_store_open_alerts(look->store), key, trouble);
    look->changed = TRUE;
    return trouble;
}

static void set(struct look *look, json_t *trouble, const char *key, json_t *value)
{
    look->changed = look->changed || !json_equal(value, json_object_get(trouble, key));
    json_object_set_new(trouble, key, value);
}

/* TRUE if a line of the subject is new to the trouble, whose subject it becomes. */
static gboolean take_subject(struct look *look, json_t *trouble, const char *subject)
{
    const char *before = json_string_value(json_object_get(trouble, "subject"));
    g_auto(GStrv) old = g_strsplit(before ? before : "", "\n", -1), lines = g_strsplit(subject, "\n", -1);
    gboolean grown = FALSE;
    for (char **line = lines; *line; line++)
        grown = grown || !g_strv_contains((const char *const *)old, *line);
    set(look, trouble, "subject", json_string(subject));
    return grown;
}

/* There may be nothing to compare with before the second backup. */
static gint64 unknown_s(const struct look *look)
{
    return MAX(UNKNOWN_S, 2 * (gint64)look->config->rpo_minutes * 60);
}

/* TRUE if that has been unknown for so long that it is trouble. */
static gboolean is_unknown_too_long(struct look *look, const char *key)
{
    json_t *since = json_object_get(alert_store_unknown(look->store), key);
    if (since && look->now - json_integer_value(since) >= unknown_s(look))
        return TRUE;
    if (!since || json_integer_value(since) > look->now) {
        json_object_set_new(alert_store_unknown(look->store), key, json_integer(look->now));
        look->changed = TRUE;
    }
    return FALSE;
}

static void forget_unknown(struct look *look, const char *key)
{
    if (json_object_del(alert_store_unknown(look->store), key) == 0)
        look->changed = TRUE;
}

/* What is not known does not change what was known. */
static int severity_of(enum alert_verdict verdict, const json_t *trouble)
{
    if (verdict == ALERT_UNKNOWN && trouble)
        return (int)json_integer_value(json_object_get(trouble, "severity"));
    return verdict == ALERT_CRITICAL ? NOTIFY_CRITICAL : NOTIFY_WARNING;
}

/* What a server says or does not say at one moment may be otherwise at the next: a change of that counts at the second
 * look that finds it. */
static gboolean is_lasting(struct look *look, const char *key, const json_t *trouble, const struct alert_finding *f)
{
    json_t *seen = alert_store_seen(look->store);
    int now = f->verdict == ALERT_FINE ? NOTIFY_INFO : severity_of(f->verdict, trouble);
    int known = trouble ? (int)json_integer_value(json_object_get(trouble, "severity")) : NOTIFY_INFO;
    const json_t *before = json_object_get(seen, key);
    int last = before ? (int)json_integer_value(before) : known;
    gboolean same_way = (now > known && last > known) || (now < known && last < known);
    if (!f->fickle || now == known || same_way) {
        if (json_object_del(seen, key) == 0)
            look->changed = TRUE;
        return TRUE;
    }
    json_object_set_new(seen, key, json_integer(now));
    look->changed = TRUE;
    return FALSE;
}

static void consider(struct look *look, const char *key, const char *source, const struct alert_finding *f)
{
    json_t *trouble = json_object_get(alert_store_open_alerts(look->store), key);
    if (f->verdict == ALERT_EXCUSED) {
        forget_unknown(look, key);
        return;
    }
    if (f->verdict == ALERT_UNKNOWN && !trouble && !is_unknown_too_long(look, key))
        return;
    if (!is_lasting(look, key, trouble, f))
        return;
    if (f->verdict != ALERT_UNKNOWN)
        forget_unknown(look, key);
    if (f->verdict == ALERT_FINE) {
        if (trouble)
            end_trouble(look, key, trouble, f->title, f->text, f->facts);
        return;
    }
    int severity = severity_of(f->verdict, trouble);
    if (!trouble)
        trouble = new_trouble(look, key, source, f->name);
    set(look, trouble, "severity", json_integer(severity));
    set(look, trouble, "title", json_string(f->title));
    set(look, trouble, "text", json_string(f->text));
    gboolean grown = f->subject && take_subject(look, trouble, f->subject);
    for (const struct notify_channel *const *c = notify_channels; *c; c++)
        if ((*c)->is_configured(&look->config->notify))
            tell_trouble(look, key, trouble, f, grown, *c);
}

static char *key_of(const struct alert_config *c, const char *name)
{
    return g_strdup_printf("%s/%s", c->database ? c->database : "-", name);
}

/* ---- all checks ---- */

static gboolean is_found(const struct alert_finding *list, gsize count, const char *name)
{
    for (gsize i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return TRUE;
    return FALSE;
}

/* Trouble of checks that do not apply any more, as those of a bucket that is not set. */
static void end_others(struct look *look, const struct alert_finding *list, gsize count)
{
    const char *key;
    json_t *trouble;
    void *next;
    json_object_foreach_safe(alert_store_open_alerts(look->store), next, key, trouble)
    {
        const char *name = json_string_value(json_object_get(trouble, "name"));
        const char *source = json_string_value(json_object_get(trouble, "source"));
        const char *database = json_string_value(json_object_get(trouble, "database"));
        if (g_strcmp0(source, "check") != 0 || g_strcmp0(database, look->config->database) != 0 || !name ||
            is_found(list, count, name))
            continue;
        g_autofree char *copy = g_strdup(key);
        g_autofree char *title = g_strdup_printf("%s is not checked any more", name);
        json_incref(trouble);
        end_trouble(look, copy, trouble, title, "", NULL);
        json_decref(trouble);
    }
}

static void start(struct look *look, struct report *r)
{
    alert_store_init(look->store, look->config->dir, look->config->spare_dir);
    alert_store_open(look->store, r);
}

static void finish(struct look *look, struct report *r)
{
    alert_store_close(look->store, look->changed, r);
    alert_queue_send(look->config, look->store, r);
    alert_store_clear(look->store);
}

void alert_checks(const struct alert_config *c, const struct alert_finding *list, gsize count, gboolean complete,
                  struct report *r)
{
    struct alert_store store;
    struct look look = {c, &store, now_s(), FALSE};
    if (!alert_is_configured(c))
        return;
    start(&look, r);
    for (gsize i = 0; i < count; i++) {
        g_autofree char *key = key_of(c, list[i].name);
        consider(&look, key, "check", &list[i]);
    }
    if (complete)
        end_others(&look, list, count);
    finish(&look, r);
}

/* ---- acts ---- */

static gboolean is_one_of(int code, const int *list, gsize count)
{
    for (gsize i = 0; i < count; i++)
        if (code == list[i])
            return TRUE;
    return FALSE;
}

/* Not what a person sat there and saw. Backups, uploads and the watch are started by a clock, the rest mostly by
 * people. */
static gboolean is_worth_telling(const char *act, int code)
{
    static const int ended[] = {OT_INTERRUPTED, 128 + SIGQUIT};
    static const int mistyped[] = {OT_USAGE, OT_NOT_FOUND, OT_REFUSED};
    static const char *const by_clock[] = {"backup", "backups", "sync", "status", "watch", NULL};
    return !is_one_of(code, ended, G_N_ELEMENTS(ended)) &&
           (g_strv_contains(by_clock, act) || !is_one_of(code, mistyped, G_N_ELEMENTS(mistyped)));
}

/* One backup that fails is no catastrophe: the check of its age says when it becomes one. A restore that fails is, and
 * so is a backup that turns out to be damaged. */
static enum alert_verdict verdict_of(const char *act, int code)
{
    return strcmp(act, "restore") == 0 || code == OT_CORRUPT || code == OT_MISMATCH ? ALERT_CRITICAL : ALERT_WARNING;
}

/* What is so, where the exit code says more than that it failed. */
static const char *outcome_of(const char *act, int code, const char *problem)
{
    if (strcmp(act, "backup") == 0 && code == OT_UPLOAD)
        return "is complete here, not in S3";
    if (strcmp(act, "restore") == 0 && code == OT_RESTORE)
        return "failed: production is unchanged";
    return problem ? "failed" : "went well";
}

static char *act_title(const struct alert_config *c, const char *act, int code, const char *problem)
{
    g_autofree char *word = g_strdup(act);
    word[0] = g_ascii_toupper(word[0]);
    return g_strdup_printf("%s%s%s %s", word, c->database ? " of " : "", c->database ? c->database : "",
                           outcome_of(act, code, problem));
}

static char *act_text(int code, const char *problem)
{
    const char *hint = problem ? ot_error_hint(code) : NULL;
    return g_strconcat(problem ? problem : "", hint ? "\n" : "", hint ? hint : "", NULL);
}

/* To those who want to know of everything. */
static void tell_news(struct look *look, const char *key, const char *title, json_t *facts)
{
    json_t *origin = json_pack("{ss*}", "database", look->config->database);
    for (const struct notify_channel *const *c = notify_channels; *c; c++)
        if ((*c)->is_configured(&look->config->notify) && level_of(look->config, *c) == NOTIFY_INFO)
            tell(look, key, origin, (*c)->name, NOTIFY_NEWS, NOTIFY_INFO, title, "", facts);
    json_decref(origin);
}

/* What was told while the settings did not even say which database it is about. */
static void end_nameless(struct look *look, const char *name, const struct alert_finding *f)
{
    g_autofree char *key = g_strconcat("-/", name, NULL);
    json_t *trouble = json_incref(json_object_get(alert_store_open_alerts(look->store), key));
    if (trouble)
        end_trouble(look, key, trouble, f->title, f->text, f->facts);
    json_decref(trouble);
}

static json_t *act_facts(const json_t *facts, int code)
{
    json_t *all = json_object();
    if (code != OT_OK)
        json_object_set_new(all, "exit code", json_sprintf("%d", code));
    json_object_update(all, (json_t *)facts);
    return all;
}

void alert_act(const struct alert_config *c, const char *act, int code, const char *problem, const json_t *facts,
               struct report *r)
{
    struct alert_store store;
    struct look look = {c, &store, now_s(), FALSE};
    if (!alert_is_configured(c) || (problem && !is_worth_telling(act, code)))
        return;
    g_autofree char *name = g_strconcat("failed-", act, NULL), *key = key_of(c, name);
    g_autofree char *title = act_title(c, act, code, problem), *text = act_text(code, problem);
    json_t *all = act_facts(facts, code);
    struct alert_finding f = {.name = name,
                              .verdict = problem ? verdict_of(act, code) : ALERT_FINE,
                              .title = title,
                              .text = text,
                              .facts = all};
    start(&look, r);
    consider(&look, key, "act", &f);
    if (!problem)
        end_nameless(&look, name, &f);
    if (!problem && strcmp(act, "restore") == 0)
        tell_news(&look, key, title, all);
    finish(&look, r);
    json_decref(all);
}

void alert_drain(const struct alert_config *c, struct report *r)
{
    struct alert_store store;
    if (!alert_is_configured(c))
        return;
    alert_store_init(&store, c->dir, c->spare_dir);
    alert_queue_send(c, &store, r);
    alert_store_clear(&store);
}

gboolean alert_close(const struct alert_config *c, const char *key, struct report *r, GError **error)
{
    struct alert_store store;
    struct look look = {c, &store, now_s(), FALSE};
    start(&look, r);
    json_t *trouble = json_incref(json_object_get(alert_store_open_alerts(&store), key));
    if (trouble) {
        g_autofree char *title = g_strdup_printf("%s: closed by hand", key);
        end_trouble(&look, key, trouble, title, "", NULL);
    }
    finish(&look, r);
    json_decref(trouble);
    return trouble != NULL ||
           ot_fail(error, OT_NOT_FOUND, "no open alert has the key \"%s\"; `opstower alert list` shows them", key);
}
