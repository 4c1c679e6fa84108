/* opstower verify */
#include "engine/verify.h"

#include "cmd/command.h"
#include "cmd/requests.h"

static json_t *result_json(const char *name, gboolean ok, const struct verify_result *r)
{
    json_t *checks = json_array();
    for (guint i = 0; i < r->checks->len; i++) {
        const struct verify_check *c = &g_array_index(r->checks, struct verify_check, i);
        json_array_append_new(checks, json_pack("{ss ss ss*}", "name", c->name, "result", check_state_name(c->state),
                                                "detail", c->detail));
    }
    return json_pack("{ss sb sb sI sI so}", "file", name, "passed", ok, "has_proof", r->ours, "tables",
                     (json_int_t)r->tables, "rows", (json_int_t)r->rows, "checks", checks);
}

static gboolean run(struct console *c, char **words, GError **error)
{
    const struct settings *s = &c->settings;
    c->act = "verify";
    const struct offsite *offsite;
    g_autoptr(copy) chosen = request_offsite(c, &offsite, error) ? request_copy(c, words[0], CHOOSE_TO_TEST, error) : NULL;
    if (!chosen)
        return FALSE;
    struct pg_target test_server = {.url = s->test_url};
    struct verify_request request = {
        .copy = chosen,
        .offsite = offsite,
        .dir = s->backup_dir,
        .full_test = s->full_test,
        .test = {s->test_url ? &test_server : NULL, s->tmp_dir, s->pg_bindir, (guint)s->jobs},
        .remember = TRUE,
    };
    struct verify_result result = {0};
    gboolean ok = verify_run(&request, &c->report, &result, error);
    if (s->json)
        ok = console_print_json(result_json(chosen->name, ok, &result), ok ? error : NULL) && ok;
    verify_result_clear(&result);
    return ok;
}

const struct command cmd_verify = {
    .name = "verify",
    .mask = CMD_VERIFY,
    .usage = "FILE|ID|KEY|latest|latest-good [--at TIME] [--full-test] [--from-s3] [OPTION]...",
    .summary = "Check a backup byte by byte; with --full-test, restore and compare it.",
    .details = "Reads every byte of the file and holds it against the proof in the file and against its metadata.\n"
               "--full-test restores it into a scratch server (unix socket in a private folder, thrown away after)\n"
               "and compares every table's rows, the sequences, large objects and each object's SQL.\n"
               "Without PostgreSQL's server programs on this host, --test-url names a server to test on.\n"
               "--from-s3 reads the copy in S3. Without it, of the copy in S3 only its presence and size are checked.\n"
               "A plain dump made by others is checked as far as it can show.",
    .min_words = 0,
    .max_words = 1,
    .several = TRUE,
    .run = run,
};
