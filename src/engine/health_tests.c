/* Checks of what was tried: verification, full test, drill, and how long a restore takes. */
#include "engine/health_data.h"

#include <math.h>

#include "base/text.h"

#define DAY (24 * 3600)
/* The guide's table of a recovery: assessment and decision, and application restart. */
#define PEOPLE_S (30 * 60)
#define MONTHLY_TEST "opstower-restore-test"
#define MONTHLY_S (36.0 * DAY)

/* ---- the last good one, and whether the last one was good ---- */

struct trial {
    const char *what, *advice, *job;
    double warning_s, critical_s;
    gboolean (*is)(const struct health_data *d, const json_t *line);
};

static gboolean is_verification(const struct health_data *d, const json_t *line)
{
    (void)d;
    return record_is(line, "verify");
}

static gboolean is_full_test(const struct health_data *d, const json_t *line)
{
    (void)d;
    return record_is(line, "verify") && json_is_true(json_object_get(line, "full_test"));
}

/* A pass on another major version than the backup's proves nothing for its own. */
static gboolean is_proof(const struct health_data *d, const json_t *line)
{
    return is_full_test(d, line) && !json_object_get(line, "tested_on");
}

/* A drill, or what the quarterly timer does by itself: a full test of the copy in S3; without a bucket, of that here.
 */
static gboolean is_drill(const struct health_data *d, const json_t *line)
{
    gboolean bucket = d->request->offsite || d->request->s3_problem;
    return record_is(line, "drill") ||
           (is_full_test(d, line) && (!bucket || g_strcmp0(record_text(line, "place"), "s3") == 0));
}

/* What the test was for: damage, or a difference. Other failures say that it could not be made. */
static gboolean found_damage(const json_t *line)
{
    json_int_t code = json_integer_value(json_object_get(line, "code"));
    return code == OT_CORRUPT || code == OT_MISMATCH;
}

static void judge_last(const struct health_data *d, struct health_check *c, const struct trial *t, const json_t *last)
{
    const char *error = record_text(last, "error");
    if (!last || !record_failed(last)) {
        health_blame_age(d, c);
        return;
    }
    health_raise(c, found_damage(last) ? HEALTH_CRITICAL : HEALTH_WARNING);
    g_autofree char *before = g_steal_pointer(&c->value);
    gboolean incomplete = json_integer_value(json_object_get(last, "code")) == OT_INCOMPLETE;
    c->value = g_strdup_printf("the last %s %s (%s); %s", t->what, incomplete ? "left objects out" : "failed",
                               error ? error : "no error is noted", before);
    health_advise(c,
                  "Read the newest verification_*.log. If a backup is damaged, take another now: `opstower backup`.");
}

static gint64 check_trial(const struct health_data *d, struct health_check *c, const struct trial *t)
{
    gint64 good_at = -1;
    const json_t *last = NULL;
    for (guint i = 0; i < d->journal->len; i++) {
        const json_t *line = d->journal->pdata[i];
        if (!t->is(d, line) || record_time(line) > d->now + HEALTH_CLOCK_SLACK_S)
            continue;
        last = line;
        good_at = !record_failed(line) ? MAX(good_at, record_time(line)) : good_at;
    }
    double age = good_at < 0 ? NAN : (double)MAX(0, d->now - good_at);
    char *not_due = good_at < 0 && !last ? health_not_due_yet(d, t->job, t->warning_s) : NULL;
    health_measure(c, age, "s", HEALTH_ABOVE, t->warning_s, t->critical_s);
    if (good_at < 0 && !not_due)
        health_raise(c, HEALTH_WARNING);
    g_autofree char *text = good_at < 0 ? NULL : health_duration(age);
    g_autofree char *yellow = health_duration(t->warning_s), *red = health_duration(t->critical_s);
    c->value = not_due ? not_due : good_at < 0 ? g_strdup("never") : g_strdup_printf("%s ago", text);
    c->threshold = g_strdup_printf("warning over %s, critical over %s", yellow, red);
    judge_last(d, c, t, last);
    health_advise(c, "%s", t->advice);
    return good_at;
}

/* A backup that a check found damaged, or that has not its size any more, stays bad until it is gone. */
static void judge_damaged(const struct health_data *d, struct health_check *c)
{
    for (guint i = 0; i < d->backups->len; i++) {
        const struct catalog_entry *e = d->backups->pdata[i];
        if (!e->meta || (e->meta->state != META_FAILED && !health_is_cut(e)))
            continue;
        health_raise(c, HEALTH_WARNING);
        c->cause = NULL;
        g_autofree char *before = g_steal_pointer(&c->value);
        c->value = g_strdup_printf("%s; %s is damaged", before, e->id);
        health_advise(c, "Do not rely on %s; look into its disk. Newer good backups take its place.", e->id);
        return;
    }
}

gboolean health_check_verified(const struct health_data *d, struct health_check *c)
{
    static const struct trial t = {
        .what = "verification",
        .advice = "Run `opstower verify latest`; `opstower schedule install` does it each week.",
        .job = "opstower-verify",
        .warning_s = 8.0 * DAY,
        .critical_s = 15.0 * DAY,
        .is = is_verification,
    };
    c->target = g_strdup("weekly, all pass");
    d->numbers->verified_at = check_trial(d, c, &t);
    judge_damaged(d, c);
    return TRUE;
}

/* Of the full tests that were passed, the last; 0 if it was on the backup's own major version. */
static int last_tested_on(const struct health_data *d)
{
    for (guint i = d->journal->len; i-- > 0;) {
        const json_t *line = d->journal->pdata[i];
        if (is_full_test(d, line) && !record_failed(line))
            return (int)json_integer_value(json_object_get(line, "tested_on"));
    }
    return 0;
}

