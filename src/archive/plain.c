/* A line scanner over a plain dump. */
#include "archive/plain.h"

#include <string.h>

#include "archive/foreign.h"
#include "archive/gunzip.h"
#include "archive/plain_gate.h"
#include "archive/sqllex.h"
#include "base/digest.h"
#include "base/interrupt.h"

#define STEP_BYTES (4u << 20)          /* large, for each may be a request to S3 */
#define UNPACKED_BYTES (1u << 20)
#define MAX_STATEMENT_BYTES (1u << 30) /* the server takes no longer one */
#define HELD_BYTES 8                   /* enough to know the line that ends a table's rows */

struct scan {
    struct plain_summary sum;
    const struct plain_taker *taker; /* may be NULL */
    void *data;
    guint64 line_number, statement_line;
    GString *line;      /* the line being read; within rows, its beginning */
    GString *statement; /* what has come of the statement at hand */
    struct sqllex lex;
    guint64 *copy_rows; /* of the table being copied; in sum.copied */
    guint64 rows_here;  /* of the COPY statement at hand */
    guint64 ended_line; /* of the line that says that the dump is complete; 0: none */
    gboolean in_copy, has_header, complete;
    gboolean is_cluster;    /* it ends as pg_dumpall's does */
    gboolean is_other_text; /* by its beginning */
};

static gboolean begins(const struct scan *s, const char *prefix)
{
    return g_str_has_prefix(s->line->str, prefix);
}

/* The roles of one-line statements, as pg_dump writes them: "ALTER ... OWNER TO x;", "GRANT ... TO x;". */
static void scan_role(struct scan *s)
{
    static const struct {
        const char *begin, *before;
    } forms[] = {{"ALTER ", " OWNER TO "}, {"GRANT ", " TO "}, {"REVOKE ", " FROM "}};
    for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
        const char *at = begins(s, forms[i].begin) ? g_strrstr(s->line->str, forms[i].before) : NULL;
        if (!at || !g_str_has_suffix(at, ";"))
            continue;
        at += strlen(forms[i].before);
        g_autofree char *name = g_strndup(at, strlen(at) - 1);
        if (g_str_has_suffix(name, " WITH GRANT OPTION"))
            name[strlen(name) - strlen(" WITH GRANT OPTION")] = '\0';
        if (!g_str_equal(name, "PUBLIC") && !g_ptr_array_find_with_equal_func(s->sum.roles, name, g_str_equal, NULL))
            g_ptr_array_add(s->sum.roles, g_steal_pointer(&name));
    }
}

static void begin_copy(struct scan *s)
{
    char *key = plain_gate_copy_table(s->statement->str);
    s->copy_rows = g_hash_table_lookup(s->sum.copied, key);
    if (s->copy_rows) {
        g_free(key);
    } else {
        s->copy_rows = g_new0(guint64, 1);
        g_hash_table_insert(s->sum.copied, key, s->copy_rows);
    }
    s->in_copy = TRUE;
    s->rows_here = 0;
}

gboolean plain_check_refusal(const struct plain_summary *s, GError **error)
{
    return !s->refusal || ot_fail(error, OT_REFUSED,
                                  "the dump is not loaded: %s. Make one with pg_dump and without --create, or load it "
                                  "yourself with psql where it can do no harm",
                                  s->refusal);
}

static gboolean refuse(struct scan *s, guint64 line, const char *why, const char *what, GError **error)
{
    if (!s->sum.refusal) {
        g_autofree char *text = g_strdup_printf("line %" G_GUINT64_FORMAT " %s (%s)", line, why, what);
        s->sum.refusal = g_utf8_make_valid(text, -1);
    }
    return !s->taker || plain_check_refusal(&s->sum, error);
}

static void scan_first_line(struct scan *s)
{
    static const char encoding[] = "SET client_encoding = '";
    static const char version[] = "-- Dumped from database version ";
    if (begins(s, "CREATE TABLE ") || begins(s, "CREATE UNLOGGED TABLE ")) {
        s->sum.tables++;
    } else if (begins(s, "-- PostgreSQL database dump complete")) {
        s->complete = TRUE;
        s->ended_line = s->line_number;
        return;
    } else if (begins(s, "-- PostgreSQL database cluster dump complete")) {
        s->is_cluster = TRUE;
    } else if (begins(s, "-- PostgreSQL database dump")) {
        s->has_header = TRUE;
        s->ended_line = 0;
    } else if (begins(s, version) && !s->sum.server_version) {
        s->sum.server_version = g_strdup(s->line->str + strlen(version));
    }
    if (begins(s, encoding) && !s->sum.encoding)
        s->sum.encoding = g_strndup(s->line->str + strlen(encoding), strcspn(s->line->str + strlen(encoding), "'"));
    scan_role(s);
    /* After the last line of a dump only comments, blank lines and \unrestrict follow. */
    if (s->line->len > 0 && !begins(s, "--") && !begins(s, "\\unrestrict"))
        s->complete = FALSE;
}

