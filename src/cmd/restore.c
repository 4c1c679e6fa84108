/* opstower restore */
#include "engine/restore.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/text.h"
#include "cmd/command.h"
#include "cmd/hooking.h"
#include "cmd/requests.h"
#include "engine/healthcheck.h"

/* One line from the terminal, without its newline and otherwise as it was typed. FALSE if it was interrupted. */
static gboolean read_line(char **ret_line, GError **error)
{
    struct pollfd p = {STDIN_FILENO, POLLIN, 0};
    while (poll(&p, 1, 200) <= 0)
        if (!interrupt_check(error))
            return FALSE;
    char buffer[512] = "";
    if (!fgets(buffer, sizeof buffer, stdin))
        buffer[0] = '\0';
    buffer[strcspn(buffer, "\n")] = '\0';
    *ret_line = g_strdup(buffer);
    return TRUE;
}

static gboolean confirm(struct console *c, const struct restore_preview *p, GError **error)
{
    if (c->settings.force)
        return TRUE;
    if (!isatty(STDIN_FILENO))
        return ot_fail(error, OT_REFUSED, "there is no terminal to ask on: run it on one, or give --force");
    console_stop(c);
    g_autofree char *size = text_size_pretty(p->live_bytes);
    printf("%s %s%s%s%s on %s, port %s. Type the database's name (%s) to go on: ",
           p->exists ? "This replaces database" : "This makes database", p->database, p->exists ? " (" : "",
           p->exists ? size : "", p->exists ? ")" : "", p->host, p->port, p->database);
    fflush(stdout);
    g_autofree char *answer = NULL;
    if (!read_line(&answer, error))
        return FALSE;
    if (g_str_equal(answer, p->database))
        return TRUE;
    return ot_fail(error, OT_REFUSED, "not confirmed: nothing was changed");
}

struct restoring {
    struct console *console;
    const struct copy *copy;
    gboolean begun;
};

static gboolean is_over_live(const struct settings *s)
{
    return !s->target_db && !s->tables;
}

/* Asks, then has the application stopped: what it writes from here on would be lost. */
static gboolean go_ahead(const struct restore_preview *p, void *data, GError **error)
{
    struct restoring *r = data;
    struct hooking_facts facts = {.file = r->copy->path, .s3_url = r->copy->path ? NULL : r->copy->name};
    if (!confirm(r->console, p, error))
        return FALSE;
    if (!is_over_live(&r->console->settings))
        return TRUE;
    r->begun = TRUE;
    if (hooking_before(r->console, HOOKING_PRE_RESTORE, &facts, error))
        return TRUE;
    if (error && g_error_matches(*error, OT_ERROR, OT_FAILED))
        (*error)->code = OT_RESTORE;
    g_prefix_error(error, "nothing was restored: ");
    return FALSE;
}

/* The application's part: restarted by the hook, asked for its health. Takes problem. */
static gboolean finish(struct restoring *r, const struct restore_result *result, char **ret_health, GError *problem,
                       GError **error)
{
    struct console *c = r->console;
    const struct settings *s = &c->settings;
    struct hooking_facts facts = {.file = r->copy->path, .s3_url = r->copy->path ? NULL : r->copy->name};
    const char *done = result->proven ? "the restore is done and proven, but " : "the restore is done, but ";
    gboolean restored = problem == NULL;
    if (!restored && s->hook_pre_restore && !s->hook_post_restore)
        report_warn(&c->report, "HOOK_PRE_RESTORE was run, and there is no HOOK_POST_RESTORE: what it stopped or "
                                "switched on stays so");
    gboolean ok = hooking_after(c, HOOKING_POST_RESTORE, &facts, done, problem, error);
    if (!restored || !s->healthcheck_url)
        return ok;
    if (!ok) {
        *ret_health = g_strdup("not asked: the post-restore hook failed");
        report_fact_text(&c->report, "healthcheck", *ret_health);
        return FALSE;
    }
    if (healthcheck_wait(s->healthcheck_url, (guint)s->healthcheck_timeout_s, &c->report, ret_health, error))
        return TRUE;
    g_prefix_error(error, "%s", done);
    return FALSE;
}

static json_t *result_json(const struct restore_result *r, const char *health)
{
    return json_pack("{ss* ss* ss* sI sI sI sO*}", "healthcheck", health, "database", r->database, "replaced", r->replaced,
                     "tables", (json_int_t)r->tables, "rows", (json_int_t)r->rows, "duration_seconds",
                     (json_int_t)r->duration_s, "left_out", r->left_out);
}

