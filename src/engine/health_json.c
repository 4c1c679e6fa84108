/* A look at the backups as JSON: what scripts and the dashboard read. */
#include "engine/health.h"

#include <math.h>

#include "base/text.h"

static json_t *real(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

static json_t *check_json(const struct health_check *c)
{
    static const char *const sides[] = {"above", "below", "outside"};
    return json_pack("{ss ss ss ss ss* ss* ss* ss* so ss so so ss}", "name", c->name, "title", c->title, "verdict",
                     health_verdict_name(c->verdict), "value", c->value, "target", c->target, "threshold", c->threshold,
                     "advice", c->advice, "cause", c->cause, "number", real(c->number), "unit", c->unit, "warning",
                     real(c->warning), "critical", real(c->critical), "bad", sides[c->side]);
}

static const struct {
    const char *key;
    size_t offset;
} numbers[] = {
#define NUMBER(field)                                                                                                  \
    {                                                                                                                  \
#field, offsetof(struct health_numbers, field)                                                                 \
    }
    NUMBER(newest_at),      NUMBER(size_bytes),     NUMBER(plain_bytes), NUMBER(rows),        NUMBER(tables),
    NUMBER(duration_s),     NUMBER(local_backups),  NUMBER(s3_backups),  NUMBER(local_bytes), NUMBER(s3_bytes),
    NUMBER(pending_copies), NUMBER(missing_copies), NUMBER(free_bytes),  NUMBER(runs_ok),     NUMBER(runs_failed),
    NUMBER(verified_at),    NUMBER(tested_at),      NUMBER(drilled_at),
};

static json_t *numbers_json(const struct health_numbers *n)
{
    json_t *o = json_object();
    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
        gint64 value = *(const gint64 *)(const void *)((const char *)n + numbers[i].offset);
        json_object_set_new(o, numbers[i].key, value < 0 ? json_null() : json_integer(value));
    }
    return o;
}

json_t *health_json(const struct health *h)
{
    json_t *checks = json_array();
    for (guint i = 0; i < h->checks->len; i++)
        json_array_append_new(checks, check_json(&g_array_index(h->checks, struct health_check, i)));
    g_autofree char *time = text_iso_time(h->now);
    return json_pack("{ss ss ss so so}", "database", h->database, "time", time, "verdict",
                     health_verdict_name(h->verdict), "checks", checks, "numbers", numbers_json(&h->numbers));
}