/* ---- statements ---- */

static gboolean end_statement(struct scan *s, GError **error)
{
    const char *sql = s->statement->str;
    enum plain_verdict verdict = plain_gate_judge(sql);
    gboolean conforming, ok = TRUE;
    if (verdict == PLAIN_BEYOND || verdict == PLAIN_UNUSUAL) {
        g_autofree char *excerpt = plain_gate_excerpt(sql);
        ok = refuse(s, s->statement_line,
                    verdict == PLAIN_BEYOND ? "acts beyond its own database" : "is not what pg_dump writes", excerpt,
                    error);
    }
    if (plain_gate_sets_strings(sql, &conforming))
        s->lex.strings_escape = !conforming;
    if (verdict == PLAIN_COPY)
        begin_copy(s);
    s->sum.inserts += g_str_has_prefix(sql, "INSERT INTO ") ? 1 : 0;
    if (ok && s->taker)
        ok = s->taker->statement(sql, s->statement_line, verdict == PLAIN_COPY, s->data, error);
    g_string_truncate(s->statement, 0);
    return ok;
}

static gboolean is_blank(const char *text, gsize length)
{
    return strspn(text, " \t\r\n") >= length;
}

/* What psql would do with the rest of the line is not known here: it is not read as SQL. */
static gboolean refuse_psql_command(struct scan *s, GError **error)
{
    s->lex = (struct sqllex){.strings_escape = s->lex.strings_escape};
    return refuse(s, s->line_number, "is a command of psql's", "a backslash outside of quotes", error);
}

/* The line with its end, statement by statement. */
static gboolean take_statements(struct scan *s, GError **error)
{
    const char *at = s->line->str;
    for (gsize left = s->line->len; left > 0;) {
        gboolean end = FALSE;
        gsize n = sqllex_take(&s->lex, at, left, &end);
        if (s->lex.backslash)
            return refuse_psql_command(s, error);
        if (s->statement->len == 0)
            s->statement_line = s->line_number;
        if (s->statement->len > 0 || !is_blank(at, n))
            g_string_append_len(s->statement, at, (gssize)n);
        at += n;
        left -= n;
        if (end && !end_statement(s, error))
            return FALSE;
        if (s->in_copy && !is_blank(at, left))
            return refuse(s, s->line_number, "is not what pg_dump writes", "a statement behind COPY", error);
        if (s->in_copy)
            return TRUE;
        if (s->statement->len > MAX_STATEMENT_BYTES)
            return ot_fail(error, OT_REFUSED, "line %" G_GUINT64_FORMAT ": a statement is longer than 1 GiB",
                           s->line_number);
    }
    return TRUE;
}

