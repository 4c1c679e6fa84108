/* A made-up past for the tests of checks: backups and journal lines of given ages; the clock is a number. */
#pragma once

#include "engine/health_data.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

#define NOW 1770440400 /* 2026-02-07 05:00 UTC */
#define MINUTE 60
#define HOUR 3600
#define DAY (24 * HOUR)

struct world {
    struct health_request request;
    struct health_numbers numbers;
    struct health_data data;
};

static void entry_free(gpointer e)
{
    catalog_entry_free(e);
}

static void unref(gpointer line)
{
    json_decref(line);
}

static void world_init(struct world *w)
{
    *w = (struct world){.request = {.dir = "/backups", .database = "app", .tiers = tiers_make(0, 0)}};
    memset(&w->numbers, 0xff, sizeof w->numbers);
    w->data = (struct health_data){.request = &w->request,
                                   .limits = health_fill_limits((struct health_limits){0}),
                                   .now = NOW,
                                   .backups = g_ptr_array_new_with_free_func(entry_free),
                                   .journal = g_ptr_array_new_with_free_func(unref),
                                   .free_bytes = -1,
                                   .numbers = &w->numbers};
}

static void world_clear(struct world *w)
{
    g_ptr_array_unref(w->data.backups);
    g_ptr_array_unref(w->data.journal);
}

/* An older backup than those there are. */
G_GNUC_UNUSED static struct catalog_entry *add_backup(struct world *w, gint64 age, enum meta_state state,
                                                      const char *type)
{
    struct catalog_entry *e = g_new0(struct catalog_entry, 1);
    e->timestamp = text_timestamp(NOW - age);
    e->id = g_strconcat("app_", e->timestamp, NULL);
    e->name = g_strdup("app");
    e->path = g_strconcat("/backups/", e->id, ".sql.gz", NULL);
    e->taken_at = NOW - age;
    e->size_bytes = 1000;
    e->meta = g_new0(struct meta, 1);
    e->meta->snapshot_time = text_iso_time(NOW - age);
    e->meta->size_bytes = 1000;
    e->meta->type = g_strdup(type);
    e->meta->state = state;
    g_ptr_array_add(w->data.backups, e);
    return e;
}

/* A newer line than those there are. */
G_GNUC_UNUSED static json_t *add_line(struct world *w, const char *act, gint64 age, int code)
{
    g_autofree char *time = text_iso_time(NOW - age);
    json_t *line = json_pack("{ss ss ss si}", "act", act, "time", time, "result", code ? "failed" : "ok", "code", code);
    g_ptr_array_add(w->data.journal, line);
    return line;
}

typedef gboolean (*check_function)(const struct health_data *d, struct health_check *c);

static struct health_check run(const struct world *w, check_function check)
{
    struct health_check c = {.number = NAN, .unit = ""};
    g_assert_true(check(&w->data, &c));
    g_assert_nonnull(c.value);
    g_assert_true((c.verdict == HEALTH_OK) == (c.advice == NULL));
    return c;
}

static void drop(struct health_check *c)
{
    g_free(c->value);
    g_free(c->target);
    g_free(c->threshold);
    g_free(c->advice);
    g_free(c->subject);
}

G_GNUC_UNUSED static void assert_verdict(const struct world *w, check_function check, enum health_verdict expected)
{
    struct health_check c = run(w, check);
    g_assert_cmpstr(health_verdict_name(c.verdict), ==, health_verdict_name(expected));
    drop(&c);
}
