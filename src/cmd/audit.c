/* opstower audit */
#include "engine/audit.h"

#include <stdio.h>

#include "base/text.h"
#include "cmd/command.h"
#include "cmd/requests.h"

/* ---- check ---- */

static json_t *findings_json(const GPtrArray *list)
{
    json_t *array = json_array();
    for (guint i = 0; i < list->len; i++) {
        const struct journal_finding *f = list->pdata[i];
        json_t *o = json_pack("{ss}", "what", f->text);
        if (f->seq > 0)
            json_object_set_new(o, "seq", json_integer((json_int_t)f->seq));
        if (f->line > 0)
            json_object_set_new(o, "line", json_integer((json_int_t)f->line));
        json_array_append_new(array, o);
    }
    return array;
}

static json_t *state_json(const struct journal_state *s)
{
    return json_pack("{sb sI sI ss* ss* si sI si sI sI so so sI}", "intact", s->findings->len == 0, "lines",
                     (json_int_t)s->lines, "last_seq", (json_int_t)s->last_seq, "first_time", s->first, "last_time",
                     s->last, "heads_kept_elsewhere", (int)s->anchors, "vouched_up_to_seq", (json_int_t)s->vouched_seq,
                     "copied_parts_read", (int)s->parts, "copied_bytes_read", (json_int_t)s->part_bytes,
                     "copied_up_to_seq", (json_int_t)s->copied_seq, "findings", findings_json(s->findings), "torn",
                     findings_json(s->notes), "findings_not_shown", (json_int_t)s->findings_more);
}

static void print_findings(const GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        const struct journal_finding *f = list->pdata[i];
        g_autofree char *line = f->line > 0 ? g_strdup_printf("line %" G_GUINT64_FORMAT ", ", f->line) : g_strdup("");
        g_autofree char *seq = f->seq > 0 ? g_strdup_printf("seq %" G_GINT64_FORMAT ": ", f->seq) : g_strdup("");
        printf("%s%s%s\n", line, seq, f->text);
    }
}

static void print_copied(struct console *c, const struct journal_state *s)
{
    g_autofree char *size = text_size(s->part_bytes, "B");
    if (s->parts > 0)
        report_info(&c->report,
                    "Held line by line against its copy in S3 (%u objects, %s), which is the same up to record "
                    "%" G_GINT64_FORMAT,
                    s->parts, size, s->copied_seq);
    else
        report_info(&c->report, "There is no copy of it in S3");
}

static void print_state(struct console *c, const struct journal_state *s)
{
    report_info(&c->report, "Journal %s/" JOURNAL_FILE ": %" G_GUINT64_FORMAT " lines, from %s to %s",
                c->settings.backup_dir, s->lines, s->first ? s->first : "-", s->last ? s->last : "-");
    if (s->anchors > 0)
        report_info(&c->report,
                    "Held against %u heads kept with backups and in S3; they vouch for records up to %" G_GINT64_FORMAT
                    " of %" G_GINT64_FORMAT,
                    s->anchors, s->vouched_seq, s->last_seq);
    else
        report_info(&c->report, "Nothing is kept elsewhere yet that could tell whether its end was cut off");
    if (c->settings.s3_bucket && !c->settings.local_only)
        print_copied(c, s);
    print_findings(s->notes);
    print_findings(s->findings);
    if (s->findings_more > 0)
        printf("and %" G_GUINT64_FORMAT " more\n", s->findings_more);
}

static gboolean request_places(struct console *c, struct audit_places *ret_places, GError **error)
{
    const struct settings *s = &c->settings;
    *ret_places = (struct audit_places){.dir = s->backup_dir, .prefix = s->s3_prefix};
    return !s->s3_bucket || s->local_only || (ret_places->client = request_s3(c, error)) != NULL;
}