static gboolean check_options(const struct settings *s, GError **error)
{
    if (s->put_back && !s->tables)
        return ot_fail(error, OT_USAGE, "--put-back goes with --table");
    if (s->in_place && (s->target_db || s->tables))
        return ot_fail(error, OT_USAGE, "--in-place does not go with --target-db or --table");
    if (s->tables && (s->drop_replaced || s->create_roles || s->accept_incomplete || !s->tablespaces))
        return ot_fail(error, OT_USAGE,
                       "--drop-replaced, --create-roles, --accept-incomplete and --no-tablespaces do not go with "
                       "--table");
    if (!s->tables && !s->force && (s->json || s->quiet))
        return ot_fail(error, OT_USAGE,
                       "--json and --quiet need --force: without the preview there is nothing to confirm");
    return !s->healthcheck_url || healthcheck_check_url(s->healthcheck_url, error);
}

static gboolean restore(struct restoring *r, const struct restore_request *request, GError **error)
{
    struct console *c = r->console;
    struct restore_result result = {0};
    g_autofree char *health = NULL;
    GError *problem = NULL;
    gboolean done = restore_run(request, &c->report, &result, &problem), ok = done;
    if (c->s3 && c->settings.from_s3) {
        g_autofree char *fetched = text_size(s3_bytes_received(c->s3), "B");
        report_info(&c->report, "Fetched from S3: %s", fetched);
    }
    if (r->begun)
        ok = finish(r, &result, &health, problem, error);
    else if (problem)
        g_propagate_error(error, problem);
    /* What is restored is told of, whatever the application says to it. */
    if (done && c->settings.json)
        ok = console_print_json(result_json(&result, health), ok ? error : NULL) && ok;
    restore_result_clear(&result);
    return ok;
}

static gboolean run(struct console *c, char **words, GError **error)
{
    const struct settings *s = &c->settings;
    c->act = "restore";
    struct backup_request pre_backup;
    g_autoptr(copy) chosen = check_options(s, error) && hooking_check(c, error) && request_backup(c, &pre_backup, error)
                                 ? request_copy(c, words[0], CHOOSE_TO_RESTORE, error)
                                 : NULL;
    if (!chosen)
        return FALSE;
    pre_backup.type = "pre-restore";
    pre_backup.prune = pre_backup.monthly = FALSE;
    if (pre_backup.places == BACKUP_BOTH)
        pre_backup.places = BACKUP_BOTH_LATER; /* nobody waits for an upload while the database is down */
    struct restoring restoring = {c, chosen, FALSE};
    struct restore_request request = {
        .target = &c->target,
        .copy = chosen,
        .dir = s->backup_dir,
        .pre_backup = s->pre_backup && !s->target_db ? &pre_backup : NULL,
        .target_db = s->target_db,
        .in_place = s->in_place,
        .drop_replaced = s->drop_replaced,
        .accept_incomplete = s->accept_incomplete,
        .tablespaces = s->tablespaces,
        .create_roles = s->create_roles,
        .bindir = s->pg_bindir,
        .tmp_dir = s->tmp_dir,
        .jobs = (guint)s->jobs,
        .critical_tables = s->critical_tables,
        .tables = s->tables,
        .put_back = s->put_back,
        .other_database = s->other_database,
        .cannot_ask = !s->force && !isatty(STDIN_FILENO),
        .confirm = go_ahead,
        .confirm_data = &restoring,
    };
    return restore(&restoring, &request, error);
}

const struct command cmd_restore = {
    .name = "restore",
    .mask = CMD_RESTORE,
    .usage = "FILE|ID|KEY|latest|latest-good [--at TIME] [--from-s3] [--force] [--target-db NAME] [--table SCHEMA.TABLE]... [OPTION]...",
    .summary = "Restore a database, or single tables, without risking the live one.",
    .details = "Verifies the backup, shows what would happen, asks, takes a pre-restore backup, loads into a side\n"
               "database, compares every row with the backup's proof, and only then swaps names. The old database\n"
               "stays as NAME_replaced_TIMESTAMP. Whatever fails before the swap leaves the live database as it was.\n"
               "--from-s3 reads the backup straight from S3, in parallel, without a copy on this machine.\n"
               "--table brings single tables back into a schema recovered_TIMESTAMP of the live database; --put-back\n"
               "then puts the rows that are missing into the live tables.",
    .min_words = 0,
    .max_words = 1,
    .run = run,
};