/* \restrict and \unrestrict guard psql, which is not used here. */
static gboolean is_guard(const struct scan *s)
{
    static const char key[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    if (!begins(s, "\\restrict ") && !begins(s, "\\unrestrict "))
        return FALSE;
    const char *at = strchr(s->line->str, ' ') + 1;
    return *at && at[strspn(at, key)] == '\0';
}

/* Inside a function's body or a string, nothing is a statement, whatever it looks like. end: the line's end. */
static gboolean scan_sql_line(struct scan *s, const char *end, GError **error)
{
    if (s->lex.state != SQLLEX_PLAIN)
        s->complete = FALSE;
    else
        scan_first_line(s);
    if (s->lex.state == SQLLEX_PLAIN && s->statement->len == 0 && (begins(s, "--") || is_guard(s)))
        return TRUE;
    if (memchr(s->line->str, '\0', s->line->len))
        return ot_fail(error, OT_CORRUPT, "line %" G_GUINT64_FORMAT " holds a zero byte", s->line_number);
    g_string_append(s->line, end);
    return take_statements(s, error);
}

/* ---- rows ---- */

static gboolean give_rows(struct scan *s, const char *text, gsize length, GError **error)
{
    return length == 0 || !s->taker || s->sum.refusal || s->taker->rows(text, length, s->data, error);
}

static gboolean may_end_rows(const GString *line)
{
    return line->len < strlen("\\.\r\n") && strncmp("\\.\r\n", line->str, line->len) == 0;
}

static gboolean ends_rows(const GString *line)
{
    return g_str_equal(line->str, "\\.\n") || g_str_equal(line->str, "\\.\r\n") || g_str_equal(line->str, "\\.");
}

static gboolean end_rows(struct scan *s, GError **error)
{
    s->in_copy = FALSE;
    s->line_number++;
    g_string_truncate(s->line, 0);
    return !s->taker || s->sum.refusal || s->taker->rows_end(s->rows_here, s->data, error);
}

/* Reads rows up to their end or the end of the text; returns where, NULL on failure. What may be the beginning of the
 * closing line is held in s->line until that is known. */
static const char *scan_rows(struct scan *s, const char *text, const char *end, GError **error)
{
    const char *given = text; /* up to here; s->line->len bytes before it are held */
    while (text < end) {
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        const char *stop = newline ? newline + 1 : end;
        gboolean held = s->line->len > 0 && may_end_rows(s->line);
        gsize before = s->line->len;
        if (before < HELD_BYTES)
            g_string_append_len(s->line, text, MIN(stop - text, (gssize)(HELD_BYTES - before)));
        if (ends_rows(s->line) && newline)
            return give_rows(s, given, (gsize)(text - given), error) && end_rows(s, error) ? stop : NULL;
        if (held && !may_end_rows(s->line) && !give_rows(s, "\\.\r\n", before, error))
            return NULL;
        if (!newline && may_end_rows(s->line))
            return give_rows(s, given, (gsize)(text - given), error) ? end : NULL;
        text = stop;
        if (!newline)
            break;
        s->sum.rows++;
        ++*s->copy_rows;
        s->rows_here++;
        s->line_number++;
        g_string_truncate(s->line, 0);
    }
    return give_rows(s, given, (gsize)(text - given), error) ? text : NULL;
}

/* ---- text ---- */

static gboolean end_line(struct scan *s, GError **error)
{
    static const char mark[] = "\xEF\xBB\xBF";
    if (++s->line_number == 1 && begins(s, mark))
        g_string_erase(s->line, 0, (gssize)strlen(mark));
    const char *end = g_str_has_suffix(s->line->str, "\r\n") ? "\r\n"
                      : g_str_has_suffix(s->line->str, "\n") ? "\n"
                                                             : "";
    g_string_truncate(s->line, s->line->len - strlen(end));
    gboolean ok = scan_sql_line(s, end, error);
    g_string_truncate(s->line, 0);
    return ok;
}

/* Even if it was cut in its first lines. */
static gboolean may_begin_dump(const char *text, gsize length)
{
    static const char *const begins[] = {"--\n-- PostgreSQL database ", "--\r\n-- PostgreSQL database "};
    gsize mark = length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (gsize i = 0; i < G_N_ELEMENTS(begins); i++)
        if (memcmp(text + mark, begins[i], MIN(strlen(begins[i]), length - mark)) == 0)
            return TRUE;
    return FALSE;
}

static gboolean scan_text(struct scan *s, const char *text, gsize length, GError **error)
{
    if (s->sum.plain_bytes == 0)
        s->is_other_text = !may_begin_dump(text, length) && foreign_is_text((const guint8 *)text, MIN(length, 4096));
    s->sum.plain_bytes += length;
    const char *end = text + length;
    while (text && text < end) {
        if (s->in_copy) {
            text = scan_rows(s, text, end, error);
            continue;
        }
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        const char *stop = newline ? newline + 1 : end;
        g_string_append_len(s->line, text, (gssize)(stop - text));
        if (s->line->len > MAX_STATEMENT_BYTES)
            return ot_fail(error, OT_REFUSED, "line %" G_GUINT64_FORMAT " is longer than 1 GiB", s->line_number + 1);
        if (newline && !end_line(s, error))
            return FALSE;
        text = stop;
    }
    return text != NULL;
}

static gboolean judge(struct scan *s, GError **error)
{
    if (s->in_copy && ends_rows(s->line) && !end_rows(s, error))
        return FALSE;
    if (!s->in_copy && s->line->len > 0 && !end_line(s, error))
        return FALSE;
    if (!s->has_header && s->is_cluster)
        return ot_fail(
            error, OT_REFUSED,
            "these are a server's roles and tablespaces as pg_dumpall writes them, not a database: load them "
            "yourself with psql");
    if (!s->has_header && s->is_other_text)
        return ot_fail(error, OT_REFUSED,
                       "this is text, but not a plain dump as pg_dump writes it (its header is missing), so nothing "
                       "shows whether it is whole: if it is SQL, load it yourself with psql");
    if (!s->has_header)
        return ot_fail(error, OT_CORRUPT, "this is not a plain-text PostgreSQL dump (its header is missing)");
    if (s->lex.state != SQLLEX_PLAIN)
        return ot_fail(error, OT_CORRUPT, "the dump is cut inside a statement");
    if (s->in_copy)
        return ot_fail(error, OT_CORRUPT, "the dump is cut inside a table's data");
    if (!s->complete && s->ended_line > 0)
        return ot_fail(error, OT_REFUSED,
                       "statements follow line %" G_GUINT64_FORMAT ", which says that the dump is complete: take them "
                       "away and run them by themselves",
                       s->ended_line);
    if (!s->complete)
        return ot_fail(error, OT_CORRUPT,
                       "the dump is cut: it does not end with \"PostgreSQL database dump complete\"");
    return s->statement->len == 0 || end_statement(s, error); /* as psql does with a last one without its semicolon */
}

static gboolean scan_gzip_step(struct scan *s, struct gunzip *unzip, const guint8 *packed, gsize length, char *buffer,
                               GError **error)
{
    gunzip_feed(unzip, packed, length);
    for (;;) {
        gsize made = 0;
        if (!gunzip_read(unzip, buffer, UNPACKED_BYTES, &made, error))
            return FALSE;
        if (made == 0)
            return TRUE;
        if (!scan_text(s, buffer, made, error))
            return FALSE;
    }
}

static gboolean scan_source(struct scan *s, struct source *from, enum archive_kind kind, GError **error)
{
    g_autofree guint8 *packed = g_malloc((gsize)CLAMP(from->size_bytes, 1, STEP_BYTES));
    g_autofree char *buffer = g_malloc(UNPACKED_BYTES);
    g_autoptr(gunzip) unzip = gunzip_new();
    g_autoptr(digest) d = digest_new();
    for (guint64 at = 0; at < from->size_bytes;) {
        gsize n = (gsize)MIN(STEP_BYTES, from->size_bytes - at);
        if (!interrupt_check(error) || !from->read_at(from, at, packed, n, error))
            return FALSE;
        digest_add(d, packed, n);
        at += n;
        gboolean ok = kind == ARCHIVE_PLAIN_GZIP ? scan_gzip_step(s, unzip, packed, n, buffer, error)
                                                 : scan_text(s, (const char *)packed, n, error);
        if (!ok)
            return FALSE;
    }
    if (kind == ARCHIVE_PLAIN_GZIP && !gunzip_at_end(unzip))
        return ot_fail(error, OT_CORRUPT, "gzip test failed: the file is cut");
    s->sum.sha256 = digest_text(d);
    return TRUE;
}

gboolean plain_scan(struct source *s, enum archive_kind kind, const struct plain_taker *taker, void *data,
                    struct plain_summary *ret_summary, GError **error)
{
    struct scan scan = {.taker = taker, .data = data, .line = g_string_new(NULL), .statement = g_string_new(NULL)};
    scan.sum.copied = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    scan.sum.roles = g_ptr_array_new_with_free_func(g_free);
    gboolean ok = scan_source(&scan, s, kind, error) && judge(&scan, error);
    g_string_free(scan.line, TRUE);
    g_string_free(scan.statement, TRUE);
    if (ok)
        *ret_summary = scan.sum;
    else
        plain_summary_clear(&scan.sum);
    return ok;
}

void plain_summary_clear(struct plain_summary *s)
{
    g_clear_pointer(&s->sha256, g_free);
    g_clear_pointer(&s->server_version, g_free);
    g_clear_pointer(&s->encoding, g_free);
    g_clear_pointer(&s->refusal, g_free);
    g_clear_pointer(&s->roles, g_ptr_array_unref);
    g_clear_pointer(&s->copied, g_hash_table_unref);
}