gboolean health_check_full_test(const struct health_data *d, struct health_check *c)
{
    struct trial t = {
        .what = "full test",
        .advice = "Run `opstower verify latest --full-test`; `opstower schedule install` does it each month.",
        .job = MONTHLY_TEST,
        .warning_s = MONTHLY_S,
        .critical_s = 70.0 * DAY,
        .is = is_proof,
    };
    int major = last_tested_on(d);
    if (major)
        t.advice = "Install the server programs of the database's own major version where full tests run, or name such "
                   "a server with --test-url.";
    c->target = g_strdup("monthly, all pass");
    d->numbers->tested_at = check_trial(d, c, &t);
    if (major) {
        g_autofree char *before = g_steal_pointer(&c->value);
        c->value = g_strdup_printf("%s on the database's own version (the last one ran on version %d)", before, major);
    }
    return TRUE;
}

gboolean health_check_drill(const struct health_data *d, struct health_check *c)
{
    static const struct trial t = {
        .what = "drill",
        .advice = "Rehearse a recovery; at the least run `opstower verify latest --full-test`, with --from-s3 if there "
                  "is a bucket.",
        .job = "opstower-drill",
        .warning_s = 100.0 * DAY,
        .critical_s = 190.0 * DAY,
        .is = is_drill,
    };
    c->target = g_strdup("quarterly");
    d->numbers->drilled_at = check_trial(d, c, &t);
    return TRUE;
}

/* ---- RTO ---- */

/* Phases, where they are noted: the whole duration holds the time in which a person was asked. */
static double machine_seconds(const json_t *line)
{
    const char *key;
    json_t *value;
    double sum = 0;
    json_object_foreach(json_object_get(line, "phases"), key, value) sum += json_number_value(value);
    return sum > 0 ? sum : json_number_value(json_object_get(line, "duration_seconds"));
}

/* A whole database was brought back, somewhere. */
static gboolean is_measure(const struct health_data *d, const json_t *line)
{
    gboolean whole = record_is(line, "restore") && !json_object_get(line, "only_tables");
    return !record_failed(line) && (whole || is_full_test(d, line)) && machine_seconds(line) >= 0 &&
           record_time(line) <= d->now + HEALTH_CLOCK_SLACK_S;
}

static const json_t *last_measure(const struct health_data *d)
{
    for (guint i = d->journal->len; i-- > 0;)
        if (is_measure(d, d->journal->pdata[i]))
            return d->journal->pdata[i];
    return NULL;
}

static void begin_rto(const struct health_data *d, struct health_check *c)
{
    g_autofree char *target = health_duration(d->limits.rto_minutes * 60.0);
    c->target = g_strdup_printf("at most %s", target);
    c->threshold = g_strdup_printf("warning over %s", target);
}

static gboolean no_measure(struct health_check *c, const struct health_data *d)
{
    health_measure(c, NAN, "s", HEALTH_ABOVE, d->limits.rto_minutes * 60.0, NAN);
    c->value = health_not_due_yet(d, MONTHLY_TEST, MONTHLY_S);
    if (c->value)
        return TRUE;
    health_raise(c, HEALTH_WARNING);
    health_blame_age(d, c);
    c->value = g_strdup("never measured");
    health_advise(c, "Run `opstower verify latest --full-test`: it restores the backup and takes the time.");
    return TRUE;
}

gboolean health_check_rto(const struct health_data *d, struct health_check *c)
{
    const json_t *line = last_measure(d);
    begin_rto(d, c);
    if (!line)
        return no_measure(c, d);
    double machine = machine_seconds(line);
    health_measure(c, machine + PEOPLE_S, "s", HEALTH_ABOVE, d->limits.rto_minutes * 60.0, NAN);
    g_autofree char *all = health_duration(c->number), *part = health_duration(machine);
    g_autoptr(GDateTime) at = g_date_time_new_from_unix_local(record_time(line));
    g_autofree char *when = g_date_time_format(at, "%F");
    c->value = g_strdup_printf("%s: %s of %s took %s, people 30 min", all,
                               record_is(line, "restore") ? "restore" : "full test", when, part);
    health_advise(c, "Restore with more --jobs, on a faster server, or less data.");
    return TRUE;
}

/* Of the backup that the line is about; 0: not known. */
static double bytes_of(const struct health_data *d, const json_t *line)
{
    double bytes = json_number_value(json_object_get(line, "uncompressed_size"));
    const char *id = record_text(line, "id");
    for (guint i = 0; bytes <= 0 && id && i < d->backups->len; i++) {
        const struct catalog_entry *e = d->backups->pdata[i];
        if (e->meta && g_str_equal(e->id, id))
            bytes = (double)e->meta->plain_bytes;
    }
    return bytes;
}

/* The last whose size is known: seconds per byte do not change much, sizes do. */
gboolean health_check_rto_predicted(const struct health_data *d, struct health_check *c)
{
    double now_bytes = (double)d->numbers->plain_bytes;
    begin_rto(d, c);
    for (guint i = d->journal->len; i-- > 0 && now_bytes > 0;) {
        const json_t *line = d->journal->pdata[i];
        double bytes = is_measure(d, line) ? bytes_of(d, line) : 0;
        if (bytes <= 0)
            continue;
        double machine = machine_seconds(line) * now_bytes / bytes;
        health_measure(c, machine + PEOPLE_S, "s", HEALTH_ABOVE, d->limits.rto_minutes * 60.0, NAN);
        g_autofree char *all = health_duration(c->number), *size = text_size((guint64)now_bytes, "B");
        c->value = g_strdup_printf("%s for the %s of now", all, size);
        health_advise(c, "The database has outgrown the target: restore with more --jobs, or on a faster server.");
        return TRUE;
    }
    return no_measure(c, d);
}