static gboolean run_check(struct console *c, GError **error)
{
    const struct settings *s = &c->settings;
    struct audit_places places;
    if (s->since || s->until)
        return ot_fail(error, OT_USAGE, "--since and --until go with audit export");
    if (!request_places(c, &places, error))
        return FALSE;
    g_autoptr(journal_state) state = audit_check(&places, error);
    if (!state)
        return FALSE;
    if (!state->there && state->findings->len == 0)
        return ot_fail(error, OT_NOT_FOUND, "there is no journal in %s: nothing was recorded yet", s->backup_dir);
    if (!s->json)
        print_state(c, state);
    else if (!console_print_json(state_json(state), error))
        return FALSE;
    guint64 wrong = state->findings->len + state->findings_more;
    if (wrong > 0)
        return ot_fail(error, OT_TAMPERED, "the journal is not as it was written: %" G_GUINT64_FORMAT " %s", wrong,
                       wrong == 1 ? "finding" : "findings");
    if (!s->json)
        report_info(&c->report, "Every line is as it was written, and in its place");
    return TRUE;
}

/* ---- export ---- */

static gboolean print_csv(const GPtrArray *records, GError **error)
{
    g_autofree char *header = audit_csv_header();
    gboolean ok = fputs(header, stdout) >= 0;
    for (guint i = 0; ok && i < records->len; i++) {
        g_autofree char *line = audit_csv_line(records->pdata[i]);
        ok = fputs(line, stdout) >= 0;
    }
    return (ok && fflush(stdout) == 0) || ot_fail_errno(error, OT_IO, "cannot write to stdout");
}

static gboolean print_json(const GPtrArray *records, GError **error)
{
    json_t *array = json_array();
    for (guint i = 0; i < records->len; i++)
        json_array_append(array, records->pdata[i]);
    return console_print_json(array, error);
}

/* What is given out is worth as much as the journal is: a broken one is given out too, and said to be broken. */
static gboolean check_chain(const char *dir, GError **error)
{
    g_autoptr(journal_state) state = journal_check(dir, NULL, error);
    return state && (state->findings->len == 0 ||
                     ot_fail(error, OT_TAMPERED, "this is all there is, but the journal is not as it was written"));
}

static gboolean run_export(struct console *c, GError **error)
{
    const struct settings *s = &c->settings;
    gint64 since = G_MININT64, until = G_MAXINT64;
    gboolean csv = g_str_equal(s->export_format, "csv");
    if (csv && s->json)
        return ot_fail(error, OT_USAGE, "--json and --format csv exclude each other");
    if ((s->since && !audit_parse_time(s->since, FALSE, &since, error)) ||
        (s->until && !audit_parse_time(s->until, TRUE, &until, error)))
        return FALSE;
    if (since >= until)
        return ot_fail(error, OT_USAGE, "--since %s is not before --until %s", s->since, s->until);
    g_autoptr(GPtrArray) records = audit_select(s->backup_dir, since, until, error);
    return records && (csv ? print_csv : print_json)(records, error) && check_chain(s->backup_dir, error);
}

static gboolean run(struct console *c, char **words, GError **error)
{
    static const char *const verbs[] = {"check", "export", NULL};
    if (g_str_equal(words[0], "check"))
        return run_check(c, error);
    if (g_str_equal(words[0], "export"))
        return run_export(c, error);
    const char *near = options_nearest_word(words[0], verbs);
    return ot_fail(error, OT_USAGE, "audit can check or export, not \"%s\"%s%s", words[0],
                   near ? "; did you mean " : "", near ? near : "");
}

const struct command cmd_audit = {
    .name = "audit",
    .mask = CMD_AUDIT,
    .usage = "check | export [--since DATE] [--until DATE] [--format json|csv] [OPTION]...",
    .summary = "Check that the journal is as it was written; give it out by time.",
    .details =
        "Every act is a line of BACKUP_DIR/journal.jsonl, and every line has the digest of the one before. check\n"
        "names each line that was edited, removed, moved or inserted. That the end was cut off it sees by what is\n"
        "kept with every backup, here and in S3, and by the journal's own copy in S3, which it reads line by line.\n"
        "A line that a crash cut off is named, and is no error once the next act has marked it. Until then nothing\n"
        "can tell it from a line that somebody cut.\n"
        "export writes the acts of a time as JSON, or as CSV with the facts of each act as JSON in the last column.",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
