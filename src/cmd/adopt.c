/* opstower adopt */
#include "engine/adoption.h"

#include "catalog/catalog.h"
#include "cmd/command.h"
#include "cmd/requests.h"

#define ASK_TIMEOUT_S 20

/* Which server adopts, only it can say. */
static gboolean ask_server(struct console *c, GError **error)
{
    struct pg_system system = {0};
    if (!pg_system_ask(&c->target, ASK_TIMEOUT_S, &system, error))
        return FALSE;
    server_identity_set(request_identity(c), &system);
    pg_system_clear(&system);
    return TRUE;
}

static gboolean say(struct console *c, const struct adopt_result *r, GError **error)
{
    const struct lineage_server *self = &c->identity.server;
    const struct settings *s = &c->settings;
    if (s->json)
        return console_print_json(json_pack("{ss? ss? ss? si sb}", "adopted", r->key, "server", r->server, "by",
                                            self->system, "backups", (int)r->backups, "undone", s->undo),
                                  error);
    g_autofree char *own = lineage_server_text(self->system, self->host, self->port);
    if (!r->key)
        report_info(&c->report, s->undo ? "Nothing to take back: no backup here was adopted by %s"
                                        : "Nothing to adopt: no backup here is of another server than %s",
                    own);
    else
        report_info(&c->report, s->undo ? "%u backups of %s are no longer part of the history of %s"
                                        : "%u backups of %s are now part of the history of %s",
                    r->backups, r->server, own);
    return TRUE;
}

static gboolean run(struct console *c, char **words, GError **error)
{
    g_auto(listing) found = {0};
    struct adopt_result result = {0};
    struct adopt_request q = {.whose = words[0], .undo = c->settings.undo};
    c->act = "adopt";
    g_autofree char *database = pg_target_database(&c->target, error);
    if (!database || !ask_server(c, error))
        return FALSE;
    const struct lineage_server *self = &c->identity.server;
    report_fact_text(&c->report, "database", database);
    report_fact_text(&c->report, "system_identifier", self->system);
    report_fact(&c->report, "undo", json_boolean(c->settings.undo));
    if (!request_list_of(c, database, &found, error) || !request_list_complete(&found, error) ||
        (found.looked && !request_offsite(c, &q.offsite, error)))
        return FALSE;
    q.entries = found.list;
    q.self = self;
    gboolean ok = adopt_run(&q, &c->report, &result, error);
    report_fact(&c->report, "backups", json_integer(result.backups));
    ok = ok && say(c, &result, error);
    adopt_result_clear(&result);
    return ok;
}

const struct command cmd_adopt = {
    .name = "adopt",
    .mask = CMD_ADOPT,
    .usage = "[SYSTEM|HOST:PORT|ID] [--undo] [--local-only] [OPTION]...",
    .summary = "Make another server's backups part of this one's history.",
    .details =
        "Backups of several servers may lie in one folder or bucket; each server's are a history of their own, by the\n"
        "server's system identifier. After a migration, a major upgrade or a recovery on a new server, adopt makes\n"
        "the backups of the old one this one's as well: they are \"latest\" again, retention counts and deletes them,\n"
        "and status looks at them. Where there are backups of several other servers, name the one that is meant.\n"
        "It stands in their metadata, here and in S3, and in the journal. --undo takes it back.",
    .min_words = 0,
    .max_words = 1,
    .run = run,
};
